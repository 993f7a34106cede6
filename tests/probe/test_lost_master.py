"""The master's disk is lost, with all that was on it, and the whole tree comes back from the nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.lostmaster import Client, Lost, lose_and_rebuild


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Lost]:
    one = Lost(tmp_path, uploaded=600, by_hand=2_000)
    try:
        yield one
    finally:
        one.close()


def test_every_file_comes_back_with_its_name_time_bytes_and_copies(lost: Lost) -> None:
    document, wrong = lose_and_rebuild(lost)
    assert not wrong, "\n".join(wrong[:50])
    assert (document["late"], document["damaged"]) == ([], 0)
    said = " ".join(map(str, document["lost"]))  # type: ignore[call-overload]
    for word in ("users", "owns", "rules", "symbolic links", "cut uploads", "trash", "deleted or renamed"):
        assert word in said
    with Client(lost.site) as talk:  # and what it says is true
        for path in (b"/two/link", b"/nothing in it", b"/two/cut in the middle"):
            talk.want(b"MLST " + path, 550)
    assert os.path.lexists(lost.roots["n1"] / "by hand/a link on the disk")
