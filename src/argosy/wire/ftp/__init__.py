"""The FTP control connection as bytes and values."""
