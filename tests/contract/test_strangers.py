"""Sites with habits of their own: old ones and odd ones."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from argosy import errors
from argosy.sites.model import Kind
from argosy.sites.session.dialect import Dialect, Opening, TimeSetting
from argosy.wire.ftp import times
from contract.strangers import Habit, Stranger, Visit, pasv
from contract.visiting import BIG, HOUR, LISTING, get, put, visit


def test_a_site_without_any_extension_is_enough() -> None:
    habits = dict.fromkeys(("FEAT", "EPSV", "PASV", "SIZE", "MDTM", "REST", "PWD"), "500 What?")
    with Stranger(habits, files={b"/f": BIG}, listing=LISTING) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        assert [one.name for one in client.list(b"/")] == [b"f"]
        assert client.facts(b"/f").size == len(BIG)
        with pytest.raises(errors.NotFound):
            client.facts(b"/gone")
        with pytest.raises(errors.Unsupported):
            client.retrieve(b"/f", 100)
        assert get(client, b"/f") == BIG
        assert client.dialect.refused_openings == {Opening.EPSV, Opening.PASV}
        client.close()


MODERN: dict[str, Habit] = {
    "FEAT": "211-Features\r\n MDTM\r\n MFMT\r\n SIZE\r\n211 End",
    "MDTM": "213 20240105000000",
    "MFMT": "213 Modify=20240105000000; /f",
    "SITE": "200 Set",
    "RNFR": "350 And now?",
    "RNTO": "250 Renamed",
}


@pytest.mark.parametrize("hasty", [False, True])
def test_what_needs_no_answer_in_between_is_said_in_one_piece_where_a_site_takes_it(hasty: bool) -> None:
    when = 1_704_412_800 * times.SECOND
    with Stranger(MODERN, files={b"/f": BIG}, hasty=hasty) as stranger:
        client = visit(stranger)
        assert client.dress(b"/f", mtime_ns=when, mode=0o640) is None, "nothing is known of it yet"
        client.set_mtime(b"/f", when)
        client.set_mode(b"/f", 0o640)
        assert client.facts(b"/f").mtime_ns == when
        for _ in range(2):
            stranger.said.clear()
            dressed = client.dress(b"/f", mtime_ns=when, mode=0o640)
            assert dressed is not None
            assert (dressed.size, dressed.mtime_ns) == (len(BIG), when)
        assert stranger.verbs() == ["MFMT", "SITE", "SIZE", "MDTM"]
        client.rename(b"/f", b"/g")
        assert stranger.said[-2:] == [b"RNFR /f", b"RNTO /g"]
        assert client.dialect.pipelines is not hasty
        client.close()


@pytest.mark.parametrize("hasty", [False, True])
def test_a_site_that_throws_away_what_comes_in_one_piece_is_read_from_the_middle(hasty: bool) -> None:
    dialect = Dialect()
    with Stranger(files={b"/f": BIG}, hasty=hasty) as stranger:
        client = visit(stranger, dialect, reply_seconds=0.5)
        assert get(client, b"/f", 100) == BIG[100:]
        if hasty:
            with pytest.raises(errors.Unavailable):
                get(client, b"/f", 200)
            client = visit(stranger, dialect, reply_seconds=0.5)
        for offset in (200, 300):
            assert get(client, b"/f", offset) == BIG[offset:]
        assert client.dialect.pipelines is not hasty
        client.close()


def test_a_small_file_is_sent_with_its_stor_and_a_refusal_is_still_one() -> None:
    with Stranger({"APPE": "500 What?"}) as stranger:
        client = visit(stranger)
        for content in (b"", b"small", b"again"):
            with client.store(b"/f", whole=content) as upload:
                upload.finish()
            assert stranger.files[b"/f"] == content
        stranger.habits["STOR"] = "550 Permission denied"
        with pytest.raises(errors.Denied):
            client.store(b"/g", whole=b"small")
        assert client.is_alive()
        stranger.habits["STOR"] = _full
        with pytest.raises(errors.NoSpace), client.store(b"/f", whole=b"more") as upload:
            upload.finish()
        assert stranger.files == {b"/f": b"again"}
        client.close()


def _full(visit: Visit, argument: bytes) -> None:
    visit.say("150 Go on")
    visit.meet().close()
    visit.say("452 Full")


@pytest.mark.parametrize("code", [500, 501, 502, 504, 522])
def test_the_next_way_is_tried_when_one_is_not_known(code: int) -> None:
    with Stranger({"EPSV": f"{code} No"}, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        for _ in range(3):
            assert get(client, b"/f") == BIG
        assert stranger.verbs().count("EPSV") == 1
        client.close()


@pytest.mark.parametrize("known", ["EPSV", "EPRT"])
def test_a_site_with_an_address_of_ipv6_is_a_site(known: str) -> None:
    habits = dict.fromkeys({"EPSV", "EPRT", "PASV", "PORT"} - {known}, "500 What?")
    with Stranger(habits, files={b"/f": BIG}, listing=LISTING, host="::1") as stranger:
        client = visit(stranger)
        assert get(client, b"/f", 100) == BIG[100:]
        put(client, b"/g", BIG)
        assert stranger.files[b"/g"] == BIG
        assert [one.name for one in client.list(b"/")] == [b"f"]
        assert "PORT" not in stranger.verbs()
        client.close()


def test_a_port_that_nobody_listens_at_is_not_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Stranger({"EPSV": f"229 (|||{port}|)"}, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        assert get(client, b"/f") == BIG
        assert stranger.verbs().count("EPSV") == 1  # the way that worked is the first one next time
        client.close()


def test_a_data_connection_that_was_opened_beforehand_saves_asking_for_one() -> None:
    with Stranger(files={b"/f": BIG}, listing=LISTING) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        client.prepare()
        assert stranger.said[-1] == b"EPSV"
        assert get(client, b"/f", 100) == BIG[100:]
        assert stranger.said[-2:] == [b"REST 100", b"RETR /f"]
        assert stranger.verbs().count("EPSV") == 2
        client.close()


@pytest.mark.parametrize("code", [425, 426, 503])
def test_a_site_that_wants_its_data_connections_fresh_gets_them_so(code: int) -> None:
    refused = []

    def retr(one: Visit, path: bytes) -> None:
        before = one.stranger.verbs()[-2]
        refused.append(before != "EPSV")
        if before == "EPSV":
            one.send(BIG)
        else:
            one.say(f"{code} Say EPSV first")

    with Stranger({"RETR": retr}) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        client.prepare()
        stranger.said.append(b"NOOP")
        assert get(client, b"/f") == BIG
        client.prepare()
        assert get(client, b"/f") == BIG
        assert refused == [False, True, False, False]
        client.close()


def test_a_data_connection_that_was_opened_beforehand_and_is_closed_or_old_is_not_used() -> None:
    def closed(one: Visit, _: bytes) -> None:
        one.say(f"229 Entering (|||{one.listen()}|)")
        if one.stranger.verbs().count("EPSV") == 2:
            one.meet().close()

    with Stranger({"EPSV": closed}, files={b"/f": BIG}) as stranger:
        client = visit(stranger, ready_seconds=1.0)
        assert get(client, b"/f") == BIG
        client.prepare()
        assert client.is_alive()
        assert get(client, b"/f") == BIG
        client.prepare()
        time.sleep(1.1)
        assert get(client, b"/f") == BIG
        assert stranger.verbs().count("EPSV") == 5
        assert stranger.verbs().count("RETR") == 3
        client.close()


def test_a_reply_too_many_is_not_taken_for_the_next_commands() -> None:
    def twice(one: Visit, _: bytes) -> None:
        one.say("150 Coming")
        with one.meet() as data, contextlib.suppress(OSError):
            while True:
                data.sendall(BIG)
        one.say("426 Cut\r\n226 Closing, all the same")

    with Stranger({"RETR": twice, "DELE": "550 No such file"}, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        assert client.facts(b"/f").size == len(BIG)
        client.retrieve(b"/f").abandon()
        client.prepare()
        with pytest.raises(errors.Unavailable):
            client.delete(b"/gone")
        assert not client.usable
        client.close()


def test_nothing_is_opened_beforehand_where_it_is_not_wanted() -> None:
    with Stranger(files={b"/f": BIG}) as stranger:
        client = visit(stranger, ready_seconds=0.0)
        assert get(client, b"/f") == BIG
        client.prepare()
        assert stranger.verbs().count("EPSV") == 1
        client.close()


def test_a_private_address_behind_a_translator_is_not_dialled() -> None:
    habits: dict[str, Habit] = {
        "EPSV": "500 What?",
        "PASV": lambda one, argument: pasv(one, argument, "10,255,255,1"),
    }
    with Stranger(habits, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        client.close()


def test_a_planned_transfer_is_not_sent_to_just_anywhere() -> None:
    habits: dict[str, Habit] = {
        "FEAT": "211-Features:\r\n PRET\r\n211 End",
        "PRET": "200 Planned",
        "PASV": lambda one, argument: pasv(one, argument, "10,255,255,1"),
    }
    with Stranger(habits, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        assert b"PRET RETR /f" in stranger.said
        client.close()


def test_windows_lists_as_windows_does() -> None:
    listing = b"11-05-25  09:09PM       <DIR>          pub x\r\n"
    listing += b"04-14-20  12:47AM                  589 read me.htm\r\n"
    habits = {"LIST": lambda one, argument: one.send(b"" if argument else one.stranger.listing)}
    with Stranger(habits, listing=listing) as stranger:
        client = visit(stranger)
        for _ in range(2):
            found = {one.name: one for one in client.list(b"/")}
            assert {name: one.kind for name, one in found.items()} == {
                b"pub x": Kind.DIRECTORY,
                b"read me.htm": Kind.FILE,
            }
        assert client.dialect.lists_hidden is False  # -a was a name to it
        client.close()


@pytest.mark.parametrize("hours", [-8, 0, 1, 9])
def test_the_clock_of_a_site_is_set_right_by_one_question(hours: int) -> None:
    true = time.time_ns() // (60 * times.SECOND) * 60 * times.SECOND - 50 * HOUR
    shown = time.gmtime((true + hours * HOUR) // times.SECOND)
    listing = time.strftime("-rw-r--r--   1 ann      staff    5 %b %d %H:%M ", shown).encode()
    habits = {"MDTM": b"213 " + times.format_time(true + 7 * times.SECOND)}
    with Stranger(habits, listing=listing + b"a\r\n" + listing + b"b\r\n") as stranger:
        client = visit(stranger)
        for _ in range(3):
            assert {one.mtime_ns for one in client.list(b"/")} == {true}
        assert stranger.verbs().count("MDTM") == 1
        client.close()


def test_a_listing_that_nobody_can_read_is_not_an_empty_directory() -> None:
    with Stranger(listing=b"this is\r\nno listing\r\n") as stranger:
        client = visit(stranger)
        with pytest.raises(errors.Failed):
            client.list(b"/")
        assert client.is_alive()
        client.close()


def test_names_are_translated_where_the_site_writes_them_otherwise() -> None:
    listing = "-rw-r--r--   1 ann      staff        4 Jan 05  2024 größe\r\n".encode("latin-1")
    with Stranger(listing=listing, files={"/größe".encode("latin-1"): b"1234"}) as stranger:
        client = visit(stranger, encoding="latin-1")
        assert [one.name for one in client.list(b"/")] == ["größe".encode()]
        assert get(client, "/größe".encode()) == b"1234"
        with pytest.raises(errors.NameNotAllowed):
            client.facts("/猫".encode())
        client.close()


def test_times_are_set_in_the_way_that_the_site_knows() -> None:
    def tell_time(one: Visit, argument: bytes) -> None:
        one.say("550 No such file" if b" " in argument else b"213 20170714024000")

    habits: dict[str, Habit] = {"MDTM": tell_time, "SITE": "200 Done"}
    with Stranger(habits, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        for _ in range(2):
            client.set_mtime(b"/f", 1_500_000_000 * times.SECOND)
        assert stranger.said.count(b"SITE UTIME 20170714024000 /f") == 2
        assert client.dialect.time_setting is TimeSetting.UTIME
        client.close()


def test_a_time_that_is_taken_and_not_kept_is_not_believed() -> None:
    habits = {"MDTM": "213 20200101000000", "SITE": "200 Done"}
    with Stranger(habits, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        with pytest.raises(errors.Unsupported):
            client.set_mtime(b"/f", 1_500_000_000 * times.SECOND)
        client.close()
