"""The storage agent: disks and data connections, no users and no FTP."""
