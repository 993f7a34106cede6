"""What retention and the archive would take is said before anything is done."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from argosy import config
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Sealed
from argosy.cli import main
from argosy.cli.site import Site, master_text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.make()
    site.write(site.master_config, master_text(ftp="127.0.0.1:2121", link="127.0.0.1:2122"))

    async def fill() -> None:
        catalogue = Catalogue(config.Catalogue(directory=site.load_master().catalogue.directory))
        await catalogue.open()
        await catalogue.register("n1", "boot")
        await catalogue.attach("1" * 32, "n1")
        await catalogue.make_directory((b"a",), owner="ann")
        for number in range(12):
            path = (b"a", b"%d" % number) if number else (b"other",)
            upload = await catalogue.begin(path, volume=1, node="n1", epoch=1, user="ann", resume=False)
            await catalogue.commit(upload.id, Sealed(100, 77, 7, b"d" * 16), epoch=1)
        await catalogue.close()

    asyncio.run(fill())
    return site


def told(site: Site, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main.main(["rule", *words, "--dir", str(site.directory)]) == code
    return "".join(capsys.readouterr())


def test_a_rehearsal_says_what_would_go_and_does_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(site, capsys, "preview", "/a", "--retention", "5", "--days", "30")
    lines = text.splitlines()
    assert lines[0] == "outlive their retention within 30 days: 11 files, 1.1 KiB"
    assert lines[1].startswith("  in 5 d 23 h  /a/") or lines[1].startswith("  in 6 d 0 h")
    assert lines[11] == "  and 1 more"
    assert told(site, capsys, "preview", "/a").startswith("outlive their retention within 7 days: 0 files")


def test_rules_that_are_set_are_heeded(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    told(site, capsys, "set", "/a", "--archive-after", "3", "--archive-to", "cold")
    told(site, capsys, "set", "/", "--retention", "400")
    document = json.loads(told(site, capsys, "preview", "--json"))
    assert document["archive"]["files"] == 11
    assert document["retention"]["files"] == 0
    document = json.loads(told(site, capsys, "preview", "--days", "500", "--json"))
    assert (document["retention"]["files"], document["retention"]["bytes"]) == (12, 1200)


def test_what_may_leave_a_full_disk_is_named(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert "floor" not in told(site, capsys, "preview")
    told(site, capsys, "set", "/a", "--make-room", "yes")
    lines = told(site, capsys, "preview", "/a").splitlines()
    room = lines.index("may leave a disk below its floor, the oldest first: 11 files, 1.1 KiB")
    named = {line.split()[-1] for line in lines[room + 1 : -1]}
    assert (len(named), lines[-1]) == (10, "  and 1 more")
    assert named < {f"/a/{number}" for number in range(1, 12)}
    document = json.loads(told(site, capsys, "preview", "--json"))
    assert document["for_room"]["files"] == 11


def test_only_a_directory_can_be_looked_at(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Not a directory" in told(site, capsys, "preview", "/other", code=1)
    assert "No such file" in told(site, capsys, "preview", "/none", code=1)
