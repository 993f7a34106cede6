"""What is wanted of the files of a subtree: by its section, then by the rules of its directories. Pure.

A field that several of them set counts as the last one says; what nobody sets is as the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from argosy.catalogue.keeping import Way, Wish
from argosy.catalogue.model import Entry
from argosy.config import Section, Spread


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the files below a directory; see `config.Section` for what the fields mean."""

    copies: int = 0
    acknowledged: int = 1
    spread: Spread = "node"
    require: tuple[str, ...] = ()
    prefer: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    archive_after_days: float = 0.0
    archive_to: tuple[str, ...] = ()
    retention_days: float = 0.0
    repair_delay_seconds: float = 600.0
    flush: bool = True
    trash_days: float = 0.0
    make_room: bool = False

    def at(self, now_ns: int, entry: Entry) -> Rule:
        """Give what is wanted of one file: it may be old enough for the archive, and belongs only there."""
        if not self.archive_after_days or not self.archive_to:
            return self
        if entry.unchanged_ns > now_ns - int(self.archive_after_days * DAY_NS):
            return self
        return msgspec.structs.replace(self, only=self.archive_to, require=(), archive_after_days=0.0)

    def goes_ns(self, entry: Entry) -> int | None:
        """Say when a file will have outlived its retention; None: never."""
        return entry.unchanged_ns + int(self.retention_days * DAY_NS) if self.retention_days else None


DAY_NS = 86_400 * 1_000_000_000

FIELDS = Rule.__struct_fields__

DEFAULT = Rule()


@dataclass(frozen=True, slots=True)
class Effective:
    """A rule, and who said what of it."""

    rule: Rule
    section: str
    """Its name; empty: none holds the path."""
    origins: Mapping[str, str]
    """By field: `default`, `section NAME` or `rule on PATH`."""


class Book:
    """Sections and rules as they are at one time; never changed, so any thread may ask."""

    def __init__(self, sections: Mapping[str, Section], wishes: Mapping[int, Wish]) -> None:
        """Put them together.

        Args:
            sections: From the config, by name.
            wishes: Set at run time, by the directory's FileId.
        """
        self.wishes = wishes
        self._sections = sorted(
            ((_parts(section), name, _rule_of(section)) for name, section in sections.items()),
            key=lambda one: -len(one[0]),
        )
        said: list[Rule | Wish] = [*(rule for _, _, rule in self._sections), *wishes.values()]
        self.keeps = any(one.copies or one.only or one.archive_to or one.retention_days for one in said)
        """Whether anybody wants copies, or files elsewhere; else nothing is copied or taken away by rules."""
        self.spares = any(one.trash_days for one in said)
        """Whether there is a trash anywhere."""
        self.yields = any(one.make_room for one in said)
        """Whether any files may leave a disk that lacks room."""
        delays = [one.repair_delay_seconds for one in (DEFAULT, *said)]
        self.shortest_delay = min(delay for delay in delays if delay is not None)
        """After so many seconds a volume that is away is missed by somebody."""

    def rule(self, way: Way) -> Rule:
        """Give what is wanted of the files of a directory.

        Args:
            way: To the directory; or to a file itself, as far as there are directories.
        """
        rule = self._section(way)[1]
        if self.wishes:
            said: dict[str, object] = {}
            for directory, _ in way:
                if wish := self.wishes.get(directory):
                    said.update(wish.said())
            if said:
                return msgspec.structs.replace(rule, **said)
        return rule

    def explain(self, way: Way) -> Effective:
        """Likewise, and who said what."""
        name, rule = self._section(way)
        said = {field for field in FIELDS if getattr(rule, field) != getattr(DEFAULT, field)}
        origins = {field: f"section {name}" if field in said else "default" for field in FIELDS}
        for depth, (directory, _) in enumerate(way):
            if wish := self.wishes.get(directory):
                path = b"/" + b"/".join(part for _, part in way[1 : depth + 1])
                where = f"rule on {path.decode(errors='backslashreplace')}"
                origins.update(dict.fromkeys(wish.said(), where))
        return Effective(self.rule(way), name, origins)

    def _section(self, way: Way) -> tuple[str, Rule]:
        if self._sections:
            path = [name for _, name in way[1:]]
            for root, name, rule in self._sections:
                if path[: len(root)] == root:
                    return name, rule
        return "", DEFAULT


class Rules:
    """The book that is in force."""

    def __init__(self, sections: Mapping[str, Section], read: Callable[[], Mapping[int, Wish]]) -> None:
        """Begin with the sections alone; `refresh` adds the rest.

        Args:
            sections: From the config, by name.
            read: Gives what is set at run time.
        """
        self._sections = sections
        self._read = read
        self.book = Book(sections, {})

    def refresh(self) -> bool:
        """Read what is set at run time; say whether that is something else than before."""
        wishes = self._read()
        if wishes == self.book.wishes:
            return False
        self.book = Book(self._sections, wishes)
        return True


def section_for(sections: Mapping[str, Section], path: Sequence[bytes]) -> tuple[str, Section | None]:
    """Give the name and rules of the deepest section that holds a path; none: an empty name."""
    best: tuple[int, str, Section | None] = (-1, "", None)
    for name, section in sections.items():
        root = _parts(section)
        if list(path[: len(root)]) == root:
            best = max(best, (len(root), name, section), key=lambda found: found[0])
    return best[1], best[2]


def named(path: Sequence[bytes]) -> Way:
    """Give the way to a path of which only the names count: no directory on it has a rule."""
    return [(0, name) for name in (b"", *path)]


def _parts(section: Section) -> list[bytes]:
    return [part.encode() for part in section.path.split("/") if part]


def _rule_of(section: Section) -> Rule:
    return Rule(**{field: getattr(section, field) for field in FIELDS})
