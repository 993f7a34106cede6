"""The site beneath a mount dies, or the gateway itself: the client's work ends well all the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from kernel.guest import Guest
from kernel.scene import Scene, gateway_for
from servers import Mortal

MIB = 1 << 20
LARGE = 96 * MIB
COPY_SECONDS = 500.0


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    """Run a site that can be killed."""
    site = Mortal.vsftpd(tmp_path / "mortal")
    site.start()
    try:
        yield site
    finally:
        site.stop()


def started(scene: Scene, name: str, least: int) -> None:
    """Wait until the site has begun to get a file, or the gateway to take it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        told = scene.gateway.sites()["mounts"]
        if told and told[0]["sent_bytes"] + told[0]["dirty_bytes"] >= least:
            return
        time.sleep(0.2)
    raise AssertionError(f"{name} doesn't arrive: {told}")


def test_a_copy_goes_on_when_the_gateway_was_killed_and_started_again(
    guest: Guest, mortal: Mortal, tmp_path: Path
) -> None:
    with gateway_for(tmp_path / "gateway", mortal.server) as gateway:
        scene = Scene(guest, gateway, mortal.server)
        with scene.mounted() as mnt:
            guest.do(f"dd if=/dev/urandom of=/tmp/large bs=1M count={LARGE // MIB} status=none", seconds=300)
            copy = guest.begin(f"cp /tmp/large {mnt}/large", seconds=COPY_SECONDS)
            for _ in range(2):
                started(scene, "large", 8 * MIB)
                gateway.kill()
                time.sleep(2)
                gateway.start()
            ended = copy.result(COPY_SECONDS)
            assert ended.code == 0, ended.err
            guest.do(f"cmp /tmp/large {mnt}/large", seconds=COPY_SECONDS)
            wanted = guest.do("md5sum < /tmp/large", seconds=300)
        with scene.mounted() as mnt:
            assert guest.do(f"md5sum < {mnt}/large", seconds=COPY_SECONDS) == wanted
        guest.do("rm /tmp/large")


def test_a_copy_goes_on_when_the_site_was_killed_and_started_again(
    guest: Guest, mortal: Mortal, tmp_path: Path
) -> None:
    with gateway_for(tmp_path / "gateway", mortal.server) as gateway:
        scene = Scene(guest, gateway, mortal.server)
        guest.do("mkdir /tmp/in; cd /tmp/in; for n in $(seq 120); do head -c 40k /dev/urandom > $n; done")
        with scene.mounted() as mnt:
            copy = guest.begin(f"cp -r /tmp/in {mnt}/in", seconds=COPY_SECONDS)
            while not (scene.root / "in" / "20").exists():
                assert not copy.done()
                time.sleep(0.05)
            mortal.kill()
            time.sleep(5)
            assert not copy.done()
            mortal.start()
            ended = copy.result(COPY_SECONDS)
            assert ended.code == 0, ended.err
            guest.do(f"diff -r /tmp/in {mnt}/in", seconds=300)
            back = guest.begin(f"cp -r {mnt}/in /tmp/back", seconds=COPY_SECONDS)
            mortal.kill()
            time.sleep(3)
            mortal.start()
            assert back.result(COPY_SECONDS).code == 0
            guest.do("diff -r /tmp/in /tmp/back; rm -r /tmp/in /tmp/back")


def test_a_site_that_is_away_does_not_hold_up_another_mount(
    guest: Guest, mortal: Mortal, tmp_path: Path
) -> None:
    other = Mortal.vsftpd(tmp_path / "other")
    other.start()
    try:
        with gateway_for(tmp_path / "gateway", mortal.server, other.server) as gateway:
            scene = Scene(guest, gateway, mortal.server)
            beside = Scene(guest, gateway, other.server)
            (scene.root / "here").write_text("here\n")
            (beside.root / "there").write_text("there\n")
            for file in (scene.root / "here", beside.root / "there"):
                file.chmod(0o644)
            with (
                scene.mounted(
                    options="soft,timeo=100,retrans=1," + "vers=3,tcp,port={port},mountport={port},nolock"
                ) as a,
                scene.mounted(beside.export()) as b,
            ):
                assert guest.do(f"cat {a}/here {b}/there") == "here\nthere\n"
                mortal.kill()
                waiting = guest.begin(f"ls {a}/not-yet-known", seconds=300)
                begin = time.monotonic()
                guest.do(f"cat {b}/there; echo x > {b}/x; ls {b}")
                assert time.monotonic() - begin < 30
                mortal.start()
                assert waiting.result(300).code != 0
                guest.do(f"until cat {a}/here; do sleep 1; done")
    finally:
        other.stop()


def test_two_mounts_at_once_see_their_own_site_each(guest: Guest, mortal: Mortal, tmp_path: Path) -> None:
    with (
        servers.proftpd(tmp_path / "other") as other,
        gateway_for(tmp_path / "gateway", mortal.server, other) as gateway,
    ):
        scene, beside = Scene(guest, gateway, mortal.server), Scene(guest, gateway, other)
        write_in_both(scene, beside)


def write_in_both(scene: Scene, beside: Scene) -> None:
    with scene.mounted() as a, scene.mounted(beside.export()) as b:
        first = scene.guest.begin(f"for n in $(seq 100); do echo a$n > {a}/f$n; done; cat {a}/f*")
        second = scene.guest.begin(f"for n in $(seq 100); do echo b$n > {b}/f$n; done; cat {b}/f*")
        assert set(first.result(300).text) - set("a\n0123456789") == set()
        assert set(second.result(300).text) - set("b\n0123456789") == set()
    assert (scene.root / "f7").read_text() == "a7\n"
    assert (beside.root / "f7").read_text() == "b7\n"
