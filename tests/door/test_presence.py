"""Who is at the door: seen, hung up on, turned away."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from door.conftest import SETTINGS, WRITER
from running import PASSWORD, USER, Site
from talking import Talk, everything


def session_of(site: Site, user: str, **features: object) -> Any:
    """Give what `argosy who` tells of a user's only session that has these features."""
    found = [
        one
        for one in site.argosy("who")["sessions"]
        if one["user"] == user and all(one[name] == value for name, value in features.items())
    ]
    assert len(found) == 1, site.argosy("who")
    return found[0]


def test_an_administrator_sees_who_is_here_and_what_each_does(site: Site, talk: Talk) -> None:
    talk.store("f", b"x" * 1000)
    told = session_of(site, WRITER)
    assert (told["address"], told["received"], told["sent"], told["doing"]) == ("127.0.0.1", 1000, 0, "")
    with talk.data() as data:
        assert talk.ask("STOR g").code == 150
        data.sendall(b"y" * 5000)
        site.wait_for("the transfer to be seen", lambda: session_of(site, WRITER, doing="STOR g"))
        told = session_of(site, WRITER)
        assert [each["direction"] for each in told["transfers"]] == ["up"]
        with Talk(site) as admin:
            seen = admin.ask("SITE WHO").text.decode()
            assert any(WRITER in line and "STOR g" in line for line in seen.splitlines())
            assert admin.ask("SITE HELP WHO").code == 214
    assert talk.hear().code == 226
    assert session_of(site, WRITER)["received"] == 6000


def test_others_do_not_see_what_is_for_administrators(talk: Talk) -> None:
    for verb in ("WHO", "KICK ann", "KILL 1"):
        assert talk.ask(f"SITE {verb}").code == 504
    assert b"WHO" not in talk.ask("SITE HELP").text


