"""Disks that aren't what they were: put back from a backup, copied, moved; and a record older than they are.

Nothing newer is overwritten, nothing comes back that was deleted, and the administrator is told.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from argosy.catalogue.model import Doubt, State
from argosy.catalogue.store import members
from argosy.catalogue.store.schema import VERSION
from argosy.node.disk import roots
from cluster import Cluster, Machine, cluster, path


def copy(source: Path, target: Path) -> None:
    """Copy a directory with times and attributes, as a backup does."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)


async def stop(site: Cluster, machine: Machine) -> None:
    machine.stop()
    await site.until(lambda: not site.node(machine.name).online)


async def restart(site: Cluster, machine: Machine) -> None:
    machine.start()
    await site.ready(machine.name)


async def delete(site: Cluster, text: str) -> None:
    await site.catalogue.delete(path(text))


def topics(site: Cluster) -> list[str]:
    return [matter.topic.partition(":")[0] for matter in site.catalogue.matters()]


def content(machine: Machine, loc: str) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return (machine.root / loc).read_bytes()
    return None


def trashed(machine: Machine) -> list[str]:
    return sorted(at.name for at in (machine.root / ".argosy/trash").rglob("*") if at.is_file())


async def test_a_disk_put_back_from_a_backup_undoes_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one, _ = await site.join("n1"), await site.join("n2")
        await site.catalogue.make_directory(path("/d"), owner="ann")
        for name in ("keep", "gone", "over", "alone", "named"):
            await site.upload("n1", f"/d/{name}", f"old {name}".encode())
            await site.lies("n1", f"d/{name}", f"old {name}".encode())
        await site.copy("n1", "n2", "/d/keep")
        await stop(site, one)
        copy(one.root, tmp_path / "backup")
        await restart(site, one)
        await delete(site, "/d/gone")
        over = await site.upload("n1", "/d/over", b"new over")
        await site.upload("n1", "/d/alone", b"new alone")
        await site.catalogue.rename(path("/d/named"), path("/d/renamed"))
        await site.lies("n1", "d/renamed", b"old named")
        await site.lies("n1", "d/over", b"new over")
        await site.copy("n1", "n2", "/d/over")
        await site.until(lambda: content(one, "d/gone") is None)
        await stop(site, one)
        copy(tmp_path / "backup", one.root)
        await restart(site, one)

        assert site.catalogue.find_or_none(path("/d/gone")) is None
        assert site.entry("/d/over").ver == over.ver
        assert site.holders("/d/over") == {"n2"}
        assert site.holders("/d/keep") == {"n1", "n2"}
        assert site.holders("/d/alone") == set()  # damaged, rather than as it was before
        assert site.holders("/d/renamed") == {"n1"}
        assert site.catalogue.find_or_none(path("/d/named")) is None
        await site.until(lambda: content(one, "d/gone") is None and content(one, "d/over") is None)
        assert trashed(one) == ["gone", "over"]
        (kept,) = site.catalogue.conflicts()  # all that there is of it isn't thrown away
        assert content(one, "d/alone") == b"old alone"
        assert topics(site) == ["old"]
        # It is whole again once what it lacks was copied back.
        await site.copy("n2", "n1", "/d/over")
        await site.lies("n1", "d/over", b"new over")
        assert site.catalogue.doubt(site.volume("n1").number) is Doubt.NONE
        assert site.catalogue.conflicts() == [kept]


