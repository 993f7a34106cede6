"""Users and groups of a running site: what is said on the command line counts at once at the door."""

from __future__ import annotations

import itertools
import time

import pytest

from running import PASSWORD, Site
from talking import Talk

BIG = bytes(64 << 20)

_numbers = itertools.count(1)


@pytest.fixture
def name(site: Site) -> str:
    """Have a user of the test's own."""
    name = f"user-{next(_numbers)}"
    site.add_user(name)
    return name


def wait_for_the_end(talk: Talk) -> bytes:
    """Give what is said before the other side hangs up."""
    text = b""
    while True:
        try:
            text += talk.hear().text
        except EOFError:
            return text


def test_who_is_locked_is_hung_up_on_and_cannot_come_back(site: Site, name: str) -> None:
    with Talk(site, name) as talk, Talk(site, name) as other:
        assert other.ask("NOOP").code == 200
        began = time.monotonic()
        site.argosy("user", "lock", name)
        assert wait_for_the_end(talk).startswith(b"421 You may not be logged in any longer")
        assert wait_for_the_end(other).startswith(b"421 ")
        assert time.monotonic() - began < 5
    with Talk(site, login=False) as talk:
        assert talk.ask(f"USER {name}").code == 331
        locked = talk.ask(f"PASS {PASSWORD}")
        assert talk.ask(f"USER {name}").code == 331
        wrong = talk.ask("PASS wrong")
        assert (locked.code, locked.text) == (wrong.code, wrong.text) == (530, b"530 Login incorrect\r\n")
    site.argosy("user", "unlock", name)
    with Talk(site, name) as talk:
        assert talk.ask("PWD").code == 257


def test_who_is_deleted_in_the_middle_of_a_transfer_is_cut_off(site: Site, name: str, place: str) -> None:
    with Talk(site, name) as talk, talk.data() as data:
        assert talk.ask(f"STOR {place}/big").code == 150
        data.sendall(BIG[:1000])
        site.argosy("user", "delete", name)
        text = wait_for_the_end(talk)
        assert text.startswith(b"426 ")
        assert b"421 Your account is gone" in text


def test_a_grant_counts_at_once_for_who_is_logged_in(site: Site, name: str, place: str) -> None:
    with Talk(site, name) as talk:
        talk.store(f"{place}/f", b"content")
        site.argosy("grant", place, "look", "--user", name)
        assert talk.ask(f"DELE {place}/f").code == 550
        assert talk.refused(f"STOR {place}/g") == 550
        assert talk.retrieve(f"{place}/f") == b"content"
        site.argosy("revoke", place, "--user", name)
        assert talk.ask(f"DELE {place}/f").code == 250


def test_who_has_to_use_tls_is_told_so_after_the_right_password(site: Site, name: str) -> None:
    site.argosy("user", "set", name, "require_tls=yes")
    with Talk(site, login=False) as talk:
        assert talk.ask(f"USER {name}").code == 331
        assert talk.ask(f"PASS {PASSWORD}").text == b"530 Login incorrect: say AUTH TLS first\r\n"


def test_who_comes_from_elsewhere_is_not_let_in(site: Site, name: str) -> None:
    site.argosy("user", "set", name, "masks=*@198.51.100.*")
    with Talk(site, login=False) as talk:
        assert talk.codes(f"USER {name}", f"PASS {PASSWORD}") == [331, 530]
        site.argosy("user", "set", name, f"masks=198.51.100.0/24,{site.host}")
        assert talk.codes(f"USER {name}", f"PASS {PASSWORD}") == [331, 230]


def test_new_files_show_their_owners_first_group(site: Site, name: str, place: str) -> None:
    for group in (f"{name}-b", f"{name}-a"):
        site.argosy("group", "add", group)
        site.argosy("group", "join", group, name)
    with Talk(site, name) as talk:
        talk.store(f"{place}/f", b"content")
        assert talk.ask(f"MKD {place}/d").code == 257
        listed = talk.get(f"LIST {place}").decode().splitlines()
        assert [line.split()[2:4] for line in listed] == [[name, f"{name}-b"]] * 2
