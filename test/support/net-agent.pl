# Runs inside a network namespace and, as a child of itself, in the one that it is given the name of; makes and answers real TCP connections
# as agent.ts asks, and ends with its standard input. The child is asked over descriptor 3.
# Perl for the reasons that command-runner.pl gives; only what perl-base holds is used.
#
# A frame is its length in 4 bytes, a number of 4 bytes, and texts with their length in front.
# In:  id; the operation and its arguments. Times are in milliseconds.
# Out: id; "ok" and results, or "error" and a message.
use strict;
use warnings;
use Config;
use Errno qw(EACCES EAGAIN ECONNREFUSED ECONNRESET EHOSTUNREACH EINPROGRESS EINTR ENETUNREACH ETIMEDOUT);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use Socket qw(:DEFAULT :addrinfo inet_pton inet_ntop IPPROTO_TCP IPPROTO_IPV6 IPV6_V6ONLY TCP_NODELAY);

# epoll_create1(2), epoll_ctl(2), epoll_pwait(2), clock_gettime(2); an event is packed on one processor and aligned on the other.
my ($create, $control, $wait, $gettime, $event) =
    $Config{archname} =~ /^x86_64/  ? (291, 233, 281, 228, 'L L L')
  : $Config{archname} =~ /^aarch64/ ? (20, 21, 22, 113, 'L x4 L L')
  :                                   die "no system call numbers for $Config{archname}";
use constant { ADD => 1, DELETE => 2, CHANGE => 3, READABLE => 1, WRITABLE => 4, HANGUP => 0x2000, AT_ONCE => 64, WORKERS => 50 };
# setns(2), prctl(2)
my ($setns, $prctl) = $Config{archname} =~ /^x86_64/ ? (308, 157) : (268, 167);
use constant { CLONE_NEWNET => 0x40000000, PR_SET_PDEATHSIG => 1, SIGKILL => 9 };

my $parent = $$;
$SIG{CHLD} = 'IGNORE';
defined(my $child = fork) or die "fork: $!\n";
open my $other_side, '+<&=', 3 or die "descriptor 3: $!\n";
if ($child == 0) {
    syscall($prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 or die "prctl: $!\n";
    exit 1 if getppid() != $parent;
    open my $namespace, '<', "/run/netns/$ARGV[0]" or die "the namespace $ARGV[0]: $!\n";
    syscall($setns, fileno $namespace, CLONE_NEWNET) == 0 or die "setns: $!\n";
    open STDIN, '<&', $other_side and open STDOUT, '>&', $other_side or die "descriptor 3: $!\n";
}
close $other_side;

my $bytes_of_event = length pack $event, 0, 0, 0;
my $epoll = syscall $create, 0;
$epoll >= 0 or die "epoll_create1: $!\n";

my %outcomes = (
    ECONNREFUSED, 'refused', ECONNRESET, 'refused', ETIMEDOUT, 'timeout',
    EACCES, 'unreachable', EHOSTUNREACH, 'unreachable', ENETUNREACH, 'unreachable',
);

my %watched;        # descriptor => [number of the watch, what to do with its events]
my $watches = 0;
my %timers;         # number => [when, what]
my $next_timer = 1;
my %servers;        # "address port" => socket
my %accepted;       # descriptor => [socket, peer]
my %connections;    # id => its state
my $next_connection = 1;
my $received = '';

sub milliseconds {
    my $time = pack 'q q', 0, 0;
    syscall $gettime, $_[0], $time;
    my ($seconds, $nanoseconds) = unpack 'q q', $time;
    return $seconds * 1000 + $nanoseconds / 1e6;
}
sub now   { milliseconds(1) }
sub today { int milliseconds(0) }

sub after {
    my ($delay, $action) = @_;
    $timers{$next_timer} = [now() + $delay, $action];
    return $next_timer++;
}

sub watch {
    my ($socket, $events, $action) = @_;
    my $descriptor = fileno $socket;
    my $operation = exists $watched{$descriptor} ? CHANGE : ADD;
    # The number tells what a reused descriptor stood for when the event came.
    my $number = $watches = ($watches + 1) & 0xffffffff;
    my $wanted = pack $event, $events, $descriptor, $number;
    syscall($control, $epoll, $operation, $descriptor, $wanted) == 0 or die "epoll_ctl: $!\n";
    $watched{$descriptor} = [$number, $action];
}

sub unwatch {
    my ($socket) = @_;
    delete $watched{ fileno $socket } or return;
    syscall($control, $epoll, DELETE, fileno $socket, pack $event, 0, 0, 0) == 0 or die "epoll_ctl: $!\n";
}

sub drop {
    my ($socket) = @_;
    delete $watched{ fileno $socket };
    close $socket;
}

sub write_all {
    my ($handle, $text) = @_;
    while ($text ne '') {
        my $written = syswrite $handle, $text;
        if (!defined $written) { next if $! == EINTR; return 0 }
        substr $text, 0, $written, '';
    }
    return 1;
}

sub reply { my ($id, @texts) = @_; write_all(\*STDOUT, pack 'N/a*', pack 'N (N/a*)*', $id, @texts) or exit 1 }

sub family_of { $_[0] =~ /:/ ? AF_INET6 : AF_INET }

sub address_of {
    my ($text, $port) = @_;
    my $packed = inet_pton(family_of($text), $text) or die "no address: $text\n";
    return $text =~ /:/ ? pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed);
}

