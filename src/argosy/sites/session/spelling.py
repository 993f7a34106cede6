"""How a site writes names: its encoding, and what it would take otherwise than it is meant."""

from __future__ import annotations

from dataclasses import dataclass

from argosy import errors


@dataclass(frozen=True, slots=True)
class Spelling:
    """Between our names, bytes of UTF-8 where they are text, and the site's."""

    encoding: str = ""
    """The site's; empty: as ours."""
    trims_blanks: bool = False
    """It cuts blanks off at the end."""
    utf8_alone: bool = False
    """It takes nothing that isn't UTF-8."""

    def out(self, name: bytes) -> bytes:
        """Give a path as the site writes it; before anything is said that a bad one would leave half done.

        Raises:
            NameNotAllowed: It can't be said there.
        """
        if any(sign in name for sign in b"\r\n\0") or (self.trims_blanks and name.endswith(b" ")):
            raise errors.NameNotAllowed(name)
        try:
            if self.utf8_alone and not name.isascii():
                name.decode()
            if not self.encoding:
                return name
            return name.decode(errors="surrogateescape").encode(self.encoding, errors="surrogateescape")
        except UnicodeError:
            raise errors.NameNotAllowed(name) from None

    def ours(self, name: bytes) -> bytes:
        """Give what the site wrote as we write it."""
        if not self.encoding:
            return name
        return name.decode(self.encoding, errors="surrogateescape").encode(errors="surrogateescape")
