"""Uploads that several volumes take: whose copies count, and who goes on when the first is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

import record
from argosy import errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Companion, Sealed, State, TreePath, Upload

X = (b"x",)
NOW = 1_800_000_000_000_000_000
WHOLE = Sealed(5, 77, 9, b"d" * 16)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=4, clock_ns=lambda: NOW) as catalogue:
        yield catalogue


def companion(number: int, epoch: int = 1) -> Companion:
    return Companion(number, f"n{number}", epoch)


async def begin(
    catalogue: Catalogue,
    along: Sequence[int] = (2,),
    *,
    volume: int = 1,
    resume: bool = False,
    offset: int | None = None,
    path: TreePath = X,
    epochs: Mapping[int, int] = MappingProxyType({}),
) -> Upload:
    return await catalogue.begin(
        path,
        volume=volume,
        node=f"n{volume}",
        epoch=1,
        user="ann",
        resume=resume,
        offset=offset,
        along=[companion(number, epochs.get(number, 1)) for number in along],
    )


def volumes(catalogue: Catalogue, path: TreePath = X) -> list[int]:
    return [replica.volume for replica in catalogue.replicas(catalogue.find(path).id)]


async def verdict(catalogue: Catalogue, volume: int, upload: int, *, sealed: bool = True) -> tuple[int, int]:
    """Say how many of one part are to be put in place, and to be forgotten."""
    found = await catalogue.verdict(volume, [(upload, 5, sealed)])
    return len(found.commit), len(found.forget)


async def test_all_copies_are_there_with_the_commit(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3))
    assert [one.volume for one in upload.companions] == [2, 3]
    entry, replica, _ = await catalogue.commit(upload.id, WHOLE, epoch=1, along=upload.companions)
    assert replica.volume == 1
    copies = catalogue.replicas(entry.id)
    assert [(copy.volume, copy.loc, copy.ver, copy.mtime_ns) for copy in copies] == [
        (number, b"x", upload.id, 77) for number in (1, 2, 3)
    ]


async def test_one_that_could_not_take_it_has_no_copy(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3))
    await catalogue.commit(upload.id, WHOLE, epoch=1, along=upload.companions[1:])
    assert volumes(catalogue) == [1, 3]


async def test_another_one_can_take_it_along_in_the_middle(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.accompany(upload.id, companion(3))
    await catalogue.commit(upload.id, WHOLE, epoch=1, along=[companion(3)])
    assert volumes(catalogue) == [1, 3]
    with pytest.raises(errors.Failed):
        await catalogue.accompany(upload.id, companion(4))


async def test_the_bytes_of_a_node_that_was_restarted_count_no_more(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.register("n2", "boot again")
    with pytest.raises(errors.Unavailable):
        await catalogue.commit(upload.id, WHOLE, epoch=1, along=upload.companions)
    assert catalogue.find(X).state is State.UPLOADING
    await catalogue.accompany(upload.id, companion(2, epoch=2))
    await catalogue.commit(upload.id, WHOLE, epoch=1, along=[companion(2, epoch=2)])
    assert volumes(catalogue) == [1, 2]


async def test_a_node_in_another_life_takes_nothing_along(catalogue: Catalogue) -> None:
    with pytest.raises(errors.Unavailable):
        await catalogue.begin(
            X, volume=1, node="n1", epoch=1, user="ann", resume=False, along=[companion(2, epoch=7)]
        )
    assert catalogue.find_or_none(X) is None


async def test_copies_of_the_old_content_go_wherever_they_are(catalogue: Catalogue) -> None:
    old = await begin(catalogue, (2,))
    await catalogue.commit(old.id, WHOLE, epoch=1, along=old.companions)
    new = await begin(catalogue, (3,), volume=2)
    _, _, discards = await catalogue.commit(new.id, WHOLE, epoch=1, along=new.companions)
    assert {(one.volume, one.ver) for one in discards} == {(1, old.id), (2, old.id)}
    assert volumes(catalogue) == [2, 3]


async def test_who_has_the_old_content_goes_on_from_its_own_copy(catalogue: Catalogue) -> None:
    old = await begin(catalogue, (2,))
    await catalogue.commit(old.id, WHOLE, epoch=1, along=old.companions)
    more = await begin(catalogue, (2, 3), resume=True)
    assert more.base is not None
    bases = [one.base and (one.base.volume, one.base.ver) for one in more.companions]
    assert bases == [(2, old.id), None]


# --- cut


async def test_a_cut_upload_keeps_what_each_has(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3, 4))
    assert not await catalogue.cut(upload.id, 100, {2: 90, 3: 0, 4: None})
    assert catalogue.find(X).size == 100
    again = await begin(catalogue, (2, 4), resume=True)
    assert (again.id, again.received) == (upload.id, 100)
    assert [(one.volume, one.received) for one in again.companions] == [(2, 90), (4, 0)]


async def test_with_the_first_node_gone_it_goes_on_with_the_largest_other_part(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3))
    assert not await catalogue.cut(upload.id, None, {2: 70, 3: 90})
    assert catalogue.find(X).size == 90
    assert catalogue.find(X).state is State.PARTIAL
    with pytest.raises(errors.Unavailable):
        await begin(catalogue, (), resume=True)
    again = await begin(catalogue, (2,), volume=3, resume=True)
    assert (again.id, again.received) == (upload.id, 90)
    assert again.forgotten == ((1, upload.id),), "nobody knows what the first one has"
    assert [(one.volume, one.received) for one in again.companions] == [(2, 70)]
    await catalogue.commit(again.id, WHOLE, epoch=1, along=again.companions)
    assert volumes(catalogue) == [2, 3]
    assert await verdict(catalogue, 1, upload.id, sealed=False) == (0, 0), "a copy may go on with it"


async def test_who_does_not_go_on_with_it_may_forget_its_part(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3))
    await catalogue.cut(upload.id, 100, {2: 100, 3: 100})
    again = await begin(catalogue, (3, 4), resume=True)
    assert again.forgotten == ((2, upload.id),)
    assert [(one.volume, one.received) for one in again.companions] == [(3, 100), (4, 0)]


@pytest.mark.parametrize("end", ["begun anew", "deleted", "replaced", "expired"])
async def test_the_parts_of_an_upload_that_is_given_up_are_all_told(catalogue: Catalogue, end: str) -> None:
    upload = await begin(catalogue, (2, 3))
    await catalogue.cut(upload.id, 100, {2: 100, 3: None})
    match end:
        case "begun anew":
            found = list((await begin(catalogue, ())).forgotten)
        case "deleted":
            found = list((await catalogue.delete(X)).forgotten)
        case "replaced":
            other = await begin(catalogue, (), path=(b"y",))
            await catalogue.commit(other.id, WHOLE, epoch=1)
            found = list((await catalogue.rename((b"y",), X)).forgotten)
        case _:
            found = await catalogue.forget_expired(NOW + 1)
    assert sorted(found) == [(number, upload.id) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        assert await verdict(catalogue, number, upload.id) == (0, 1)


async def test_an_overwrite_that_is_cut_leaves_no_part_anywhere(catalogue: Catalogue) -> None:
    old = await begin(catalogue, (2,))
    await catalogue.commit(old.id, WHOLE, epoch=1, along=old.companions)
    new = await begin(catalogue, (2,))
    assert await catalogue.cut(new.id, 100, {2: 100})
    assert await verdict(catalogue, 2, new.id) == (0, 1)
    assert volumes(catalogue) == [1, 2]


# --- nodes that come back


async def test_a_node_that_comes_back_while_the_upload_runs_keeps_its_part(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.reconcile(2, [], [])
    assert await verdict(catalogue, 2, upload.id, sealed=False) == (0, 0)
    await catalogue.commit(upload.id, WHOLE, epoch=1, along=upload.companions)
    assert volumes(catalogue) == [1, 2]


async def test_a_restarted_node_tells_what_is_left_of_its_part(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3))
    await catalogue.cut(upload.id, 100, {2: None, 3: 80})
    await catalogue.reconcile(2, [(upload.id, 60, False)], [])
    await catalogue.reconcile(3, [], [])
    assert await verdict(catalogue, 2, upload.id, sealed=False) == (0, 0)
    again = await begin(catalogue, (2, 3), resume=True)
    assert [(one.volume, one.received) for one in again.companions] == [(2, 60), (3, 0)]


async def test_a_first_node_that_has_lost_its_part_leaves_it_to_another(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 100, {2: 90})
    assert await catalogue.reconcile(1, [], []) == []
    assert catalogue.find(X).size == 90
    again = await begin(catalogue, (1,), volume=2, resume=True)
    assert (again.received, again.companions[0].received) == (90, 0)


async def test_a_name_whose_parts_are_all_lost_goes(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 100, {2: None})
    assert await catalogue.reconcile(1, [], []) == [(2, upload.id)]
    assert catalogue.find_or_none(X) is None
    assert await verdict(catalogue, 2, upload.id) == (0, 1)


async def test_a_master_that_died_before_the_commit_keeps_the_parts_and_no_copy(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.recover()
    for number in (1, 2):
        await catalogue.register(f"n{number}", "boot again")
        await catalogue.reconcile(number, [(upload.id, 5, True)], [])
        assert await verdict(catalogue, number, upload.id) == (0, 0)
    assert catalogue.find(X).state is State.PARTIAL
    assert volumes(catalogue) == []


@pytest.mark.parametrize("known", [90, None], ids=["known", "unknown"])
async def test_a_master_that_died_in_the_second_try_trusts_no_part_that_may_be_of_the_first(
    catalogue: Catalogue, known: int | None
) -> None:
    upload = await begin(catalogue, (2, 3))
    await catalogue.cut(upload.id, 100, {2: known, 3: 20})
    again = await begin(catalogue, (2, 3), resume=True, offset=20)
    assert [(one.volume, one.received) for one in again.companions] == [(2, known or 0), (3, 20)]
    await catalogue.recover()
    await catalogue.register("n2", "boot again")
    for number, size in ((1, 60), (2, 90), (3, 55)):  # of 2 nobody knows whether it has heard of it
        await catalogue.reconcile(number, [(upload.id, size, False)], [])
    assert await verdict(catalogue, 2, upload.id, sealed=False) == (0, 1)
    third = await begin(catalogue, (2, 3), resume=True, epochs={2: 2})
    assert third.received == 60
    assert [(one.volume, one.received) for one in third.companions] == [(2, 0), (3, 55)]


async def test_a_master_that_died_in_the_second_try_shows_no_part_of_the_first_in_place_of_it(
    catalogue: Catalogue,
) -> None:
    upload = await begin(catalogue, (2,))
    await catalogue.cut(upload.id, 100, {2: 90})
    await begin(catalogue, (2,), resume=True, offset=20)
    await catalogue.recover()
    assert await catalogue.reconcile(1, [], []) == [(2, upload.id)]
    assert catalogue.find_or_none(X) is None


async def test_a_master_that_died_after_the_commit_puts_all_in_place(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.commit(upload.id, WHOLE, epoch=1, along=upload.companions)
    await catalogue.recover()
    for number in (1, 2):
        await catalogue.reconcile(number, [(upload.id, 5, True)], [])
        assert await verdict(catalogue, number, upload.id) == (1, 0)


async def test_one_that_was_late_and_is_whole_becomes_a_copy_all_the_same(catalogue: Catalogue) -> None:
    upload = await begin(catalogue, (2, 3))
    await catalogue.commit(upload.id, WHOLE, epoch=1, along=upload.companions[:1])
    assert await verdict(catalogue, 3, upload.id) == (1, 0)
    assert volumes(catalogue) == [1, 2, 3]


async def test_a_report_of_a_part_that_another_master_asked_for_costs_nothing(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 5, {2: 5})
    told = await catalogue.add_copies(2, "n2", 1, [(upload.id, WHOLE)])
    assert (told.commit, told.forget) == ((), ())
    told = await catalogue.add_copies(3, "n3", 1, [(upload.id, WHOLE)])
    assert told.forget == (upload.id,)
