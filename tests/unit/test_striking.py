"""Volumes are struck from the record; what only they had is told before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import record
from argosy.catalogue import nodes
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Found
from argosy.catalogue.proof import Observed, Verdict

D, E = b"d" * 16, b"e" * 16


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=3) as catalogue:
        yield catalogue


async def lie(catalogue: Catalogue, name: bytes, *volumes: int) -> int:
    """Have a file with good copies on some volumes."""
    for volume in volumes:
        await catalogue.merge(volume, [Found(name, 5, 1, 0, 7, D)], seq=1, whole=False)
    return catalogue.find((name,)).id


async def test_a_file_whose_other_copy_is_bad_would_be_lost(catalogue: Catalogue) -> None:
    file = await lie(catalogue, b"f", 1, 2)
    assert catalogue.losses([1]).files == 0
    bad = Observed(2, b"f", 0, 5, 8, E)
    assert await catalogue.judge([bad], "scrub") == [Verdict.BAD]
    assert len(catalogue.replicas(file)) >= 1
    assert catalogue.losses([1]).paths == ((b"f",),)


async def test_a_file_that_is_on_two_struck_volumes_alone_would_be_lost_once(catalogue: Catalogue) -> None:
    await lie(catalogue, b"f", 1, 2)
    await lie(catalogue, b"g", 1, 2, 3)
    lost = catalogue.losses([1, 2])
    assert (lost.files, lost.bytes, lost.paths) == (1, 5, ((b"f",),))


async def test_what_is_only_in_the_trash_is_no_loss_that_stands_in_the_way(catalogue: Catalogue) -> None:
    await lie(catalogue, b"f", 1)
    catalogue.spares = lambda _: 2.0
    await catalogue.delete((b"f",), by="ann")
    assert catalogue.losses([1]).files == 0


async def test_a_disk_that_comes_back_while_it_is_struck_keeps_what_it_has(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "AT_ONCE", 1)
    listed = [Found(b"%d" % number, 5, 1) for number in range(200)]
    await catalogue.merge(1, listed, seq=1, whole=True)
    striking = asyncio.create_task(catalogue.strike(1, accept_losses=True))
    while catalogue.counts().files == len(listed):
        await asyncio.sleep(0)
    await catalogue.attach("1" * 32, "n1", seq=1)
    await catalogue.merge(1, listed, seq=1, whole=True)
    await striking
    assert catalogue.counts().files == len(listed)
