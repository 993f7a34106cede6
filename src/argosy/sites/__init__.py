"""Remote FTP servers as storage: any order of reading and writing, out of what FTP can do."""
