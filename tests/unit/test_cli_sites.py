"""What people see of the gateway's answers."""

from __future__ import annotations

from typing import Any

from argosy.cli.sites import sites_text

GATEWAY = {"nfs": "127.0.0.1:12049", "uptime_seconds": 61, "memory_bytes": 1536}
MOUNT = {
    "mount": 1,
    "site": "ftp://ann@host:21/",
    "state": "here",
    "away_seconds": 0,
    "connections": 2,
    "most_connections": 8,
    "trouble": "",
    "asked_bytes": 4096,
    "cached_bytes": 1024,
    "fetched_bytes": 8192,
    "sent_bytes": 0,
    "dirty_bytes": 5 << 20,
    "uploads": [],
    "refused": [],
}


def shown(*mounts: dict[str, Any]) -> list[str]:
    return sites_text({**GATEWAY, "mounts": list(mounts), "asleep": []}).splitlines()


def test_without_mounts_the_gateway_still_says_where_it_is() -> None:
    assert shown() == ["NFS at 127.0.0.1:12049, up for 1 min 1 s, 1.5 KiB in the cache", "nothing is mounted"]


def test_a_mount_is_a_line_with_what_was_asked_beside_what_was_fetched() -> None:
    assert shown(MOUNT)[1:] == [
        "site                state  logins  cached    asked  fetched  sent  waiting",
        "ftp://ann@host:21/  here   2 of 8    25 %  4.0 KiB  8.0 KiB   0 B  5.0 MiB",
    ]


def test_a_mount_that_nobody_read_from_has_no_share() -> None:
    assert shown(MOUNT | {"asked_bytes": 0, "cached_bytes": 0})[2].split()[5] == "-"


def test_what_is_under_way_and_what_is_wrong_stands_below() -> None:
    trouble = {
        "away_seconds": 75,
        "trouble": "421 Too many\x1b[2J",
        "uploads": [
            {"path": "/a.iso", "sent": 1 << 20, "size": 4 << 20},
            {"path": "/b", "sent": 0, "size": 0},
        ],
        "refused": [{"path": "/c", "why": "552 Quota"}],
    }
    lines = shown(MOUNT | trouble)
    assert "away for 1 min 15 s" in lines[2]
    assert lines[3:] == [
        "ftp://ann@host:21/: sending /a.iso, 25 % of 4.0 MiB",
        "ftp://ann@host:21/: sending /b, 0 % of 0 B",
        "ftp://ann@host:21/: /c isn't there yet: 552 Quota",
        "ftp://ann@host:21/: 421 Too many\\x1b[2J",
    ]


def test_a_mount_that_sleeps_is_shown_too() -> None:
    asleep = [{"mount": 2, "site": "ftp://bob@host:21/"}]
    lines = sites_text({**GATEWAY, "mounts": [MOUNT], "asleep": asleep}).splitlines()
    assert lines[3].split() == ["ftp://bob@host:21/", "asleep", *"------"]
