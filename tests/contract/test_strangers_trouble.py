"""Sites that are in trouble, or broken, or mean harm."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from argosy import errors
from argosy.config import Remote
from argosy.sites.model import Address, Tls
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect
from contract.strangers import Habit, Stranger, Visit
from contract.visiting import BIG, LISTING, get, put, visit

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


def test_a_file_that_cannot_be_had_now_is_told_in_the_words_of_the_site() -> None:
    with Stranger({"RETR": "450 All its copies are away"}, files={b"/f": BIG}) as stranger:
        client = visit(stranger)
        with pytest.raises(errors.Busy, match="/f: 450 All its copies are away"):
            get(client, b"/f")
        client.close()


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
