"""Uploads: what is seen while they run, what is kept when they are cut, whose bytes count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy import config, errors
from argosy.catalogue import model
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import ROOT_ID, Found, Sealed, State, TreePath, Upload, Verdict

X = (b"x",)
NOW = 1_800_000_000_000_000_000


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=2, clock_ns=lambda: NOW) as catalogue:
        yield catalogue


async def begin(
    catalogue: Catalogue, path: TreePath = X, volume: int = 1, *, epoch: int = 1, resume: bool = False
) -> Upload:
    return await catalogue.begin(
        path, volume=volume, node=f"n{volume}", epoch=epoch, user="ann", resume=resume
    )


def sealed(size: int = 5, mtime_ns: int = 77) -> Sealed:
    return Sealed(size, mtime_ns, 9, b"d" * 16)


async def put(catalogue: Catalogue, path: TreePath = X, volume: int = 1, size: int = 5) -> Upload:
    upload = await begin(catalogue, path, volume)
    await catalogue.commit(upload.id, sealed(size), epoch=1)
    return upload


async def test_a_name_is_taken_while_its_first_content_arrives(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    assert catalogue.find(X).state is State.UPLOADING
    assert catalogue.replicas(upload.file) == []
    with pytest.raises(errors.Busy):
        await begin(catalogue)
    with pytest.raises(errors.Busy):
        await catalogue.delete(X)


async def test_a_committed_upload_is_the_file(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    entry, replica, discards = await catalogue.commit(upload.id, sealed(), epoch=1)
    assert (entry.state, entry.ver, entry.size, entry.mtime_ns) == (State.LIVE, upload.id, 5, 77)
    assert (entry.crc32, entry.digest, entry.owner) == (9, b"d" * 16, "ann")
    assert (replica.volume, replica.loc, replica.ver) == (1, b"x", upload.id)
    assert catalogue.replicas(entry.id) == [replica]
    assert discards == []


async def test_the_old_content_stays_readable_until_the_new_is_committed(catalogue: Catalogue) -> None:
    old = await put(catalogue)
    new = await begin(catalogue, volume=2)
    assert new.file == old.file
    assert (catalogue.find(X).ver, catalogue.find(X).state) == (old.id, State.LIVE)
    assert [replica.ver for replica in catalogue.replicas(old.file)] == [old.id]
    _, _, discards = await catalogue.commit(new.id, sealed(6), epoch=1)
    assert [(discard.volume, discard.ver) for discard in discards] == [(1, old.id)]
    assert [replica.volume for replica in catalogue.replicas(old.file)] == [2]
    assert catalogue.tombs(1) == discards


async def test_a_cut_overwrite_leaves_the_old_file_and_no_part(catalogue: Catalogue) -> None:
    old = await put(catalogue)
    new = await begin(catalogue)
    assert await catalogue.cut(new.id, 3)
    assert catalogue.find(X).ver == old.id
    await put(catalogue)


async def test_a_cut_upload_is_kept_and_gone_on_with_on_its_volume(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    assert not await catalogue.cut(upload.id, 3)
    entry = catalogue.find(X)
    assert (entry.state, entry.size) == (State.PARTIAL, 3)
    partial = catalogue.partial(entry.id)
    assert partial is not None
    assert (partial.id, partial.volume, partial.received) == (upload.id, 1, 3)
    with pytest.raises(errors.Unavailable):
        await begin(catalogue, volume=2, resume=True)
    again = await begin(catalogue, resume=True)
    assert (again.id, again.received, again.base) == (upload.id, 3, None)
    assert catalogue.partial(entry.id) is None
    await catalogue.commit(again.id, sealed(), epoch=1)
    assert catalogue.find(X).state is State.LIVE


async def test_starting_afresh_forgets_the_part(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 3)
    again = await begin(catalogue, volume=2)
    assert again.id != upload.id
    assert again.forgotten == ((1, upload.id),)
    assert catalogue.find(X).state is State.UPLOADING
    with pytest.raises(errors.Failed):
        await catalogue.commit(upload.id, sealed(), epoch=1)


async def test_an_upload_that_got_nothing_leaves_no_name(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    assert await catalogue.cut(upload.id, 0)
    assert catalogue.find_or_none(X) is None


async def test_a_partial_file_can_be_deleted_and_its_part_is_forgotten(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 3)
    removal = await catalogue.delete(X)
    assert (removal.forgotten, removal.discards) == (((1, upload.id),), ())
    assert catalogue.find_or_none(X) is None


async def test_appending_goes_on_from_the_copy_on_the_same_volume(catalogue: Catalogue) -> None:
    old = await put(catalogue)
    with pytest.raises(errors.Unavailable):
        await begin(catalogue, volume=2, resume=True)
    new = await begin(catalogue, resume=True)
    assert new.base is not None
    assert (new.base.ver, new.base.loc, new.base.size) == (old.id, b"x", 5)


async def test_bytes_of_another_life_of_the_node_do_not_count(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.register("n1", "another")
    for epoch in (1, 2):
        with pytest.raises(errors.Failed):
            await catalogue.commit(upload.id, sealed(), epoch=epoch)
    assert catalogue.find(X).state is State.UPLOADING
    with pytest.raises(errors.Unavailable):
        await begin(catalogue, (b"y",), epoch=1)


async def test_an_upload_is_committed_once(catalogue: Catalogue) -> None:
    upload = await put(catalogue)
    with pytest.raises(errors.Failed):
        await catalogue.commit(upload.id, sealed(), epoch=1)


async def test_a_file_renamed_while_it_arrives_lands_under_its_new_name(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.make_directory((b"d",), owner="ann")
    await catalogue.rename(X, (b"d", b"y"))
    entry, replica, _ = await catalogue.commit(upload.id, sealed(), epoch=1)
    assert catalogue.path_of(entry.id) == (b"d", b"y")
    assert replica.loc == b"d/y"


async def test_a_place_that_another_file_holds_is_not_taken_from_it(catalogue: Catalogue) -> None:
    await put(catalogue)
    await catalogue.rename(X, (b"y",))  # and still lies at x on the disk
    upload = await begin(catalogue)
    _, replica, _ = await catalogue.commit(upload.id, sealed(), epoch=1)
    assert replica.loc == model.unplaced(upload.id)
    wanted = {settlement.loc: settlement.to for settlement in await catalogue.settlements(10, [1])}
    assert wanted == {b"x": b"y", replica.loc: b"x"}


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ((b"d",), errors.IsADirectory),
        ((b"none", b"x"), errors.NotFound),
        ((b"f", b"x"), errors.NotADirectory),
        ((b"..",), errors.NameNotAllowed),
        ((), errors.NameNotAllowed),
    ],
)
async def test_an_upload_to_where_no_file_can_be_is_refused(
    catalogue: Catalogue, path: TreePath, refusal: type[errors.Refused]
) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    await put(catalogue, (b"f",))
    with pytest.raises(refusal):
        await begin(catalogue, path)
    assert [entry.name for entry in catalogue.children(ROOT_ID)] == [b"d", b"f"]


async def test_expired_parts_are_forgotten_with_their_names(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 3)
    running = await begin(catalogue, (b"y",))
    assert await catalogue.forget_expired(NOW) == []
    assert await catalogue.forget_expired(NOW + 1) == [(1, upload.id)]
    assert catalogue.find_or_none(X) is None
    await catalogue.commit(running.id, sealed(), epoch=1)


async def test_a_master_that_starts_again_keeps_what_arrived_and_old_contents(catalogue: Catalogue) -> None:
    old = await put(catalogue)
    over, new = await begin(catalogue), await begin(catalogue, (b"y",))
    await catalogue.recover()
    assert (catalogue.find(X).state, catalogue.find(X).ver) == (State.LIVE, old.id)
    assert catalogue.find((b"y",)).state is State.PARTIAL
    verdict = await came_back(catalogue, 1, [(over.id, 4, False), (new.id, 2, False)])
    assert (verdict.commit, verdict.forget) == ((), (over.id,))
    assert catalogue.find((b"y",)).size == 2


# --- a volume comes back with its parts ----


async def came_back(catalogue: Catalogue, volume: int, parts: list[tuple[int, int, bool]]) -> Verdict:
    await catalogue.reconcile(volume, parts, [])
    return await catalogue.verdict(volume, parts)


async def test_a_committed_part_is_put_in_place(catalogue: Catalogue) -> None:
    upload = await put(catalogue)
    verdict = await came_back(catalogue, 1, [(upload.id, 5, True)])
    assert [one[:3] for one in verdict.commit] == [(upload.id, b"x", 77)]
    assert verdict.forget == ()


async def test_a_sealed_part_that_was_not_acknowledged_is_kept_as_partial(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, None)
    verdict = await came_back(catalogue, 1, [(upload.id, 5, True)])
    assert (verdict.commit, verdict.forget) == ((), ())
    assert (catalogue.find(X).state, catalogue.find(X).size) == (State.PARTIAL, 5)


async def test_parts_that_nobody_knows_are_forgotten(catalogue: Catalogue) -> None:
    verdict = await came_back(catalogue, 1, [(123, 5, False), (124, 5, True)])
    assert verdict.forget == (123, 124)


async def test_a_part_of_another_volumes_upload_is_a_stray(catalogue: Catalogue) -> None:
    upload = await begin(catalogue)
    await catalogue.cut(upload.id, 3)
    assert (await came_back(catalogue, 2, [(upload.id, 3, False)])).forget == (upload.id,)
    assert catalogue.find(X).state is State.PARTIAL


async def test_a_name_whose_part_is_lost_goes(catalogue: Catalogue) -> None:
    lost, running = await begin(catalogue), await begin(catalogue, (b"y",))
    elsewhere = await begin(catalogue, (b"z",), volume=2)
    for upload in (lost, elsewhere):
        await catalogue.cut(upload.id, 3)
    await catalogue.reconcile(1, [], [running.id])
    assert [entry.name for entry in catalogue.children(ROOT_ID)] == [b"y", b"z"]
    await catalogue.commit(running.id, sealed(), epoch=1)


async def test_an_upload_that_runs_while_its_volume_comes_back_goes_on(catalogue: Catalogue) -> None:
    known, unknown = await begin(catalogue), await begin(catalogue, (b"y",))
    await catalogue.reconcile(1, [(known.id, 0, False)], [known.id])  # the other began after this was listed
    for upload in (known, unknown):
        await catalogue.commit(upload.id, sealed(), epoch=1)


async def test_an_upload_of_an_earlier_life_of_its_node_that_nobody_runs_is_cut(catalogue: Catalogue) -> None:
    kept, lost = await begin(catalogue), await begin(catalogue, (b"y",))
    await catalogue.register("n1", "another")
    await catalogue.reconcile(1, [(kept.id, 3, False)], [])
    assert (catalogue.find(X).state, catalogue.find(X).size) == (State.PARTIAL, 3)
    assert catalogue.find_or_none((b"y",)) is None
    assert await catalogue.cut(lost.id, 3)


async def test_the_parts_of_a_volume_that_came_back_are_judged_by_what_became_of_them_since(
    catalogue: Catalogue,
) -> None:
    longer, whole, gone = [await begin(catalogue, (name,)) for name in (b"a", b"b", b"c")]
    listed = [(upload.id, 3, False) for upload in (longer, whole, gone)]
    for number, size, _ in listed:
        await catalogue.cut(number, size)
    await catalogue.reconcile(1, listed, [])
    for name in (b"a", b"b"):
        await begin(catalogue, (name,), resume=True)
    await catalogue.cut(longer.id, 7)
    await catalogue.commit(whole.id, sealed(), epoch=1)
    await catalogue.delete((b"c",))
    verdict = await catalogue.verdict(1, listed)
    assert (verdict.commit, verdict.forget) == ((), (gone.id,))
    assert catalogue.find((b"a",)).size == 7
    assert catalogue.find((b"b",)).state is State.LIVE


async def test_who_is_cancelled_while_beginning_leaves_the_name_free(catalogue: Catalogue) -> None:
    task = asyncio.ensure_future(begin(catalogue))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await begin(catalogue)


async def test_a_part_whose_copy_was_given_up_is_a_copy_again(catalogue: Catalogue) -> None:
    upload = await put(catalogue)
    await catalogue.reconcile(1, [], [])  # the volume came back without: its list must show the file
    await catalogue.merge(1, [], seq=1, whole=True)
    assert catalogue.replicas(upload.file) == []
    verdict = await came_back(catalogue, 1, [(upload.id, 5, True)])
    assert [one[:3] for one in verdict.commit] == [(upload.id, b"x", 77)]
    assert [replica.ver for replica in catalogue.replicas(upload.file)] == [upload.id]


async def test_a_list_read_before_an_upload_was_in_place_does_not_lose_it(catalogue: Catalogue) -> None:
    upload = await put(catalogue)
    await catalogue.merge(1, [], seq=1, whole=True)
    await catalogue.merge(1, [Found(b"x", 1, 1, gone=True)], seq=2, whole=False)
    await catalogue.merge(1, [Found(b"x", 1, 1)], seq=3, whole=False)
    assert catalogue.find(X).ver == upload.id
    assert len(catalogue.replicas(upload.file)) == 1
    await catalogue.merge(1, [Found(b"x", 5, 77, upload.id)], seq=4, whole=False)
    await catalogue.merge(1, [Found(b"x", 5, 77, gone=True)], seq=5, whole=False)
    assert catalogue.replicas(upload.file) == []


async def test_a_cut_replacement_can_only_be_sent_whole_also_after_a_restart(tmp_path: Path) -> None:
    table = config.Catalogue(directory=str(tmp_path))
    first = Catalogue(table)
    await first.open()
    await first.register("n1", "boot")
    await first.attach("1" * 32, "n1")
    for path in (X, (b"y",)):
        await put(first, path)
    await first.cut((await begin(first, X)).id, 3)
    await begin(first, (b"y",))  # under way when the master dies
    await first.close()
    catalogue = Catalogue(table)
    await catalogue.open()
    try:
        await catalogue.recover()
        for path in (X, (b"y",)):
            with pytest.raises(errors.Denied):
                await begin(catalogue, path, resume=True)
            await put(catalogue, path)
            assert (await begin(catalogue, path, resume=True)).base is not None
    finally:
        await catalogue.close()


async def test_a_replacement_of_which_nothing_arrived_changes_nothing(
    catalogue: Catalogue,
) -> None:
    await put(catalogue)
    await catalogue.cut((await begin(catalogue)).id, 0)
    going_on = await begin(catalogue, resume=True)
    assert going_on.base is not None
    await catalogue.cut(going_on.id, 7)
    assert (await begin(catalogue, resume=True)).base is not None


async def test_a_node_is_told_to_give_up_what_lay_last_in_an_uploads_place(catalogue: Catalogue) -> None:
    versions = [(await put(catalogue)).id for _ in range(3)]
    assert [one.ver for one in catalogue.tombs(1)] == versions[:2]
    told = await catalogue.verdict(1, [(versions[2], 5, True)])
    assert [(one.loc, one.replaces) for one in told.commit] == [(b"x", versions[1])]