def test_who_is_hung_up_on_hears_why_and_can_go_on_with_its_upload(
    site: Site, talk: Talk, place: str
) -> None:
    content = os.urandom(300_000)
    with talk.data() as data, Talk(site) as admin:
        assert talk.ask("STOR f").code == 150
        data.sendall(content[:200_000])
        time.sleep(0.2)
        assert admin.codes("SITE KICK nobody", "SITE KILL x", "SITE KILL 999999") == [550, 501, 550]
        assert admin.ask(f"SITE KICK {WRITER} we close").code == 200
        assert talk.hear().code == 426
        assert talk.hear() == (421, b"421 we close\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            talk.hear()
    with Talk(site, WRITER) as again:
        assert again.ask(f"CWD {place}").code == 250
        offset = again.size("f")
        assert 0 < offset <= 200_000
        assert again.ask(f"REST {offset}").code == 350
        assert again.put("STOR f", content[offset:]).code == 226
        assert again.retrieve("f") == content


def test_one_session_is_ended_from_the_command_line_and_the_others_stay(site: Site, talk: Talk) -> None:
    with Talk(site, WRITER) as other:
        other.ask("CWD /")
        number = max(one["id"] for one in site.argosy("who")["sessions"] if one["user"] == WRITER)
        assert site.argosy("kick", str(number), "--message", "out") == {"hung_up": [number]}
        assert other.hear() == (421, b"421 out\r\n")
    assert talk.ask("NOOP").code == 200


def test_a_logout_is_seen(site: Site) -> None:
    with Talk(site, WRITER) as talk:
        assert session_of(site, WRITER)["user"] == WRITER
        assert talk.ask("REIN").code == 220
        assert WRITER not in [one["user"] for one in site.argosy("who")["sessions"]]
        assert talk.ask("QUIT").code == 221


# --- a site with narrow limits


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site where three wrong passwords lead to a ban, and few sessions are let in."""
    tight = {
        "ban_failures": 3,
        "ban_seconds": 600.0,
        "sessions_per_address": 4,
        "session_limit": 6,
        "login_failures": 10,
    }
    site = Site(
        tmp_path_factory.mktemp("narrow") / "site",
        *("--nodes", "1"),
        settings={"ftp": SETTINGS["ftp"] | tight},
    )
    try:
        site.start()
        yield site
    finally:
        site.stop()


def knock(site: Site, address: str) -> bytes:
    """Come from one of this machine's addresses, and give the first line."""
    with socket.create_connection((site.host, site.port), 10.0, (address, 0)) as control:
        return control.recv(1000)


def test_wrong_passwords_have_their_address_turned_away_and_no_other(narrow: Site) -> None:
    with socket.create_connection((narrow.host, narrow.port), 10.0, ("127.0.0.9", 0)) as control:
        said = b"USER ann\r\nPASS wrong\r\n" * 3
        control.sendall(said)
        replies = everything(control)
    assert [line[:3] for line in replies.splitlines()] == [
        *(b"220", b"331", b"530", b"331", b"530", b"331", b"421"),
    ]
    assert knock(narrow, "127.0.0.9").startswith(b"421 ")
    assert knock(narrow, "127.0.0.8").startswith(b"220 ")
    (ban,) = narrow.argosy("bans")["bans"]
    assert ban["address"] == "127.0.0.9"
    assert 500 < ban["seconds"] <= 600
    assert narrow.argosy("unban", "127.0.0.9") == {"lifted": True}
    assert knock(narrow, "127.0.0.9").startswith(b"220 ")
    assert narrow.argosy("bans") == {"bans": []}


def test_who_came_before_the_ban_has_no_further_guess(narrow: Site) -> None:
    place = ("127.0.0.7", 0)
    early = [socket.create_connection((narrow.host, narrow.port), 10.0, place) for _ in range(2)]
    with early[0] as waiting, early[1] as guessing:
        guessing.sendall(b"USER ann\r\nPASS wrong\r\n" * 3)
        assert everything(guessing).endswith(b"421 Too many wrong passwords\r\n")
        waiting.sendall(f"USER {USER}\r\nPASS {PASSWORD}\r\n".encode())
        assert everything(waiting).splitlines()[-1] == b"421 Too many wrong passwords"
    assert narrow.argosy("unban", "127.0.0.7") == {"lifted": True}


def test_one_address_and_all_together_have_a_limit_of_sessions(narrow: Site) -> None:
    narrow.wait_for("an empty house", lambda: not narrow.argosy("who")["sessions"])
    open_ones = [Talk(narrow, login=False) for _ in range(4)]
    try:
        assert [one.greeting.code for one in open_ones] == [220] * 4
        refused = knock(narrow, "127.0.0.1")
        assert refused.startswith(b"421 As many as may be at once, try again later")
        assert knock(narrow, "127.0.0.2").startswith(b"220 ")
        held = [
            socket.create_connection((narrow.host, narrow.port), 10.0, ("127.0.0.3", 0)) for _ in range(2)
        ]
        assert [one.recv(100)[:3] for one in held] == [b"220"] * 2
        narrow.wait_for("six sessions", lambda: len(narrow.argosy("who")["sessions"]) == 6)
        assert knock(narrow, "127.0.0.4").startswith(b"421 ")
        for third in held:
            third.close()
        open_ones.pop().socket.close()
        narrow.wait_for("room", lambda: knock(narrow, "127.0.0.1").startswith(b"220 "))
    finally:
        for one in open_ones:
            one.socket.close()


def test_nobody_waits_while_others_log_in(site: Site) -> None:
    """Twenty clients have their passwords hashed at once; a session that is logged in feels none of it."""
    with Talk(site) as talk:
        crowd = [Talk(site, login=False) for _ in range(20)]
        for one in crowd:
            one.say(f"USER {WRITER}", f"PASS {PASSWORD}")
        longest = 0.0
        for _ in range(50):
            begin = time.monotonic()
            assert talk.ask("NOOP").code == 200
            longest = max(longest, time.monotonic() - begin)
            time.sleep(0.005)
        for one in crowd:
            assert [one.hear().code, one.hear().code] == [331, 230]
            one.socket.close()
    assert longest < 0.5, longest


def test_the_command_line_says_so_when_nobody_is_there(narrow: Site) -> None:
    narrow.wait_for("an empty house", lambda: narrow.argosy("who") == {"sessions": []})