sub tcp_socket {
    my ($family) = @_;
    socket(my $socket, $family, SOCK_STREAM, 0) or die "socket: $!\n";
    fcntl $socket, F_SETFL, O_NONBLOCK;
    return $socket;
}

sub listen_on {
    my ($address, $port) = @_;
    my $server = tcp_socket(family_of($address));
    setsockopt $server, SOL_SOCKET, SO_REUSEADDR, 1;
    setsockopt $server, IPPROTO_IPV6, IPV6_V6ONLY, 1 if $address =~ /:/;
    bind $server, address_of($address, $port) and listen $server, 4096 or die "listen on $address port $port: $!\n";
    $servers{"$address $port"} = $server;
    watch($server, READABLE, sub { accept_from($server, $address =~ /:/) });
}

sub accept_from {
    my ($server, $is_ipv6) = @_;
    for (1 .. AT_ONCE) {
        my $peer = accept(my $socket, $server) or return;
        fcntl $socket, F_SETFL, O_NONBLOCK;
        my (undef, $packed) = $is_ipv6 ? unpack_sockaddr_in6($peer) : unpack_sockaddr_in($peer);
        my $descriptor = fileno $socket;
        $accepted{$descriptor} = [$socket, inet_ntop($is_ipv6 ? AF_INET6 : AF_INET, $packed)];
        watch($socket, READABLE, sub { echo($socket, $descriptor) });
    }
}

sub echo {
    my ($socket, $descriptor) = @_;
    my $count = sysread $socket, my $text, 65536;
    return if !defined $count && ($! == EAGAIN || $! == EINTR);
    return if $count && write_all($socket, $text);
    delete $accepted{$descriptor};
    drop($socket);
}

# Opens a connection and tells what became of it: "connected" with its socket, an outcome, or "error" with a message.
sub open_connection {
    my ($from, $to, $port, $timeout, $done) = @_;
    my $socket = tcp_socket(family_of($to));
    my $timer;
    my $finish = sub {
        my ($error) = @_;
        delete $timers{$timer} if $timer;
        unwatch($socket);
        if ($error == 0) {
            setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
            return $done->('connected', $socket);
        }
        drop($socket);
        my $outcome = $outcomes{ $error + 0 };
        local $! = $error;
        return $outcome ? $done->($outcome) : $done->('error', "connect from $from to $to port $port: $!");
    };
    bind $socket, address_of($from, 0) or return $finish->($!);
    connect $socket, address_of($to, $port) and return $finish->(0);
    return $finish->($!) if $! != EINPROGRESS;
    $timer = after($timeout, sub { drop($socket); $done->('timeout') });
    watch($socket, WRITABLE, sub { $finish->(unpack 'i', getsockopt $socket, SOL_SOCKET, SO_ERROR) });
}

# What arrives on an open connection is the answer to what was sent; its end is that of the connection.
sub keep_connection {
    my ($socket) = @_;
    my $id = $next_connection++;
    my $connection = $connections{$id} = { socket => $socket };
    watch($socket, READABLE | HANGUP, sub {
        my $count = sysread $socket, my $text, 65536;
        return if !defined $count && ($! == EAGAIN || $! == EINTR);
        if (!$count) {
            drop($socket);
            delete $connection->{socket};
        }
        my $waiting = delete $connection->{waiting};
        $waiting->($count ? 'echoed' : 'reset') if $waiting;
    });
    return $id;
}

sub send_over {
    my ($id, $timeout, $done) = @_;
    my $connection = $connections{$id} or die "there is no connection $id\n";
    return $done->('reset') if !$connection->{socket};
    die "connection $id has an answer to wait for already\n" if $connection->{waiting};
    my $timer = after($timeout, sub { delete $connection->{waiting}; $done->('timeout') });
    $connection->{waiting} = sub { delete $timers{$timer}; $done->($_[0]) };
    write_all($connection->{socket}, "ping\n");
}

