"""Users, groups and machines by SITE, as an administrator of a DrFTPD site is used to."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from argosy.wire.ftp.site import SITE_VERBS
from door.conftest import READER, WRITER
from running import Site
from talking import Talk

NEW = "first password"


@pytest.fixture
def admin(site: Site) -> Iterator[Talk]:
    """Log in as the administrator."""
    with Talk(site) as talk:
        yield talk


@pytest.fixture
def name() -> str:
    """Give a name that nobody has."""
    return f"new-{time.monotonic_ns()}"


def may_log_in(site: Site, user: str, password: str) -> bool:
    with Talk(site, login=False) as talk:
        assert talk.ask(f"USER {user}").code == 331
        return talk.ask(f"PASS {password}").code == 230


def test_a_user_is_added_given_another_password_and_deleted(site: Site, admin: Talk, name: str) -> None:
    assert admin.codes(f"SITE ADDUSER {name} secret", f"SITE ADDUSER {name} again") == [200, 550]
    assert may_log_in(site, name, "secret")
    assert admin.ask(f"SITE CHPASS {name} with some blanks").code == 200
    assert not may_log_in(site, name, "secret")
    assert may_log_in(site, name, "with some blanks")
    with Talk(site, login=False) as theirs:
        assert theirs.codes(f"USER {name}", "PASS with some blanks", "SITE PASSWD mine") == [331, 230, 200]
        assert may_log_in(site, name, "mine")
        assert name in admin.ask("SITE USERS").text.decode()
        assert admin.ask(f"SITE DELUSER {name}").code == 200
        assert theirs.hear().code == 421
    assert not may_log_in(site, name, "mine")
    assert admin.codes(f"SITE DELUSER {name}", f"SITE CHPASS {name} x", f"SITE USER {name}") == [550] * 3


def test_a_user_may_come_from_where_its_masks_say(site: Site, admin: Talk, name: str) -> None:
    assert admin.ask(f"SITE ADDUSER {name} secret *@10.0.0.* 2001:db8::/32").code == 200
    assert not may_log_in(site, name, "secret")
    told = admin.ask(f"SITE ADDIP {name} *@127.*").text
    assert all(network in told for network in (b"10.0.0.0/24", b"2001:db8::/32", b"127.0.0.0/8"))
    assert may_log_in(site, name, "secret")
    assert admin.ask(f"SITE DELIP {name} 127.0.0.0/8").code == 200
    assert not may_log_in(site, name, "secret")
    assert admin.ask(f"SITE DELIP {name} *@10.0.0.* 2001:db8::/32").text.endswith(b"everywhere\r\n")
    assert may_log_in(site, name, "secret")
    assert admin.codes(
        f"SITE DELIP {name} 10.0.0.1", f"SITE ADDIP {name} frank@10.0.0.1", f"SITE ADDIP {name} nonsense"
    ) == [501, 501, 501]


def test_groups_come_and_go_and_users_in_them(site: Site, admin: Talk, name: str) -> None:
    group = f"group-{name}"
    assert admin.codes(f"SITE GADDUSER {group} {name} secret", f"SITE ADDGROUP {group}") == [550, 200]
    assert admin.codes(f"SITE GADDUSER {group} {name} secret", f"SITE ADDGROUP {group}") == [200, 550]
    assert name in admin.ask(f"SITE GINFO {group}").text.decode()
    assert admin.ask(f"SITE CHANGEGROUP {group} sessions 1").code == 200
    with Talk(site, login=False) as first:
        assert first.codes(f"USER {name}", "PASS secret") == [331, 230]
        assert not may_log_in(site, name, "secret"), "the group's limit is the user's"
        assert admin.ask(f"SITE CHGRP {name} {group}").text == f"200 {name} is in no group\r\n".encode()
        assert may_log_in(site, name, "secret")
    assert admin.ask(f"SITE CHGRP {name} {group}").text == f"200 {name} is in {group}\r\n".encode()
    assert group in admin.ask("SITE GROUPS").text.decode()
    assert admin.codes(f"SITE DELGROUP {group}", f"SITE DELGROUP {group}", f"SITE GINFO {group}") == [
        *(200, 550, 550),
    ]


def test_settings_are_changed_and_shown_and_nonsense_is_refused(admin: Talk, name: str) -> None:
    assert admin.ask(f"SITE ADDUSER {name} secret").code == 200
    assert admin.codes(
        f"SITE CHANGE {name} down_rate 2M",
        f"SITE CHANGE {name} note a friend of a friend",
        f"SITE CHANGE {name} ratio 1:3",
        f"SITE CHANGE {name} uploads many",
        f"SITE CHANGE {name}",
        f"SITE CHANGE nobody-{name} uploads 1",
    ) == [200, 200, 501, 501, 501, 550]
    told = admin.ask(f"SITE USER {name}").text.decode()
    assert "down_rate: 2M" in told
    assert "note: a friend of a friend" in told
    assert admin.ask(f"SITE CHANGE {name} down_rate").text.endswith(b"not set\r\n")
    assert "down_rate" not in admin.ask(f"SITE USER {name}").text.decode()


def test_others_see_themselves_and_change_nobody(site: Site, talk: Talk) -> None:
    for line in (
        *("ADDUSER x y", "DELUSER ann", "CHPASS ann x", "ADDIP ann *", "CHANGE ann uploads 1", "USERS"),
        *("GROUPS", "NODES", "WHY /", "ADDGROUP g", "DELGROUP g", "CHGRP ann g", "GINFO g", "SLAVES"),
    ):
        assert talk.ask(f"SITE {line}").code == 504, line
    own = talk.ask("SITE USER")
    assert own.code == 200
    assert WRITER.encode() in own.text
    assert talk.codes(f"SITE USER {WRITER}", f"SITE USER {READER}", "SITE USER nobody") == [200, 550, 550]


def test_a_password_that_site_is_given_is_seen_nowhere(site: Site, admin: Talk, name: str) -> None:
    for line in (f"ADDUSER {name} hush-hush", f"CHPASS {name} hush-hush", "CHPASS nobody hush-hush"):
        admin.ask(f"SITE {line}")
    assert admin.ask(f"SITE DELUSER {name}").code == 200
    assert "hush-hush" not in site.logs()


def test_what_was_moved_is_told_to_whom_it_concerns(admin: Talk, talk: Talk) -> None:
    talk.store("f", b"x" * 5000)
    assert talk.retrieve("f") == b"x" * 5000
    own = talk.ask("SITE STATS").text.decode()
    assert len(own.splitlines()) == 4, own
    assert f" {WRITER} " in own
    assert talk.codes(f"SITE STATS {WRITER}", f"SITE STATS {READER}") == [200, 550]
    assert f" {WRITER} " in admin.ask("SITE STATS").text.decode()
    assert WRITER not in admin.ask(f"SITE STATS {READER}").text.decode()


def test_whatever_follows_site_is_answered_and_breaks_nothing(site: Site, name: str) -> None:
    site.add_user(name, "--admin")
    chance = random.Random(2577)
    junk = [
        b"",
        b" ",
        b"x",
        b"\xff\xfe",
        b"*@*",
        b"1:3",
        b"-1",
        b"/",
        b"9" * 400,
        b"a=b",
        b"\x01",
        b"%s%n",
        b"2M",
    ]
    verbs = sorted(verb.encode() for verb in SITE_VERBS)
    with Talk(site, name) as talk:
        for _ in range(400):
            words = [chance.choice(junk) for _ in range(chance.randrange(5))]
            code = talk.ask(b" ".join([b"SITE", chance.choice(verbs), *words])).code
            assert code in (200, 214, 250, 450, 500, 501, 504, 550, 552, 553), site.logs()[-3000:]
        assert talk.ask(b"SITE CHPASS \xff x").code == 501
        for option in (b"-user \xff", b"-group \xff", b"-slave \xff", b"-mtime x", b"-limit 0x1"):
            assert talk.ask(b"SITE FIND / " + option).code == 501
        for option in (b"-mtime -99999", b"-mtime 99999", b"-size 9999999T", b"-limit 99999"):
            assert talk.ask(b"SITE FIND / " + option).code == 200
        assert talk.ask("NOOP").code == 200
    assert "accident" not in site.logs()


def test_machines_are_told_of(site: Site, admin: Talk, place: str) -> None:
    nodes = admin.ask("SITE NODES").text.decode()
    assert "2 nodes" in nodes
    assert nodes.count("ready") == 2
    assert admin.ask("SITE SLAVES").text == admin.ask("SITE NODES").text or "n1" in nodes
    assert admin.ask("SITE DF").text.endswith(b"on 2 volumes\r\n")
    admin.store(f"{place}/f", b"x")
    told = admin.ask(f"SITE WHY {place}/f").text.decode()
    assert "reading: n" in told
    assert "writing: n" in told
    assert "points" in told
    assert "missing" in admin.ask(f"SITE WHY {place}/gone").text.decode()
