"""SANS-IO: bytes to messages and back. No socket, clock, disk, await or log."""
