# Who is at the other end of each NIC? Sends frames out of every NIC and listens for those of the other hosts, before
# any address is there. perl-base, which is essential on Debian and Ubuntu, and `ip` are all it needs.
#
#   perl - TOKEN ME HOSTS WINDOW PATIENCE OTHERS NIC=HOST:NIC... NIC=...
#
# HOSTS: the names of all that take part, comma-separated, this one included. A NIC with an expected peer is content when
# the two hear each other directly; a host is content when all of these are, and stops as soon as all hosts are, which
# the frames tell. Else it goes on until WINDOW seconds after the last carrier came, and waits PATIENCE seconds for the
# carrier of a NIC that it had to bring up. OTHERS: 1 for all further physical NICs, too.
# A NIC that was down is down again afterwards, without IPv6 in between, so that nothing configures itself. Only when
# everybody is content do NICs with an expected peer stay up: they are about to be configured, and
# negotiating the speed again would cost seconds.
#
# Prints `nic NAME MAC up|down CARRIER SPEED` (CARRIER 1 or 0, SPEED in Mbit/s or 0), `heard NIC HOST:NIC direct|bridged`, `missing NIC`.
use strict;
use warnings;

my ($token, $me, $hosts, $window, $patience, $others, @named) = @ARGV;
my $ETHERTYPE = 0x88b5;                                   # IEEE 802 local experimental 1
my $NEAREST = pack 'H*', '0180c200000e';                  # kept by every bridge (IEEE 802.1D table 7-10)
my $ANYBODY = "\xff" x 6;
my ($AF_PACKET, $SOCK_RAW, $OUTGOING) = (17, 3, 4);       # linux/socket.h, linux/if_packet.h
my ($SOL_PACKET, $ADD_MEMBERSHIP, $MULTICAST) = (263, 1, 0);
my $DONTWAIT = 0x40;
my $TICK = 0.04;

my %expected = map { split /=/, $_, 2 } @named;
my %index;
my @hosts = split /,/, $hosts;
@index{@hosts} = 0 .. $#hosts;
my %name = reverse %index;
my (%socket, %mac, %was_up, %ipv6, %heard, %confirmed, %content);
my $all_content = 0;

sub now { (split ' ', value('/proc/uptime'))[0] }

sub value {
    my ($path) = @_;
    open my $file, '<', $path or return '';
    my $line = <$file>;                                   # a NIC that is down has a carrier file and no carrier: EINVAL
    return '' unless defined $line;
    chomp $line;
    return $line;
}

sub set {
    my ($path, $value) = @_;
    open my $file, '>', $path or return;
    print $file $value;
}

sub physical {
    opendir my $folder, '/sys/class/net' or return ();
    return grep { -e "/sys/class/net/$_/device" && !-e "/sys/class/net/$_/device/physfn"
          && value("/sys/class/net/$_/type") eq '1' } readdir $folder;
}

sub flags { hex(value("/sys/class/net/$_[0]/flags") || 0) }

sub carrier { value("/sys/class/net/$_[0]/carrier") eq '1' ? 1 : 0 }

sub bring_up {
    my ($nic) = @_;
    $was_up{$nic} = flags($nic) & 1;
    return if $was_up{$nic};
    my $switch = "/proc/sys/net/ipv6/conf/$nic/disable_ipv6";
    $ipv6{$nic} = value($switch);
    set($switch, 1) if $ipv6{$nic} ne '';
    system 'ip', 'link', 'set', 'dev', $nic, 'up';
}

sub bring_down {
    for my $nic (grep { !$was_up{$_} } keys %was_up) {
        system 'ip', 'link', 'set', 'dev', $nic, 'down' unless $all_content && $expected{$nic};
        set("/proc/sys/net/ipv6/conf/$nic/disable_ipv6", $ipv6{$nic}) if $ipv6{$nic} ne '';
    }
    %was_up = ();
}

sub listen_on {
    my ($nic) = @_;
    my $index = value("/sys/class/net/$nic/ifindex");
    my $type = unpack 'S', pack 'n', $ETHERTYPE;
    # Protocol 0 hears nothing: with another, all NICs would be heard until `bind` says which.
    socket my $socket, $AF_PACKET, $SOCK_RAW, 0 or die "no raw socket: $!\n";
    bind $socket, pack('SSiSCCa8', $AF_PACKET, $type, $index, 0, 0, 0, '') or die "$nic can't be listened on: $!\n";
    setsockopt $socket, $SOL_PACKET, $ADD_MEMBERSHIP, pack('iSSa8', $index, $MULTICAST, 6, $NEAREST);
    $socket{$nic} = $socket;
}

