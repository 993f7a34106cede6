"""Files that want copies are known as soon as they do, and nothing is taken away that is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.keeping import SAFE, Job, Surplus, Way, Wish
from argosy.catalogue.model import ROOT_ID, Found, Membership, Sealed, TreePath

SUMS = (7, b"d" * 16)
NOW = 2**61


def two_below_a(way: Way) -> int:
    """Below `/a` two copies are wanted, elsewhere nobody has said."""
    return 2 if len(way) > 1 and way[1][1] == b"a" else 0


class Clock:
    """It goes on by a second each time somebody looks."""

    ns = 2_000_000_000_000_000_000

    def __call__(self) -> int:
        self.ns += 1_000_000_000
        return self.ns


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=3, clock_ns=Clock()) as catalogue:
        for name in (b"a", b"b"):
            await catalogue.make_directory((name,), owner="ann")
        catalogue.wants = two_below_a
        yield catalogue


async def put(catalogue: Catalogue, *path: bytes, volume: int = 1, size: int = 5) -> int:
    upload = await catalogue.begin(path, volume=volume, node=f"n{volume}", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(size, 77, *SUMS), epoch=1)
    return upload.file


async def copied(catalogue: Catalogue, path: TreePath, *volumes: int) -> None:
    """Let a file's content be found on more volumes."""
    entry = catalogue.find(path)
    for volume in volumes:
        found = Found(b"/".join(path), entry.size, entry.mtime_ns, entry.ver, *SUMS)
        await catalogue.merge(volume, [found], seq=volume, whole=False)


def due(catalogue: Catalogue, limit: int = 100) -> dict[int, int]:
    return {job.file: job.danger for job in catalogue.due(limit, (), NOW)}


async def test_an_upload_that_wants_copies_is_noted_with_its_commit(catalogue: Catalogue) -> None:
    file = await put(catalogue, b"a", b"x", size=9)
    await put(catalogue, b"b", b"y")
    (job,) = catalogue.due(9, (), NOW)
    assert (job.file, job.danger, job.bytes, job.tries, job.why) == (file, 1, 9, 0, "")


async def test_where_nobody_wants_copies_nothing_is_noted(catalogue: Catalogue) -> None:
    catalogue.wants = None
    await put(catalogue, b"a", b"x")
    await copied(catalogue, (b"a", b"x"), 2, 3)
    await catalogue.rename((b"a",), (b"c",))
    assert (catalogue.due(9, (), NOW), catalogue.sweeps()) == ([], [])


async def test_what_a_disk_brings_and_loses_is_noted(catalogue: Catalogue) -> None:
    found = [Found(b"a/%d" % n, 5, 7) for n in range(300)] + [Found(b"b/x", 5, 7)]
    await catalogue.merge(1, found, seq=1, whole=False)
    assert len(due(catalogue, 999)) == 300
    file = catalogue.find((b"a", b"1")).id
    await catalogue.merge(1, [Found(b"a/1", 5, 7, gone=True)], seq=2, whole=False)
    assert due(catalogue, 999)[file] == 0


async def test_the_files_with_the_fewest_copies_come_first(catalogue: Catalogue) -> None:
    first, second, third = [await put(catalogue, b"a", name) for name in (b"1", b"2", b"3")]
    await copied(catalogue, (b"a", b"1"), 2, 3)
    lost = Found(b"a/3", 5, 77, catalogue.by_id(third).ver, gone=True)
    await catalogue.merge(1, [lost], seq=9, whole=False)
    found = [(job.file, job.danger) for job in catalogue.due(9, (), NOW)]
    assert found == [(third, 0), (second, 1), (first, SAFE)]
    assert set(due(catalogue, 2)) == {second, third}
    assert [job.file for job in catalogue.due(9, {second, third}, NOW)] == [first]


async def test_a_job_that_was_noted_anew_meanwhile_is_not_dropped(catalogue: Catalogue) -> None:
    file = await put(catalogue, b"a", b"x")
    (old,) = catalogue.due(9, (), NOW)
    await put(catalogue, b"a", b"x")
    await catalogue.conclude([old], [])
    await catalogue.conclude([], [(old, Job(file, 1, 5, 2**62, 3, "no room"))])
    (new,) = catalogue.due(9, (), NOW)
    assert (new.file, new.tries) == (file, 0)
    await catalogue.conclude([new], [])
    assert catalogue.due(9, (), NOW) == []


async def test_what_was_put_off_comes_again_when_something_has_changed(
    catalogue: Catalogue,
) -> None:
    await put(catalogue, b"a", b"x", size=9)
    (job,) = catalogue.due(9, (), NOW)
    await catalogue.conclude([], [(job, Job(job.file, 1, 9, 2**62, 3, "no room on n2"))])
    assert catalogue.due(9, (), NOW) == []
    assert catalogue.wanting().by_why == {"no room on n2": (1, 9)}
    assert catalogue.wanting().by_danger == {1: (1, 9)}
    await catalogue.hurry()
    assert [again.tries for again in catalogue.due(9, (), NOW)] == [0]


async def test_what_only_waits_is_not_wanting_and_is_brought_forward_by_news(catalogue: Catalogue) -> None:
    file = await put(catalogue, b"b", b"x")
    await catalogue.add_jobs([Job(file, SAFE, 5, 2**62)])
    assert catalogue.wanting().by_danger == {}
    await catalogue.add_jobs([Job(file, 1, 5, 0)])
    assert catalogue.wanting().by_danger == {1: (1, 5)}
    await catalogue.add_jobs([Job(file, 1, 5, 2**62)])
    assert due(catalogue) == {file: 1}


