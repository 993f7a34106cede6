"""Users and groups of a running site: what is said on the command line counts at once at the door."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections.abc import Iterator

import pytest

from running import PASSWORD, USER, Site
from talking import Talk, reset

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


# --- rights


@pytest.fixture(scope="module")
def rooms(site: Site) -> tuple[str, str]:
    """Have directories with files, and a user with other rights in each; give its name and where they are."""
    name, place = "clerk", "/office"
    site.add_user(name)
    with Talk(site) as boss:
        for directory in ("", "/open", "/look", "/drop", "/hidden", "/hidden/shown", "/log", "/fixed"):
            assert boss.ask(f"MKD {place}{directory}").code == 257
            boss.store(f"{place}{directory}/f", b"content")
        assert boss.ask(f"DELE {place}/f").code == 250
    for directory, rights in (
        ("look", "look"),
        ("drop", "write"),
        ("hidden", "none"),
        ("hidden/shown", "look"),
        ("log", "look,append"),
        ("fixed", "usual,-overwrite,-delete,-rename,-append"),
    ):
        site.argosy("grant", f"{place}/{directory}", rights, "--user", name)
    return name, place


@pytest.fixture
def office(site: Site, rooms: tuple[str, str]) -> Iterator[tuple[Talk, str]]:
    """Log that user in, where these directories are."""
    name, place = rooms
    with Talk(site, name) as talk:
        assert talk.ask(f"CWD {place}").code == 250
        yield talk, place


Office = tuple[Talk, str]


def facts(talk: Talk, path: str) -> str:
    """Give MLST's perm."""
    found = re.search(rb"perm=([a-z]*);", talk.ask(f"MLST {path}").text, re.IGNORECASE)
    assert found
    return found[1].decode()


def test_who_may_only_look_changes_nothing(office: Office) -> None:
    talk, _ = office
    assert talk.retrieve("look/f") == b"content"
    assert b"f" in talk.get("NLST look")
    assert talk.refused("STOR look/g") == 550
    assert talk.refused("STOR look/f") == 550
    assert talk.refused("APPE look/f") == 550
    lines = ("DELE look/f", "MKD look/d", "RMD look", "MFMT 20010101000000 look/f", "SITE CHMOD 600 look/f")
    assert talk.codes(*lines) == [550] * len(lines)
    assert talk.codes("RNFR look/f", "RNTO look/g") == [350, 550]
    assert talk.codes("RNFR look/f", "RNTO open/g") == [350, 550]
    assert talk.codes("RNFR open/f", "RNTO look/g") == [350, 550]
    assert (facts(talk, "look/f"), facts(talk, "look"), facts(talk, "open/f")) == ("r", "el", "adfrw")
    assert talk.get("LIST look").split()[0] == b"-r--r--r--"
    assert talk.get("LIST open").split()[0] == b"-rw-r--r--"


def test_a_drop_box_takes_files_and_shows_none(office: Office) -> None:
    talk, place = office
    talk.store("drop/mine", b"half")
    assert talk.ask("MFMT 20010101000000 drop/mine").code == 213
    assert talk.refused("RETR drop/mine") == 550
    assert talk.ask("XCRC drop/mine").code == 550
    for line in ("LIST drop", "NLST drop", "MLSD drop", "LIST drop/*"):
        assert talk.refused(line) == 550, line
    assert talk.ask("STAT drop").code == 550
    assert talk.refused("STOR drop/f") == 550  # there is one, and it isn't to be replaced
    assert talk.refused("STOR drop/mine") == 550
    assert talk.codes("CWD drop", "DELE mine", f"CWD {place}") == [250, 550, 250]
    assert (facts(talk, "drop"), facts(talk, "drop/f")) == ("ce", "")


def test_an_upload_of_ones_own_that_was_cut_is_gone_on_with_in_a_drop_box(office: Office) -> None:
    talk, _ = office
    with talk.data() as data:
        assert talk.ask("STOR drop/cut").code == 150
        data.sendall(b"first ")
        time.sleep(0.3)
        reset(data)
    assert talk.hear().code == 426
    assert talk.ask("REST 6").code == 350
    assert talk.put("STOR drop/cut", b"second").code == 226
    assert talk.size("drop/cut") == 12


def test_what_may_not_be_seen_is_as_if_it_were_not_there(office: Office) -> None:
    talk, place = office
    assert sorted(talk.get("NLST").split()) == [b"drop", b"fixed", b"hidden", b"log", b"look", b"open"]
    assert talk.get("NLST hidden") == b"hidden/shown\r\n"  # the way to what is granted further down
    assert talk.retrieve("hidden/shown/f") == b"content"
    missing = talk.ask("MLST hidden/none").text.replace(b"none", b"f")
    assert talk.ask("MLST hidden/f").text == missing
    lines = (
        "SIZE hidden/f",
        "DELE hidden/f",
        "MKD hidden/d",
        "RNFR hidden/f",
        "CWD hidden/f",
        "MLST hidden/f/x",
    )
    said = [talk.ask(line).text for line in lines]
    assert [text[:30] for text in said] == [b"550 No such file or directory:"] * len(lines)
    assert talk.refused("RETR hidden/f") == 550
    assert talk.refused("STOR hidden/f") == 550
    assert talk.codes("RNFR hidden", "RNTO open/hidden") == [350, 550]  # nor carried off with its directory
    assert talk.ask(f"CWD {place}/hidden").code == 250


