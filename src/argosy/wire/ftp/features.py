"""What a site says it can, by FEAT. RFC 2389 section 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from argosy.wire.ftp.answers import Answer

WANTED_FACTS = (
    "type",
    "size",
    "modify",
    "perm",
    "unique",
    "unix.mode",
    "unix.owner",
    "unix.ownername",
    "unix.uid",
    "unix.group",
    "unix.groupname",
    "unix.gid",
)
"""The facts that we have a use for. RFC 3659 section 7.5."""


class Features(msgspec.Struct, frozen=True):
    """FEAT's lines: verbs, and what follows them. All in upper case."""

    lines: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    facts: tuple[tuple[str, bool], ...] = ()
    """MLST's facts as the site writes them, and whether they're told without being asked for."""

    def has(self, verb: str, parameter: str = "") -> bool:
        """Whether a line names the verb, and, where one is given, this word after it."""
        told = self.lines.get(verb)
        return told is not None and (not parameter or parameter in told)

    def site(self, verb: str) -> bool:
        """Whether SITE is told to know this verb: in a line of its own, or one for all."""
        return self.has("SITE", verb)

    def fact_options(self) -> str:
        """Give what OPTS MLST has to ask for; empty: what is told anyway is enough. RFC 3659 section 7.9."""
        wanted = [(name, told) for name, told in self.facts if name.lower() in WANTED_FACTS]
        if all(told for _, told in wanted):
            return ""
        return "".join(f"{name};" for name, _ in wanted)


def parse_features(lines: Iterable[bytes]) -> Features:
    """Read the lines between the first and the last; what can't be understood is passed over."""
    found: dict[str, tuple[str, ...]] = {}
    facts: tuple[tuple[str, bool], ...] = ()
    for line in lines:
        verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
        verb = verb.upper()
        if not verb:
            continue
        found[verb] = found.get(verb, ()) + tuple(rest.upper().replace(";", " ").split())
        if verb == "MLST":
            facts = tuple(
                (fact.rstrip("*"), fact.endswith("*")) for fact in rest.split(";") if fact.strip("* ")
            )
    return Features(found, facts)


def of(answer: Answer) -> Features:
    """Read FEAT's reply. A site without FEAT says 500 or 502, and has no features."""
    return parse_features(answer.lines[1:-1] if answer.good else ())
