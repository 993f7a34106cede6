"""Copies from node to node, with real nodes."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from cluster import cluster

log = logging.getLogger(__name__)

KILO = os.urandom(1024)


@pytest.mark.parametrize("size", [0, 1, 1024, 524_288 - 13, 3_000_000])
async def test_an_uploaded_file_gets_a_second_copy_on_another_node(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    async with cluster(tmp_path) as site:
        await site.join("n1")
        await site.join("n2")
        entry = await site.upload("n1", "/f", content)
        (outcome,) = await site.copy("n1", "n2", "/f")
        assert outcome.refusal is None
        assert (outcome.file, outcome.bytes) == (entry.id, size)
        assert site.holders("/f") == {"n1", "n2"}
        await site.lies("n2", "f", content)
        assert site.machines["n2"].parts() == {}


async def test_two_thousand_small_files_are_copied_in_one_batch(tmp_path: Path) -> None:
    files = {f"d{number % 7}/f{number}": os.urandom(1024 + number) for number in range(2000)}
    async with cluster(tmp_path) as site:
        await site.join("n1", files)
        await site.join("n2")
        begin = time.monotonic()
        outcomes = await site.copy("n1", "n2", *files)
        took = time.monotonic() - begin
        assert [outcome.refusal for outcome in outcomes] == [None] * 2000
        await site.until(lambda: not site.machines["n2"].parts())
        placed = time.monotonic() - begin
        log.info("%.0f files/s counted, %.0f files/s in place", 2000 / took, 2000 / placed)
        for loc, content in files.items():
            assert (site.machines["n2"].root / loc).read_bytes() == content
