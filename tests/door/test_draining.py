"""A node is emptied by a word, whatever happens meanwhile; then it can be switched off."""

from __future__ import annotations

import ftplib
import io
import os
import signal
from pathlib import Path

import pytest

from hands import client, on_disk, read, upload
from running import Site

FILES = {f"f{number:03}": os.urandom(20_000 + number) for number in range(60)}


def test_a_node_is_emptied_while_the_master_dies_and_clients_read(tmp_path: Path) -> None:
    slow = {"repair": {"node_bytes_per_second": 50_000, "batch_files": 3}}
    site = Site(tmp_path / "site", "--nodes", "3", settings=slow)
    try:
        site.start()
        upload(site, FILES)
        held = on_disk(site, "n1")
        assert held
        shown, waiting = site.begin("drain", "n1"), site.begin("drain", "n1")
        assert shown.stderr is not None
        assert waiting.stderr is not None
        assert all(" of " in at.readline() for at in (shown.stderr, waiting.stderr))
        site.wait_for("some to have gone", lambda: len(on_disk(site, "n1")) < len(held) - 2)
        shown.send_signal(signal.SIGINT)
        _, complaints = shown.communicate(timeout=30)
        assert "the drain goes on" in complaints
        assert "Traceback" not in complaints
        assert shown.returncode == 1

        site.kill("master")  # it is started again, and goes on
        out, _ = waiting.communicate(timeout=120)
        assert waiting.returncode == 0
        assert out == "n1 is empty: it can be switched off\n"
        assert site.argosy("drain", "n1")["done"]
        assert not on_disk(site, "n1")
        told = [site.argosy("why", name)["replicas"] for name in sorted(FILES)[::12]]
        assert {replica["node"] for replicas in told for replica in replicas} <= {"n2", "n3"}
        site.wait_for("the door", lambda: site.status()["ftp"])
        site.host, port = site.status()["ftp"].rsplit(":", 1)
        site.port = int(port)
        upload(site, {"new": b"new"})
        assert not on_disk(site, "n1")
        site.kill("n1")
        assert all(read(site, name) == content for name, content in FILES.items())
    finally:
        site.stop()


def test_what_can_not_go_is_told_and_a_drain_is_taken_back(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "1")
    try:
        site.start()
        upload(site, {"f": b"x" * 1000})
        done = site.begin("drain", "n1")
        out, _ = done.communicate(timeout=60)
        assert done.returncode == 1
        assert "1 file, 1000 B: 1 copy is wanted, 0 volumes are there" in out
        (volume,) = site.node("n1")["volumes"]
        assert volume["state"] == "draining"
        with pytest.raises(ftplib.error_temp, match="452"):
            upload(site, {"g": b"x"})
        with client(site) as ftp:  # what goes on with a file that lies there may
            ftp.storbinary("APPE /f", io.BytesIO(b"y"))
        document = site.argosy("drain", "n1", "--cancel")
        assert (document["volumes"][0]["state"], document["left"]["files"]) == ("member", 1)
        upload(site, {"g": b"x"})
        site.wait_for("both to lie there", lambda: on_disk(site, "n1") == {"f", "g"})
        refused = site.begin("drain", "n7")
        assert "no node is called n7" in refused.communicate(timeout=60)[1]
        assert refused.returncode == 1
    finally:
        site.stop()
