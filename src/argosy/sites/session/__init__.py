"""One login to an FTP server, and several of them: what is said, and how the bytes go."""
