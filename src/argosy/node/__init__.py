"""The storage agent: disks and data connections, no users and no FTP.

`agent` puts a node together. Orders come over the `link`, bytes over the connections of `data`, and both go
to the files in `disk`, never the other way.
"""
