"""Line ends for TYPE A: LF on the disk, CRLF on the wire (RFC 959 section 3.1.1.1), a block at a time."""

from __future__ import annotations


class ToWire:
    """LF becomes CRLF; a CRLF stays as it is."""

    def __init__(self) -> None:
        self._after_cr = False

    def turn(self, block: bytes) -> bytes:
        """Give the next block as it goes over the wire."""
        head = b""
        if self._after_cr and block.startswith(b"\n"):
            head, block = b"\n", block[1:]
            self._after_cr = False
        if block:
            self._after_cr = block.endswith(b"\r")
        return head + block.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class FromWire:
    """CRLF becomes LF; a CR alone stays."""

    def __init__(self) -> None:
        self._held = b""

    def turn(self, block: bytes) -> bytes:
        """Give the next block as it goes to the disk; a CR at its end waits for what follows."""
        block = self._held + block
        self._held = b"\r" if block.endswith(b"\r") else b""
        return block.removesuffix(b"\r").replace(b"\r\n", b"\n")

    def end(self) -> bytes:
        """Give what still waited."""
        return self._held
