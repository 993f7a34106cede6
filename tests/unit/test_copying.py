"""What the catalogue makes of copies that arrived, and of parts of copies that were cut."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy import config, errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Entry, Found, Sealed, Standing, Verdict
from argosy.cluster.copies.copying import Batch, Copier, Item
from argosy.cluster.nodes.roster import Roster

SUMS = (7, b"d" * 16)
SEALED = Sealed(5, 99, *SUMS)
F = (b"f",)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        yield catalogue


async def put(catalogue: Catalogue, sums: tuple[int | None, bytes | None] = SUMS) -> Entry:
    """Upload /f to the first node."""
    upload = await catalogue.begin(F, volume=1, node="n1", epoch=1, user="ann", resume=False)
    entry, _, _ = await catalogue.commit(upload.id, Sealed(5, 77, *sums), epoch=1)
    return entry


async def add(catalogue: Catalogue, ver: int, sealed: Sealed = SEALED) -> Verdict:
    """Have a copy arrive at the second node."""
    return await catalogue.add_copies(2, "n2", 1, [(ver, sealed)])


def volumes(catalogue: Catalogue, file: int) -> list[int]:
    return [replica.volume for replica in catalogue.replicas(file)]


async def test_a_copy_becomes_a_good_replica_at_the_files_path_with_its_time(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    (placement,) = (await add(catalogue, entry.ver)).commit
    assert placement[:4] == (entry.ver, b"f", 77, entry.id)
    _, copy = catalogue.replicas(entry.id)
    assert (copy.volume, copy.ver, copy.standing, copy.mtime_ns) == (2, entry.ver, Standing.GOOD, 77)


async def test_a_copy_that_is_told_of_twice_is_the_same_copy(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    first, second = await add(catalogue, entry.ver), await add(catalogue, entry.ver)
    assert [one[:4] for one in first.commit] == [one[:4] for one in second.commit]
    assert volumes(catalogue, entry.id) == [1, 2]


async def test_a_copy_of_a_replaced_version_is_forgotten(catalogue: Catalogue) -> None:
    before = await put(catalogue)
    now = await put(catalogue)
    assert now.id == before.id
    assert await add(catalogue, before.ver) == Verdict(forget=(before.ver,))
    assert volumes(catalogue, now.id) == [1]


async def test_a_copy_of_a_deleted_file_is_forgotten(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    await catalogue.delete(F)
    assert await add(catalogue, entry.ver) == Verdict(forget=(entry.ver,))
    assert catalogue.find_or_none(F) is None


async def test_a_copy_of_a_renamed_file_lies_at_its_new_path(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    await catalogue.rename(F, (b"g",))
    (placement,) = (await add(catalogue, entry.ver)).commit
    assert (placement.loc, placement.path) == (b"g", b"")


async def test_a_copy_whose_place_is_taken_waits_beside_it(catalogue: Catalogue) -> None:
    await catalogue.merge(2, [Found(b"g", 9, 1)], seq=1, whole=False)
    entry = await put(catalogue)
    await catalogue.delete((b"g",))
    await catalogue.merge(2, [Found(b"f", 9, 1)], seq=2, whole=False)  # by hand, kept aside as a conflict
    (placement,) = (await add(catalogue, entry.ver)).commit
    assert (placement.loc, placement.path) == (b".argosy/unplaced/%016x" % entry.ver, b"f")


@pytest.mark.parametrize(
    "sealed",
    [Sealed(6, 99, *SUMS), Sealed(5, 99, 8, SUMS[1]), Sealed(5, 99, SUMS[0], b"e" * 16)],
    ids=["size", "crc32", "digest"],
)
async def test_a_copy_that_differs_from_the_record_is_forgotten(catalogue: Catalogue, sealed: Sealed) -> None:
    entry = await put(catalogue)
    assert await add(catalogue, entry.ver, sealed) == Verdict(forget=(entry.ver,))


async def test_a_file_without_checksums_learns_them_from_its_copy(catalogue: Catalogue) -> None:
    entry = await put(catalogue, (None, None))
    await add(catalogue, entry.ver)
    assert (catalogue.find(F).crc32, catalogue.find(F).digest) == SUMS


async def test_a_volume_with_a_suspect_of_the_file_takes_no_copy_beside_it(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    await catalogue.merge(2, [Found(b"f", 5, 1)], seq=1, whole=False)
    assert [replica.standing for replica in catalogue.replicas(entry.id)] == [Standing.GOOD, Standing.SUSPECT]
    assert await add(catalogue, entry.ver) == Verdict(forget=(entry.ver,))


async def test_bytes_of_an_earlier_life_of_the_node_do_not_count(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    await catalogue.register("n2", "another boot")
    with pytest.raises(errors.Unavailable):
        await add(catalogue, entry.ver)
    # But its next join brings the sealed part.
    verdict = await catalogue.verdict(2, [(entry.ver, 5, True)])
    assert [one[:3] for one in verdict.commit] == [(entry.ver, b"f", 77)]
    assert volumes(catalogue, entry.id) == [1, 2]


async def test_a_cut_copy_may_be_gone_on_with_while_its_file_is_the_same(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    part = [(entry.ver, 3, False)]
    assert await catalogue.verdict(2, part) == Verdict(copies=((entry.ver, 3),))
    await add(catalogue, entry.ver)
    await catalogue.placed(2, [entry.ver])
    assert await catalogue.verdict(2, part) == Verdict(forget=(entry.ver,)), "the volume has it"
    await catalogue.delete(F)
    assert await catalogue.verdict(2, part) == Verdict(forget=(entry.ver,)), "nobody wants it"


async def test_a_copy_that_waits_for_its_place_is_no_part_to_forget(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    await add(catalogue, entry.ver)
    assert await catalogue.verdict(2, [(entry.ver, 3, False)]) == Verdict()


async def test_a_batch_whose_nodes_are_away_fails_file_by_file(catalogue: Catalogue) -> None:
    entry = await put(catalogue)
    copier = Copier(config.Master(), catalogue, Roster())
    outcomes = await copier.copy(Batch(1, 2, (Item(entry, catalogue.replicas(entry.id)[0]),)))
    assert [type(outcome.refusal) for outcome in outcomes] == [errors.Unavailable]
    assert (copier.files, copier.room("n1")) == (0, 2)
