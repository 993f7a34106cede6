"""Bytes that rot on a disk: they are found, set aside, replaced, and told. With real nodes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from argosy.catalogue.keeping import Wish
from argosy.catalogue.model import Standing
from argosy.catalogue.proof import Became, Finding
from argosy.cluster.copies.proving import Run
from argosy.wire import link
from cluster import Cluster, Machine, cluster, path
from running import needs

TWO = {"sections": {"all": {"path": "/", "copies": 2, "repair_delay_seconds": 60.0}}}
QUICK = {"repair": {"retry_first_seconds": 0.2, "retry_most_seconds": 1.0}}
CONTENT = os.urandom(100_000)


def flip(machine: Machine, loc: str, at: int = 5) -> bytes:
    """Change a bit of a stored file as a failing disk does: nothing but its bytes tells of it."""
    file = machine.root / loc
    times, content = file.stat(), bytearray(file.read_bytes())
    content[at] ^= 0x10
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return bytes(content)


def findings(site: Cluster) -> list[Finding]:
    return site.catalogue.findings(3600.0, 100)


def kept(machine: Machine, finding: Finding) -> Path:
    """Where a node keeps a bad copy."""
    return machine.root / f".argosy/quarantine/finding-{finding.id:016x}" / finding.loc.decode()


@contextlib.contextmanager
def immovable(file: Path) -> Iterator[None]:
    """Have the disk refuse to move a file, even for root: something is mounted on it."""
    mount, umount = needs("mount"), needs("umount")
    if os.geteuid() != 0:
        pytest.skip("needs root, for a file that can't be moved")
    subprocess.run([mount, "--bind", str(file), str(file)], check=True)
    try:
        yield
    finally:
        subprocess.run([umount, str(file)], check=True)


async def two_copies(site: Cluster, *paths: str) -> None:
    def good(at: str) -> int:
        copies = site.catalogue.replicas(site.entry(at).id)
        return sum(copy.standing is Standing.GOOD for copy in copies)

    await site.until(lambda: all(good(at) == 2 for at in paths))


async def test_a_copy_that_turns_out_bad_when_it_is_copied_is_set_aside_and_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        for name in ("n1", "n2"):
            await site.join(name)
        await site.upload("n1", "/f", CONTENT)
        await two_copies(site, "/f")
        await site.lies("n1", "f", CONTENT)
        await site.lies("n2", "f", CONTENT)
        wrong = flip(site.machines["n1"], "f")
        await site.join("n3")
        await site.catalogue.change_wish((), lambda _: Wish(copies=3))
        site.repair.refresh()
        await site.until(lambda: findings(site) and findings(site)[0].became is Became.QUARANTINED)
        await site.until(lambda: site.holders("/f") == {"n1", "n2", "n3"})
        (found,) = findings(site)
        assert (found.node, found.path, found.became) == ("n1", b"/f", Became.QUARANTINED)
        assert kept(site.machines["n1"], found).read_bytes() == wrong
        await site.lies("n1", "f", CONTENT)


async def test_the_last_copy_stays_where_it_is_is_told_and_heals(tmp_path: Path) -> None:
    quick = {"findings": {"recheck_seconds": 0.5}}
    async with cluster(tmp_path, **QUICK, **quick) as site:
        for name in ("n1", "n2"):
            await site.join(name)
        entry = await site.upload("n1", "/f", CONTENT)
        await site.lies("n1", "f", CONTENT)
        wrong = flip(site.machines["n1"], "f")
        await site.catalogue.change_wish((), lambda _: Wish(copies=2))
        site.repair.refresh()
        await site.until(lambda: findings(site))
        (found,) = findings(site)
        assert found.became is Became.FOUND
        assert (site.machines["n1"].root / "f").read_bytes() == wrong
        (copy,) = site.catalogue.replicas(entry.id)
        assert copy.standing is Standing.BAD
        assert site.catalogue.counts().damaged == 1
        await site.until(lambda: "the only copy that is here is bad" in site.catalogue.wanting().by_why)
        flip(site.machines["n1"], "f")  # back
        await site.until(lambda: findings(site)[0].became is Became.HEALED)
        await two_copies(site, "/f")
        await site.lies("n2", "f", CONTENT)


async def test_a_deletion_that_a_disk_refuses_stays_owed_and_the_others_are_paid(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        await site.join("n1")
        for name in ("a", "b", "c"):
            await site.upload("n1", f"/{name}", CONTENT)
            await site.lies("n1", name, CONTENT)
        root = site.machines["n1"].root
        with immovable(root / "b"):
            for name in ("a", "b", "c"):
                await site.catalogue.delete(path(f"/{name}"))
            await site.until(lambda: not (root / "a").exists() and not (root / "c").exists())
            await site.until(lambda: site.catalogue.counts().tombstones == 1)
            assert (root / "b").exists()
            await site.until(lambda: site.catalogue.tombs(site.volume("n1").number) == [])  # it is put off
            assert site.catalogue.counts().tombstones == 1
        await site.until(lambda: site.catalogue.counts().tombstones == 0)
        assert not (root / "b").exists()


async def scrub(site: Cluster, name: str) -> link.Pass:
    """Have a node read all that it has, and wait until it has."""
    before = site.volume(name).scrub
    await site.node(name).ask(link.Scrub(site.volume(name).store_id, hurry=True))

    def over() -> bool:
        now = site.volume(name).scrub
        return now is not None and not now.running and now.ended_ns > (before.ended_ns if before else 0)

    await site.until(over)
    found = site.volume(name).scrub
    assert found is not None
    return found


async def test_a_bit_that_flips_on_a_disk_is_found_and_the_copy_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        for name in ("n1", "n2"):
            await site.join(name)
        names = [f"f{number}" for number in range(20)]
        for name in names:
            await site.upload("n1", f"/{name}", CONTENT)
        await two_copies(site, *names)
        for name in names:
            await site.lies("n2", name, CONTENT)
        wrong = flip(site.machines["n2"], "f7", at=99_999)
        flip(site.machines["n2"], "f9", at=0)
        assert (await scrub(site, "n1")).bad == 0
        assert not findings(site)
        assert (await scrub(site, "n2")).bad == 2
        await site.until(lambda: [one.became for one in findings(site)] == [Became.QUARANTINED] * 2)
        await two_copies(site, *names)
        for name in names:
            await site.lies("n2", name, CONTENT)
        nine, seven = findings(site)
        assert (seven.path, seven.node, seven.cause, nine.path) == (b"/f7", "n2", "scrub", b"/f9")
        assert kept(site.machines["n2"], seven).read_bytes() == wrong
        assert (seven.wanted_digest, seven.wanted_crc32) == (
            site.entry("/f7").digest,
            site.entry("/f7").crc32,
        )
        assert (await scrub(site, "n2")).bad == 0


async def test_files_that_joined_without_checksums_get_them(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        await site.join("n1", {f"d/{number:03}": CONTENT[number:] for number in range(250)} | {"empty": b""})
        assert site.entry("/d/007").digest is None
        await scrub(site, "n1")
        await site.until(lambda: site.entry("/d/249").digest and site.entry("/empty").digest)
        for number in (0, 7, 249):
            entry = site.entry(f"/d/{number:03}")
            assert entry.digest == xxhash.xxh3_128(CONTENT[number:]).digest()
            assert entry.crc32 == zlib.crc32(CONTENT[number:])


async def test_a_pass_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        files = {f"{number:02}": os.urandom(1_000_000) for number in range(20)}
        pace = {"days": 14.0, "first_seconds": 0.0, "bytes_per_second": 2_000_000}
        machine = await site.join("n1", files, scrub=pace)

        def read() -> int:
            now = site.volume("n1").scrub
            return now.files if now and now.running else 0

        await site.until(lambda: read() >= 6)
        machine.kill()
        await site.until(lambda: not site.node("n1").online)
        flip(machine, "01")  # read already
        flip(machine, "18")
        machine.start()
        await site.ready("n1")
        await site.until(lambda: read() >= 5)
        assert read() <= 10, "it didn't begin anew"
        await scrub(site, "n1")  # from now on as fast as can be
        found = site.volume("n1").scrub
        assert found is not None
        assert (found.files, found.bad) == (20, 0)
        await site.until(lambda: site.entry("/18").digest)
        machine.stop()


async def test_a_file_that_somebody_wrote_into_is_no_bad_copy_and_replaces_no_good_one(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        for name in ("n1", "n2"):
            await site.join(name, scan_seconds=1.0)
        await site.upload("n1", "/f", CONTENT)
        await two_copies(site, "/f")
        await site.lies("n2", "f", CONTENT)
        at = site.machines["n2"].root / "f"
        at.write_bytes(CONTENT[::-1])
        os.utime(at, (1_600_000_000, 1_600_000_000))
        await scrub(site, "n2")
        await site.until(lambda: site.catalogue.find_or_none(path("/f.conflict-n2")))
        await two_copies(site, "/f")
        assert not findings(site)
        for name in ("n1", "n2"):
            copies = site.catalogue.replicas(site.entry("/f").id)
            (copy,) = [copy for copy in copies if copy.node == name]
            await site.lies(name, copy.loc.decode(), CONTENT)


async def verified(site: Cluster, *names: str) -> Run:
    run = site.proving.begin(path("/".join(names)))
    await site.until(lambda: run.over)
    assert not run.failed
    return run


async def test_all_copies_below_a_path_are_read_when_somebody_asks_for_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        files = {f"d/{number:02}": CONTENT[number:] for number in range(30)} | {"other": CONTENT}
        await site.join("n1", files)
        await site.join("n2")
        await two_copies(site, *files)
        for loc, content in files.items():
            await site.lies("n2", loc, content)
        run = await verified(site, "d")
        assert (run.files, run.read_files, run.good, run.bad) == (60, 60, 60, [])
        wrong = flip(site.machines["n1"], "d/03")
        flip(site.machines["n1"], "other")
        run = await verified(site, "d")
        assert (run.good, run.bad) == (59, [(b"/d/03", "n1", "it has another checksum")])
        await site.until(lambda: findings(site)[0].became is Became.QUARANTINED)
        (found,) = findings(site)
        assert kept(site.machines["n1"], found).read_bytes() == wrong
        await two_copies(site, *files)
        assert (await verified(site, "d", "03")).good == 2
        (site.machines["n2"].root / "d/04").unlink()
        run = await verified(site, "d", "04")
        assert run.bad == [(b"/d/04", "n2", "missing")]
        await two_copies(site, *files)
        await site.lies("n2", "d/04", files["d/04"])
        site.machines["n2"].kill()
        await site.until(lambda: site.catalogue.volumes("n2")[0].away_ns)
        run = await verified(site)
        assert (run.good, run.away, run.bad) == (30, 31, [(b"/other", "n1", "it has another checksum")])
        assert findings(site)[0].became is Became.FOUND, "the other one is away"
        site.machines["n2"].start()
        await site.ready("n2")
        await site.until(lambda: findings(site)[0].became is Became.QUARANTINED)
        await two_copies(site, *files)


async def test_what_is_in_the_quarantine_goes_in_time_while_there_is_a_good_copy(tmp_path: Path) -> None:
    async with cluster(tmp_path, **TWO, **QUICK, findings={"quarantine_seconds": 0.5}) as site:
        for name in ("n1", "n2"):
            await site.join(name)
        await site.upload("n1", "/f", CONTENT)
        await two_copies(site, "/f")
        await site.lies("n2", "f", CONTENT)
        flip(site.machines["n2"], "f")
        await verified(site, "f")
        await site.until(lambda: findings(site)[0].became is Became.PURGED)
        assert not kept(site.machines["n2"], findings(site)[0]).exists()
        await site.lies("n2", "f", CONTENT)


@pytest.mark.parametrize("size", [1_000, 100_000, 3_000_000])
@pytest.mark.parametrize("tls", [False, True])
async def test_a_client_never_gets_the_whole_of_a_bad_copy(tmp_path: Path, size: int, *, tls: bool) -> None:
    async with cluster(tmp_path, **TWO, **QUICK) as site:
        for name in ("n1", "n2"):
            await site.join(name, scrub={"sent_seconds": 0.0})
        content = os.urandom(size)
        await site.upload("n1", "/f", content)
        await two_copies(site, "/f")
        await site.lies("n1", "f", content)
        assert await site.fetch("n1", "/f", tls=tls) == (content, "")  # the good one
        flip(site.machines["n1"], "f", at=size // 2)
        got, refusal = await site.fetch("n1", "/f", tls=tls)
        assert refusal == "Failed"
        assert len(got) < size
        await site.until(lambda: [one.became for one in findings(site)] == [Became.QUARANTINED])
        await site.until(lambda: "n1" in site.holders("/f"))
        await site.lies("n1", "f", content)
        assert await site.fetch("n1", "/f", tls=tls) == (content, "")


@pytest.mark.parametrize("tls", [False, True])
async def test_a_large_file_that_was_right_is_compared_again_after_some_time(
    tmp_path: Path, *, tls: bool
) -> None:
    async with cluster(tmp_path, **QUICK) as site:
        content = os.urandom(3_000_000)
        await site.join("n1", scrub={"sent_seconds": 1.5})
        await site.upload("n1", "/f", content)
        await site.lies("n1", "f", content)
        assert await site.fetch("n1", "/f", tls=tls) == (content, "")
        right = time.monotonic()
        wrong = flip(site.machines["n1"], "f", at=1_500_000)
        got, _ = await site.fetch("n1", "/f", tls=tls)
        assert got == wrong or time.monotonic() - right > 1.5
        await asyncio.sleep(1.5)
        got, refusal = await site.fetch("n1", "/f", tls=tls)
        assert refusal == "Failed"
        assert len(got) < len(content)


async def test_a_file_that_somebody_wrote_into_is_sent_as_it_is(tmp_path: Path) -> None:
    async with cluster(tmp_path) as site:
        content = os.urandom(3_000_000)
        await site.join("n1")
        await site.upload("n1", "/f", content)
        await site.lies("n1", "f", content)
        written = b"by hand" + content[7:]
        (site.machines["n1"].root / "f").write_bytes(written)
        assert await site.fetch("n1", "/f") == (written, "")
