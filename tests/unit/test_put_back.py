"""A record that was put back is older than the disks: not all that it owed them is to be deleted still."""

from __future__ import annotations

import time
from pathlib import Path

import record
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import Surplus
from argosy.catalogue.model import Doubt, Found, Sealed, Standing
from argosy.catalogue.proof import Observed, Verdict
from argosy.catalogue.store import saving

D, E = b"d" * 16, b"e" * 16


async def two_copies(catalogue: Catalogue) -> int:
    """Have a file with a copy on the volumes 1 and 2, each of which is here."""
    for volume in (1, 2):
        await catalogue.remembered(volume, 1)
        await catalogue.merge(volume, [Found(b"f", 5, 1, 0, 7, D)], seq=1, whole=False)
    return catalogue.find((b"f",)).id


def put_back(directory: Path) -> None:
    """Put the database back as it is."""
    saving.put_back(directory / "argosy.db", 1)


async def test_a_copy_that_was_too_many_once_may_be_the_only_one_now(tmp_path: Path) -> None:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        file = await two_copies(catalogue)
        ver = catalogue.by_id(file).ver
        assert await catalogue.drop_copies([Surplus(file, ver, 1, (2,))])
    put_back(tmp_path)
    # Since the backup the copy went from 1, later back there, and from 2: that is what the lost record knew.
    async with record.opened(tmp_path) as catalogue:
        volume = await catalogue.attach("1" * 32, "n1", seq=5, generation=3)
        assert volume.doubt is Doubt.AHEAD
        assert catalogue.tombs(1, 10) == []
        await catalogue.merge(1, [Found(b"f", 5, 1, ver, 7, D)], seq=5, whole=True)
        assert [copy.volume for copy in catalogue.replicas(file)] == [1, 2]


async def test_a_bad_copy_that_was_to_be_moved_is_bad_until_it_is_read_again(tmp_path: Path) -> None:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        file = await two_copies(catalogue)
        ver = catalogue.by_id(file).ver
        bad = Observed(1, b"f", ver, 5, 8, E)
        assert await catalogue.judge([bad], "scrub") == [Verdict.BAD]
        assert [tomb.finding for tomb in catalogue.tombs(1, 10)] == [catalogue.findings(60, 1)[0].id]
    put_back(tmp_path)
    async with record.opened(tmp_path) as catalogue:
        await catalogue.attach("1" * 32, "n1", seq=5, generation=3)
        assert catalogue.tombs(1, 10) == []
        await catalogue.merge(1, [Found(b"f", 5, 1, ver, 7, D)], seq=5, whole=True)
        assert [copy.standing for copy in catalogue.replicas(file)] == [Standing.BAD, Standing.GOOD]
        assert await catalogue.judge([Observed(1, b"f", ver, 5, 7, D)], "recheck") == [Verdict.GOOD]


async def test_what_was_deleted_before_the_backup_stays_owed(tmp_path: Path) -> None:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        await two_copies(catalogue)
        await catalogue.delete((b"f",), by="ann")
    put_back(tmp_path)
    async with record.opened(tmp_path) as catalogue:
        await catalogue.attach("1" * 32, "n1", seq=5, generation=3)
        assert [tomb.loc for tomb in catalogue.tombs(1, 10)] == [b"f"]


async def test_a_clock_that_is_behind_lets_no_older_version_win_over_an_upload(tmp_path: Path) -> None:
    async with record.opened(tmp_path) as ahead:
        await ahead.attach("1" * 32, "n1", seq=1, generation=3)
        await ahead.merge(1, [Found(b"g", 5, 1, 0, 7, D)], seq=1, whole=True)
        before = ahead.find((b"g",))
    yesterday = time.time_ns() - 86_400 * 10**9
    fresh = tmp_path / "anew"
    fresh.mkdir()
    async with record.opened(fresh, clock_ns=lambda: yesterday) as catalogue:
        told = Found(b"f", 5, 1, before.ver, 7, D, file=before.id, named_ns=1)
        for number in (1, 2):
            await catalogue.register(f"n{number}", "boot")
            await catalogue.attach(str(number) * 32, f"n{number}", seq=5, generation=3)
        await catalogue.merge(1, [told], seq=5, whole=True)
        upload = await catalogue.begin((b"f",), volume=1, node="n1", epoch=1, user="ann", resume=False)
        await catalogue.commit(upload.id, Sealed(6, 8, 8, E), epoch=1)
        await catalogue.merge(2, [told], seq=5, whole=True)
        assert catalogue.find((b"f",)).size == 6


async def test_what_was_in_the_trash_at_the_backup_has_its_time_once_more(tmp_path: Path) -> None:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        catalogue.spares = lambda _: 2.0
        await two_copies(catalogue)
        await catalogue.delete((b"f",), by="ann")
        (before,) = catalogue.trash(())
    after_ns = before.until_ns + 10**9
    saving.put_back(tmp_path / "argosy.db", after_ns)
    async with record.opened(tmp_path, clock_ns=lambda: after_ns) as catalogue:
        assert not (await catalogue.expire_trash(10)).files
        assert len(catalogue.trash(())) == 1
