"""The documents name what the code has, and their links lead somewhere."""

from __future__ import annotations

import argparse
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import argosy
from argosy import config, errors
from argosy.cli.main import parser
from argosy.doors.ftp.server import CODE_FOR
from argosy.doors.nfs.server import TROUBLE
from argosy.wire.ftp.commands import ALIASES, NOT_IMPLEMENTED, VERBS
from argosy.wire.ftp.site import SITE_VERBS
from argosy.wire.nfs.nfs3 import Status

HOME = Path(__file__).parents[2]
DOCS = HOME / "docs"
NOT_OURS = re.compile(r"(^|/)(\.[^/]+|node_modules|dist|build)/")

PAGES = sorted(path for path in HOME.rglob("*.md") if not NOT_OURS.search(path.relative_to(HOME).as_posix()))

TABLES: dict[str, type[config.Table]] = {
    "`[paths]`": config.Paths,
    "`[link]`": config.Link,
    "`[ftp]`": config.FtpDoor,
    "`[catalogue]`": config.Catalogue,
    "`[accounts]`": config.Accounts,
    "`[quota]`": config.Quota,
    "`[placement]`": config.Placement,
    "`[repair]`": config.Repair,
    "`[findings]`": config.Findings,
    "`[sums]`": config.Sums,
    "`[search]`": config.Search,
    "`[sections.NAME]`": config.Section,
    "The node's file": config.Node,
    "`[scrub]`": config.Scrub,
    "`[state]`": config.State,
    "`[nfs]`": config.NfsDoor,
    "`[remote]`": config.Remote,
    "`[cache]`": config.Cache,
    "`[journal]`": config.Journal,
    "`[sites.NAME]`": config.SiteOf,
}


def sections(page: Path) -> dict[str, str]:
    """Give each heading's own text, up to the next heading; what stands in code blocks is no heading."""
    found = {"": ""}
    title, fenced = "", False
    for line in page.read_text().splitlines():
        fenced ^= line.startswith("```")
        if not fenced and re.match(r"#+ ", line):
            title = line.lstrip("#").strip()
            found[title] = ""
        else:
            found[title] += line + "\n"
    return found


def rows(text: str) -> list[list[str]]:
    """Give the cells of the tables in a text, the lines of dashes left out."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def in_toml(value: object) -> str:
    """Write a default as it would stand in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)


def default(field: msgspec.structs.FieldInfo) -> str:
    """Give what stands in the column of defaults."""
    return "*required*" if field.required else f"`{in_toml(field.default)}`"


def anchors(page: Path) -> set[str]:
    """Give what a link may name after `#`, as the usual renderers make it of headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in sections(page)}


def links(page: Path) -> Iterator[str]:
    """Give the targets of a page's links that aren't addresses of the web."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


