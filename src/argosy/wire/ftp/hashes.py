"""The algorithms of HASH and of its forerunners, by the names that each of them uses."""

from __future__ import annotations

from collections.abc import Mapping

from argosy import errors

HASHES: Mapping[str, str] = {
    "SHA-256": "sha256",
    "SHA-512": "sha512",
    "SHA-1": "sha1",
    "MD5": "md5",
    "CRC32": "crc32",
}
"""HASH's names for them, and ours. draft-bryan-ftpext-hash-02 section 3.1: SHA-1 has to be there."""

FIRST = "SHA-256"
"""What HASH uses unless OPTS HASH says otherwise. It shouldn't be weaker than SHA-1 (section 5)."""

BY_VERB: Mapping[str, str] = {
    "XCRC": "crc32",
    "XMD5": "md5",
    "XSHA": "sha1",
    "XSHA1": "sha1",
    "XSHA256": "sha256",
    "XSHA512": "sha512",
}
"""A verb for each algorithm, as servers had them before HASH."""


def feature(chosen: str) -> str:
    """Give FEAT's line on HASH: the chosen one has a star. draft-bryan-ftpext-hash-02 section 3.1."""
    return "HASH " + "".join(f"{name}*;" if name == chosen else f"{name};" for name in HASHES)


def choose(wanted: bytes, chosen: str) -> str:
    """Read what OPTS HASH asks for: a name, or nothing to hear the one in use.

    Raises:
        Unsupported: A name we don't know. Answer 501: draft-bryan-ftpext-hash-02 section 3.2.
    """
    name = wanted.strip().decode("ascii", errors="replace").upper()
    if name and name not in HASHES:
        raise errors.Unsupported(f"hash {name[:20]}")
    return name or chosen
