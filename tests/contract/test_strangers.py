"""Sites with habits of their own: old ones, odd ones, broken ones, and ones that mean harm."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

import pytest

from argosy import errors
from argosy.config import Remote
from argosy.sites.model import Address, Kind, Tls
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect, Opening, TimeSetting
from argosy.wire.ftp import times
from contract.strangers import Habit, Stranger, Visit, pasv

BIG = os.urandom(300_000)
HOUR = 3600 * times.SECOND

LISTING = b"-rw-r--r--   1 ann      staff        %d Jan 05  2024 f\r\n" % len(BIG)


def visit(
    stranger: Stranger,
    dialect: Dialect | None = None,
    *,
    encoding: str = "",
    tls: Tls = Tls.OFF,
    **changes: Any,
) -> Client:
    """Log in, with short limits."""
    usual: dict[str, Any] = {"connect_seconds": 5.0, "reply_seconds": 5.0, "stall_seconds": 1.0}
    address = Address(stranger.host, stranger.port, "ann", "secret", tls=tls, encoding=encoding)
    return Client(address, Remote(**usual | changes), dialect or Dialect())


def get(client: Client, path: bytes, offset: int = 0) -> bytes:
    with client.retrieve(path, offset) as download:
        return download.read()


def put(client: Client, path: bytes, data: bytes) -> None:
    with client.store(path) as upload:
        upload.send(data)
        upload.finish()


# --- old sites


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


# --- sites in trouble


def test_nobody_there_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(errors.Unavailable):
        Client(Address("127.0.0.1", port), Remote(), Dialect())
    assert time.monotonic() - began < 5.0


def test_a_site_that_says_nothing_is_given_up() -> None:
    with Stranger(greeting="") as stranger:
        began = time.monotonic()
        with pytest.raises(errors.Unavailable):
            visit(stranger, connect_seconds=0.5)
        assert time.monotonic() - began < 5.0


def test_a_command_that_is_never_answered_ends_the_login() -> None:
    def be_silent(one: Visit, argument: bytes) -> None:
        pass

    with Stranger({"SIZE": be_silent}) as stranger:
        client = visit(stranger, reply_seconds=0.5)
        with pytest.raises(errors.Unavailable):
            client.facts(b"/f")
        assert not client.usable
        with pytest.raises(errors.Unavailable):
            client.facts(b"/f")
        assert not client.is_alive()
        client.close()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("421 Too many connections", errors.TooMany),
        ("530 Sorry, the maximum number of clients are already connected", errors.TooMany),
        ("421 Going down", errors.Unavailable),
        ("530 Login incorrect", errors.LoginFailed),
    ],
)
def test_why_nobody_is_let_in_is_told_apart(line: str, kind: type[errors.Refused]) -> None:
    for how in ({"greeting": line}, {"habits": {"USER": line}}, {"habits": {"PASS": line}}):
        with Stranger(**how) as stranger:
            with pytest.raises(errors.Refused) as refused:
                visit(stranger)
            assert type(refused.value) is kind
            assert "secret" not in str(refused.value)


def test_a_timeout_of_the_site_ends_the_login() -> None:
    with Stranger({"NOOP": "421 Timeout."}) as stranger:
        client = visit(stranger)
        assert not client.is_alive()
        assert not client.usable
        client.close()


def test_a_download_cut_in_the_middle_is_not_a_whole_file() -> None:
    def cut(one: Visit, argument: bytes) -> None:
        one.say("150 Coming")
        with one.meet() as data:
            data.sendall(BIG[:1000])
        one.say("426 Cut")

    with Stranger({"RETR": cut}) as stranger:
        client = visit(stranger)
        with pytest.raises(errors.TransferCut):
            get(client, b"/f")
        assert client.is_alive()
        client.close()


def test_a_transfer_that_ends_with_150_was_cut_as_pure_ftpd_has_it() -> None:
    def cut(one: Visit, argument: bytes) -> None:
        one.send(BIG[:1000], "150 0.002 seconds (measured here), 868.89 Mbytes per second")

    with Stranger({"RETR": cut}, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        with pytest.raises(errors.TransferCut):
            get(client, b"/f")
        assert client.facts(b"/f").size == len(BIG)  # and both sides are in step
        client.close()


def test_a_download_that_stands_still_is_given_up_and_the_login_goes_on() -> None:
    def stall(one: Visit, argument: bytes) -> None:
        one.say("150 Coming")
        data = one.meet()
        data.sendall(BIG[:1000])
        line = b""
        while not line.endswith(b"ABOR\r\nPWD\r\n"):  # Telnet's bytes before it
            line += one.control.recv(1)
        data.close()
        one.say('426 Cut\r\n226 Stopped\r\n257 "/"')

    with Stranger({"RETR": stall}) as stranger:
        client = visit(stranger, stall_seconds=0.3)
        began = time.monotonic()
        with pytest.raises(errors.TransferCut):
            get(client, b"/f")
        assert time.monotonic() - began < 10.0
        assert client.is_alive()
        client.close()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("452 Insufficient storage space", errors.NoSpace),
        ("552 Disk quota exceeded", errors.OverQuota),
        ("451 No space left on device", errors.NoSpace),
        ("426 Cut", errors.TransferCut),
    ],
)
def test_why_an_upload_failed_is_heard_from_the_site(line: str, kind: type[errors.Refused]) -> None:
    def full(one: Visit, argument: bytes) -> None:
        one.say("150 Go on")
        with one.meet() as data:
            data.recv(1000)
        one.say(line)

    with Stranger({"STOR": full}) as stranger:
        client = visit(stranger)
        for size in (10, 30_000_000):
            with pytest.raises(errors.Refused) as refused:
                put(client, b"/f", bytes(size))
            assert type(refused.value) is kind
            assert client.is_alive()
        client.close()


def test_a_control_connection_lost_during_an_upload_is_told_as_such() -> None:
    def gone(one: Visit, argument: bytes) -> None:
        one.say("150 Go on")
        with one.meet() as data:
            while data.recv(65_536):
                pass
        one.control.shutdown(socket.SHUT_RDWR)

    with Stranger({"STOR": gone}) as stranger:
        client = visit(stranger)
        with pytest.raises(errors.Unavailable):
            put(client, b"/f", BIG)
        assert not client.usable
        client.close()


def test_a_site_that_cannot_be_asked_where_it_is_is_left_after_a_cut() -> None:
    with Stranger({"PWD": "500 What?"}, files={b"/f": bytes(50_000_000)}) as stranger:
        client = visit(stranger)
        with client.retrieve(b"/f") as download:
            download.recv_into(bytearray(10))
        assert not client.usable  # its 150 and 226 could be of anything
        client.close()


# --- sites that mean harm


@pytest.mark.parametrize(
    "greeting",
    [b"HTTP/1.1 400 Bad Request", b"SSH-2.0-OpenSSH_9.2", b"220 " + b"x" * 100_000, b"220-x\r\n" * 9_000],
)
def test_who_speaks_no_ftp_is_hung_up_on(greeting: bytes) -> None:
    with Stranger(greeting=greeting) as stranger, pytest.raises(errors.Unavailable):
        visit(stranger)


def test_a_listing_without_end_is_cut_off() -> None:
    def endless(one: Visit, argument: bytes) -> None:
        one.say("150 Coming")
        with one.meet() as data:
            while True:
                data.sendall(LISTING * 1000)

    with Stranger({"LIST": endless}) as stranger:
        client = visit(stranger, listing_bytes=1_000_000)
        with pytest.raises(errors.Refused):
            client.list(b"/")
        client.close()


def test_a_name_in_a_listing_never_leads_out_of_it() -> None:
    listing = LISTING + LISTING.replace(b" f\r", b" ../../f\r") + LISTING.replace(b" f\r", b" /etc/passwd\r")
    with Stranger(listing=listing) as stranger:
        client = visit(stranger)
        assert [one.name for one in client.list(b"/")] == [b"f"]
        client.close()


def test_the_password_is_not_said_in_the_clear_where_tls_is_needed() -> None:
    with Stranger({"AUTH": "502 No"}) as stranger:
        with pytest.raises(errors.Unsupported):
            visit(stranger, tls=Tls.NEEDED)
        assert "PASS" not in stranger.verbs()
        assert "USER" not in stranger.verbs()


def test_a_site_that_had_tls_before_is_not_believed_without() -> None:
    with Stranger({"AUTH": "502 No"}) as stranger:
        with pytest.raises(errors.Unsupported):
            visit(stranger, Dialect(encrypts=True), tls=Tls.WANTED)
        assert "PASS" not in stranger.verbs()
        client = visit(stranger, tls=Tls.WANTED)  # never seen with TLS: as it can
        assert client.is_alive()
        client.close()


@pytest.mark.parametrize("tls", [Tls.IMPLICIT, Tls.NEEDED])
def test_a_site_that_speaks_no_tls_after_all_is_refused_at_once(tls: Tls) -> None:
    def pretend(one: Visit, argument: bytes) -> None:
        one.say("234 Go on")
        one.say("this is no TLS")

    with Stranger({"AUTH": pretend}) as stranger:
        began = time.monotonic()
        with pytest.raises(errors.Unsupported):
            visit(stranger, tls=tls)
        assert time.monotonic() - began < 4.0


def test_what_was_said_before_tls_is_not_taken_for_what_comes_after() -> None:
    with Stranger({"AUTH": "234 Go on\r\n230 You are in"}) as stranger:
        with pytest.raises(errors.Refused):
            visit(stranger, tls=Tls.NEEDED)
        assert "PASS" not in stranger.verbs()


def test_nobody_else_can_bring_the_data_of_an_active_transfer() -> None:
    asked = threading.Event()

    def dialled_by_another(one: Visit, argument: bytes) -> None:
        numbers = [int(part) for part in argument.split(b",")]
        port = numbers[4] * 256 + numbers[5]
        intruder = socket.socket()
        intruder.bind(("127.0.0.2", 0))
        intruder.connect(("127.0.0.1", port))
        intruder.sendall(b"forged")
        one.data = socket.create_connection(("127.0.0.1", port), 5)
        intruder.close()
        asked.set()
        one.say("200 Dialled")

    habits: dict[str, Habit] = {"EPSV": "500 No", "PASV": "500 No", "PORT": dialled_by_another}
    with Stranger(habits, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        assert get(client, b"/f") == BIG
        assert asked.is_set()
        client.close()
