"""What people see of the master's answers."""

from __future__ import annotations

import doctest
from typing import Any

from argosy.cli import reports, tables

VOLUME = {
    "store_id": "0123456789abcdef0123456789abcdef",
    "total": 4096 * 1024**2,
    "free": 1024**3,
    "files": 12,
    "bytes": 1536,
    "state": "merged",
    "held_losses": 0,
}


def node(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": "ready",
        "address": "10.0.0.7",
        "advertise": "",
        "epoch": 3,
        "labels": [],
        "load": 0.1,
        "in_rate": 0.0,
        "out_rate": 0.0,
        "transfers": 2,
        "seen_seconds_ago": 0.4,
        "version": "0.1.0",
        "volumes": [VOLUME],
    } | changes


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(tables).failed == 0


def test_nodes_are_a_table_with_a_line_for_each_volume() -> None:
    document = {"nodes": [node("node1"), node("attic", volumes=[VOLUME, VOLUME | {"state": "merging"}])]}
    assert reports.nodes_text(document).splitlines() == [
        "name   state  address   transfers  volume    merge    files    bytes     free       of",
        "node1  ready  10.0.0.7          2  01234567  merged      12  1.5 KiB  1.0 GiB  4.0 GiB",
        "attic  ready  10.0.0.7          2  01234567  merged      12  1.5 KiB  1.0 GiB  4.0 GiB",
        "                                   01234567  merging     12  1.5 KiB  1.0 GiB  4.0 GiB",
    ]


def test_a_node_that_is_away_is_still_a_line() -> None:
    away = node("attic", state="away", address="", volumes=[], seen_seconds_ago=None, load=None)
    assert reports.nodes_text({"nodes": [away]}).splitlines()[1].split() == ["attic", "away", "2", *"------"]


def test_held_losses_come_with_the_command_that_accepts_them() -> None:
    text = reports.nodes_text({"nodes": [node("attic", volumes=[VOLUME | {"held_losses": 900}])]})
    assert "misses 900 files" in text
    assert "argosy nodes remerge attic --accept-losses" in text


def test_a_site_without_nodes_says_what_to_do() -> None:
    assert "argosy token" in reports.nodes_text({"nodes": []})


def test_a_path_tells_where_it_lies_and_why_a_node_was_chosen() -> None:
    document = {
        "path": "/a\x1b[2J",
        "kind": "file",
        "state": "live",
        "id": 7,
        "size": 2048,
        "mtime": 1_767_225_600.0,
        "section": "video",
        "wanted": {
            "copies": {"value": 2, "by": "rule on /"},
            "require": {"value": ["a", "b"], "by": "section video"},
            "avoid": {"value": [], "by": "rule on /"},
            "flush": {"value": False, "by": "section video"},
            "spread": {"value": "node", "by": "default"},
        },
        "replicas": [{"node": "node1", "volume": 1, "loc": "a", "standing": "good", "online": True}],
        "reading": [
            {
                "node": "node1",
                "score": 30.0,
                "eligible": True,
                "chosen": True,
                "reasons": [{"points": 30.0, "why": "no transfers"}],
            }
        ],
        "writing": [{"node": "node2", "score": 0.0, "eligible": False, "chosen": False, "reasons": []}],
    }
    assert reports.why_text(document).splitlines() == [
        r"/a\x1b[2J: file, live, 2.0 KiB, 2026-01-01 00:00:00 UTC",
        "section video",
        "copies 2 (rule on /)",
        "require a, b (section video)",
        "avoid none (rule on /)",
        "flush no (section video)",
        "  on node1 1 a (good, online)",
        "reading:",
        "  chosen  node1  30.0 points",
        "         +30.0  no transfers",
        "writing:",
        "  can't   node2  0.0 points",
    ]


def test_a_path_that_is_nowhere_is_said_to_be() -> None:
    document: dict[str, Any] = {
        "path": "/gone",
        "kind": "missing",
        "section": None,
        "wanted": {},
        "replicas": [],
        "reading": [],
        "writing": [],
    }
    assert reports.why_text(document) == "/gone: missing"


def test_a_status_names_the_paths_in_conflict() -> None:
    document = {
        "version": "0.1.0",
        "uptime_seconds": 90.0,
        "ftp": "127.0.0.1:2121",
        "ftps": "",
        "link": "127.0.0.1:2122",
        "sessions": 1,
        "transfers": 0,
        "relayed_bytes": 0,
        "files": 3,
        "directories": 2,
        "links": 1,
        "bytes": 1024,
        "damaged": 0,
        "partial": 0,
        "conflicts": 1,
        "damaged_paths": ["/b"],
        "conflict_paths": ["/a.conflict-node2"],
        "suspects": 0,
        "tombstones": 0,
        "copies": {"lacking": [], "misplaced": {"files": 0, "bytes": 0}, "batches": 0, "obstacles": []},
        "nodes": {"ready": 2, "merging": 0, "away": 1},
    }
    lines = reports.status_text(document).splitlines()
    assert not [line for line in lines if line.startswith("cop")]
    assert "nodes      2 ready, 0 merging, 1 away" in lines
    assert "up for     1 min 30 s" in lines
    assert lines[-1] == "  conflict /a.conflict-node2"
    document["copies"] = {
        "lacking": [{"left": 1, "files": 12, "bytes": 2048}],
        "misplaced": {"files": 3, "bytes": 1024},
        "batches": 2,
        "files_per_second": 511.7,
        "bytes_per_second": 1 << 20,
        "seconds_left": 58.2,
        "obstacles": [{"why": "no room on n2", "files": 2, "bytes": 100}],
    }
    lines = reports.status_text(document).splitlines()
    assert lines[-6:-3] == [
        "copies     12 files, 2.0 KiB, want more than the 1 that count",
        "copies     3 files, 1.0 KiB, need some to be moved",
        "copying    512 files/s, 1.0 MiB/s, 58 s left",
    ]
    assert lines[-1] == "  copies   2 files, 100 B: no room on n2"


def test_a_status_says_of_a_disk_below_its_floor_what_will_leave_it() -> None:
    lack = {
        "node": "n1",
        "store_id": VOLUME["store_id"],
        "free": 5 << 30,
        "floor": 10 << 30,
        "leaving": 1 << 30,
    }
    head = "n1 01234567: 5.0 GiB free of the 10.0 GiB that shall be"
    assert reports._lack(lack) == f"{head}, 1.0 GiB on the way, nobody makes the other 4.0 GiB"
    assert reports._lack({**lack, "leaving": 5 << 30}) == f"{head}, 5.0 GiB on the way"
