"""NFS version 3: a site's files as a directory of the client's machine."""
