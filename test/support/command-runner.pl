# Runs commands in network namespaces for command-runner.ts, several at a time, and ends with its standard input.
# Perl, as a process as small as this one forks in a tenth of the time that Node takes, and enters a namespace without a further program;
# every Debian and Ubuntu has it. Only what perl-base holds is used.
#
# A frame is its length in 4 bytes, then numbers of 4 bytes and texts with their length in front.
# In:  id, seconds that it may take, namespace (empty: this one), standard input, the command and its arguments.
#      An id of 0 kills what runs in the namespace. The commands of network-maker.pl need no program.
# Out: id, exit code (2^32 - 1 when a signal ended it), standard output, standard error.
use strict;
use warnings;
use Config;
use Errno qw(EAGAIN EINTR);
use File::Basename qw(dirname);

require(dirname(__FILE__) . '/network-maker.pl');
my %without_program = ('make-network' => \&make_network, 'remove-namespaces' => \&remove_namespaces);

# prctl(2)
use constant { PR_SET_PDEATHSIG => 1, SIGKILL => 9, WNOHANG => 1 };
my $prctl = $Config{archname} =~ /^x86_64/ ? 157 : 167;

# select(2) promises room for this much in a pipe.
my $chunk = 4096;
my $received = '';
my %running;

$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = sub { };    # only interrupts select

sub end_of { my ($process, $name) = @_; close delete $process->{$name} }

sub in_child {
    my ($namespace, $command, @stdio) = @_;
    $SIG{$_} = 'DEFAULT' for qw(PIPE CHLD);
    open STDIN,  '<&', $stdio[0] and open STDOUT, '>&', $stdio[1] and open STDERR, '>&', $stdio[2] or exit 126;
    # The kernel kills the command when this program ends, whatever ended it.
    syscall($prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 or die "prctl: $!\n";
    if ($namespace ne '') {
        open my $file, '<', "/run/netns/$namespace" or die "the namespace $namespace: $!\n";
        enter($file);
    }
    my ($program, @args) = @$command;
    if (my $sub = $without_program{$program}) {
        $sub->(@args);
        exit 0;
    }
    no warnings 'exec';
    exec { $program } @$command or print STDERR "$program: $!\n";
    exit 127;
}

sub start {
    my ($id, $seconds, $namespace, $input, @command) = unpack 'N N (N/a*)*', $_[0];
    if ($id == 0) {
        $_->{namespace} eq $namespace and kill KILL => $_->{pid} for values %running;
        return;
    }
    pipe my $stdin, my $to_stdin or die $!;
    pipe my $from_stdout, my $stdout or die $!;
    pipe my $from_stderr, my $stderr or die $!;
    defined(my $pid = fork) or die "fork: $!";
    in_child($namespace, \@command, $stdin, $stdout, $stderr) if $pid == 0;
    $running{$id} = {
        pid => $pid, namespace => $namespace, deadline => time + $seconds, input => $input, output => '', errors => '',
        stdin => $to_stdin, stdout => $from_stdout, stderr => $from_stderr,
    };
    end_of($running{$id}, 'stdin') if $input eq '';
}

sub feed {
    my ($process) = @_;
    my $written = syswrite $process->{stdin}, $process->{input}, $chunk;
    substr $process->{input}, 0, $written // length $process->{input}, '';
    end_of($process, 'stdin') if $process->{input} eq '';
}

sub drain {
    my ($process, $name, $text) = @_;
    sysread($process->{$name}, $process->{$text}, 65536, length $process->{$text}) or end_of($process, $name);
}

# Also a command that closes its outputs before it ends is waited for.
sub answer_if_over {
    my ($id) = @_;
    my $process = $running{$id};
    return if $process->{stdout} || $process->{stderr} || waitpid($process->{pid}, WNOHANG) == 0;
    my $code = $? & 127 ? 0xffffffff : $? >> 8;
    my $answer = pack 'N/a*', pack 'N N N/a* N/a*', $id, $code, @$process{qw(output errors)};
    while ($answer ne '') {
        my $written = syswrite STDOUT, $answer;
        if (!defined $written) {
            die "the answer to command $id: $!\n" unless $! == EINTR || $! == EAGAIN;
            select undef, undef, undef, 0.001;
            next;
        }
        substr $answer, 0, $written, '';
    }
    delete $running{$id};
}

while (1) {
    my ($readable, $writable, $patience) = ('', '', undef);
    vec($readable, 0, 1) = 1;
    for my $process (values %running) {
        vec($writable, fileno $process->{stdin}, 1) = 1 if $process->{stdin};
        $process->{$_} and vec($readable, fileno $process->{$_}, 1) = 1 for qw(stdout stderr);
        # The outputs of a process end a moment before it does.
        my $most = $process->{stdout} || $process->{stderr} ? 1 : 0.001;
        $patience = $most if !defined $patience || $most < $patience;
    }
    my $some = select $readable, $writable, undef, $patience;
    ($readable, $writable) = ('', '') if $some < 1;
    for my $id (keys %running) {
        my $process = $running{$id};
        if ($process->{deadline} && time > $process->{deadline}) {
            kill TERM => $process->{pid};
            $process->{deadline} = 0;
        }
        feed($process) if $process->{stdin} && vec $writable, fileno $process->{stdin}, 1;
        drain($process, 'stdout', 'output') if $process->{stdout} && vec $readable, fileno $process->{stdout}, 1;
        drain($process, 'stderr', 'errors') if $process->{stderr} && vec $readable, fileno $process->{stderr}, 1;
        answer_if_over($id);
    }
    next unless vec $readable, 0, 1;
    sysread STDIN, $received, 1 << 20, length $received or exit 0;
    while (length $received >= 4 && length $received >= 4 + unpack 'N', $received) {
        my $length = unpack 'N', $received;
        start(substr $received, 4, $length);
        substr $received, 0, 4 + $length, '';
    }
}
