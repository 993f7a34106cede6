"""What a search asks for, and its answers. Pure: patterns become SQL's own, nothing is looked up here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy import errors
from argosy.catalogue.model import Entry, Kind, TreePath

PATTERN_LIMIT = 1_000
"""Bytes in a pattern: a name has 255 at the most, and in any case each letter takes four."""

STARS = 10
"""Stars in a pattern, as each can make the comparison of a name longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What an entry must be to be found; what isn't said isn't asked for."""

    names: tuple[bytes, ...] = ()
    """Patterns as `glob` and `holding` give them; the name must match them all."""
    smallest: int | None = None
    """Bytes, as `largest`. With either of them only files are found."""
    largest: int | None = None
    after_ns: int | None = None
    """Modified then or later."""
    before_ns: int | None = None
    """Modified then or earlier."""
    owner: str = ""
    group: str = ""
    node: str = ""
    """Only files with a good copy there."""
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a search goes on: behind this name of this directory."""

    directory: int = 0
    name: bytes = b""


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that was found."""

    path: TreePath
    entry: Entry
    nodes: tuple[str, ...]
    """Names of the nodes with a good copy."""


@dataclass(frozen=True, slots=True)
class Hits:
    """A page of what was found, directory by directory, in each by name."""

    found: list[Hit]
    after: Mark | None
    """Where the next page begins; none: this was the last one."""
    late: bool = False
    """The time was over before the page was full or the tree at its end."""


def glob(pattern: bytes, *, any_case: bool = False) -> bytes:
    r"""Give SQLite's GLOB for a shell's pattern: `*`, `?`, `[a-z]` and `[!a-z]`, of characters in UTF-8.

    >>> glob(b"*.[!t]xt"), glob(b"a[")
    (b'*.[^t]xt', b'a[[]')

    Args:
        pattern: The shell's.
        any_case: Letters also match in the other case.

    Raises:
        BadArgument: It is longer than any name needs, or has too many stars.
    """
    if len(pattern) > PATTERN_LIMIT or len(re.findall(rb"\*+", pattern)) > STARS:
        raise errors.BadArgument(f"a pattern has {PATTERN_LIMIT} bytes and {STARS} stars at the most")
    text = pattern.decode(errors="surrogateescape")
    pieces = _PIECE.findall(text)
    return "".join(_piece(piece, any_case=any_case) for piece in pieces).encode(errors="surrogateescape")


def holding(text: bytes, *, any_case: bool = False) -> bytes:
    r"""Give SQLite's GLOB for names with this text in them.

    >>> holding(b"a*b"), holding("é1".encode(), any_case=True).decode()
    (b'*a[*]b*', '*[éÉ]1*')
    """
    return glob(b"*" + re.sub(rb"([*?\[])", rb"[\1]", text) + b"*", any_case=any_case)


_PIECE = re.compile(r"\*+|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)


def _piece(piece: str, *, any_case: bool) -> str:
    if piece.startswith("*"):
        return "*"
    if piece == "[":
        return "[[]"
    if piece.startswith("["):
        negated, inner = piece[1] in "!^", piece[2:-1] if piece[1] in "!^" else piece[1:-1]
        other = _other_case(inner).lstrip("]") if any_case else ""
        return f"[{'^' if negated else ''}{inner}{'' if other == inner else other}]"
    other = _other_case(piece) if any_case else piece
    return piece if other == piece else f"[{piece}{other}]"


def _other_case(text: str) -> str:
    """Swap the case of letters that have just one letter for the other."""
    return "".join(
        swapped if len(swapped := letter.swapcase()) == 1 and swapped.swapcase() == letter else letter
        for letter in text
    )
