"""Argosy: many machines as one FTP site, and any FTP site as a folder."""

__version__ = "0.1.0"
