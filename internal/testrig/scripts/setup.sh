#!/bin/sh
# Run once, inside the new root tree by chroot: the accounts, sshd and an empty fstab. $1: password of asks.
set -eu

account() { # NAME SHELL
	useradd --create-home --shell "$2" --password '*' "$1"
	install -d -m 700 -o "$1" -g "$1" "/home/$1/.ssh"
}

sudoer() { # NAME RULE
	printf '%s ALL=(ALL:ALL) %s\n' "$1" "$2" >>/etc/sudoers.d/accounts
}

# busybox is a shell only under the name of one.
mkdir -p /usr/lib/busybox
ln -s /bin/busybox /usr/lib/busybox/sh

: >/etc/sudoers.d/accounts
chmod 440 /etc/sudoers.d/accounts
account plain /bin/sh
account asks /bin/sh
sudoer asks ALL
echo "asks:$1" | chpasswd -c SHA512
while read -r name shell; do
	account "$name" "$shell"
	sudoer "$name" 'NOPASSWD: ALL'
done <<-END
	ops /bin/sh
	ops-bash /bin/bash
	ops-busybox /usr/lib/busybox/sh
	ops-zsh /bin/zsh
	ops-tcsh /bin/tcsh
	ops-fish /usr/bin/fish
	ops-banner /bin/bash
END
echo 'echo "*** This machine belongs to the database team ***"' >/home/ops-banner/.bashrc

# A locked account is refused where UsePAM is no; '*' is no password, yet not locked.
usermod -p '*' -s /bin/sh root
install -d -m 700 /root/.ssh
rm -f /root/.bashrc /root/.profile

rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
cat >/etc/ssh/sshd_config <<-END
	Include /etc/ssh/sshd_config.d/*.conf
	HostKey /etc/ssh/ssh_host_ed25519_key
	LogLevel ERROR
	UsePAM no
	PasswordAuthentication no
	KbdInteractiveAuthentication no
	PermitRootLogin prohibit-password
	PrintMotd no
	PrintLastLog no
	MaxStartups 2000
	MaxSessions 10
	Subsystem sftp /usr/lib/openssh/sftp-server
END

: >/etc/fstab
: >/etc/resolv.conf
: >/etc/hosts
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale
