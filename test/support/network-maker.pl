# Makes and removes network namespaces for command-runner.pl, in children of it: two starts of ip for a network instead of a dozen programs.
# Only what perl-base holds is used.
use strict;
use warnings;
use Config;
use Errno qw(ECONNREFUSED EINPROGRESS EINVAL);
use Fcntl qw(F_SETFL LOCK_EX O_CREAT O_EXCL O_NONBLOCK O_RDONLY);
use Socket qw(AF_INET AF_INET6 SOCK_STREAM SOL_SOCKET SO_ERROR inet_pton pack_sockaddr_in pack_sockaddr_in6);
use Time::HiRes qw(sleep time);

# setns(2), unshare(2), mount(2), umount2(2)
my ($setns, $unshare, $mount, $umount) =
    $Config{archname} =~ /^x86_64/  ? (308, 272, 165, 166)
  : $Config{archname} =~ /^aarch64/ ? (268, 97, 40, 39)
  :                                   die "no system call numbers for $Config{archname}\n";
use constant { CLONE_NEWNET => 0x40000000, MS_BIND => 0x1000, MS_REC => 0x4000, MS_SHARED => 0x100000, MNT_DETACH => 2 };
use constant { PATIENCE => 20, CLOSED_PORT => 9 };

# As ip-netns(8) has it: a namespace is a file here on which it is mounted, seen also in mount namespaces that are there already.
my $folder = '/run/netns';

sub mounted { my ($source, $target, $type, $flags) = @_; syscall($mount, $source, $target, $type, $flags, 0) == 0 }

sub lock_folder {
    mkdir $folder, 0755;
    sysopen my $lock, $folder, O_RDONLY or die "$folder: $!\n";
    flock $lock, LOCK_EX or die "$folder: $!\n";
    my $bound = 0;
    until (mounted('', $folder, 'none', MS_SHARED | MS_REC)) {
        !$bound++ && $! == EINVAL && mounted($folder, $folder, 'none', MS_BIND | MS_REC) or die "$folder can't be shared: $!\n";
    }
    return $lock;
}

sub enter {
    my ($namespace) = @_;
    syscall($setns, fileno $namespace, CLONE_NEWNET) == 0 or die "setns: $!\n";
}

sub leave { syscall($unshare, CLONE_NEWNET) == 0 or die "unshare: $!\n" }

# The namespace that this process is in.
sub own { open my $namespace, '<', '/proc/self/ns/net' or die "/proc/self/ns/net: $!\n"; return $namespace }

sub name_own {
    my ($name) = @_;
    sysopen my $file, "$folder/$name", O_RDONLY | O_CREAT | O_EXCL, 0 or die "$folder/$name: $!\n";
    mounted('/proc/self/ns/net', "$folder/$name", 'none', MS_BIND) or die "$folder/$name can't be mounted: $!\n";
}

sub put {
    my ($path, $value) = @_;
    open my $file, '>', $path or return 0;
    syswrite $file, $value;
    return close $file;
}

# Several commands of ip in one process, in this namespace.
sub ip {
    my ($lines) = @_;
    pipe my $from, my $to or die "pipe: $!\n";
    defined(my $pid = fork) or die "fork: $!\n";
    if ($pid == 0) {
        close $to;
        open STDIN, '<&', $from and exec 'ip', '-batch', '-';
        die "ip: $!\n";
    }
    close $from;
    print $to $lines;
    close $to;
    waitpid $pid, 0;
    $? == 0 or die "ip exited with $?\n";
}

# True once a reset comes back: a link that is up does not mean that IPv6 works yet.
sub is_reached {
    my ($address) = @_;
    my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $packed = inet_pton($family, $address) or die "no address: $address\n";
    socket my $socket, $family, SOCK_STREAM, 0 or die "socket: $!\n";
    fcntl $socket, F_SETFL, O_NONBLOCK or die "fcntl: $!\n";
    connect $socket, $family == AF_INET6 ? pack_sockaddr_in6(CLOSED_PORT, $packed) : pack_sockaddr_in(CLOSED_PORT, $packed);
    return $! == ECONNREFUSED if $! != EINPROGRESS;
    my $writable = '';
    vec($writable, fileno $socket, 1) = 1;
    select undef, $writable, undef, 1;
    return unpack('i', getsockopt $socket, SOL_SOCKET, SO_ERROR) == ECONNREFUSED;
}

sub await_reached {
    my $deadline = time + PATIENCE;
    for my $address (@_) {
        until (is_reached($address)) {
            time < $deadline or die "$address is not reached within ${\PATIENCE} s\n";
            sleep 0.005;
        }
    }
}

# The slots of the two's tables of sockets; settings of both, "net/...=value", a line each; for each side its name and lines for ip, those
# of the first making the link; and what the second then reaches in the first.
sub make_network {
    my ($slots, $settings, $first, $lines_of_first, $second, $lines_of_second, @addresses) = @_;
    my @settings = map { [split /=/] } split /\n/, $settings;
    leave();
    # A namespace gets the size of its table from the one that it is made in. Kernels before 6.1 know only that of the machine.
    put('/proc/sys/net/ipv4/tcp_child_ehash_entries', $slots);
    my $maker = own();
    my %made;
    my $lock = lock_folder();
    for my $name ($first, $second) {
        enter($maker);
        leave();
        name_own($name);
        put("/proc/sys/$_->[0]", $_->[1]) or die "/proc/sys/$_->[0]: $!\n" for @settings;
        $made{$name} = own();
    }
    close $lock;
    enter($made{$first});
    ip($lines_of_first);
    enter($made{$second});
    ip($lines_of_second);
    await_reached(@addresses);
}

# Also names that there are no namespaces of.
sub remove_namespaces {
    for my $name (@_) {
        my $path = "$folder/$name";
        syscall $umount, $path, MNT_DETACH;
        unlink $path;
    }
}

1;
