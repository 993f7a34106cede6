"""What a user may have at once: sessions, transfers, bytes per second; each set while the site runs."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from running import PASSWORD, Site
from talking import SECONDS, Talk, address, everything

CONTENT = os.urandom(600_000)
RATE = 409_600
"""400K in a second."""


@pytest.fixture
def limited(site: Site) -> Iterator[str]:
    """Add a user for a test."""
    name = f"limited-{time.monotonic_ns()}"
    site.add_user(name)
    yield name
    site.argosy("user", "delete", name)


def test_a_user_has_as_many_sessions_as_it_may(site: Site, limited: str) -> None:
    site.argosy("user", "set", limited, "sessions=2")
    with Talk(site, limited) as first, Talk(site, limited), Talk(site, login=False) as third:
        assert third.ask(f"USER {limited}").code == 331
        refused = third.ask(f"PASS {PASSWORD}")
        assert refused.code == 530
        assert b"try again later" in refused.text
        assert third.codes("PWD", f"USER {limited}", "PASS wrong") == [530, 331, 530]
        assert first.ask("QUIT").code == 221
        third.log_in(limited)


def test_a_user_has_as_many_transfers_as_it_may_in_each_direction(
    site: Site, limited: str, place: str
) -> None:
    site.argosy("user", "set", limited, "uploads=1", "downloads=1")
    with Talk(site, limited) as one, Talk(site, limited) as two:
        assert [each.ask(f"CWD {place}").code for each in (one, two)] == [250, 250]
        with one.data() as data:
            assert one.ask("STOR a").code == 150
            assert two.refused("STOR b") == 450
            assert two.ask("SIZE b").code == 550
            assert two.get("NLST") is not None, "a listing is no transfer of a file"
            data.sendall(CONTENT)
        assert one.hear().code == 226
        two.store("b", CONTENT)
        assert two.retrieve("a") == CONTENT


def in_parallel(jobs: list[threading.Thread]) -> float:
    """Run jobs at the same time, and give the seconds that they take together."""
    begin = time.monotonic()
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60.0)
        assert not job.is_alive()
    return time.monotonic() - begin


def fetch(talk: Talk, name: str, way: str, came: list[bytes]) -> None:
    """Fetch a file straight from its node, through the master, or by a connection that the node dials."""
    if way == "active":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS)
            port = listener.getsockname()[1]
            assert talk.ask(f"PORT 127,0,0,1,{port // 256},{port % 256}").code == 200
            talk.say(f"RETR {name}")
            with listener.accept()[0] as data:
                data.settimeout(SECONDS)
                came.append(everything(data))
        assert [talk.hear().code, talk.hear().code] == [150, 226]
        return
    if way == "direct":
        assert talk.ask(f"PRET RETR {name}").code == 200
    came.append(talk.get(f"RETR {name}", wish="PASV"))


@pytest.mark.parametrize("way", ["direct", "relayed", "active"])
def test_a_rate_holds_over_all_downloads_of_a_user_together(
    site: Site, limited: str, place: str, way: str
) -> None:
    with Talk(site, limited) as one, Talk(site, limited) as two:
        one.store(f"{place}/a", CONTENT)
        two.store(f"{place}/b", CONTENT)
        site.argosy("user", "set", limited, "down_rate=400K")
        came: list[bytes] = []
        jobs = [
            threading.Thread(target=fetch, args=(talk, f"{place}/{name}", way, came))
            for talk, name in ((one, "a"), (two, "b"))
        ]
        seconds = in_parallel(jobs)
    assert came == [CONTENT, CONTENT]
    due = 2 * len(CONTENT) / RATE
    assert 0.85 * due < seconds < 3 * due, (due, seconds)


def test_a_rate_holds_for_uploads_and_the_other_direction_is_free(
    site: Site, limited: str, place: str
) -> None:
    site.argosy("user", "set", limited, "up_rate=400K")
    with Talk(site, limited) as talk:
        begin = time.monotonic()
        talk.store(f"{place}/a", CONTENT)
        due = len(CONTENT) / RATE
        assert 0.85 * due < time.monotonic() - begin < 3 * due
        begin = time.monotonic()
        assert talk.retrieve(f"{place}/a") == CONTENT
        assert time.monotonic() - begin < due


def test_who_waits_for_nothing_leaves_its_share_to_the_others(site: Site, limited: str, place: str) -> None:
    """Of two downloads one isn't read: by the beats the master sees that, and the other gets faster."""
    large = os.urandom(8_000_000)
    with Talk(site, limited) as slow, Talk(site, limited) as fast:
        slow.store(f"{place}/a", large)
        site.argosy("user", "set", limited, "down_rate=800K")
        assert slow.ask(f"PRET RETR {place}/a").code == 200
        stuck = socket.socket()
        with stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(address(slow.ask("PASV"), site.host))
            assert slow.ask(f"RETR {place}/a").code == 150
            assert fast.ask(f"PRET RETR {place}/a").code == 200
            with socket.create_connection(address(fast.ask("PASV"), site.host), SECONDS) as data:
                assert fast.ask(f"RETR {place}/a").code == 150

                def share() -> int:
                    sessions = site.argosy("who")["sessions"]
                    paces = [
                        each["pace"]
                        for one in sessions
                        if one["user"] == limited
                        for each in one["transfers"]
                    ]
                    return max(paces, default=0)

                assert share() == RATE
                reader = threading.Thread(target=everything, args=(data,))
                reader.start()
                site.wait_for("the other to get more", lambda: share() > 1.5 * RATE, 30.0)
                site.argosy("user", "set", limited, "down_rate=0")
                reader.join(30.0)
                assert not reader.is_alive(), "without a limit it is done at once"
