"""The files of a directory go to other nodes by a word, and stay there; old ones go to the archive."""

from __future__ import annotations

import time
from pathlib import Path

from argosy.catalogue.keeping import Wish
from cluster import Cluster, cluster, path
from hands import on_disk, upload
from running import Site

QUICK = {"repair": {"retry_first_seconds": 0.2, "retry_most_seconds": 1.0}}


def test_a_directory_goes_to_a_node_and_what_comes_later_too(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "3")
    try:
        site.start()
        site.argosy("rule", "set", "/", "--copies", "1")
        upload(site, {f"f{number}": b"x" * 1000 for number in range(12)})
        assert on_disk(site, "n3") != {f"f{number}" for number in range(12)}
        moved = site.begin("move", "/", "--to", "n3")
        out, complaints = moved.communicate(timeout=60)
        assert (out, moved.returncode) == ("all files below / are on n3\n", 0), complaints
        site.wait_for("all on n3", lambda: len(on_disk(site, "n3")) == 12)
        upload(site, {"new": b"new"})
        site.wait_for("the new one, too", lambda: "new" in on_disk(site, "n3"))
        assert site.argosy("move", "/")["done"]
        assert site.argosy("why", "/new")["wanted"]["only"] == {"value": ["n3"], "by": "rule on /"}
        for words, about in (
            (("/", "--to", "attic"), "no node is called attic"),
            (("/new", "--to", "n2"), "Not a directory"),
            (("/none", "--to", "n2"), "No such file"),
        ):
            refused = site.begin("move", *words)
            assert about in refused.communicate(timeout=60)[1]
            assert refused.returncode == 1
        site.argosy("rule", "unset", "/", "only")
        refused = site.begin("move", "/")
        assert "nobody said where" in refused.communicate(timeout=60)[1]
    finally:
        site.stop()


async def lies_only_on(site: Cluster, name: str, *texts: str) -> None:
    await site.until(lambda: all(site.holders(text) == {name} for text in texts))


async def test_files_without_any_rule_move_and_stay_though_all_are_looked_at_again(tmp_path: Path) -> None:
    often = {"repair": {**QUICK["repair"], "audit_seconds": 0.5}}
    async with cluster(tmp_path, **often) as site:
        content = {f"d/{number}": b"%d" % number for number in range(50)}
        await site.join("n1", {**content, "other/x": b"x"})
        await site.join("n2", labels=["cold"])
        await site.catalogue.change_wish((b"d",), lambda _: Wish(only=("cold",)))
        await lies_only_on(site, "n2", *content)
        for loc, bytes_ in content.items():
            await site.lies("n2", loc, bytes_)
        moved = site.copier.files
        assert site.holders("other/x") == {"n1"}
        await site.upload("n1", "/other/y", b"y")
        await site.catalogue.rename(path("/other/y"), path("/d/y"))  # what comes by a rename goes, too
        await lies_only_on(site, "n2", "d/y")
        await site.catalogue.change_wish((b"d",), lambda _: Wish())
        for _ in range(3):
            await site.catalogue.sweep_all(0.0)
            site.repair.refresh()
        await site.until(lambda: not site.catalogue.sweeps())
        assert site.copier.files == moved + 1
        assert site.holders("d/0") == {"n2"}


async def test_what_has_not_changed_for_long_goes_to_the_archive(tmp_path: Path) -> None:
    often = {"repair": {**QUICK["repair"], "audit_seconds": 0.5}}
    async with cluster(tmp_path, **often) as site:
        await site.join("n1")
        await site.join("n2", labels=["cold"])
        await site.upload("n1", "/old", b"old")
        wish = Wish(archive_after_days=3 / 86_400, archive_to=("cold",))
        await site.catalogue.change_wish((), lambda _: wish)
        begin = time.monotonic()
        await lies_only_on(site, "n2", "/old")
        assert time.monotonic() - begin > 1
        await site.lies("n2", "old", b"old")
        await site.upload("n1", "/young", b"young")
        assert site.holders("/young") == {"n1"}


def test_after_a_node_was_added_the_disks_are_filled_alike(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "2")
    try:
        site.start()
        site.argosy("rule", "set", "/", "--copies", "2")
        files = {f"f{number:02}": b"x" * 20_000 for number in range(30)}
        upload(site, files)
        site.wait_for("two copies", lambda: on_disk(site, "n1") == on_disk(site, "n2") == set(files))
        site.join("n3", tmp_path / "third")
        assert site.argosy("rebalance")["done"]  # to five percent of such disks nothing has to move
        done = site.begin("rebalance", "--spare", "0")
        out, complaints = done.communicate(timeout=120)
        assert done.returncode == 0, complaints
        assert out.splitlines()[1].split() == ["node", "volume", "bytes", "filled"]
        document = site.argosy("rebalance", "--cancel")
        assert [one["bytes"] for one in document["volumes"]] == [400_000] * 3
        holders = [
            {one["node"] for one in site.argosy("why", name)["replicas"]} for name in sorted(files)[::6]
        ]
        assert all(len(nodes) == 2 for nodes in holders)
    finally:
        site.stop()


def test_a_rebalance_goes_on_when_the_master_has_died(tmp_path: Path) -> None:
    slow = {"repair": {"node_bytes_per_second": 60_000, "batch_files": 3}}
    site = Site(tmp_path / "site", "--nodes", "1", settings=slow)
    try:
        site.start()
        files = {f"f{number:02}": b"%02d" % number * 10_000 for number in range(30)}
        upload(site, files)
        site.join("n2", tmp_path / "second")
        second = tmp_path / "second" / "files"
        site.argosy("rebalance", "--spare", "0", "--no-wait")
        site.wait_for("some to have come", lambda: sum(path.is_file() for path in second.iterdir()) >= 3)
        site.kill("master")
        site.wait_for("the master", lambda: site.status()["nodes"]["ready"] == 2)
        assert site.argosy("rebalance", "--no-wait")["spare"] == 0
        waiting = site.begin("rebalance")
        out, complaints = waiting.communicate(timeout=120)
        assert (waiting.returncode, out.splitlines()[0]) == (0, "filled alike"), complaints
        told = [site.argosy("why", name)["replicas"] for name in sorted(files)[::6]]
        assert [len(replicas) for replicas in told] == [1] * 5
        site.wait_for(
            "half of them on each disk",
            lambda: len(on_disk(site, "n1")) == 15 == sum(path.is_file() for path in second.iterdir()),
        )
    finally:
        site.stop()


def test_what_has_outlived_its_retention_goes_after_it_was_told(tmp_path: Path) -> None:
    soon = {"repair": {"grace_seconds": 6.0, "audit_seconds": 1.0}, "catalogue": {"upkeep_seconds": 0.5}}
    site = Site(tmp_path / "site", "--nodes", "1", settings=soon)
    try:
        site.start()
        upload(site, {"old": b"old"})
        site.argosy("rule", "set", "/", "--retention", "1s")
        site.wait_for("it to be told", lambda: site.status()["leaving"]["files"] == 1)
        assert on_disk(site, "n1") == {"old"}
        site.wait_for("it to be gone", lambda: not on_disk(site, "n1"))
        assert site.argosy("why", "/old")["kind"] == "missing"
        assert site.status()["leaving"] == {"files": 0, "bytes": 0, "first_seconds": None}
    finally:
        site.stop()