async def test_a_copied_disk_is_known_by_what_the_other_has_been_told_since(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one = await site.join("n1")
        await site.upload("n1", "/f", b"first")
        await site.lies("n1", "f", b"first")
        await stop(site, one)
        copy(one.root, tmp_path / "clone")
        await restart(site, one)
        await site.upload("n1", "/f", b"second")
        await site.lies("n1", "f", b"second")
        await stop(site, one)
        two = await site.join("n2", root=tmp_path / "clone")  # the copy comes while the other is away
        assert "old" in topics(site)
        assert "moved" in topics(site)
        assert site.holders("/f") == set()
        await site.until(lambda: content(two, "f") is None)
        await stop(site, two)
        await restart(site, one)
        assert site.holders("/f") == {"n1"}
        assert content(one, "f") == b"second"


async def test_a_copied_disk_is_turned_away_while_the_other_is_here(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one = await site.join("n1")
        await site.upload("n1", "/f", b"first")
        await site.lies("n1", "f", b"first")
        await stop(site, one)
        copy(one.root, tmp_path / "clone")
        await restart(site, one)
        with pytest.raises(AssertionError, match="waited in vain"):
            await site.join("n2", root=tmp_path / "clone", seconds=10)
        assert topics(site) == ["double"]
        assert "n1, which is connected" in site.catalogue.matters()[0].sentence
        assert site.holders("/f") == {"n1"}


async def test_a_second_node_of_the_same_name_is_turned_away(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one = await site.join("n1")
        await site.upload("n1", "/f", b"f")
        home = tmp_path / "twin"
        shutil.copytree(tmp_path / "n1", home, ignore=shutil.ignore_patterns("files", "node.toml", "log"))
        twin = Machine("twin", home, ())
        roots.prepare(twin.root)
        text = one.config.read_text().replace(str(one.root), str(twin.root))
        twin.config.write_text(text.replace(str(tmp_path / "n1"), str(home)))
        site.machines["twin"] = twin
        twin.start()
        await site.until(lambda: topics(site) == ["double"])
        assert "a node n1, connected" in site.catalogue.matters()[0].sentence
        assert site.holders("/f") == {"n1"}
        assert len(site.catalogue.volumes()) == 1
        one.stop()  # now the other one may be it, with another disk
        await site.until(lambda: site.node("n1").online and len(site.catalogue.volumes()) == 2)
        assert "lost" in topics(site)


async def test_a_disk_that_is_put_into_another_machine_takes_its_files_along(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one, two = await site.join("n1"), await site.join("n2")
        await site.upload("n1", "/a", b"a")
        await site.upload("n2", "/b", b"b")
        await site.lies("n1", "a", b"a")
        await site.lies("n2", "b", b"b")
        await stop(site, one)
        await stop(site, two)
        for machine, other in ((one, two), (two, one)):
            text = machine.config.read_text()
            machine.config.write_text(text.replace(str(machine.root), str(other.root) + "-swapped"))
        one.root.rename(str(one.root) + "-swapped")
        two.root.rename(str(two.root) + "-swapped")
        await restart(site, one)
        await restart(site, two)
        assert site.holders("/a") == {"n2"}
        assert site.holders("/b") == {"n1"}
        assert topics(site) == ["moved", "moved"]
        assert not site.catalogue.conflicts()


async def test_a_node_that_is_cut_off_and_back_keeps_what_counted_and_nothing_else(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one, _ = await site.join("n1"), await site.join("n2")
        await site.upload("n1", "/f", b"old")
        await site.upload("n1", "/g", b"g")
        await site.copy("n1", "n2", "/f")
        await site.copy("n1", "n2", "/g")
        epoch = site.node("n1").epoch
        one.signal(signal.SIGSTOP)
        await site.until(lambda: not site.node("n1").online)
        new = await site.upload("n2", "/f", b"new")
        await delete(site, "/g")
        one.signal(signal.SIGCONT)
        await site.ready("n1")
        assert site.node("n1").epoch == epoch  # the same life of it
        assert site.entry("/f").ver == new.ver
        assert site.holders("/f") == {"n2"}
        await site.until(lambda: content(one, "f") is None and content(one, "g") is None)
        assert site.catalogue.find_or_none(path("/g")) is None
        assert topics(site) == []


async def test_a_root_without_its_store_id_is_not_served_and_loses_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one = await site.join("n1")
        await site.upload("n1", "/f", b"f")
        await site.lies("n1", "f", b"f")
        await stop(site, one)
        (one.root / ".argosy/volume.id").rename(tmp_path / "id")
        one.start()
        assert one.process is not None
        assert one.process.wait(30) == 1
        assert b"has no store id" in one.log.read_bytes()
        assert site.holders("/f") == {"n1"}
        (tmp_path / "id").rename(one.root / ".argosy/volume.id")
        await restart(site, one)
        assert site.holders("/f") == {"n1"}


async def test_a_record_that_was_put_back_learns_what_it_missed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        one, two = await site.join("n1"), await site.join("n2")
        for name in ("keep", "over", "named", "gone", "taken"):
            await site.upload("n1", f"/{name}", f"old {name}".encode())
            await site.copy("n1", "n2", f"/{name}")
            await site.lies("n2", name, f"old {name}".encode())
        saved = sqlite3.connect(tmp_path / "backup.db")
        with contextlib.closing(sqlite3.connect(tmp_path / "catalogue/argosy.db")) as db:
            db.backup(saved)
        saved.close()
        fresh = await site.upload("n2", "/fresh", b"fresh")
        await site.upload("n1", "/over", b"new over")
        await site.lies("n1", "over", b"new over")
        await site.copy("n1", "n2", "/over")
        await site.catalogue.rename(path("/named"), path("/renamed"))
        await site.catalogue.rename(path("/taken"), path("/moved"))
        await site.lies("n1", "moved", b"old taken")
        await site.lies("n2", "moved", b"old taken")
        await site.upload("n1", "/taken", b"another")
        await delete(site, "/gone")
        for machine in (one, two):
            await site.lies(machine.name, "renamed", b"old named")
            await site.until(lambda machine=machine: content(machine, "gone") is None)
        await site.lies("n1", "taken", b"another")
        ids = {name: site.entry(f"/{name}").id for name in ("fresh", "over", "renamed", "moved", "taken")}
        epochs = {name: site.node(name).epoch for name in ("n1", "n2")}
        await site.close()
        for end in ("", "-wal", "-shm"):
            (tmp_path / f"catalogue/argosy.db{end}").unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as db, db:
            assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (VERSION,)
            members.restored(db, time.time_ns())
        (tmp_path / "backup.db").rename(tmp_path / "catalogue/argosy.db")
        await site.reopen()
        await site.ready("n1")
        await site.ready("n2")

        assert {name: site.entry(f"/{name}").id for name in ids} == ids
        assert site.entry("/fresh").ver == fresh.ver
        assert site.holders("/over") == {"n1", "n2"}
        assert site.holders("/renamed") == {"n1", "n2"}
        assert site.holders("/taken") == {"n1"}
        assert content(one, "taken") == b"another"
        assert site.holders("/gone") == set()  # it can't be told from one that was lost
        assert site.catalogue.find_or_none(path("/named")) is None
        assert all(site.node(name).epoch > epoch for name, epoch in epochs.items())
        states = [entry.state for entry in site.catalogue.children(1)]
        assert set(states) == {State.LIVE}
