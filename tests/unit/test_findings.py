"""Bad copies: whatever is read of them, in whatever order, the last bytes of a file stay where they are."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import record
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Discard, Found, Sealed, Standing
from argosy.catalogue.proof import Became, Observed, Verdict

RIGHT, WRONG = (7, b"r" * 16), (8, b"w" * 16)
F = (b"f",)

READINGS = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["right", "wrong", "missing", "unreadable"])), max_size=8
)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=3) as catalogue:
        yield catalogue


async def put(catalogue: Catalogue, copies: int = 3) -> int:
    """Store a file and copy it to the first volumes; give its FileId."""
    upload = await catalogue.begin(F, volume=1, node="n1", epoch=1, user="ann", resume=False)
    entry, _, _ = await catalogue.commit(upload.id, Sealed(5, 77, *RIGHT), epoch=1)
    for volume in range(2, copies + 1):
        await copy(catalogue, volume)
    return entry.id


async def copy(catalogue: Catalogue, volume: int) -> None:
    sealed = Sealed(5, 77, *RIGHT)
    await catalogue.add_copies(volume, f"n{volume}", 1, [(catalogue.find(F).ver, sealed)])


def seen(volume: int, what: str) -> Observed:
    match what:
        case "right":
            return Observed(volume, b"f", 0, 5, *RIGHT)
        case "wrong":
            return Observed(volume, b"f", 0, 5, *WRONG)
        case "missing":
            return Observed(volume, b"f", 0, 5, trouble="missing")
    return Observed(volume, b"f", 0, 5, trouble="unreadable")


def standings(catalogue: Catalogue, file: int) -> dict[int, Standing]:
    return {copy.volume: copy.standing for copy in catalogue.replicas(file)}


def owed(catalogue: Catalogue) -> list[Discard]:
    return [tomb for volume in (1, 2, 3) for tomb in catalogue.tombs(volume)]


@given(st.integers(1, 3), READINGS)
@settings(max_examples=40, deadline=None)
def test_bytes_are_moved_only_while_a_good_copy_is_here(copies: int, readings: list[tuple[int, str]]) -> None:
    async def run(directory: Path) -> None:
        async with record.opened(directory, nodes=3) as catalogue:
            file = await put(catalogue, copies)
            for volume, what in readings:
                before = standings(catalogue, file)
                (verdict,) = await catalogue.judge([seen(volume, what)], "verify")
                after = standings(catalogue, file)
                assert after, "the last one stays"
                expected = Verdict.GOOD if what == "right" else Verdict.BAD
                assert verdict is (expected if volume in before else Verdict.STALE)
                if Standing.GOOD in after.values():
                    assert Standing.BAD not in after.values(), "it was moved aside"
                if after.get(volume) is Standing.GOOD:
                    assert what == "right" or before[volume] is Standing.GOOD
            moved = {tomb.finding for tomb in owed(catalogue)}
            assert 0 not in moved
            told = {one.id for one in catalogue.findings(60, 99) if one.became is Became.OWED}
            assert moved == told
            for number in (1, 2, 3):
                await catalogue.buried(number, catalogue.tombs(number))
            assert not [one for one in catalogue.findings(60, 99) if one.became is Became.OWED]

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


async def test_a_bad_copy_waits_for_the_other_to_be_here_again(catalogue: Catalogue) -> None:
    file = await put(catalogue, 2)
    await catalogue.departed([2])
    await catalogue.judge([seen(1, "wrong")], "scrub")
    assert standings(catalogue, file) == {1: Standing.BAD, 2: Standing.GOOD}
    assert await catalogue.review() == 0
    await catalogue.returned([2])
    assert await catalogue.review() == 1
    assert [tomb.volume for tomb in owed(catalogue)] == [1]
    assert standings(catalogue, file) == {2: Standing.GOOD}


async def test_a_copy_that_is_read_right_later_counts_again(catalogue: Catalogue) -> None:
    file = await put(catalogue, 1)
    await catalogue.judge([seen(1, "unreadable")], "scrub")
    assert catalogue.counts().damaged == 1
    await catalogue.judge([seen(1, "unreadable")], "recheck")  # told once
    (found,) = catalogue.findings(60, 9)
    assert (found.trouble, found.cause, found.became) == ("unreadable", "scrub", Became.FOUND)
    await catalogue.judge([seen(1, "right")], "recheck")
    assert standings(catalogue, file) == {1: Standing.GOOD}
    assert catalogue.findings(60, 9)[0].became is Became.HEALED


async def test_the_last_copy_is_told_as_overtaken_as_soon_as_the_file_is_uploaded_again(
    catalogue: Catalogue,
) -> None:
    await put(catalogue, 1)
    await catalogue.judge([seen(1, "wrong")], "scrub")
    assert catalogue.findings(60, 9)[0].became is Became.FOUND
    await put(catalogue, 1)
    assert catalogue.findings(60, 9)[0].became is Became.OVERTAKEN


async def test_a_deletion_that_is_refused_is_put_off_and_tried_at_the_next_join(catalogue: Catalogue) -> None:
    await put(catalogue, 1)
    await catalogue.delete(F)
    (tomb,) = catalogue.tombs(1)
    await catalogue.put_off([tomb])
    assert catalogue.tombs(1) == []
    assert catalogue.counts().tombstones == 1
    await catalogue.retry_tombs(1)
    assert catalogue.tombs(1) == [tomb]


async def test_what_is_in_the_quarantine_stays_while_no_good_copy_can_be_reached(
    catalogue: Catalogue,
) -> None:
    await put(catalogue, 2)
    await catalogue.judge([seen(1, "wrong")], "scrub")
    await catalogue.buried(1, catalogue.tombs(1))
    (found,) = catalogue.findings(60, 9)
    assert found.became is Became.QUARANTINED
    assert catalogue.overdue(1, 3600, 0) == []
    assert catalogue.overdue(1, 0, 0) == [found.id]
    assert catalogue.overdue(1, 3600, 4) == [found.id], "there is room for four bytes"
    await catalogue.departed([2])
    assert catalogue.overdue(1, 0, 0) == []
    await catalogue.delete(F)
    assert catalogue.overdue(1, 0, 0) == [found.id], "nobody wants it any more"


async def test_no_copy_shall_come_to_a_bad_ones_place_before_that_is_moved_aside(
    catalogue: Catalogue,
) -> None:
    file = await put(catalogue, 2)
    await catalogue.judge([seen(1, "wrong")], "scrub")
    (stock,) = catalogue.stocks([file])
    assert stock.owed == {1}
    await catalogue.buried(1, catalogue.tombs(1))
    (stock,) = catalogue.stocks([file])
    assert stock.owed == set()
    await copy(catalogue, 1)
    assert standings(catalogue, file) == {1: Standing.GOOD, 2: Standing.GOOD}


async def test_nothing_is_owed_any_more_for_what_was_found_on_a_volume_that_is_struck(
    catalogue: Catalogue,
) -> None:
    await put(catalogue, 2)
    await catalogue.judge([seen(2, "wrong")], "verify")
    assert [one.became for one in catalogue.findings(60, 9)] == [Became.OWED]
    await catalogue.departed([2])
    await catalogue.strike(2, accept_losses=False)
    assert not owed(catalogue)
    assert [(one.volume, one.became) for one in catalogue.findings(60, 9)] == [(2, Became.GONE)]


async def grown(catalogue: Catalogue) -> int:
    """Store a file of which the CRC-32 alone is known, as after an append; give its version."""
    upload = await catalogue.begin(F, volume=1, node="n1", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(5, 77, RIGHT[0], None), epoch=1)
    return upload.id


@pytest.mark.parametrize("by", ["reading", "list"])
@pytest.mark.parametrize("what", ["right", "wrong"])
async def test_a_file_that_grew_learns_its_digest_from_who_has_its_crc_and_from_nobody_else(
    catalogue: Catalogue, by: str, what: str
) -> None:
    ver = await grown(catalogue)
    if by == "reading":
        await catalogue.judge([seen(1, what)], "scrub")
    else:
        told = Found(b"f", 5, 77, ver, *(RIGHT if what == "right" else WRONG))
        await catalogue.merge(1, [told], seq=1, whole=False)
    entry = catalogue.find(F)
    assert (entry.crc32, entry.digest) == (RIGHT if what == "right" else (RIGHT[0], None))
    (copy,) = catalogue.replicas(entry.id)
    assert (copy.standing is Standing.GOOD) is (what == "right")