def test_a_log_can_only_grow(office: Office) -> None:
    talk, _ = office
    assert talk.put("APPE log/f", b" and more").code == 226
    assert talk.retrieve("log/f") == b"content and more"
    assert talk.refused("STOR log/f") == 550
    assert talk.refused("APPE log/new") == 550
    assert talk.ask("REST 3").code == 350
    assert talk.refused("STOR log/f") == 550
    assert facts(talk, "log/f") == "ar"


def test_what_is_stored_in_a_fixed_place_stays(office: Office) -> None:
    talk, _ = office
    talk.store("fixed/new", b"content")
    assert talk.refused("STOR fixed/new") == 550
    assert talk.refused("APPE fixed/new") == 550
    talk.store("open/other", b"content")
    assert talk.codes("RNFR open/other", "RNTO fixed/new") == [350, 550]
    assert talk.codes("RNFR open/other", "RNTO fixed/other", "DELE fixed/other") == [350, 250, 550]
    assert talk.codes("MKD fixed/d", "RMD fixed/d") == [257, 250]


def test_a_link_gives_no_right_that_its_target_does_not(office: Office) -> None:
    talk, place = office
    assert talk.ask(f"SITE SYMLINK {place}/hidden/f open/way").code == 200
    assert talk.refused("RETR open/way") == 550
    assert talk.ask("SIZE open/way").code == 550
    assert talk.ask(f"SITE SYMLINK {place}/look/f open/there").code == 200
    assert talk.retrieve("open/there") == b"content"
    assert talk.refused("STOR open/there") == 550


def test_an_administrator_may_do_everything_whatever_is_granted(site: Site, office: Office) -> None:
    _, place = office
    site.argosy("grant", place, "none", "--user", USER)
    with Talk(site) as boss:
        boss.store(f"{place}/hidden/g", b"content")
        assert boss.retrieve(f"{place}/hidden/g") == b"content"
        assert boss.ask(f"DELE {place}/hidden/g").code == 250
    site.argosy("revoke", place, "--user", USER)


def test_fxp_is_granted_by_path(site: Site, name: str, place: str) -> None:
    site.argosy("grant", place, "all", "--user", name)
    with Talk(site, name) as talk:
        elsewhere = "PORT 192,0,2,1,200,10"
        assert talk.codes(elsewhere, f"CWD {place}", elsewhere) == [550, 250, 200]


def test_a_link_tells_nothing_of_what_may_not_be_seen(site: Site, name: str, place: str) -> None:
    with Talk(site) as talk:
        assert talk.codes(f"MKD {place}/hidden", f"MKD {place}/hidden/there") == [257, 257]
        talk.store(f"{place}/hidden/file", b"secret")
    site.argosy("grant", f"{place}/hidden", "none", "--user", name)
    with Talk(site, name) as talk:
        told = set()
        for target in ("there", "file", "missing", "there/x", "file/x", "missing/x"):
            assert talk.ask(f"SITE SYMLINK {place}/hidden/{target} {place}/link").code == 200
            for line in (
                "SIZE %s",
                "CWD %s",
                "MKD %s/a",
                "DELE %s/a",
                "MFMT 20200101000000 %s",
                "PRET STOR %s",
            ):
                answer = talk.ask(line % f"{place}/link")
                told.add((line, answer.code, answer.text))
            assert talk.ask(f"DELE {place}/link").code == 250
    assert len(told) == 6, told
    assert not any(b"hidden" in text for _, _, text in told), told


# --- quotas


def holdings(site: Site, name: str) -> tuple[int, int]:
    """Give the files and bytes that a user holds."""
    (found,) = [one for one in site.argosy("quota")["quotas"] if (one["kind"], one["name"]) == ("user", name)]
    return found["files"], found["bytes"]


