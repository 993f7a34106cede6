"""An Argosy cluster as the site: its nodes send the bytes."""

from __future__ import annotations

from pathlib import Path

from gateways import Gateway
from kernel.guest import Guest
from kernel.scene import Scene, contents, gateway_for, real_tree
from running import PASSWORD, USER, Site
from servers import Server

MIB = 1 << 20


def test_a_cluster_of_three_nodes_is_a_directory_and_its_bytes_come_straight_from_the_nodes(
    guest: Guest, tmp_path: Path
) -> None:
    cluster = Site(tmp_path / "cluster", "--nodes", "3")
    cluster.start()
    try:
        peer = Server("Argosy", cluster.host, cluster.port, USER, PASSWORD, cluster.authority, None)
        with gateway_for(tmp_path / "gateway", peer) as gateway:
            use(guest, gateway, cluster, peer, tmp_path)
    finally:
        cluster.stop()


def use(guest: Guest, gateway: Gateway, cluster: Site, peer: Server, tmp_path: Path) -> None:
    scene, tree = Scene(guest, gateway, peer), real_tree(tmp_path)
    guest.put("/tmp/in", tree)
    with scene.mounted(scene.export("/")) as mnt:
        guest.do(f"cp -r /tmp/in/tree {mnt}/tree", seconds=900)
        guest.do(f"dd if=/dev/urandom of=/tmp/large bs=1M count=48 status=none; cp /tmp/large {mnt}/large")
    with scene.mounted(scene.export("/")) as mnt:
        guest.do(f"cp -r {mnt}/tree /tmp/out && diff -r /tmp/in/tree /tmp/out", seconds=900)
        guest.do(f"cmp /tmp/large {mnt}/large", seconds=300)
        read = f"dd if={mnt}/large bs=4096 count=1 skip=9000 status=none | cmp - /tmp/part"
        guest.do(f"dd if=/tmp/large bs=4096 count=1 skip=9000 of=/tmp/part status=none; {read}")
    assert cluster.status()["relayed_bytes"] == 0
    assert len(contents(tmp_path / "cluster" / "nodes")) >= len(contents(tree))
    holding = [node for node in cluster.argosy("nodes")["nodes"] if node["state"] == "ready"]
    assert len(holding) == 3
    guest.do("rm -r /tmp/in /tmp/out /tmp/large /tmp/part")
