r"""Lists of checksums that lie beside files: SFV, what `md5sum` and its kin write, and the form of BSD.

    ; an SFV: CRC-32 behind the name             (.sfv)
    movie part 1.rar 5d41402a
    5d41402abc4b2a76b9719d911017c592  movie.avi  (.md5, MD5SUMS, .sha256, SHA256SUMS, ...)
    SHA256 (movie.avi) = 2cf24dba...             (of BSD, in any of them)

Whoever uploads one may have made it by anything, by hand too. So a line that makes no sense is passed over,
and what it can't mean, a name outside of the list's own directory, is no name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DIGITS: Mapping[str, int] = {"crc32": 8, "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
"""Hex digits of each algorithm. Their names are those of the link's `checksum`."""

_BY_SUFFIX = {
    b".sfv": "crc32",
    b".md5": "md5",
    **{b".sha" + bits: f"sha{bits.decode()}" for bits in (b"1", b"256", b"512")},
    **{b"." + name + b"sum": name.decode() for name in (b"md5", b"sha1", b"sha256", b"sha512")},
}
_BY_NAME = re.compile(rb"(md5|sha1|sha256|sha512)sums?(\.txt|\.asc)?", re.IGNORECASE)

_SFV = re.compile(rb"(.*\S)[ \t]+([0-9a-fA-F]{8})")
_GNU = re.compile(rb"(\\?)([0-9a-fA-F]{32,128})(?: [ *]|[ \t]+\*?)(.+)")
_BSD = re.compile(rb"(\\?)(MD5|SHA1|SHA256|SHA512) ?\((.+)\) ?= ?([0-9a-fA-F]{32,128})")
_ESCAPED = re.compile(rb"\\([\\nr])")
_MEANT = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}

Expected = Mapping[bytes, tuple[str, str]]
"""Algorithm and hex digits, in lower case, by name: a path below the list's directory."""


def algorithm_of(name: bytes) -> str | None:
    """Say which checksums a file has in it by its name; None: it is no such list.

    >>> algorithm_of(b"Some.Album.SFV"), algorithm_of(b"SHA256SUMS"), algorithm_of(b"notes.txt")
    ('crc32', 'sha256', None)
    """
    lower = name.lower()
    if found := _BY_NAME.fullmatch(lower):
        return found[1].decode()
    stem, dot, suffix = lower.rpartition(b".")
    return _BY_SUFFIX.get(dot + suffix) if stem else None


def parse(data: bytes, algorithm: str) -> Expected:
    """Read a list. Of a name that it has twice the last counts.

    Args:
        data: The whole file.
        algorithm: As `algorithm_of` its name. Lines in the form of BSD say themselves which is theirs.
    """
    expected: dict[bytes, tuple[str, str]] = {}
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\x1a", b"")
    windows = algorithm == "crc32" or b"\r\n" in text
    for line in text.replace(b"\r", b"\n").split(b"\n"):
        if (found := _read(line, algorithm)) and (name := _clean(found[0], windows=windows)):
            expected[name] = found[1:]
    return expected


def _read(line: bytes, algorithm: str) -> tuple[bytes, str, str] | None:
    if match := _BSD.fullmatch(line.strip(b" \t")):
        escaped, name, digits = match[1], match[3], match[4]
        algorithm = match[2].decode().lower()
    elif algorithm == "crc32":
        match = None if line.startswith(b";") else _SFV.fullmatch(line.strip(b" \t"))
        if match is None:
            return None
        escaped, name, digits = b"", match[1], match[2]
    else:
        match = _GNU.fullmatch(line)
        if match is None:
            return None
        escaped, digits, name = match[1], match[2], match[3]
    if len(digits) != DIGITS[algorithm]:
        return None
    if escaped:  # as GNU's do where a name has a backslash or a line end in it
        name = _ESCAPED.sub(lambda found: _MEANT[found[1]], name)
    return name, algorithm, digits.decode().lower()


def _clean(name: bytes, *, windows: bool) -> bytes:
    """Give a path below the list's directory; empty: it is none."""
    if windows:
        name = name.replace(b"\\", b"/")
    parts = [part for part in name.split(b"/") if part != b"."]
    if any(part in (b"", b"..") for part in parts) or name.translate(None, b"\0\r\n") != name:
        return b""
    return b"/".join(parts)