@pytest.mark.parametrize("wish", ["EPSV", "PASV"])
def test_an_upload_that_would_pass_the_quota_is_cut(site: Site, name: str, place: str, wish: str) -> None:
    site.argosy("user", "set", name, "quota_bytes=1M")
    with Talk(site, name) as talk:
        talk.store(f"{place}/a", bytes(600_000))
        if wish == "PASV":
            assert talk.ask(f"PRET STOR {place}/b").code == 200
        with talk.data(wish) as data:
            assert talk.ask(f"STOR {place}/b").code == 150
            with contextlib.suppress(ConnectionError):
                data.sendall(BIG)
            ended = talk.hear()
        assert (ended.code, ended.text[:19]) == (552, b"552 Quota exceeded:")
        assert talk.ask(f"SIZE {place}/b").code == 550
        assert talk.put(f"STOR {place}/a", bytes(1 << 20)).code == 226  # what is replaced gives way
        assert talk.refused(f"STOR {place}/b") == 552
        assert talk.ask(f"PRET STOR {place}/b").code == 552
        assert talk.refused(f"APPE {place}/a") == 552
        assert holdings(site, name) == (1, 1 << 20)
        assert talk.ask(f"DELE {place}/a").code == 250
        talk.store(f"{place}/b", bytes(1000))
        assert holdings(site, name) == (1, 1000)


def test_uploads_that_end_at_the_same_time_do_not_share_the_last_room(
    site: Site, name: str, place: str
) -> None:
    site.argosy("user", "set", name, "quota_files=2")
    with contextlib.ExitStack() as stack:
        talks = [stack.enter_context(Talk(site, name)) for _ in range(12)]
        ways = [stack.enter_context(talk.data()) for talk in talks]
        for number, talk in enumerate(talks):
            assert talk.ask(f"STOR {place}/{number}").code == 150
        for data in ways:
            data.close()
        codes = sorted(talk.hear().code for talk in talks)
    assert codes == [226] * 2 + [552] * 10
    assert holdings(site, name) == (2, 0)


def test_an_upload_that_is_announced_too_long_is_refused_at_once(site: Site, name: str, place: str) -> None:
    site.argosy("user", "set", name, "quota_bytes=1000")
    with Talk(site, name) as talk:
        talk.store(f"{place}/a", bytes(600))
        assert talk.ask("ALLO 401").code == 200
        assert talk.refused(f"STOR {place}/b") == 552
        assert talk.ask("ALLO 401").code == 200
        assert talk.refused(f"APPE {place}/a") == 552
        assert talk.ask("ALLO 400").code == 200
        assert talk.put(f"APPE {place}/a", bytes(400)).code == 226


def test_a_user_is_told_what_the_quotas_leave(site: Site, name: str, place: str) -> None:
    with Talk(site, name) as talk:
        assert b"0 quotas" in talk.ask("SITE QUOTA").text
        site.argosy("user", "set", name, "quota_bytes=10000", "quota_files=2")
        assert talk.ask(f"AVBL {place}").text == b"213 10000\r\n"
        talk.store(f"{place}/a", bytes(4000))
        assert talk.ask(f"AVBL {place}").text == b"213 6000\r\n"
        told = talk.ask("SITE QUOTA")
        assert told.code == 200
        row = next(line.split() for line in told.text.splitlines() if name.encode() in line)
        assert row == [b"user", name.encode(), *b"1 2 3.9 KiB 9.8 KiB".split()]
        talk.store(f"{place}/b", b"")
        assert talk.ask(f"AVBL {place}").text == b"213 0\r\n", "no further file goes in"
        site.argosy("user", "set", name, "quota_bytes=1000T", "quota_files=0")
        assert 0 < int(talk.ask(f"AVBL {place}").text[4:]) < 1000 * 2**40, "the disks are smaller"
        assert talk.codes(f"AVBL {place}/a", "SITE QUOTA x", "PWD") == [550, 501, 257]


def test_a_groups_files_are_limited_together(site: Site, name: str, place: str) -> None:
    group, other = f"{name}-group", f"{name}-other"
    site.argosy("group", "add", group, "total_files=2")
    site.add_user(other)
    site.argosy("group", "join", group, name, other)
    with Talk(site, name) as talk, Talk(site, other) as second:
        talk.store(f"{place}/a", b"a")
        second.store(f"{place}/b", b"b")
        assert talk.refused(f"STOR {place}/c") == 552
        assert talk.put(f"STOR {place}/a", b"again").code == 226
        assert second.ask(f"DELE {place}/b").code == 250
        talk.store(f"{place}/c", b"c")


def test_a_section_takes_no_more_than_its_quota(site: Site, name: str, place: str) -> None:
    with Talk(site, name) as talk:
        assert talk.ask("MKD /vault").code == 257
        talk.store("/vault/a", b"a")
        talk.store("/vault/b", b"b")
        assert talk.refused("STOR /vault/c") == 552
        talk.store(f"{place}/c", b"c")
        assert talk.codes(f"RNFR {place}/c", "RNTO /vault/c") == [350, 552]
        assert talk.codes("RNFR /vault/a", f"RNTO {place}/a") == [350, 250]
        assert talk.codes(f"RNFR {place}/c", "RNTO /vault/c") == [350, 250]
        assert talk.refused("STOR /vault/d") == 552