def words(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Give the parsers of all words and words below words."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield below
                yield from words(below)


def spoken(word: argparse.ArgumentParser) -> Iterator[str]:
    """Give what one may write after a word: its options, and the names of its arguments."""
    for action in word._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        if action.help != argparse.SUPPRESS:
            yield from action.option_strings or [str(action.metavar or action.dest)]


WORDS = {word.prog: word for word in words(parser())}


def test_every_table_of_master_and_gateway_is_in_the_list_above() -> None:
    files = (config.Master, config.Node, config.Gateway)
    types = {field.type for file in files for field in msgspec.structs.fields(file)}
    types = {kind for kind in types - {float} if isinstance(kind, type) and issubclass(kind, config.Table)}
    assert types | {config.Section, config.SiteOf, config.Node} == set(TABLES.values())


@pytest.mark.parametrize("title", TABLES)
def test_every_config_key_stands_in_its_table_with_its_default(title: str) -> None:
    documented = {row[0]: row[1] for row in rows(sections(DOCS / "operations/configuration.md")[title])[1:]}
    inner = tuple(TABLES.values())
    fields = [field for field in msgspec.structs.fields(TABLES[title]) if field.type not in inner]
    assert documented == {f"`{field.name}`": default(field) for field in fields}


def test_every_config_key_has_a_unit_and_a_meaning() -> None:
    page = sections(DOCS / "operations/configuration.md")
    for title in TABLES:
        for row in rows(page[title]):
            assert len(row) == 4, row
            assert all(row), row


def test_every_ftp_verb_is_documented_with_its_rfc() -> None:
    page = (DOCS / "guide/ftp.md").read_text()
    documented = {row[0]: row[1] for row in rows(page) if row[0] != "verb"}
    known = {name: verb.rfc for name, verb in VERBS.items()}
    assert documented == known


def test_every_site_verb_is_documented_with_who_may_say_it() -> None:
    page = (DOCS / "guide/site.md").read_text()
    documented = {row[0]: (row[1], row[2]) for row in rows(page) if row[0] != "verb"}
    whom = {False: "all", True: "administrators"}
    assert documented == {f"SITE {name}": (verb.rfc, whom[verb.admin]) for name, verb in SITE_VERBS.items()}


def room_of(verb: str, rfc: str) -> tuple[str, str]:
    """Give the file where a verb is tested, and how the names of its tests begin there."""
    if found := re.match(r"RFC (\d+) section ([\d.]+)$", rfc):
        return f"test_rfc{found[1]}.py", f"test_{found[2].replace('.', '_')}_{verb.lower()}_"
    return "test_drafts.py", f"test_{verb.lower()}_"


@pytest.mark.parametrize("verb", VERBS)
def test_every_ftp_verb_has_a_test_in_the_room_of_its_rfc(verb: str) -> None:
    file, beginning = room_of(verb, VERBS[verb].rfc)
    tests = (HOME / "tests/door/rfc" / file).read_text()
    assert re.search(rf"^def {beginning}\w+\(", tests, re.MULTILINE), f"{file}: def {beginning}..."


def test_old_names_and_verbs_that_we_lack_are_documented() -> None:
    page = (DOCS / "guide/ftp.md").read_text()
    assert [name for name in {*ALIASES, *NOT_IMPLEMENTED} if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("word", WORDS)
def test_every_word_of_the_command_line_is_documented_with_its_options(word: str) -> None:
    # argparse's `prog` of a word below a word names the upper one's arguments too, if it has any.
    text = sections(DOCS / "operations/commands.md").get(word)
    assert text is not None, f"no heading for {word}"
    assert [name for name in spoken(WORDS[word]) if not re.search(rf"`{name}\b", text)] == []


def test_no_word_is_documented_that_is_not_there() -> None:
    titles = [title for title in sections(DOCS / "operations/commands.md") if title.startswith("argosy ")]
    assert sorted(titles) == sorted(WORDS)


ONLY_BY_NFS = {errors.Stale, errors.BadCookie}
"""An FTP client has no handles and no cookies, so it never hears these."""


def test_every_refusal_that_a_client_hears_is_explained() -> None:
    told = {tuple(row[:2]) for row in rows((DOCS / "operations/troubleshooting.md").read_text())}
    wanted = {(str(code), str(kind())) for kind, code in CODE_FOR.items() if kind not in ONLY_BY_NFS}
    assert wanted - told == set()


def test_what_programs_hear_of_a_mounts_troubles_is_explained() -> None:
    told = {row[0].strip("`") for row in rows((DOCS / "operations/troubleshooting.md").read_text())}
    heard = (TROUBLE | {Status.ACCES, Status.PERM, Status.STALE, Status.FBIG, Status.XDEV}) - {Status.JUKEBOX}
    assert {os.strerror(LINUX.get(status, status)) for status in heard} - told == set()


LINUX = {Status.STALE: errno.ESTALE, Status.DQUOT: errno.EDQUOT, Status.SERVERFAULT: errno.EREMOTEIO}
"""What Linux makes of a status that isn't an errno of its own."""


def test_every_room_of_the_code_is_on_the_map() -> None:
    source = HOME / "src/argosy"
    rooms = {path.parent.relative_to(source).as_posix() + "/" for path in source.rglob("__init__.py")}
    rooms |= {path.name for path in source.glob("*.py") if not path.name.startswith("__")}
    page = sections(HOME / "ARCHITECTURE.md")["Code map"]
    assert [room for room in sorted(rooms - {"./"}) if f"`{room}" not in page] == []


def test_every_module_on_the_map_is_there() -> None:
    source = HOME / "src/argosy"
    page = sections(HOME / "ARCHITECTURE.md")["Entry points"]
    named = re.findall(r"`([\w/]+\.py)`", page)
    assert named
    assert [name for name in named if not (source / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(HOME).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(HOME), target
        if anchor:
            assert anchor in anchors(there), target


def test_decisions_are_listed_and_dated() -> None:
    listed = (DOCS / "decisions/README.md").read_text()
    pages = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        title, _, date, *_ = page.read_text().splitlines()
        assert title.startswith(f"# {page.name[:4]}. ")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
        assert f"[{page.name[:4]}]({page.name}) {title.partition('. ')[2]}" in listed


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "Unreleased" in (HOME / "CHANGELOG.md").read_text()
    assert argosy.__version__
