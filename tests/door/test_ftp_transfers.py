"""Files on their way: going on after a cut, replacing, aborting, and a node that dies."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from door.conftest import MOVER, READER, SETTINGS, WRITER
from running import Site
from talking import Answer, Talk, address, everything, reset

CONTENT = os.urandom(1_000_000)
BIG = os.urandom(1 << 20) * 64
"""More than sockets and relays hold, so that its transfer stands still when the client does."""


def relayed(site: Site) -> int:
    """Give the bytes that went through the master."""
    count: int = site.status()["relayed_bytes"]
    return count


# --- going on


@pytest.mark.parametrize("verb", ["PASV", "EPSV", "PRET"])
def test_a_download_goes_on_where_it_was_cut(talk: Talk, verb: str) -> None:
    talk.store("f", CONTENT)
    for offset in (0, 1, 4096, 999_999, 1_000_000):
        if verb == "PRET":
            assert talk.ask("PRET RETR f").code == 200
        with talk.data("PASV" if verb == "PRET" else verb) as data:
            assert talk.codes(f"REST {offset}", "RETR f") == [350, 150]
            assert everything(data) == CONTENT[offset:]
        assert talk.hear().code == 226
    assert talk.retrieve("f") == CONTENT  # REST counts once


def test_an_offset_behind_the_end_is_refused(talk: Talk) -> None:
    talk.store("f", CONTENT)
    for line in ("RETR f", "STOR f"):
        assert talk.ask("REST 1000001").code == 350
        assert talk.refused(line) in (501, 550, 554)
    assert talk.codes("REST -1", "REST x", "REST 99999999999999999999") == [501, 501, 501]
    assert talk.retrieve("f") == CONTENT


@pytest.mark.parametrize("offset", [1, 500_000, 1_000_000])
def test_an_upload_goes_on_inside_of_a_file(talk: Talk, offset: int) -> None:
    talk.store("f", CONTENT)
    with talk.data() as data:
        assert talk.codes(f"REST {offset}", "STOR f") == [350, 150]
        data.sendall(b"new end")
    assert talk.hear().code == 226
    assert talk.retrieve("f") == CONTENT[:offset] + b"new end"
    assert talk.size("f") == offset + 7


def test_appending_goes_on_at_the_end_and_makes_what_is_missing(talk: Talk) -> None:
    assert talk.put("APPE f", b"one,").code == 226
    assert talk.put("APPE f", b"two,").code == 226
    assert talk.ask("PRET APPE f").code == 200
    assert talk.put("APPE f", b"three", wish="PASV").code == 226
    assert talk.retrieve("f") == b"one,two,three"


def test_a_log_is_appended_to_without_a_pause_while_the_versions_before_are_cleared_away(talk: Talk) -> None:
    for _ in range(10):
        with talk.data() as data:
            assert talk.ask("APPE log").code == 150
            data.sendall(b"line ")
            time.sleep(0.1)  # a program that writes as things happen
            data.sendall(b"by line\n")
        assert talk.hear().code == 226
    assert talk.retrieve("log") == b"line by line\n" * 10


@pytest.mark.parametrize("verb", ["STOR", "APPE"])
@pytest.mark.parametrize("announced", [False, True], ids=["relayed", "direct"])
def test_an_upload_that_was_cut_goes_on_with_what_arrived(talk: Talk, verb: str, announced: bool) -> None:
    def start() -> socket.socket:
        if announced:
            assert talk.ask(f"PRET {verb} f").code == 200
        return talk.data("PASV")

    data = start()
    assert talk.ask("STOR f").code == 150
    data.sendall(CONTENT[:700_000])
    time.sleep(0.3)  # a reset drops what the far end hasn't read
    reset(data)
    assert talk.hear().code == 426
    there = talk.size("f")
    assert 0 < there <= 700_000
    with start() as data:
        wanted = [f"REST {there}", "STOR f"] if verb == "STOR" else ["APPE f"]
        assert talk.codes(*wanted)[-1] == 150
        data.sendall(CONTENT[there:])
    assert talk.hear().code == 226
    assert talk.retrieve("f") == CONTENT


def test_a_file_that_is_arriving_cannot_be_taken(site: Site, talk: Talk, place: str) -> None:
    with talk.data() as data, Talk(site, WRITER) as other:
        assert talk.ask("STOR f").code == 150
        data.sendall(CONTENT[:1000])
        assert other.ask(f"CWD {place}").code == 250
        assert other.refused("STOR f") == 450
        assert other.codes("DELE f", "XCRC f") == [450, 450]
    assert talk.hear().code == 226


# --- replacing


@pytest.mark.parametrize("end", ["whole", "reset", "hung up", "killed", "aborted"])
def test_what_is_replaced_can_be_read_until_the_new_is_whole(
    site: Site, talk: Talk, place: str, end: str
) -> None:
    talk.store("f", b"old content")
    data = talk.data()
    assert talk.ask("STOR f").code == 150
    data.sendall(CONTENT)
    with Talk(site) as other:
        assert other.retrieve(f"{place}/f") == b"old content"
        assert other.size(f"{place}/f") == 11
        if end == "reset":
            reset(data)
            assert talk.hear().code == 426
        elif end == "hung up":
            talk.socket.close()
            time.sleep(0.3)
        elif end == "killed":  # its upload ends just like a whole one
            data.close()
            talk.socket.close()
        elif end == "aborted":
            talk.say("ABOR")
            assert [talk.hear().code, talk.hear().code] == [426, 226]
        data.close()
        if end == "whole":
            assert talk.hear().code == 226
        time.sleep(0.3)
        assert other.retrieve(f"{place}/f") == (CONTENT if end == "whole" else b"old content")
        assert other.ask(f"DELE {place}/f").code == 250


def test_replacing_keeps_the_mode_and_empties_fit(talk: Talk) -> None:
    talk.store("f", CONTENT)
    talk.store("f", b"")
    assert (talk.size("f"), talk.retrieve("f")) == (0, b"")
    talk.store("f", b"again")
    assert talk.retrieve("f") == b"again"


def test_a_download_that_runs_survives_replacing_and_deleting(site: Site, talk: Talk, place: str) -> None:
    talk.store("big", BIG)
    with talk.data() as data, Talk(site) as other:
        assert talk.ask("RETR big").code == 150
        begin = data.recv(1000)
        other.store(f"{place}/big", b"small")
        assert other.ask(f"DELE {place}/big").code == 250
        assert begin + everything(data) == BIG
    assert talk.hear().code == 226


def test_fewer_bytes_than_announced_are_no_file(talk: Talk) -> None:
    assert talk.ask("ALLO 1000").code == 200
    assert talk.put("STOR f", b"x" * 999).code == 451
    assert talk.refused("RETR f") == 450
    assert talk.ask("ALLO 1000").code == 200
    assert talk.put("STOR f", b"x" * 1000).code == 226


def test_a_replacement_that_was_cut_is_sent_again_whole_and_never_gone_on_with(talk: Talk) -> None:
    talk.store("f", b"old content")
    assert talk.ask("ALLO 1000").code == 200
    assert talk.put("STOR f", b"x" * 999).code == 451
    assert talk.retrieve("f") == b"old content"
    assert talk.refused("APPE f") == 550  # would mix old and new
    assert talk.retrieve("f") == b"old content"
    assert talk.put("STOR f", b"x" * 1000).code == 226
    assert talk.put("APPE f", b"y").code == 226
    assert talk.retrieve("f") == b"x" * 1000 + b"y"


# --- type A


def test_lines_are_converted_in_type_a(talk: Talk) -> None:
    assert talk.ask("TYPE A").code == 200
    assert talk.put("STOR t", b"one\r\ntwo\r\n\r\nlast").code == 226
    assert talk.get("RETR t") == b"one\r\ntwo\r\n\r\nlast"
    assert talk.ask("TYPE I").code == 200
    assert talk.retrieve("t") == b"one\ntwo\n\nlast"
    assert talk.size("t") == 13


def test_many_lines_are_converted_wherever_they_are_cut(talk: Talk) -> None:
    lines = b"".join(b"x" * (number % 97) + b"\n" for number in range(20_000))
    talk.store("t", lines)
    assert talk.ask("TYPE A").code == 200
    sent = talk.get("RETR t")
    assert sent == lines.replace(b"\n", b"\r\n")
    assert talk.put("STOR u", sent).code == 226
    assert talk.ask("TYPE I").code == 200
    assert talk.retrieve("u") == lines


# --- while a transfer runs


def test_status_is_told_while_a_transfer_runs(talk: Talk) -> None:
    talk.store("big", BIG)
    with talk.data() as data:
        assert talk.ask("RETR big").code == 150
        told = talk.ask("STAT")
        assert told.code == 211
        assert b"RETR big" in told.text
        talk.say("NOOP")  # waits for its turn
        assert everything(data) == BIG
    assert [talk.hear().code, talk.hear().code] == [226, 200]


@pytest.mark.parametrize("wish", ["EPSV", "PRET"])
@pytest.mark.parametrize("telnet", [False, True], ids=["plain", "telnet"])
def test_a_download_is_aborted(talk: Talk, wish: str, telnet: bool) -> None:
    talk.store("big", BIG)
    if wish == "PRET":
        assert talk.ask("PRET RETR big").code == 200
    with talk.data("EPSV" if wish == "EPSV" else "PASV") as data:
        assert talk.ask("RETR big").code == 150
        assert data.recv(1000)
        talk.abort(telnet=telnet)
        with pytest.raises(ConnectionResetError):  # a plain end would look like the end of the file
            everything(data)
    assert [talk.hear().code, talk.hear().code] == [426, 226]
    assert talk.retrieve("big") == BIG


@pytest.mark.parametrize("telnet", [False, True], ids=["plain", "telnet"])
def test_an_upload_is_aborted(talk: Talk, telnet: bool) -> None:
    with talk.data() as data:
        assert talk.ask("STOR f").code == 150
        data.sendall(BIG[: len(BIG) // 2])  # more than lies in buffers on the way
        talk.abort(telnet=telnet)
        assert [talk.hear().code, talk.hear().code] == [426, 226]
    assert talk.refused("RETR f") == 450
    assert 0 < talk.size("f") <= len(BIG) // 2
    talk.store("f", CONTENT)
    assert talk.retrieve("f") == CONTENT


@pytest.mark.parametrize("line", ["RETR f", "STOR f", "STOR new", "NLST"])
@pytest.mark.parametrize("announced", [False, True], ids=["relayed", "direct"])
def test_a_transfer_that_waits_for_its_client_is_aborted(talk: Talk, line: str, announced: bool) -> None:
    talk.store("f", CONTENT)
    if announced:
        assert talk.ask(f"PRET {line}").code == 200
    assert talk.codes("PASV", line) == [227, 150]
    began = time.monotonic()
    talk.abort(telnet=True)
    assert [talk.hear().code, talk.hear().code] == [426, 226]
    assert time.monotonic() - began < 2
    assert talk.retrieve("f") == CONTENT
    assert talk.get("NLST") == b"f\r\n"


def test_there_may_be_nothing_to_abort(talk: Talk) -> None:
    assert talk.codes("ABOR", "PASV", "ABOR", "NLST") == [226, 227, 226, 425]
    talk.abort(telnet=True)
    assert talk.hear().code == 226


def test_a_client_that_has_enough_closes_early(talk: Talk) -> None:
    talk.store("big", BIG)
    with talk.data() as data:
        assert talk.ask("RETR big").code == 150
        assert data.recv(1000)
    assert talk.hear().code == 426
    talk.abort(telnet=True)
    assert talk.hear().code == 226


# --- who carries


def test_after_pret_no_byte_goes_through_the_master(site: Site, talk: Talk) -> None:
    before = relayed(site)
    for wish in ("PASV", "EPSV"):
        assert talk.ask("PRET STOR f").code == 200
        assert talk.put("STOR f", CONTENT, wish=wish).code == 226
        assert talk.ask("PRET RETR f").code == 200
        assert talk.get("RETR f", wish=wish) == CONTENT
    assert relayed(site) == before
    assert talk.retrieve("f") == CONTENT
    assert relayed(site) == before + len(CONTENT)


def test_an_announcement_is_a_hint_and_counts_once(talk: Talk) -> None:
    talk.store("f", CONTENT)
    assert talk.codes("PRET STOR new") == [200]
    assert talk.put("APPE new", b"by APPE", wish="PASV").code == 226  # curl does so
    assert talk.retrieve("new") == b"by APPE"
    assert talk.ask("PRET RETR f").code == 200
    with talk.data("PASV"):  # the client is at the node, which knows nothing of listings
        assert talk.codes("NLST") == [425]
    assert talk.ask("PRET MLSD").code == 200
    assert talk.get("RETR f", wish="PASV") == CONTENT


@pytest.mark.parametrize("form", ["PORT", "EPRT"])
def test_a_client_that_listens_is_dialled(talk: Talk, form: str) -> None:
    def offer() -> socket.socket:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(20)
        port = listener.getsockname()[1]
        line = f"PORT 127,0,0,1,{port >> 8},{port & 255}" if form == "PORT" else f"EPRT |1|127.0.0.1|{port}|"
        assert talk.ask(line).code == 200
        return listener

    with offer() as listener:
        assert talk.ask("STOR f").code == 150
        with listener.accept()[0] as data:
            data.sendall(CONTENT)
        assert talk.hear().code == 226
    for line, expected in (("RETR f", CONTENT), ("NLST", b"f\r\n")):
        with offer() as listener:
            assert talk.ask(line).code == 150
            with listener.accept()[0] as data:
                assert everything(data) == expected
            assert talk.hear().code == 226
    with offer() as listener:
        listener.close()
        talk.say("RETR f")
        assert [talk.hear().code, talk.hear().code] == [150, 425]


def test_who_may_fxp_has_two_servers_meet(site: Site, place: str) -> None:
    with Talk(site, MOVER) as source, Talk(site, MOVER) as target:
        source.store(f"{place}/f", CONTENT)
        host, port = address(target.ask("PASV"), site.host)
        assert source.ask(f"PORT {host.replace('.', ',')},{port >> 8},{port & 255}").code == 200
        target.say(f"STOR {place}/g")
        source.say(f"RETR {place}/f")
        codes = [talk.hear().code for talk in (target, source, target, source)]
        assert codes == [150, 150, 226, 226]
        assert target.retrieve(f"{place}/g") == CONTENT


def test_unused_ports_are_closed_when_others_are_asked_for(site: Site, talk: Talk) -> None:
    descriptors = Path(f"/proc/{site.pid('master')}/fd")
    before = len(list(descriptors.iterdir()))
    addresses = [address(talk.ask("PASV"), "127.0.0.1") for _ in range(100)]
    assert talk.ask("NOOP").code == 200
    assert len(list(descriptors.iterdir())) < before + 10
    with socket.create_connection(addresses[-1], 5) as data:
        assert talk.ask("NLST").code == 150
        assert everything(data) == b""
    assert talk.hear().code == 226


# --- a node dies


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[tuple[Site, int]]:
    """Run a site with a second node that nobody starts again, and files that only it has; give its pid."""
    quick: dict[str, dict[str, object]] = {"link": {"beat_seconds": 0.5, "lost_seconds": 2.0}}
    site = Site(tmp_path / "s", "--nodes", "1", settings=SETTINGS | quick)
    files = tmp_path / "guest" / "files"
    files.mkdir(parents=True)
    (files / "only-here").write_bytes(BIG)
    try:
        site.start()
        for name in (WRITER, READER):
            site.add_user(name)
        yield site, site.join("guest", tmp_path / "guest").pid
    finally:
        site.stop()


def test_a_node_that_dies_takes_no_session_along(mortal: tuple[Site, int]) -> None:
    site, pid = mortal
    with Talk(site, WRITER) as relayed_one, Talk(site, READER) as direct:
        assert direct.ask("PRET RETR only-here").code == 200
        with relayed_one.data() as first, direct.data("PASV") as second:
            for talk, data in ((relayed_one, first), (direct, second)):
                assert talk.ask("RETR only-here").code == 150
                assert data.recv(1000)
            os.kill(pid, signal.SIGKILL)
            for data in (first, second):
                assert _came(data) < len(BIG)
        assert [relayed_one.hear().code, direct.hear().code] == [426, 426]
        for talk in (relayed_one, direct):
            assert talk.refused("RETR only-here") == 450
            assert talk.ask("PRET RETR only-here").code == 450
            assert talk.ask("MLST only-here").code == 250
        direct.store("elsewhere", CONTENT)
        assert relayed_one.retrieve("elsewhere") == CONTENT


def _came(data: socket.socket) -> int:
    count = 0
    try:
        while piece := data.recv(1 << 20):
            count += len(piece)
    except ConnectionResetError:
        pass
    return count


def test_an_upload_to_a_node_that_dies_is_told_so(mortal: tuple[Site, int]) -> None:
    site, pid = mortal
    with Talk(site, WRITER) as talk:
        with talk.data() as data:
            assert talk.ask("REST 1000").code == 350
            began: Answer = talk.ask("STOR only-here")  # goes on where the file is, so to this very node
            assert (began.code, b"guest" in began.text) == (150, True)
            data.sendall(BIG[: len(BIG) // 2])  # more than lies in buffers on the way: the node is at it
            os.kill(pid, signal.SIGKILL)
            assert talk.hear().code == 426
        assert talk.ask("NOOP").code == 200
        assert talk.size("only-here") == len(BIG)  # what was there is there, though away
