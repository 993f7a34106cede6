"""Files that are read while they are still arriving."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from door.conftest import WRITER
from running import PASSWORD, USER, Site, needs, run
from talking import Talk, everything, reset

CONTENT = os.urandom(3_000_000)
HALF = len(CONTENT) // 2


@pytest.fixture
def other(site: Site, place: str) -> Iterator[Talk]:
    """Log in a second time, in the same directory."""
    with Talk(site, WRITER) as talk:
        assert talk.ask(f"CWD {place}").code == 250
        yield talk


def exactly(data: socket.socket, count: int) -> bytes:
    """Read just so much."""
    got = b""
    while len(got) < count:
        piece = data.recv(count - len(got))
        assert piece, f"ended after {len(got)}"
        got += piece
    return got


@pytest.mark.parametrize("way", ["PASV", "EPSV", "PRET", "PORT"])
def test_who_reads_an_upload_gets_what_is_there_and_what_comes(talk: Talk, other: Talk, way: str) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        if way == "PORT":
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                assert other.codes(f"PORT 127,0,0,1,{port >> 8},{port & 255}", "RETR f") == [200, 150]
                reader = server.accept()[0]
        else:
            if way == "PRET":
                assert other.ask("PRET RETR f").code == 200
            reader = other.data("PASV" if way == "PRET" else way)
            assert other.ask("RETR f").code == 150
        with reader:
            reader.settimeout(20)
            assert exactly(reader, HALF) == CONTENT[:HALF]
            writer.sendall(CONTENT[HALF:])
            writer.close()
            assert everything(reader) == CONTENT[HALF:]
    assert talk.hear().code == 226
    assert other.hear().code == 226


def test_a_reader_may_begin_in_the_middle_of_what_has_arrived(talk: Talk, other: Talk) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        with other.data() as reader:
            assert other.ask("RETR f").code == 150
            exactly(reader, HALF)  # so much is on the node's disk now
            other.say("ABOR")
            assert [other.hear().code, other.hear().code] == [426, 226]
        with other.data() as reader:
            assert other.codes(f"REST {HALF - 5}", "RETR f") == [350, 150]
            assert exactly(reader, 5) == CONTENT[HALF - 5 : HALF]
            writer.close()
            assert everything(reader) == b""
        assert other.hear().code == 226
    assert talk.hear().code == 226


def test_lines_are_converted_for_who_reads_an_upload(talk: Talk, other: Talk) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(b"one\ntw")
        assert other.ask("TYPE A").code == 200
        with other.data() as reader:
            assert other.ask("RETR f").code == 150
            assert exactly(reader, 7) == b"one\r\ntw"
            writer.sendall(b"o\n")
            writer.close()
            assert everything(reader) == b"o\r\n"
    assert talk.hear().code == 226
    assert other.hear().code == 226


def test_who_reads_an_upload_over_tls_gets_all_of_it(site: Site, talk: Talk, other: Talk) -> None:
    context = ssl.create_default_context(cafile=str(site.authority))
    assert other.ask("AUTH TLS").code == 234
    other.encrypt(context)
    other.log_in(WRITER)
    place = talk.ask("PWD").text.split(b'"')[1].decode()
    assert other.codes(f"CWD {place}", "PBSZ 0", "PROT P") == [250, 200, 200]
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        with (
            other.data() as plain,
            context.wrap_socket(plain, server_hostname=site.host) as reader,
        ):
            assert other.ask("RETR f").code == 150
            assert exactly(reader, HALF) == CONTENT[:HALF]
            writer.sendall(CONTENT[HALF:])
            writer.close()
            assert everything(reader) == CONTENT[HALF:]
    assert talk.hear().code == 226
    assert other.hear().code == 226


@pytest.mark.parametrize("way", ["PASV", "PRET"])
def test_who_reads_an_upload_that_is_cut_hears_426(talk: Talk, other: Talk, way: str) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        if way == "PRET":
            assert other.ask("PRET RETR f").code == 200
        with other.data("PASV") as reader:
            assert other.ask("RETR f").code == 150
            exactly(reader, HALF)
            reset(writer)
            with pytest.raises(ConnectionResetError):
                everything(reader)
    assert talk.hear().code == 426
    assert other.hear().code == 426
    assert other.refused("RETR f") == 450  # what is left of it isn't whole


def test_an_upload_survives_whoever_reads_it(talk: Talk, other: Talk) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        with other.data() as reader:
            assert other.ask("RETR f").code == 150
            exactly(reader, 10)
            reset(reader)
        writer.sendall(CONTENT[HALF:])
    assert talk.hear().code == 226
    assert other.hear().code == 426
    assert other.retrieve("f") == CONTENT


def test_a_client_that_leaves_takes_its_waiting_reader_along(site: Site, talk: Talk, other: Talk) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        assert other.ask("PRET RETR f").code == 200
        with other.data("PASV") as reader:
            assert other.ask("RETR f").code == 150
            exactly(reader, HALF)
            other.socket.close()
            site.wait_for("only the upload", lambda: site.status()["transfers"] == 1)
    assert talk.hear().code == 226


def test_listings_and_size_show_how_far_an_upload_is(site: Site, talk: Talk, other: Talk) -> None:
    with talk.data() as writer:
        assert talk.ask("STOR f").code == 150
        writer.sendall(CONTENT[:HALF])
        site.wait_for("the node's beat", lambda: b" %d " % HALF in other.get("LIST"))
        assert other.ask("SIZE f").code == 450  # curl would read no further
        assert b"size=%d;" % HALF in other.get("MLSD")
        assert b"size=%d;" % HALF in other.ask("MLST f").text
    assert talk.hear().code == 226


async def test_curl_reads_what_a_slow_curl_writes(site: Site, place: str, tmp_path: Path) -> None:
    curl = needs("curl")
    content = CONTENT[:1_000_000]
    (tmp_path / "f").write_bytes(content)
    address = f"ftp://{site.host}:{site.port}{place}/f"
    login = ("-sS", "-u", f"{USER}:{PASSWORD}")
    writing = asyncio.create_task(
        run(curl, *login, "--limit-rate", "400k", "-T", str(tmp_path / "f"), address)
    )
    with Talk(site) as talk:
        await asyncio.to_thread(
            site.wait_for, "the upload to begin", lambda: talk.ask(f"SIZE {place}/f").code == 450
        )
        assert not writing.done(), "it is read while it is arriving"
        code, out, err = await run(curl, *login, address)
    assert (code, err) == (0, "")
    assert out == content
    assert (await writing)[0] == 0


def test_a_section_may_keep_files_to_itself_until_they_are_whole(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", settings={"sections.exact": {"path": "/exact", "read_arriving": False}})
    try:
        site.start()
        with Talk(site) as talk, Talk(site) as other:
            assert talk.ask("MKD exact").code == 257
            with talk.data() as writer:
                assert talk.ask("STOR exact/f").code == 150
                writer.sendall(b"half")
                assert other.refused("RETR exact/f") == 450
            assert talk.hear().code == 226
            assert other.retrieve("exact/f") == b"half"
    finally:
        site.stop()


def test_a_node_that_dies_cuts_reader_and_writer_alike(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", settings={"link": {"beat_seconds": 0.5, "lost_seconds": 2.0}})
    try:
        site.start()
        with Talk(site) as talk, Talk(site) as other:
            with talk.data() as writer:
                began = talk.ask("STOR f")
                assert began.code == 150
                writer.sendall(CONTENT[:HALF])
                with other.data() as reader:
                    assert other.ask("RETR f").code == 150
                    exactly(reader, HALF)
                    node = "n1" if b"n1" in began.text else "n2"
                    site.kill(node)
                    with pytest.raises(ConnectionResetError):
                        everything(reader)
            assert [talk.hear().code, other.hear().code] == [426, 426]
            site.wait_until_ready()
            assert talk.refused("RETR f") == 450
    finally:
        site.stop()