async def test_a_deleted_file_takes_its_job_along(catalogue: Catalogue) -> None:
    await put(catalogue, b"a", b"x")
    await catalogue.delete((b"a", b"x"))
    assert catalogue.due(9, (), NOW) == []


async def test_what_is_found_for_a_file_that_was_deleted_meanwhile_is_found_for_the_others(
    catalogue: Catalogue,
) -> None:
    gone, here = await put(catalogue, b"b", b"x"), await put(catalogue, b"b", b"y")
    await catalogue.delete((b"b", b"x"))
    await catalogue.add_jobs([Job(file, 1, 5, 1) for file in (gone, here)])
    assert due(catalogue) == {here: 1}


async def test_a_rename_to_where_copies_are_wanted_is_noted(catalogue: Catalogue) -> None:
    file = await put(catalogue, b"b", b"x")
    await catalogue.rename((b"b", b"x"), (b"a", b"x"))
    assert due(catalogue) == {file: 1}
    await catalogue.rename((b"b",), (b"a", b"b"))
    assert [directory for directory, _ in catalogue.sweeps()] == [catalogue.find((b"a", b"b")).id]


async def test_a_rule_that_is_set_has_all_below_looked_at(catalogue: Catalogue) -> None:
    await catalogue.change_wish((b"b",), lambda _: Wish(copies=3))
    ((directory, asked_ns),) = catalogue.sweeps()
    assert directory == catalogue.find((b"b",)).id
    await catalogue.change_wish((b"b",), lambda _: Wish(copies=4))
    await catalogue.swept(directory, asked_ns)  # it was asked for once more meanwhile
    ((_, asked_ns),) = catalogue.sweeps()
    await catalogue.swept(directory, asked_ns)
    assert catalogue.sweeps() == []
    assert catalogue.wishes() == {directory: Wish(copies=4)}


async def test_all_is_looked_at_once_in_a_while(catalogue: Catalogue) -> None:
    assert await catalogue.sweep_all(1_000.0)
    assert [directory for directory, _ in catalogue.sweeps()] == [ROOT_ID]
    assert not await catalogue.sweep_all(1_000.0)
    assert await catalogue.sweep_all(0.5)


async def test_a_copy_too_many_goes_by_a_tombstone(catalogue: Catalogue) -> None:
    file = await put(catalogue, b"a", b"x")
    await copied(catalogue, (b"a", b"x"), 2, 3)
    ver = catalogue.by_id(file).ver
    (gone,) = await catalogue.drop_copies([Surplus(file, ver, 3, keep=(1, 2))])
    assert (gone.volume, gone.loc, gone.ver) == (3, b"a/x", ver)
    assert catalogue.tombs(3) == [gone]
    assert [copy.volume for copy in catalogue.replicas(file)] == [1, 2]
    assert await catalogue.drop_copies([Surplus(file, ver, 3, keep=(1, 2))]) == []


async def test_no_copy_goes_when_the_others_are_not_what_they_were(catalogue: Catalogue) -> None:
    file = await put(catalogue, b"a", b"x")
    await copied(catalogue, (b"a", b"x"), 2)
    ver = catalogue.by_id(file).ver
    surplus = Surplus(file, ver, 1, keep=(2,))
    assert await catalogue.drop_copies([Surplus(file, ver, 1, keep=(2, 3))]) == []
    assert await catalogue.drop_copies([Surplus(file, ver + 1, 1, keep=(2,))]) == []
    assert await catalogue.drop_copies([Surplus(file, ver, 1, keep=(1, 2))]) == []
    await catalogue.departed([2])
    assert await catalogue.drop_copies([surplus]) == []
    await catalogue.attach("2" * 32, "n2")
    await catalogue.enlist([2], Membership.DRAINING)
    assert await catalogue.drop_copies([surplus]) == []
    await catalogue.enlist([2], Membership.MEMBER)
    going_on = await catalogue.begin((b"a", b"x"), volume=1, node="n1", epoch=1, user="ann", resume=True)
    assert await catalogue.drop_copies([surplus]) == []
    await catalogue.cut(going_on.id, 0)
    assert len(await catalogue.drop_copies([surplus])) == 1


async def test_it_is_known_since_when_a_volume_is_away_and_a_lost_one_can_come_back(
    catalogue: Catalogue,
) -> None:
    assert [volume.away_ns for volume in catalogue.volumes()] == [None] * 3
    await catalogue.departed([1, 3])
    first = catalogue.volumes("n1")[0].away_ns
    assert first is not None
    await catalogue.departed([1, 3])
    await catalogue.returned([3])
    assert [volume.away_ns for volume in catalogue.volumes()] == [first, None, None]
    await catalogue.recover()  # the master starts anew
    here = {volume.number: volume.away_ns for volume in catalogue.volumes()}
    assert here[1] == first
    assert all(here.values())
    await catalogue.enlist([1], Membership.LOST)
    await catalogue.enlist([2], Membership.DRAINING)
    back = [await catalogue.attach(str(number) * 32, f"n{number}") for number in (1, 2)]
    assert [volume.membership for volume in back] == [Membership.MEMBER, Membership.DRAINING]
    assert [volume.away_ns for volume in back] == [None, None]


async def test_a_page_of_what_a_volume_holds_goes_on_where_the_one_before_ended(catalogue: Catalogue) -> None:
    files = [await put(catalogue, b"b", b"%d" % number) for number in range(5)]
    page, after = catalogue.held(1, b"", 3)
    rest, end = catalogue.held(1, after, 3)
    assert (page + rest, end) == (files, b"")
    stocks = catalogue.stocks([*files, 12345])
    assert [(one.entry.id, [copy.volume for copy in one.copies]) for one in stocks] == [
        (f, [1]) for f in files
    ]
