#!/bin/sh
# Process 1 of a new host until the host's own init takes over: puts the private root together and moves
# into it. It runs in new mount, process, host name and IPC namespaces and in the host's network.
# $1 host name, $2 its folder (disk/upper, disk/work, root), $3 lower directories of the overlay.
set -eu
name=$1 dir=$2 lower=$3
root=$dir/root
PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount --make-rprivate /
hostname "$name"
mount -t overlay -o "lowerdir=$lower,upperdir=$dir/disk/upper,workdir=$dir/disk/work" overlay "$root"
cd "$root"

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o nosuid,mode=755 tmpfs dev
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp

# The machine's disks are not the host's.
for blocks in sys/block sys/class/block sys/dev/block; do
	mount -t tmpfs -o ro,mode=555 tmpfs "$blocks"
done
mkdir -p run/lock run/sshd run/machine
chmod 1777 run/lock
echo 'major minor  #blocks  name' >run/machine/partitions
: >run/machine/diskstats
cat "$dir/boot_id" >run/machine/boot_id
chmod 444 run/machine/*
mount --bind run/machine/partitions proc/partitions
mount --bind run/machine/diskstats proc/diskstats
mount --bind run/machine/boot_id proc/sys/kernel/random/boot_id

# A stray "echo b" must not end the machine.
if [ -e proc/sysrq-trigger ]; then
	mount --bind proc/sysrq-trigger proc/sysrq-trigger
	mount -o remount,bind,ro proc/sysrq-trigger
fi

umask 0
while read -r node major minor; do
	mknod -m 666 "dev/$node" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
umask 022
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

# The old root ends up stacked on the new one, where umount takes it away (pivot_root(2), NOTES).
pivot_root . .
umount -l .
cd /
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot . /sbin/init </dev/null
