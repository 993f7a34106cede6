"""A master that is killed while its nodes copy: they go on, and the next one counts what came."""

from __future__ import annotations

import random
from pathlib import Path

from probe.processes import MASTER, Processes
from running import Settings
from talking import Talk

CONTENT = random.Random(5).randbytes(40_000_000)
RULE: Settings = {
    "sections.all": {"path": "/", "copies": 2},
    "repair": {"node_bytes_per_second": 8_000_000, "retry_first_seconds": 0.5},
}


def placed(site: Processes) -> list[Path]:
    """Give the places where the file lies whole."""
    there = [path for path in site.directory.rglob("f.bin") if ".argosy" not in path.parts]
    return [path for path in there if path.stat().st_size == len(CONTENT)]


def growing(site: Processes) -> list[int]:
    """Give the bytes of each part."""
    return [path.stat().st_size for path in site.directory.rglob(".argosy/staging/*") if path.exists()]


def test_a_copy_outlives_the_master_that_ordered_it(tmp_path: Path) -> None:
    with Processes(tmp_path / "site", settings={**MASTER, **RULE}) as site:
        with Talk(site) as talk:
            talk.store("/f.bin", CONTENT)
        site.wait_for(
            "a part of the copy", lambda: any(4_000_000 < size < 30_000_000 for size in growing(site))
        )
        assert len(placed(site)) == 1
        site.kill("master")
        site.wait_for(
            "the node to go on without one", lambda: any(size > 32_000_000 for size in growing(site))
        )
        site.bring_back("master")
        site.wait_for("both copies", lambda: len(placed(site)) == 2, seconds=60)
        assert all(path.read_bytes() == CONTENT for path in placed(site))
        site.wait_for("no part left", lambda: growing(site) == [])
        with Talk(site) as talk:
            assert talk.retrieve("/f.bin") == CONTENT
