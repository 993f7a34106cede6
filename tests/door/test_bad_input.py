"""What no well-behaved client says: each gets the right code, and the session goes on or ends in order."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from door.conftest import WRITER
from running import Site, needs, run
from talking import Talk, everything, reset

IAC, IP, DM, DONT, DO, AYT = b"\xff", b"\xf4", b"\xf2", b"\xfe", b"\xfd", b"\xf6"


def goes_on(talk: Talk) -> None:
    assert talk.ask("NOOP").code == 200


# --- lines


@pytest.mark.parametrize("length", [8_200, 1_000_000, 20_000_000])
def test_a_line_that_is_too_long_is_answered_once_and_the_next_is_heard(talk: Talk, length: int) -> None:
    answered: list[int] = []
    reader = threading.Thread(target=lambda: answered.extend(talk.hear().code for _ in range(2)))
    reader.start()
    talk.say(b"CWD " + b"a" * length, "NOOP")
    reader.join(20)
    assert answered == [500, 200]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", 500),
        (b" ", 500),
        (b"\0", 500),
        (b"\0\0\0NOOP", 500),
        (b"NO\0OP", 500),
        (b"NOOP\0", 500),
        (b"12345", 500),
        (b"\x1b[2J", 500),
        (b"XYZZY", 500),
        (b"RETRf", 500),
        (b"GET / HTTP/1.1", 500),
        (b"MKD a\0b", 553),
        (b"MKD \0", 553),
        (b"STOR a\r\0\0b", 553),
        (b"MKD a\rb", 553),
        (b"TYPE I\0", 501),
        (b"USER a\0b", 501),
        (b"PASS a\r\0b", 501),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER N}OOP".encode(), 500),
    ],
)
def test_a_line_that_cannot_be_gets_its_code(talk: Talk, line: bytes, code: int) -> None:
    assert talk.ask(line).code == code
    goes_on(talk)
    assert talk.get("NLST") == b""


def test_a_tls_hello_on_the_plain_port_is_no_command(site: Site) -> None:
    with Talk(site, login=False) as talk:
        talk.socket.sendall(b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03" + os.urandom(200) + b"\r\n")
        assert talk.hear().code == 500
        talk.socket.sendall(b"\r\n")
        talk.say("QUIT")


# --- Telnet


@pytest.mark.parametrize(
    "before",
    [
        IAC + IP + IAC + DM,
        IAC + AYT,
        IAC + IAC + IAC + IP,
        IAC + DONT + b"\x01",
        IAC,
        IAC + DM * 3,
    ],
)
def test_telnet_before_a_command_is_not_part_of_it(talk: Talk, before: bytes) -> None:
    talk.socket.sendall(before + b"NOOP\r\n")
    assert talk.hear().code == 200
    goes_on(talk)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_synch_comes_as_urgent_data_wherever_it_is_cut(talk: Talk, cut: int) -> None:
    """RFC 854: the Data Mark is urgent; RFC 959 section 4.1.3: IP and Synch come before ABOR and STAT."""
    talk.store("f", os.urandom(20_000_000))
    signal = IAC + IP + IAC + DM
    for line, codes in (("STAT", [211]), ("ABOR", [426, 226])):
        with talk.data() as data:
            assert talk.ask("RETR f").code == 150
            assert data.recv(1000)
            talk.socket.sendall(signal[:cut])
            talk.socket.send(signal[cut:], socket.MSG_OOB)
            talk.say(line)
            assert [talk.hear().code for _ in codes] == codes
            if line == "STAT":
                everything(data)
                assert talk.hear().code == 226
    goes_on(talk)


def test_a_byte_sent_as_urgent_data_stays_in_its_place(talk: Talk) -> None:
    talk.socket.sendall(b"NOOP\r")
    talk.socket.send(b"\n", socket.MSG_OOB)
    assert talk.hear().code == 200


def test_a_thousand_synchs_are_heard_through(talk: Talk) -> None:
    for _ in range(1000):
        talk.socket.sendall(IAC + IP + IAC)
        talk.socket.send(DM, socket.MSG_OOB)
    talk.say("NOOP")
    assert talk.hear().code == 200


def test_a_flood_of_telnet_options_is_answered_in_bounds(talk: Talk) -> None:
    talk.socket.sendall((IAC + DO + b"\x01") * 2_000 + b"NOOP\r\n")
    came = b""
    while not came.endswith(b"200 Still here\r\n"):
        came += talk.socket.recv(65_536)
    assert came == (IAC + b"\xfc\x01") * 2_000 + b"200 Still here\r\n"


@pytest.mark.parametrize("name", [b"a\xff\xffb", b"\xff\xff", b"a\xff\xff\xff\xffb"])
def test_byte_255_is_doubled_in_names(talk: Talk, name: bytes) -> None:
    true = name.replace(b"\xff\xff", b"\xff")
    talk.store(name, b"1")
    assert talk.get("NLST") == true + b"\r\n"
    assert name in talk.ask(b"MLST " + name).text
    assert talk.ask(b"DELE " + name).code == 250


# --- names and paths


@pytest.mark.parametrize("verb", ["MKD", "STOR", "APPE", "STOU", "RNTO"])
@pytest.mark.parametrize("name", ["..", ".", "/", "//", "x/..", "n" * 256, "a/" * 2_000 + "f", "é" * 128])
def test_no_file_is_called_so(talk: Talk, verb: str, name: str) -> None:
    if verb == "STOU" and name in {"..", ".", "/", "//", "x/.."}:
        return  # it adds to the name, which makes it one
    if verb == "RNTO":
        assert talk.codes("MKD here", "RNFR here", f"RNTO {name}", "RMD here")[2] in {501, 550, 553}
    elif verb == "MKD":
        assert talk.ask(f"MKD {name}").code in {550, 553}
    else:
        assert talk.refused(f"{verb} {name}") in {550, 553}
    goes_on(talk)
    assert talk.get("NLST") == b""


@pytest.mark.parametrize(
    "name",
    [
        b"n" * 255,
        b"-rf",
        b"~",
        b"*",
        b"a;b=c; d",
        b"\x01\x02\x1b[31m",
        b"\x7f",
        b"...",
        b" ",
        b"%00",
        b"a\tb",
        b"\\",
    ],
)
def test_what_a_disk_takes_is_a_name(talk: Talk, name: bytes) -> None:
    talk.store(name, name)
    assert talk.retrieve(name) == name
    assert talk.get("NLST") == name + b"\r\n"
    assert talk.ask(b"DELE " + name).code == 250


@pytest.mark.parametrize("count", [10, 2_700])
def test_going_up_ends_at_the_root(talk: Talk, count: int) -> None:
    assert talk.codes("CWD " + "../" * count) == [250]
    assert talk.ask("PWD").text.startswith(b'257 "/"')
    assert talk.codes("SIZE " + "../" * count + "etc/passwd", "CWD /etc", "CWD ~root") == [550, 550, 550]


def test_ten_thousand_components_are_too_many(talk: Talk) -> None:
    assert talk.codes("CWD " + "a/" * 10_000, "CWD " + "/" * 8_000, "MKD " + "a/" * 4_000) == [500, 250, 553]
    goes_on(talk)


# --- floods, and who goes in the middle


def test_a_hundred_thousand_commands_whose_replies_nobody_reads_hold_up_the_sender_alone(site: Site) -> None:
    with Talk(site, WRITER) as flooder, Talk(site) as other:
        before = memory_of_master(site)
        flooder.socket.settimeout(2.0)
        with contextlib.suppress(TimeoutError):  # the sender may be held up, or the kernel keep it all
            flooder.socket.sendall(b"HELP\r\n" * 100_000)
        began = time.monotonic()
        goes_on(other)
        assert time.monotonic() - began < 2.0
        assert memory_of_master(site) - before < 32 * 1024 * 1024
    with Talk(site) as another:
        goes_on(another)


def test_a_hundred_thousand_commands_are_all_answered_to_who_reads(site: Site) -> None:
    count = 100_000
    with Talk(site) as talk:
        writer = threading.Thread(target=lambda: talk.socket.sendall(b"NOOP\r\n" * count))
        writer.start()
        heard = 0
        while heard < count:
            came = talk.socket.recv(1 << 20)
            assert came
            heard += came.count(b"\n")
        writer.join()
        assert heard == count


def memory_of_master(site: Site) -> int:
    """Give its resident memory in bytes."""
    status = Path(f"/proc/{site.pid('master')}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_who_sends_its_last_words_and_shuts_its_side_is_answered(site: Site) -> None:
    with Talk(site) as talk:
        talk.say("NOOP", "PWD", "QUIT")
        talk.socket.shutdown(socket.SHUT_WR)
        assert [talk.hear().code for _ in range(3)] == [200, 257, 221]


def test_who_breaks_off_in_the_middle_of_anything_harms_nobody(site: Site, place: str) -> None:
    with Talk(site) as talk:
        talk.store(f"{place}/f", os.urandom(1_000_000))
    lines = ("", "US", "USER ann\r\n", "AUTH TLS\r\n", "FEAT\r\nFEAT\r\n", f"USER {WRITER}\r\nPASS ")
    for line in lines:
        talk = Talk(site, login=False)
        talk.socket.sendall(line.encode())
        reset(talk.socket)
    for line in ("PASV", "EPSV", "PRET RETR f", "RNFR f", "REST 5", "STAT /", "HASH f", "MLST f"):
        talk = Talk(site)
        talk.say(f"CWD {place}", line)
        reset(talk.socket)
    for line in ("RETR f", "STOR g", "APPE f", "LIST", "MLSD"):
        talk = Talk(site)
        talk.ask(f"CWD {place}")
        with talk.data() as data:
            talk.say(line)
            reset(talk.socket)
            reset(data)
    with Talk(site) as talk:
        assert len(talk.retrieve(f"{place}/f")) >= 1_000_000
        assert talk.codes(f"CWD {place}", "PWD") == [250, 257]


# --- clients that end a download early


@pytest.fixture
def great(site: Site, place: str) -> tuple[str, bytes]:
    """Store a file of some size."""
    content = os.urandom(8_000_000)
    with Talk(site) as talk:
        talk.store(f"{place}/great", content)
    return f"{place}/great", content


async def test_lftp_fetches_a_file_in_segments(site: Site, great: tuple[str, bytes], tmp_path: Path) -> None:
    path, content = great
    target = tmp_path / "got"
    script = f"set ssl:ca-file {site.authority}; set net:max-retries 2; pget -n 4 {path} -o {target}"
    code, _, err = await run(
        needs("lftp"), "-c", f"open -u {WRITER},'secret word' ftp://{site.host}:{site.port}; {script}"
    )
    assert (code, err) == (0, "")
    assert target.read_bytes() == content


async def test_curl_fetches_a_part_of_a_file(site: Site, great: tuple[str, bytes]) -> None:
    path, content = great
    for part, right in (("1000-1999", content[1000:2000]), ("-500", content[-500:])):
        code, out, err = await run(
            *(needs("curl"), "-sS", "-u", f"{WRITER}:secret word", "-r", part),
            f"ftp://{site.host}:{site.port}/{path}",
        )
        assert (code, err) == (0, "")
        assert out == right
