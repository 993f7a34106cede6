"""Quotas: what is counted, for whom, and what still fits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy import config, errors
from argosy.accounts.ledger import UNLIMITED, Holder, Ledger, Limit, Place, limits
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Sealed, TreePath
from argosy.catalogue.people import Use

SECTIONS = {
    "all": config.Section(path="/"),
    "video": config.Section(path="/video", quota_bytes=100),
    "old": config.Section(path="/video/old"),
    "none": config.Section(path="/none"),
}


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=1) as catalogue:
        for path in ((b"video",), (b"video", b"old"), (b"video", b"new"), (b"other",)):
            await catalogue.make_directory(path, owner="ann")
        yield catalogue


async def put(catalogue: Catalogue, path: TreePath, user: str, group: str, size: int) -> None:
    upload = await catalogue.begin(path, volume=1, node="n1", epoch=1, user=user, group=group, resume=False)
    await catalogue.commit(upload.id, Sealed(size, 77, 7, b"d" * 16), epoch=1)


async def test_files_count_for_owner_group_and_deepest_section(catalogue: Catalogue) -> None:
    await put(catalogue, (b"video", b"a"), "ann", "staff", 1)
    await put(catalogue, (b"video", b"new", b"b"), "ann", "staff", 10)
    await put(catalogue, (b"video", b"old", b"c"), "bob", "staff", 100)
    await put(catalogue, (b"other", b"d"), "bob", "crew", 1_000)
    await catalogue.begin((b"video", b"arriving"), volume=1, node="n1", epoch=1, user="ann", resume=False)
    ledger = Ledger(catalogue, SECTIONS)
    await ledger.ready()
    uses = {
        ("user", "ann"): Use(2, 11),
        ("user", "bob"): Use(2, 1_100),
        ("user", "nobody"): Use(),
        ("group", "staff"): Use(3, 111),
        ("group", "crew"): Use(1, 1_000),
        ("section", "all"): Use(1, 1_000),
        ("section", "video"): Use(2, 11),
        ("section", "old"): Use(1, 100),
        ("section", "none"): Use(),
    }
    assert {holder: ledger.use(Holder(*holder)) for holder in uses} == uses


async def test_what_is_noted_is_what_the_next_count_finds(catalogue: Catalogue) -> None:
    ledger, place = Ledger(catalogue, SECTIONS), Place("ann", "staff", "video")
    await put(catalogue, (b"video", b"a"), "ann", "staff", 5)
    ledger.note(place, Use(1, 5))  # nobody has asked yet: it will be counted
    await ledger.ready()
    await put(catalogue, (b"video", b"b"), "ann", "staff", 7)
    ledger.note(place, Use(1, 7))
    await catalogue.delete((b"video", b"a"))
    ledger.note(place, Use(-1, -5))
    noted = [ledger.use(holder) for holder in place.holders()]
    await ledger.count()
    assert noted == [ledger.use(holder) for holder in place.holders()] == [Use(1, 7)] * 3


async def test_the_smallest_of_the_limits_counts(catalogue: Catalogue) -> None:
    await put(catalogue, (b"video", b"a"), "ann", "staff", 60)
    ledger = Ledger(catalogue, SECTIONS)
    await ledger.ready()
    ann, group, video = Holder("user", "ann"), Holder("group", "staff"), Holder("section", "video")
    assert ledger.room([], Use()) == UNLIMITED
    assert ledger.room([Limit(ann, 0, 5)], Use()) == UNLIMITED
    assert ledger.room([Limit(ann, 100, 0), Limit(group, 70, 0), Limit(video, 90, 0)], Use()) == 10
    assert ledger.room([Limit(ann, 60, 1)], Use(1, 60)) == 60  # what is replaced gives way
    with pytest.raises(errors.OverQuota, match="user ann has 60 of 60 bytes"):
        ledger.room([Limit(ann, 60, 0)], Use())
    with pytest.raises(errors.OverQuota, match="group staff has 1 of 1 files"):
        ledger.room([Limit(group, 0, 1)], Use())


async def test_room_that_a_file_is_just_getting_is_not_given_to_another(catalogue: Catalogue) -> None:
    await put(catalogue, (b"video", b"a"), "ann", "staff", 60)
    ledger, place = Ledger(catalogue, SECTIONS), Place("ann", "staff", "video")
    await ledger.ready()
    held = [Limit(Holder("user", "ann"), 100, 0)]
    with ledger.promised(held, place, Use(), Use(1, 30)):
        assert ledger.room(held, Use()) == 10
        with pytest.raises(errors.OverQuota), ledger.promised(held, place, Use(), Use(1, 11)):
            pytest.fail("it doesn't fit")
        with pytest.raises(OSError, match="disk"), ledger.promised(held, place, Use(), Use(1, 10)):
            raise OSError("disk")
        assert ledger.room(held, Use()) == 10
    assert ledger.use(Holder("user", "ann")) == Use(2, 90)
    assert ledger.room(held, Use()) == 10


def test_who_replaces_anothers_file_is_held_to_the_sections_quota() -> None:
    ann = Account(name="ann", groups=("staff",), quota_bytes=5, total_files=7)
    own, others = Place("ann", "staff", "video"), Place("bob", "crew", "video")
    assert limits(ann, own, SECTIONS["video"]) == [
        Limit(Holder("user", "ann"), 5, 0),
        Limit(Holder("group", "staff"), 0, 7),
        Limit(Holder("section", "video"), 100, 0),
    ]
    assert limits(ann, others, SECTIONS["video"]) == [Limit(Holder("section", "video"), 100, 0)]
    assert limits(ann, others, SECTIONS["old"]) == []
