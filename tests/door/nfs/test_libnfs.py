"""libnfs-utils: nfs-ls, nfs-cat and nfs-cp, which are C and know nothing of us."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memory import Memory
from running import needs, run


@pytest.fixture(autouse=True)
def programs() -> None:
    for program in ("nfs-ls", "nfs-cat", "nfs-cp"):
        needs(program)


def url(port: int, path: str) -> str:
    return f"nfs://127.0.0.1/museum/{path}?version=3&nfsport={port}&mountport={port}&uid=1000&gid=1000"


async def test_nfs_ls_lists(port: int, museum: Memory) -> None:
    museum.put("a.txt", b"hello")
    museum.put("d/b.txt", b"!")
    code, out, err = await run("nfs-ls", url(port, ""))
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.decode().splitlines()]
    assert sorted((row[0], row[-2], row[-1]) for row in rows) == [
        *(("-rw-r--r--", "5", "a.txt"), ("drwxr-xr-x", "0", "d"))
    ]


async def test_nfs_cat_reads(port: int, museum: Memory) -> None:
    data = os.urandom(3_000_003)
    museum.put("a.bin", data)
    code, out, err = await run("nfs-cat", url(port, "a.bin"))
    assert (code, err) == (0, "")
    assert out == data


async def test_nfs_cp_copies_both_ways(port: int, museum: Memory, tmp_path: Path) -> None:
    data = os.urandom(3_000_003)
    (tmp_path / "a.bin").write_bytes(data)
    code, _, err = await run("nfs-cp", str(tmp_path / "a.bin"), url(port, "b.bin"))
    assert (code, err) == (0, "")
    assert museum.content("b.bin") == data
    code, _, err = await run("nfs-cp", url(port, "b.bin"), str(tmp_path / "c.bin"))
    assert (code, err) == (0, "")
    assert (tmp_path / "c.bin").read_bytes() == data


async def test_nfs_cat_hears_that_a_file_is_missing(port: int, museum: Memory) -> None:
    code, _, err = await run("nfs-cat", url(port, "nothing"))
    assert code != 0
    assert "NOENT" in err or "No such file" in err
