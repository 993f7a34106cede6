"""The machine that the others stand on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kernel.guest import Failed, Guest


def test_its_kernel_speaks_nfs_3(guest: Guest) -> None:
    assert "nfs" in guest.do("cat /proc/filesystems").split()
    assert guest.do("lsmod | grep '^nfsv3 '")
    assert guest.do("readlink -f /sbin/mount.nfs").strip() == "/usr/sbin/mount.nfs"


def test_a_job_tells_what_it_said_and_how_it_ended(guest: Guest) -> None:
    ended = guest.run("echo one; echo two >&2; cat; exit 3", said=b"three\n")
    assert (ended.code, ended.out, ended.err) == (3, b"one\nthree\n", "two\n")
    with pytest.raises(Failed, match="No such file"):
        guest.do("cat /nothing; echo not reached")


def test_files_go_in_and_come_out_as_they_are(guest: Guest, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "ä b\n").write_bytes(content)
    guest.put("/tmp/put", tmp_path / "in")
    guest.get("/tmp/put", tmp_path / "out")
    assert (tmp_path / "out" / "in" / "deep" / "ä b\n").read_bytes() == content
    guest.do("rm -r /tmp/put")


def test_jobs_run_beside_each_other(guest: Guest) -> None:
    first = guest.begin("until [ -e /tmp/second ]; do sleep 0.1; done; rm /tmp/second; echo seen")
    guest.do("touch /tmp/second")
    assert first.result(30).text == "seen\n"


def test_a_job_that_takes_too_long_is_killed(guest: Guest) -> None:
    with pytest.raises(Failed, match="took more than"):
        guest.run("sleep 12345", seconds=1)
    until = time.monotonic() + 20
    while "sleep 12345" in guest.do("ps"):
        assert time.monotonic() < until, "it runs on"