sub close_connection {
    my ($id, $done) = @_;
    my $connection = delete $connections{$id};
    my $socket = $connection && $connection->{socket};
    return $done->() if !$socket;
    my $timer = after(500, sub { drop($socket); $done->() });
    shutdown $socket, 1;
    watch($socket, READABLE | HANGUP, sub {
        my $count = sysread $socket, my $text, 65536;
        return if $count || (!defined $count && ($! == EAGAIN || $! == EINTR));
        delete $timers{$timer};
        drop($socket);
        $done->();
    });
}

# Every source makes its attempts one after another and holds what it has; many sources are at it at the same time.
sub burst {
    my ($each, $timeout, $targets, $done) = @_;
    my (@held, @results);
    my $failed;
    my $at_work = 0;
    my $next_source;
    my $attempt;
    $attempt = sub {
        my ($target, $number) = @_;
        my $begun = today();
        open_connection(@$target, $timeout, sub {
            my ($outcome, $more) = @_;
            push @held, $more if $outcome eq 'connected';
            $failed //= $more if $outcome eq 'error';
            @$targets = () if defined $failed;
            return $attempt->($target, $number + 1) if $outcome eq 'connected' && $number < $each && !defined $failed;
            push @results, $target->[0], $outcome, $begun, today();
            $at_work--;
            $next_source->();
        });
    };
    $next_source = sub {
        if (my $target = shift @$targets) {
            $at_work++;
            return $attempt->($target, 1);
        }
        return if $at_work > 0;
        ($attempt, $next_source) = ();
        for my $socket (@held) {
            setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'i i', 1, 0;
            drop($socket);
        }
        return $done->('error', $failed) if defined $failed;
        $done->('ok', @results);
    };
    my $workers = @$targets < WORKERS ? @$targets : WORKERS;
    return $next_source->() if $workers == 0;
    # All are at work before the first one can be done.
    my @first = splice @$targets, 0, $workers;
    $at_work = @first;
    $attempt->($_, 1) for @first;
}

my %operations = (
    listen  => sub { my ($id, $address, $port) = @_; listen_on($address, $port); reply($id, 'ok') },
    connect => sub {
        my ($id, @target) = @_;
        open_connection(@target, sub {
            my ($outcome, $more) = @_;
            return reply($id, 'error', $more) if $outcome eq 'error';
            reply($id, 'ok', $outcome, $outcome eq 'connected' ? keep_connection($more) : ());
        });
    },
    burst => sub {
        my ($id, $each, $timeout, @rest) = @_;
        my @targets;
        push @targets, [splice @rest, 0, 3] while @rest;
        burst($each, $timeout, \@targets, sub { reply($id, @_) });
    },
    send  => sub { my ($id, $connection, $timeout) = @_; send_over($connection, $timeout, sub { reply($id, 'ok', @_) }) },
    close => sub { my ($id, $connection) = @_; close_connection($connection, sub { reply($id, 'ok') }) },
    state => sub {
        my ($id) = @_;
        my @open = grep { $connections{$_}{socket} } keys %connections;
        my @peers = map { $_->[1] } values %accepted;
        reply($id, 'ok', map { join ',', @$_ } [sort keys %servers], \@peers, [sort { $a <=> $b } @open]);
    },
);

sub perform {
    my ($id, $operation, @arguments) = unpack 'N (N/a*)*', $_[0];
    eval { $operations{$operation}->($id, @arguments); 1 } or reply($id, 'error', $@ =~ s/\n\z//r);
}

sub read_commands {
    my $count = sysread STDIN, $received, 1 << 20, length $received;
    exit 0 if defined $count ? $count == 0 : $! != EINTR;
    while (length $received >= 4 && length $received >= 4 + unpack 'N', $received) {
        my $length = unpack 'N', $received;
        my $frame = substr $received, 4, $length;
        substr $received, 0, 4 + $length, '';
        perform($frame);
    }
}

$SIG{PIPE} = 'IGNORE';
watch(\*STDIN, READABLE, \&read_commands);
my $events = "\0" x ($bytes_of_event * AT_ONCE);
while (1) {
    my $first = (sort { $a <=> $b } map { $_->[0] } values %timers)[0];
    my $patience = defined $first ? $first - now() : -1;
    # Rounded up, so that it is not asked again and again within the last millisecond.
    $patience = $patience <= 0 ? 0 : int($patience) + 1 if defined $first;
    my $count = syscall $wait, $epoll, $events, AT_ONCE, $patience, 0, 8;
    for my $index (0 .. $count - 1) {
        my (undef, $descriptor, $number) = unpack $event, substr $events, $index * $bytes_of_event, $bytes_of_event;
        my $watch = $watched{$descriptor};
        $watch->[1]->() if $watch && $watch->[0] == $number;
    }
    my $time = now();
    for my $number (grep { $timers{$_}[0] <= $time } keys %timers) {
        my $timer = delete $timers{$number};
        $timer->[1]->() if $timer;
    }
}
