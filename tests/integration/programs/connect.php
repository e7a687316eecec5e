<?php
// connect.php NAME PORT COUNT: a connection by stream_socket_client(), COUNT times.

for ($i = 0; $i < $argv[3]; $i++) {
    $socket = stream_socket_client("tcp://$argv[1]:$argv[2]", $error, $text);
    if (!$socket) {
        fwrite(STDERR, "$text\n");
        exit(1);
    }
    fclose($socket);
}
