"""`argosy rule`: what is set is listed, overrides, is taken back, and is refused where it makes no sense."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from argosy import config
from argosy.catalogue.catalogue import Catalogue
from argosy.cli import main
from argosy.cli.site import Site, master_text

SECTION = """
[sections.video]
path = "/video"
copies = 2
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.make()
    site.write(site.master_config, master_text(ftp="127.0.0.1:2121", link="127.0.0.1:2122") + SECTION)
    asyncio.run(make_directory(site, b"a"))
    return site


async def make_directory(site: Site, name: bytes) -> None:
    catalogue = Catalogue(config.load_master(site.master_config).catalogue)
    await catalogue.open()
    await catalogue.make_directory((name,), owner="ann")
    await catalogue.close()


async def rename(site: Site, old: bytes, new: bytes) -> None:
    catalogue = Catalogue(config.load_master(site.master_config).catalogue)
    await catalogue.open()
    await catalogue.rename((old,), (new,))
    await catalogue.close()


def say(site: Site, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main.main([*words, "--dir", str(site.directory)]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def listed(site: Site, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    rules = json.loads(say(site, capsys, "rule", "list", "--json"))["rules"]
    return {f"{rule['by']} {rule['path']}": rule["wanted"] for rule in rules}


def test_what_was_set_is_listed_beside_the_sections(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(
        *(site, capsys, "rule", "set", "/a", "--copies", "3", "--spread", "zone", "--require", "ssd, big"),
        *("--repair-delay", "60", "--flush", "no", "--acknowledged", "1", "--avoid", ""),
    )
    fields = "copies=3 acknowledged=1 spread=zone require=ssd,big avoid= repair_delay_seconds=60 flush=no"
    assert said == f"/a: {fields}\n"
    assert listed(site, capsys) == {
        "section video /video": {"copies": 2},
        "rule /a": {
            "copies": 3,
            "acknowledged": 1,
            "spread": "zone",
            "require": ["ssd", "big"],
            "avoid": [],
            "repair_delay_seconds": 60.0,
            "flush": False,
        },
    }
    assert say(site, capsys, "rule", "list").splitlines() == [
        "path    by             wanted",
        "/video  section video  copies=2",
        f"/a      rule           {fields}",
    ]


def test_a_rule_is_changed_field_by_field_and_follows_a_rename(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    say(site, capsys, "rule", "set", "/a", "--copies", "3", "--prefer", "big")
    say(site, capsys, "rule", "set", "/a", "--copies", "4")
    asyncio.run(rename(site, b"a", b"b"))
    assert listed(site, capsys)["rule /b"] == {"copies": 4, "prefer": ["big"]}
    assert say(site, capsys, "rule", "unset", "/b", "prefer") == "/b: copies=4\n"
    assert say(site, capsys, "rule", "unset", "/b") == "/b: as what is above it says\n"
    assert listed(site, capsys) == {"section video /video": {"copies": 2}}


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (("set", "/a"), "say what is wanted"),
        (("set", "/a", "--copies", "-1"), "rule.copies"),
        (("set", "/a", "--copies", "33"), "rule.copies"),
        (
            ("set", "/a", "--copies", "2", "--acknowledged", "3"),
            "but copies 2 (rule on /a); say --copies 3, too",
        ),
        (("set", "/a", "--acknowledged", "2"), "acknowledged 2, but copies 0 (default); say --copies 2, too"),
        (("set", "/a", "--archive-after", "30"), "nobody says where to: --archive-to LABEL"),
        (("set", "/a", "--archive-to", "cold"), "nobody says after how long: --archive-after DAYS"),
        (("set", "/none", "--copies", "2"), "No such file or directory"),
        (("unset", "/a"), "no rule is set on /a"),
        (("unset", "/a", "copys"), "no field copys"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(
    site: Site, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], about: str
) -> None:
    error = say(site, capsys, "rule", *words, code=1)
    assert about in error
    assert "Argument not understood" not in error  # a sentence needs no other before it
    assert error.count("\n") == 1
    assert "rule /a" not in listed(site, capsys)


def test_when_files_are_archived_and_where_may_be_said_by_two_rules(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    say(site, capsys, "rule", "set", "/", "--archive-after", "90", "--archive-to", "cold")
    assert say(site, capsys, "rule", "set", "/a", "--archive-after", "30") == "/a: archive_after_days=30\n"
    assert "nobody says" in say(site, capsys, "rule", "unset", "/", "archive_to", code=1)
    say(site, capsys, "rule", "unset", "/", "archive_to", "archive_after_days")
    say(site, capsys, "rule", "set", "/a", "--archive-to", "attic")
    assert listed(site, capsys)["rule /a"] == {"archive_after_days": 30.0, "archive_to": ["attic"]}


def test_words_that_mean_nothing_are_misused(site: Site) -> None:
    for option, value in (
        ("--flush", "maybe"),
        ("--spread", "rack"),
        ("--copies", "two"),
        ("--repair-delay", "nan"),
    ):
        with pytest.raises(SystemExit) as left:
            main.main(["rule", "set", "/a", option, value, "--dir", str(site.directory)])
        assert left.value.code == 2
