#!/usr/bin/perl
# Process 1 of a host: starts sshd, reaps every orphan, ends the host when told to. Its exit status tells
# the rig what to do next. Signals as in busybox: TERM reboots (99), USR2 and INT power off (98).
use strict;
use warnings;

my ($reboot, $power_off) = (99, 98);
my $grace = 10;    # seconds that the others have to end by themselves
my $then;
$SIG{TERM} = sub { $then = $reboot };
$SIG{USR2} = $SIG{INT} = sub { $then = $power_off };
$SIG{CHLD} = sub { };
$SIG{HUP}  = 'IGNORE';

# Process 2 of a real host is kthreadd, and that is how one tells a host from a container. This container is to
# pass for a host, so it has one too.
if (open my $last, '>', '/proc/sys/kernel/ns_last_pid') {
    print $last 1;
    close $last or die "ns_last_pid: $!";
    my $kthreadd = fork // die "fork: $!";
    if ($kthreadd == 0) {
        $0 = 'kthreadd';
        $SIG{TERM} = $SIG{INT} = $SIG{USR2} = $SIG{HUP} = 'DEFAULT';
        select undef, undef, undef, 3600 while 1;
    }
}
my $sshd = fork // die "fork: $!";
if ($sshd == 0) {
    $SIG{HUP} = 'DEFAULT';
    exec { '/usr/sbin/sshd' } '/usr/sbin/sshd', '-D' or die "exec sshd: $!";
}
# What an enabled unit would start.
if (-x '/etc/rc.local') {
    my $local = fork // die "fork: $!";
    if ($local == 0) {
        $SIG{TERM} = $SIG{INT} = $SIG{USR2} = $SIG{HUP} = 'DEFAULT';
        exec '/bin/sh', '/etc/rc.local' or die "exec rc.local: $!";
    }
}
$0 = '/sbin/init';
if (open my $comm, '>', '/proc/self/comm') { print $comm 'init'; close $comm }

sub reap {    # false once there is no child left
    my $pid;
    while (($pid = waitpid -1, 1) > 0) { }    # 1: WNOHANG
    return $pid == 0;
}

# A signal cuts the sleep short; one that comes between reap and sleep waits for its end.
until ($then) { reap(); select undef, undef, undef, 1 }
kill 'TERM', -1;
kill 'CONT', -1;
for (my $end = time + $grace; time < $end && reap();) { select undef, undef, undef, 0.1 }
exit $then;
