"""What has outlived its retention goes, but not before that was told, and not what was changed meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import record
from argosy.catalogue.keeping import Wish
from argosy.cluster.copies.retention import Retention
from inside import Site

SOON = Wish(retention_days=1e-9)
"""After a tenth of a millisecond."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        for name in (b"a", b"b"):
            await catalogue.make_directory((name,), owner="ann")
        yield Site(catalogue, 2)


def retention(site: Site, grace: float) -> Retention:
    settings = msgspec.structs.replace(site.config.repair, grace_seconds=grace)
    config = msgspec.structs.replace(site.config, repair=settings)
    return Retention(config, site.catalogue, site.roster, site.repair, owed=lambda: None)


def there(site: Site) -> list[str]:
    folders = [site.catalogue.find((name,)).id for name in (b"a", b"b")]
    return sorted(entry.name.decode() for folder in folders for entry in site.catalogue.children(folder))


async def test_what_is_too_old_is_told_of_and_then_goes(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for path in ((b"a", b"x"), (b"a", b"y"), (b"b", b"z")):
        await site.put(path, volume=1, size=7)
    await site.catalogue.change_wish((b"a",), lambda _: SOON)
    await asyncio.sleep(0.01)
    await site.rest(1)
    patient = retention(site, 3600.0)
    await patient._round()
    leaving = site.catalogue.leaving()
    assert (there(site), leaving.files, leaving.bytes) == (["x", "y", "z"], 2, 14)
    assert "2 files have outlived their retention" in caplog.text
    assert 0 <= time.time_ns() - leaving.first_ns < 60e9
    await retention(site, 0.0)._round()
    assert there(site) == ["z"]
    assert site.catalogue.leaving().files == 0
    assert len(site.catalogue.tombs(1)) == 2


async def test_a_rule_that_is_taken_back_in_time_loses_nothing(site: Site) -> None:
    await site.put((b"a", b"x"), volume=1)
    await site.catalogue.change_wish((), lambda _: SOON)
    await asyncio.sleep(0.01)
    await site.rest(1)
    assert site.catalogue.leaving().files == 1
    await site.catalogue.change_wish((), lambda _: Wish())
    site.repair.refresh()
    await retention(site, 0.0)._round()
    assert (there(site), site.catalogue.leaving().files) == (["x"], 0)


async def test_what_was_written_anew_or_is_being_written_to_stays(site: Site) -> None:
    for name in (b"x", b"y"):
        await site.put((b"a", name), volume=1)
    await site.catalogue.change_wish((b"a",), lambda _: Wish(retention_days=1 / 86_400))
    await asyncio.sleep(1.1)
    await site.rest(1)
    assert site.catalogue.leaving().files == 2
    await site.put((b"a", b"x"), volume=1)
    await site.catalogue.begin((b"a", b"y"), volume=1, node="n1", epoch=1, user="ann", resume=True)
    await retention(site, 0.0)._round()
    assert there(site) == ["x", "y"]


async def test_a_new_version_of_a_marked_file_has_all_the_time_again(site: Site) -> None:
    await site.put((b"a", b"x"), volume=1)
    entry = site.catalogue.find((b"a", b"x"))
    await site.catalogue.mark_outlived([(entry.id, entry.ver), (12345, 6)])
    (first,) = site.catalogue.outlived(0, 9)
    await site.catalogue.mark_outlived([(entry.id, entry.ver)])
    assert site.catalogue.outlived(0, 9) == [first]
    await site.put((b"a", b"x"), volume=1)
    await site.catalogue.mark_outlived([(entry.id, site.catalogue.find((b"a", b"x")).ver)])
    (second,) = site.catalogue.outlived(0, 9)
    assert second.noted_ns > first.noted_ns
    await site.catalogue.delete((b"a", b"x"))
    assert site.catalogue.outlived(0, 9) == []
