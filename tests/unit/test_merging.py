"""Merging into the tables, comparing copies, and bringing the disks in line with the tree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy.catalogue import model
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Found, Sealed, Standing, State, TreePath

D, E = b"d" * 16, b"e" * 16


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_800_000_000_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def forward(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def catalogue(tmp_path: Path, clock: Clock) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=3, clock_ns=clock) as catalogue:
        yield catalogue


async def put(catalogue: Catalogue, path: TreePath, volume: int = 1) -> int:
    upload = await catalogue.begin(path, volume=volume, node=f"n{volume}", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(5, 77, None, D), epoch=1)
    return upload.file


async def test_an_adopted_disk_is_the_tree_and_its_number_is_kept(catalogue: Catalogue) -> None:
    report = await catalogue.merge(1, [Found(b"a/b", 3, 1), Found(b"c", 4, 2)], seq=17, whole=False)
    assert (report.created, report.conflicts, report.compare) == (2, [], [])
    entry = catalogue.find((b"a", b"b"))
    assert (entry.size, entry.mtime_ns, entry.state) == (3, 1, State.LIVE)
    assert [(r.loc, r.node, r.ver) for r in catalogue.replicas(entry.id)] == [(b"a/b", "n1", entry.ver)]
    assert catalogue.volumes("n1")[0].acked == 17


async def test_a_whole_list_in_pieces_drops_only_what_its_ranges_lack(catalogue: Catalogue) -> None:
    names = [b"%02d" % number for number in range(20)]
    await catalogue.merge(1, [Found(name, 1, 1) for name in names], seq=1, whole=False)
    kept = [Found(name, 1, 1) for name in names if name not in (b"05", b"19")]
    first = await catalogue.merge(1, kept[:9], seq=1, whole=True, upto=b"09")
    assert (first.dropped, catalogue.counts().damaged) == (1, 1)
    await catalogue.merge(1, kept[9:], seq=2, whole=True, after=b"09")
    assert catalogue.replicas(catalogue.find((b"19",)).id) == []
    assert catalogue.counts().damaged == 2


async def test_a_deleted_file_that_a_node_still_has_does_not_come_back(catalogue: Catalogue) -> None:
    file = await put(catalogue, (b"x",))
    ver = catalogue.by_id(file).ver
    await catalogue.merge(1, [Found(b"y", 3, 1)], seq=1, whole=False)
    await catalogue.delete((b"x",))
    await catalogue.delete((b"y",))
    report = await catalogue.merge(
        1, [Found(b"x", 5, 77, ver), Found(b"y", 3, 1), Found(b"z", 3, 1)], seq=2, whole=True
    )
    assert report.created == 1
    assert [entry.name for entry in catalogue.children(model.ROOT_ID)] == [b"z"]


async def test_the_replaced_version_that_a_list_still_shows_is_not_taken_for_a_change(
    catalogue: Catalogue,
) -> None:
    await catalogue.merge(1, [Found(b"x", 3, 1)], seq=1, whole=False)
    file = await put(catalogue, (b"x",))
    await catalogue.reconcile(1, [], [])
    await catalogue.merge(1, [Found(b"x", 3, 1)], seq=2, whole=False)
    assert (catalogue.by_id(file).size, catalogue.by_id(file).digest) == (5, D)


async def test_a_file_put_at_the_new_name_of_one_that_has_not_moved_yet_is_another_file(
    catalogue: Catalogue,
) -> None:
    await catalogue.merge(1, [Found(b"x", 3, 1)], seq=1, whole=False)
    await catalogue.rename((b"x",), (b"y",))
    report = await catalogue.merge(1, [Found(b"x", 3, 1), Found(b"y", 3, 1)], seq=2, whole=True)
    assert report.conflicts == ["/y.conflict-n1"]
    assert [replica.loc for replica in catalogue.replicas(catalogue.find((b"y",)).id)] == [b"x"]


async def test_a_conflict_that_is_being_overwritten_outlives_its_last_copy(catalogue: Catalogue) -> None:
    await catalogue.merge(1, [Found(b"x", 3, 1)], seq=1, whole=False)
    await catalogue.merge(2, [Found(b"x", 4, 1)], seq=1, whole=False)
    aside = (b"x.conflict-n2",)
    upload = await catalogue.begin(aside, volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.merge(2, [], seq=2, whole=True)
    await catalogue.commit(upload.id, Sealed(5, 77, None, D), epoch=1)
    assert catalogue.find(aside).state is State.LIVE


async def test_thousands_of_files_in_one_batch_are_all_there(catalogue: Catalogue) -> None:
    files = [Found(b"d%d/%04d" % (number % 7, number), number, 1) for number in range(3000)]
    files.sort(key=lambda found: found.loc)
    assert (await catalogue.merge(1, files, seq=1, whole=True)).created == 3000
    assert (await catalogue.merge(2, files, seq=1, whole=True)).added == 3000
    counts = catalogue.counts()
    assert (counts.files, counts.directories, counts.suspects) == (3000, 7, 3000)
    assert counts.by_volume[2] == (3000, sum(range(3000)))


async def test_a_time_that_no_number_holds_is_no_accident(catalogue: Catalogue) -> None:
    await catalogue.merge(1, [Found(b"x", 1, 2**64), Found(b"y", 1, 1, 2**65)], seq=1, whole=False)
    assert catalogue.find((b"x",)).size == 1


# --- comparing ----


async def test_a_suspect_that_is_equal_becomes_good(catalogue: Catalogue) -> None:
    await catalogue.merge(1, [Found(b"x", 3, 1)], seq=1, whole=False)
    report = await catalogue.merge(2, [Found(b"x", 3, 2)], seq=1, whole=False)
    file = catalogue.find((b"x",)).id
    assert report.compare == catalogue.suspects() == [file]
    assert catalogue.holders(model.ROOT_ID, b"", b"z") == {file: ["n1"]}
    assert await catalogue.compared(file, record.seen(catalogue, file, {1: (7, D), 2: (7, D)})) is None
    entry = catalogue.by_id(file)
    assert (entry.crc32, entry.digest) == (7, D)
    assert {replica.standing for replica in catalogue.replicas(file)} == {Standing.GOOD}
    assert {replica.ver for replica in catalogue.replicas(file)} == {entry.ver}
    assert catalogue.suspects() == []


async def test_a_suspect_that_differs_is_kept_aside_with_its_content(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    await catalogue.merge(1, [Found(b"d/x", 3, 1)], seq=1, whole=False)
    await catalogue.merge(2, [Found(b"d/x", 3, 2)], seq=1, whole=False)
    file = catalogue.find((b"d", b"x")).id
    assert (
        await catalogue.compared(file, record.seen(catalogue, file, {1: (7, D), 2: (8, E)}))
        == "/d/x.conflict-n2"
    )
    aside = catalogue.find((b"d", b"x.conflict-n2"))
    assert (aside.state, aside.digest) == (State.CONFLICT, E)
    assert [replica.loc for replica in catalogue.replicas(aside.id)] == [b"d/x"]
    assert [replica.volume for replica in catalogue.replicas(file)] == [1]
    assert (await catalogue.merge(2, [Found(b"d/x", 3, 2)], seq=2, whole=True)).conflicts == []


async def test_a_comparison_of_an_older_version_says_nothing(catalogue: Catalogue) -> None:
    await catalogue.merge(1, [Found(b"x", 3, 1)], seq=1, whole=False)
    await catalogue.merge(2, [Found(b"x", 3, 2)], seq=1, whole=False)
    entry = catalogue.find((b"x",))
    await catalogue.compared(
        entry.id, record.seen(catalogue, entry.id, {1: (7, D), 2: (7, D)}), ver=entry.ver - 1
    )
    assert catalogue.suspects() == [entry.id]
    await catalogue.compared(
        entry.id, record.seen(catalogue, entry.id, {2: (7, D)}), ver=entry.ver
    )  # nothing good to compare with
    assert catalogue.suspects() == [entry.id]


async def test_suspects_that_cannot_be_compared_do_not_keep_others_waiting(catalogue: Catalogue) -> None:
    for volume in (1, 2):
        files = [Found(b"%d" % number, 3, volume) for number in range(5)]
        await catalogue.merge(volume, files, seq=1, whole=False)
    assert len({file for _ in range(3) for file in catalogue.suspects(2)}) == 5
    assert len(catalogue.suspects(2)) == 2


# --- settling ----


async def test_a_renamed_directory_is_followed_file_by_file(catalogue: Catalogue, clock: Clock) -> None:
    files = [Found(b"a/%d/%d" % (number // 5, number), 1, 1) for number in range(25)]
    await catalogue.merge(1, sorted(files, key=lambda found: found.loc), seq=1, whole=False)
    await catalogue.rename((b"a",), (b"b",))
    moved = {}
    for _ in range(40):
        due = await catalogue.settlements(4, [1])
        moved.update({settlement.loc: settlement.to for settlement in due})
        await catalogue.settled(due)
        clock.forward(30)
    assert moved == {found.loc: b"b" + found.loc[1:] for found in files}
    assert await catalogue.settlements(100, [1]) == []
    replica = catalogue.replicas(catalogue.find((b"b", b"0", b"3")).id)[0]
    assert replica.loc == b"b/0/3"


async def test_a_volume_that_is_away_is_asked_when_it_is_back(catalogue: Catalogue, clock: Clock) -> None:
    await put(catalogue, (b"x",))
    await catalogue.rename((b"x",), (b"y",))
    assert await catalogue.settlements(10, []) == []
    clock.forward(60)
    (due,) = await catalogue.settlements(10, [1])
    assert (due.loc, due.to, due.node, due.size, due.mtime_ns) == (b"x", b"y", "n1", 5, 77)


async def test_what_was_handed_out_is_not_handed_out_again_at_once(
    catalogue: Catalogue, clock: Clock
) -> None:
    await put(catalogue, (b"x",))
    await catalogue.rename((b"x",), (b"y",))
    assert len(await catalogue.settlements(10, [1])) == 1
    assert await catalogue.settlements(10, [1]) == []
    clock.forward(60)
    assert len(await catalogue.settlements(10, [1])) == 1


async def test_a_time_set_over_ftp_reaches_the_disk(catalogue: Catalogue) -> None:
    file = await put(catalogue, (b"x",))
    await catalogue.set_attributes((b"x",), mtime_ns=123)
    (due,) = await catalogue.settlements(10, [1])
    assert (due.loc, due.to, due.mtime_ns) == (b"x", b"x", 123)
    await catalogue.settled([due])
    assert catalogue.replicas(file)[0].mtime_ns == 123
    assert await catalogue.settlements(10, [1]) == []


async def test_a_place_that_stays_taken_is_given_up_after_some_tries(
    catalogue: Catalogue, clock: Clock
) -> None:
    file = await put(catalogue, (b"x",))
    await catalogue.rename((b"x",), (b"y",))
    tries = 0
    for _ in range(20):
        due = await catalogue.settlements(10, [1])
        tries += len(due)
        await catalogue.postponed(due)
        clock.forward(3600)
    assert tries == 8
    assert catalogue.replicas(file)[0].loc == b"x"


async def test_two_files_that_swapped_names_change_places(catalogue: Catalogue, clock: Clock) -> None:
    first, second = await put(catalogue, (b"a",)), await put(catalogue, (b"b",))
    for source, target in [(b"a", b"t"), (b"b", b"a"), (b"t", b"b")]:
        await catalogue.rename((source,), (target,))
    disk = {b"a": first, b"b": second}
    for _ in range(10):
        for due in await catalogue.settlements(10, [1]):
            if due.to in disk:
                await catalogue.postponed([due])
            else:
                disk[due.to] = disk.pop(due.loc)
                await catalogue.settled([due])
        clock.forward(3600)
    assert disk == {b"a": second, b"b": first}


async def test_whichever_report_of_a_move_comes_first_the_place_is_right(catalogue: Catalogue) -> None:
    for told_first in (True, False):
        name = b"told" if told_first else b"listed"
        file = await put(catalogue, (name,))
        ver = catalogue.by_id(file).ver
        await catalogue.merge(1, [Found(name, 5, 77, ver)], seq=1, whole=False)
        await catalogue.rename((name,), (name + b"-new",))
        (due,) = await catalogue.settlements(10, [1])
        listed = [Found(name, 5, 77, gone=True), Found(name + b"-new", 5, 77, ver)]
        if told_first:
            await catalogue.settled([due])
        await catalogue.merge(1, listed, seq=2, whole=False)
        if not told_first:
            await catalogue.settled([due])
        assert [replica.loc for replica in catalogue.replicas(file)] == [name + b"-new"]


async def test_who_was_believed_at_a_place_that_was_free_is_not_there(catalogue: Catalogue) -> None:
    await catalogue.merge(1, [Found(b"y", 3, 1)], seq=1, whole=False)
    stale = catalogue.find((b"y",)).id
    await catalogue.rename((b"y",), (b"z",))
    file = await put(catalogue, (b"x",))
    await catalogue.rename((b"x",), (b"y",))
    due = [settlement for settlement in await catalogue.settlements(10, [1]) if settlement.file == file]
    await catalogue.settled(due)  # the node found y free: somebody had taken it away by hand
    assert [replica.loc for replica in catalogue.replicas(file)] == [b"y"]
    assert catalogue.replicas(stale) == []


async def test_a_name_kept_aside_goes_when_its_only_copy_turns_out_not_to_be_there(
    catalogue: Catalogue,
) -> None:
    await catalogue.merge(2, [Found(b"y", 4, 1)], seq=1, whole=False)
    await catalogue.merge(1, [Found(b"y", 3, 1)], seq=1, whole=False)
    assert catalogue.conflicts() == [(b"y.conflict-n1",)]
    await catalogue.delete((b"y",))
    await put(catalogue, (b"x",))
    await catalogue.rename((b"x",), (b"y",))
    await catalogue.settled(await catalogue.settlements(10, [1]))
    assert catalogue.conflicts() == []


async def test_a_move_that_the_list_has_overtaken_changes_nothing(catalogue: Catalogue) -> None:
    file = await put(catalogue, (b"x",))
    ver = catalogue.by_id(file).ver
    await catalogue.rename((b"x",), (b"y",))
    due = await catalogue.settlements(10, [1])
    moved = [Found(b"x", 5, 77, gone=True), Found(b"by-hand", 5, 77, ver)]
    await catalogue.merge(1, moved, seq=1, whole=False)
    await catalogue.settled(due)
    assert [replica.loc for replica in catalogue.replicas(file)] == [b"by-hand"]


async def test_a_file_put_aside_by_the_node_is_put_in_place_later(catalogue: Catalogue, clock: Clock) -> None:
    file = await put(catalogue, (b"x",))
    ver = catalogue.by_id(file).ver
    await catalogue.merge(1, [Found(model.unplaced(ver), 5, 77, ver)], seq=1, whole=False)
    assert catalogue.replicas(file)[0].loc == model.unplaced(ver)
    (due,) = await catalogue.settlements(10, [1])
    assert due.to == b"x"
