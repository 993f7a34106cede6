<?php
// PHP's ftp with its defaults, which are active: VERB HOST PORT USER PASSWORD AUTHORITY REMOTE LOCAL TARGET OFFSET.
[, $verb, $host, $port, $user, $password, $authority, $remote, $local, $target, $offset] = $argv;
$ftp = $authority ? ftp_ssl_connect($host, (int) $port, 20) : ftp_connect($host, (int) $port, 20);
$ftp && ftp_login($ftp, $user, $password) || exit(1);
$verbs = [
    "list" => function () use ($ftp, $remote) {
        $names = ftp_nlist($ftp, $remote);
        echo implode("\n", $names ?: []), "\n";
        return $names !== false;
    },
    "get" => fn() => ftp_get($ftp, $local, $remote),
    "put" => fn() => ftp_put($ftp, $remote, $local),
    "resume get" => fn() => ftp_get($ftp, $local, $remote, FTP_BINARY, FTP_AUTORESUME),
    "resume put" => fn() => ftp_put($ftp, $remote, $local, FTP_BINARY, FTP_AUTORESUME),
    "rename" => fn() => ftp_rename($ftp, $remote, $target),
    "delete" => fn() => ftp_delete($ftp, $remote),
];
$done = $verbs[$verb]();
ftp_close($ftp);
exit($done ? 0 : 1);
