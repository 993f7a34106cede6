"""Replies: three digits for programs, text for people. RFC 959 section 4.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from argosy.wire.ftp import addresses, times


class Reply(msgspec.Struct, frozen=True):
    """What we say to a command. `lines` has at least one line and none holds CR or LF."""

    code: int
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 100 <= self.code <= 599:
            raise ValueError(f"no such reply code: {self.code}")
        if not self.lines:
            raise ValueError(f"a reply is whole lines: {self.lines!r}")
        for line in self.lines:
            if "\r" in line or "\n" in line:
                raise ValueError(f"a reply is whole lines: {self.lines!r}")

    @classmethod
    def of(cls, code: int, *lines: str) -> Self:
        """Write `Reply.of(250, "Done")` for `Reply(250, ("Done",))`."""
        return cls(code, lines)

    @property
    def preliminary(self) -> bool:
        """True for 1yz: another reply to the same command will follow. RFC 959 section 4.2."""
        return self.code < 200

    def encode(self) -> bytes:
        r"""Give the bytes for the control connection, CRLF included.

        Each line between the first and the last begins with a blank, so that none can be taken for
        the last one. A name that isn't UTF-8 comes out as the bytes it came in, with Telnet's byte 255
        doubled (RFC 854, RFC 959 section 5.3).

        >>> Reply.of(211, "Features", "UTF8", "End").encode()
        b'211-Features\r\n UTF8\r\n211 End\r\n'
        """
        *body, last = self.lines
        text = f"{self.code} {last}\r\n"
        if body:
            text = f"{self.code}-" + "\r\n ".join(body) + "\r\n" + text
        return text.encode(errors="surrogateescape").replace(b"\xff", b"\xff\xff")


def shown(name: bytes) -> str:
    """Give a name or path as reply text; `Reply.encode` gives its bytes back."""
    return name.decode(errors="surrogateescape")


def entering_passive(host: str, port: int) -> Reply:
    """227 with the address in six decimal bytes. RFC 959 section 4.1.2, RFC 1123 section 4.1.2.6."""
    return Reply.of(227, f"Entering Passive Mode ({addresses.format_port(host, port)}).")


def entering_extended_passive(port: int) -> Reply:
    """229 with the port alone: the address is the control connection's. RFC 2428 section 3."""
    return Reply.of(229, f"Entering Extended Passive Mode (|||{port}|)")


def wrong_protocol(*usable: int) -> Reply:
    """522 with the network protocols that would do, 1 for IPv4, 2 for IPv6. RFC 2428 section 2."""
    return Reply.of(522, f"Network protocol not supported, use ({','.join(map(str, usable))})")


def pathname(path: bytes, remark: str) -> Reply:
    """257 with the path in quotes, and each quote in it doubled. RFC 959 appendix II."""
    quoted = shown(path).replace('"', '""')
    return Reply.of(257, f'"{quoted}" {remark}')


def features(lines: Sequence[str]) -> Reply:
    """211 with one feature in a line, a blank before it. RFC 2389 section 3.2."""
    return Reply(211, ("Features:", *lines, "End"))


def entry(path: bytes, facts: bytes) -> Reply:
    """250 with MLST's one entry. RFC 3659 section 7.2.

    Args:
        path: What was asked about.
        facts: The entry from `listing.mlst`.
    """
    return Reply.of(250, f"Listing {shown(path)}", shown(facts), "End")


def size(count: int) -> Reply:
    """213 with the bytes that RETR would send. RFC 3659 section 4.1."""
    return Reply.of(213, str(count))


def modified(ns: int) -> Reply:
    """213 with a time of modification. RFC 3659 section 3.1."""
    return Reply.of(213, times.format_time(ns).decode("ascii"))


def facts_set(facts: Mapping[str, str], path: bytes) -> Reply:
    """213 with what MFMT, MFCT or MFF has set. draft-somers-ftp-mfxx-04 sections 3.1, 4.1 and 5.1."""
    values = "".join(f"{fact}={value};" for fact, value in facts.items())
    return Reply.of(213, f"{values} {shown(path)}")


def told(title: str, text: str) -> Reply:
    """200 with a text of several lines, for people."""
    return Reply(200, (f"{title}:", *text.splitlines(), "End"))


def help_text(lines: Sequence[str]) -> Reply:
    """214 with a line for each verb. RFC 959 section 4.1.3."""
    return Reply(214, ("These can be used:", *lines, "End of help"))
