# Perl's Net::FTP with its defaults: VERB HOST PORT USER PASSWORD AUTHORITY REMOTE LOCAL TARGET OFFSET.
use strict;
use warnings;
use Net::FTP;

my ($verb, $host, $port, $user, $password, $authority, $remote, $local, $target, $offset) = @ARGV;
my $ftp = Net::FTP->new($host, Port => $port, Timeout => 20, $authority ? (SSL_ca_file => $authority) : ())
    or die "connect: $@";
if ($authority) { $ftp->starttls or die $ftp->message }
$ftp->login($user, $password) or die $ftp->message;
$ftp->binary;
my %verbs = (
    "list" => sub { my @names = $ftp->ls($remote); print "$_\n" for @names; $ftp->ok },
    "get" => sub { $ftp->get($remote, $local) },
    "put" => sub { $ftp->put($local, $remote) },
    "resume get" => sub { $ftp->get($remote, $local, -s $local) },
    "resume put" => sub { $ftp->restart($offset); put_rest() },
    "rename" => sub { $ftp->rename($remote, $target) },
    "delete" => sub { $ftp->delete($remote) },
);

sub put_rest {
    open my $file, "<:raw", $local or die $!;
    seek $file, $offset, 0;
    my $data = $ftp->stor($remote) or return;
    while (read $file, my $block, 65536) {
        for (my $at = 0; $at < length $block;) { $at += $data->write(substr($block, $at), length($block) - $at) // die }
    }
    return $data->close;
}

$verbs{$verb}->() or die $ftp->message;
$ftp->quit;
