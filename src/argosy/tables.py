"""Answers for people: aligned columns, sizes and time spans."""

from __future__ import annotations

from collections.abc import Sequence

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))}


def aligned(head: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> str:
    """Give a table with a head; columns named in `right` are aligned at the right.

    >>> print(aligned(("name", "size"), [("a", 5), ("bcd", 120)], right=("size",)))
    name  size
    a        5
    bcd    120
    """
    lines = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def printable(value: object) -> str:
    r"""Give a value's text with nothing in it that a terminal would obey.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return str(value).translate(_ESCAPES).encode(errors="backslashreplace").decode()


def size(count: float | None) -> str:
    """Give a number of bytes as people read it.

    >>> size(0), size(1023), size(1536), size(5 * 1024**3)
    ('0 B', '1023 B', '1.5 KiB', '5.0 GiB')
    """
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"


def counted(number: int, word: str, words: str = "") -> str:
    """Give a number with its word; that of several, unless it is given, ends with an s.

    >>> counted(1, "file"), counted(1204, "file"), counted(0, "copy", "copies")
    ('1 file', '1204 files', '0 copies')
    """
    return f"{number} {word if number == 1 else words or word + 's'}"


def span(seconds: float | None) -> str:
    """Give a time span in its two greatest units.

    >>> span(4.2), span(61), span(3_700), span(200_000)
    ('4 s', '1 min 1 s', '1 h 1 min', '2 d 7 h')
    """
    if seconds is None:
        return "-"
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    if minutes:
        return f"{minutes} min {whole % 60} s"
    return f"{whole} s"
