"""The FTP door: control connections, and the replies to every verb."""