sub say_on {
    my ($nic) = @_;
    my $heard = join ' ', sort keys %{ $heard{$nic} };
    my $satisfied = join ' ', map { $index{$_} } keys %content;
    for my $to ([$NEAREST, 'direct'], [$ANYBODY, 'bridged']) {
        my $text = join "\n", 'meshctl', $token, $to->[1], "$me:$nic", $satisfied, substr($heard, 0, 400), '';
        my $frame = $to->[0] . pack('H*', $mac{$nic} =~ tr/://dr) . pack('n', $ETHERTYPE) . $text;
        send $socket{$nic}, $frame, 0;                    # without carrier it is lost, and said again a moment later
    }
}

sub hear_on {
    my ($nic) = @_;
    while (defined(my $from = recv $socket{$nic}, my $frame, 2048, $DONTWAIT)) {
        next if unpack('x10 C', $from) == $OUTGOING;
        my ($magic, $whose, $how, $sender, $satisfied, $heard) = split /\n/, substr($frame, 14);
        next unless defined $heard && $magic eq 'meshctl' && $whose eq $token;
        next unless $sender =~ /^[a-z0-9-]+:[A-Za-z0-9._-]+$/ && $how =~ /^(direct|bridged)$/;
        $heard{$nic}{$sender}{$how} = 1;
        $confirmed{$nic}{$sender} = 1 if grep { $_ eq "$me:$nic" } split / /, $heard;
        $content{$_} = 1 for grep { $_ ne $me } map { $name{$_} // () } split / /, $satisfied;
    }
}

sub am_content {
    return 0 unless grep { $_ } values %expected;
    for my $nic (grep { $expected{$_} } keys %expected) {
        my ($peer, $senders) = ($expected{$nic}, $heard{$nic} // {});
        return 0 unless keys %$senders == 1 && $senders->{$peer} && $senders->{$peer}{direct};
        return 0 unless $confirmed{$nic} && $confirmed{$nic}{$peer};
    }
    return 1;
}

$SIG{$_} = sub { exit 1 } for qw(HUP INT TERM PIPE);
END { my $status = $?; bring_down(); $? = $status }

my @nics = sort keys %{ { map { $_ => 1 } keys %expected, $others ? physical() : () } };
print "missing $_\n" for grep { !-e "/sys/class/net/$_" } @nics;
@nics = grep { -e "/sys/class/net/$_" } @nics;
$mac{$_} = value("/sys/class/net/$_/address") for @nics;
bring_up($_) for @nics;
my %found_up = %was_up;
listen_on($_) for @nics;

my $start = now();
my (%since, $done_at);
while (1) {
    for my $nic (@nics) {
        carrier($nic) ? ($since{$nic} //= now()) : delete $since{$nic};
        say_on($nic);
    }
    my $bits = '';
    vec($bits, fileno $socket{$_}, 1) = 1 for @nics;
    my $left = $TICK;
    while ($left > 0.001) {
        (my $ready, $left) = select my $out = $bits, undef, undef, $left;
        last if $ready <= 0;
        hear_on($_) for @nics;
    }
    if (am_content()) { $content{$me} = 1 } else { delete $content{$me} }
    if (keys %content == keys %index) {
        $done_at //= now();
        if (now() - $done_at >= 3 * $TICK) { $all_content = 1; last }
    }
    my ($end) = sort { $b <=> $a } $start, values %since;
    my $waits = grep { !$found_up{$_} && !$since{$_} } @nics;
    last if now() > $end + $window && (!$waits || now() > $start + $patience);
}
for my $nic (@nics) {
    my $speed = value("/sys/class/net/$nic/speed") || 0;  # -1 where nobody knows
    printf "nic %s %s %s %d %d\n", $nic, $mac{$nic}, $found_up{$nic} ? 'up' : 'down', carrier($nic), $speed > 0 ? $speed : 0;
    for my $sender (sort keys %{ $heard{$nic} }) {
        printf "heard %s %s %s\n", $nic, $sender, $heard{$nic}{$sender}{direct} ? 'direct' : 'bridged';
    }
}
