# connect.pl NAME PORT COUNT: a connection by IO::Socket::INET (gethostbyname), COUNT times.

use strict;
use IO::Socket::INET;

for (1 .. $ARGV[2]) {
    IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1]) or die "connect: $@";
}
