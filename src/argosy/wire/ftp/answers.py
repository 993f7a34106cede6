"""A site's replies, as its client hears them, and what stands in them. RFC 959 section 4.2.

Sites are of many makes and ages: what can be understood is, what can't is a refusal with the line in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from argosy import errors
from argosy.wire.ftp import addresses, times
from argosy.wire.ftp.lines import LineReader, TooLong

LINE_LIMIT = 64 * 1024
"""Bytes in one line of a reply: a path of 4,096 bytes, in octal and quoted, and plenty more."""

LINES_LIMIT = 4096
"""Lines of one reply. Greetings are long, but a site that never ends one would fill our memory."""

_CODE = re.compile(rb"([1-5]\d\d)([ -]|$)")
_SIX = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
_EXTENDED = re.compile(rb"\(([!-~])\1\1(\d{1,5})\1\)")
_QUOTED = re.compile(rb'"((?:[^"]|"")*)"')
_SIZE = re.compile(rb"\s*(\d{1,20})")
_MDTM = re.compile(rb"\s*(\d{14}(?:\.\d+)?)")


class Answer(NamedTuple):
    """One whole reply."""

    code: int
    lines: tuple[bytes, ...]
    """Without code and line end; in between, what stands on the line. At least one."""

    @property
    def preliminary(self) -> bool:
        """True for 1yz: another reply to the same command will follow."""
        return self.code < 200

    @property
    def good(self) -> bool:
        """True for 2yz: it's done."""
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        """Give it for people, in one line."""
        words = b" ".join(line.strip() for line in self.lines).decode(errors="replace")
        return f"{self.code} {''.join(sign if sign.isprintable() else '?' for sign in words)[:400]}".strip()


class AnswerReader:
    """Put replies together out of a stream of bytes, wherever the network cut it."""

    def __init__(self) -> None:
        self._lines = LineReader(LINE_LIMIT)
        self._code = b""
        self._begun: list[bytes] = []

    def feed(self, data: bytes) -> list[Answer]:
        """Take bytes as they come and give each reply that is whole now.

        Raises:
            Failed: It isn't FTP, or goes on for ever. Nothing more can be understood: hang up.
        """
        answers: list[Answer] = []
        for line in self._lines.feed(data):
            if isinstance(line, TooLong):
                raise errors.Failed(f"the site says a line of more than {LINE_LIMIT} bytes")
            if (answer := self._take(line)) is not None:
                answers.append(answer)
        return answers

    def taken_refusals(self) -> bytes:
        """Give what Telnet wants said to the options that were asked for, once."""
        return self._lines.taken_refusals()

    def forget(self) -> None:
        """Forget what has begun: what was said before TLS must not count as said after it."""
        self._lines.forget()
        self._code, self._begun = b"", []

    def _take(self, line: bytes) -> Answer | None:
        found = _CODE.match(line)
        if not self._code:
            if found is None:
                if not line.strip():
                    return None  # some sites put an empty line between replies
                raise errors.Failed(f"the site doesn't speak FTP: {line[:80]!r}")
            if found[2] == b"-":
                self._code, self._begun = found[1], [line[4:]]
                return None
            return Answer(int(found[1]), (line[4:],))
        if len(self._begun) >= LINES_LIMIT:
            raise errors.Failed(f"the site says a reply of more than {LINES_LIMIT} lines")
        if found is None or found[1] != self._code:
            self._begun.append(line)
            return None
        self._begun.append(line[4:])
        if found[2] == b"-":
            return None
        answer = Answer(int(self._code), tuple(self._begun))
        self._code, self._begun = b"", []
        return answer


def passive(answer: Answer) -> addresses.Address:
    """Read 227: six numbers, somewhere on the line. RFC 959 section 4.1.2, RFC 1123 section 4.1.2.6.

    Raises:
        Failed: They aren't there.
    """
    if found := _SIX.search(b" ".join(answer.lines)):
        try:
            return addresses.parse_port(found[0])
        except errors.BadArgument:
            pass
    raise errors.Failed(f"no address in {answer.text}")


def extended_passive(answer: Answer) -> int:
    """Read the port of 229, as `(|||6446|)`. RFC 2428 section 3.

    Raises:
        Failed: It isn't there.
    """
    found = _EXTENDED.search(b" ".join(answer.lines))
    if found is None or not 1 <= int(found[2]) <= 65_535:
        raise errors.Failed(f"no port in {answer.text}")
    return int(found[2])


def pathname(answer: Answer) -> bytes:
    """Read the path of 257, in quotes and those in it doubled. RFC 959 appendix II.

    Raises:
        Failed: There is none in it.
    """
    found = _QUOTED.search(b" ".join(answer.lines))
    if found is None or not found[1]:
        raise errors.Failed(f"no path in {answer.text}")
    return found[1].replace(b'""', b'"')


def size(answer: Answer) -> int:
    """Read the bytes of SIZE's 213. RFC 3659 section 4.1.

    Raises:
        Failed: It's no number.
    """
    found = _SIZE.match(answer.lines[-1])
    if found is None or int(found[1]) >= 1 << 63:
        raise errors.Failed(f"no size in {answer.text}")
    return int(found[1])


def modified(answer: Answer) -> int:
    """Read the time of MDTM's 213, nanoseconds since 1970. RFC 3659 section 3.1.

    Raises:
        Failed: It's no time.
    """
    if found := _MDTM.match(answer.lines[-1]):
        try:
            return times.parse_time(found[1])
        except errors.BadArgument:
            pass
    raise errors.Failed(f"no time in {answer.text}")


def available(answer: Answer) -> int:
    """Read the bytes of AVBL's 213. draft-peterson-streamlined-ftp-command-extensions-10 section 4.

    Raises:
        Failed: It's no number.
    """
    return size(answer)


def entry(answer: Answer) -> bytes:
    """Give the line of MLST's 250 that has the facts. RFC 3659 section 7.2.

    Raises:
        Failed: There is none.
    """
    for line in answer.lines[1:-1]:
        if b"=" in line:
            return line.removeprefix(b" ")
    for line in answer.lines:  # some say it all on one line
        if b"=" in line and b";" in line:
            return line.strip()
    raise errors.Failed(f"no facts in {answer.text}")
