"""The control connection's bytes cut into lines, with Telnet taken out.

RFC 959 section 4.1.3 has ABOR come after Telnet's IP and DM (RFC 854), part of them as urgent data,
which a socket leaves out of the stream. So a line may begin with pieces of them, and does with lftp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TELNET = re.compile(
    rb"\xff(?:"
    rb"(?P<byte>\xff)"  # IAC IAC: the byte 255 itself
    rb"|(?P<wish>[\xfb-\xfe])(?P<option>[\x00-\xff])"  # WILL, WONT, DO, DONT and an option
    rb"|[\xf1-\xf9]"  # NOP, DM, BRK, IP, AO, AYT, EC, EL, GA
    rb")",
    re.DOTALL,
)
_LEFT_OVER = bytes(range(0xF0, 0x100))
_REFUSAL = {b"\xfb": b"\xff\xfe", b"\xfd": b"\xff\xfc"}
"""WILL is answered by DONT, DO by WONT: we agree to no option. WONT and DONT ask for nothing. RFC 854."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """Stands where a line was that went over the limit."""


class LineReader:
    """Cut a stream of bytes into lines, wherever the network cut it.

    An IAC that no Telnet command follows is kept: to clients that send Latin-1 without doubling it, it
    is a letter of a name. Such a name with a letter from 0xF1 to 0xFE right after it can't be told from
    Telnet and loses both. Subnegotiation (SB) isn't known: without an agreed option none can come.
    """

    def __init__(self, limit: int) -> None:
        """Take lines of at most `limit` bytes, the LF not counted."""
        self._limit = limit
        self._pending = bytearray()
        self._dropping = False
        self._refusals = bytearray()

    def feed(self, data: bytes) -> list[bytes | TooLong]:
        """Take bytes as they come and give each line that is whole now, without CR and LF.

        A `TooLong` comes as soon as a line is over the limit; the rest of that line is dropped.
        """
        plain = data.endswith(b"\n") and data.isascii() and b"\0" not in data
        if plain and len(data) <= self._limit and not self._pending and not self._dropping:
            return [line.removesuffix(b"\r") for line in data[:-1].split(b"\n")]  # nearly always
        lines: list[bytes | TooLong] = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            if self._keep(piece, lines):
                lines.append(self._clean(bytes(self._pending)))
            self.forget()
        self._keep(rest, lines)
        return lines

    def taken_refusals(self) -> bytes:
        """Give what Telnet wants said to the options that were asked for, once. RFC 1123 section 4.1.2.12."""
        refusals = bytes(self._refusals)
        self._refusals.clear()
        return refusals

    def forget(self) -> None:
        """Forget a line that has begun.

        What somebody on the way wrote before AUTH TLS must not count as said after it.
        """
        self._pending.clear()
        self._dropping = False

    def _keep(self, piece: bytes, lines: list[bytes | TooLong]) -> bool:
        if self._dropping:
            return False
        if len(self._pending) + len(piece) > self._limit:
            self._pending.clear()
            self._dropping = True
            lines.append(TooLong())
            return False
        self._pending += piece
        return True

    def _clean(self, line: bytes) -> bytes:
        line = line.removesuffix(b"\r")
        if not line.isascii():
            line = _TELNET.sub(self._heed, line).lstrip(_LEFT_OVER)
        # A CR that ends no line is followed by a NUL: RFC 854, RFC 2640 section 3.1.
        return line.replace(b"\r\0", b"\r")

    def _heed(self, found: re.Match[bytes]) -> bytes:
        if refusal := _REFUSAL.get(found["wish"]):
            self._refusals += refusal + found["option"]
        return found["byte"] or b""
