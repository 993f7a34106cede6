"""LIST, NLST, MLSD, MLST and STAT, of few entries and of many."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from running import Site
from talking import Talk, everything

MANY = 100_000
"""Entries of a great directory."""

LISTING_BYTES = 48 * 1024 * 1024
"""What the master may grow by while it lists them; all of them at once would take far more."""


@pytest.fixture(scope="module")
def great(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site with a great directory, which was on a disk before its node came."""
    site = Site(tmp_path_factory.mktemp("great") / "site", "--nodes", "1")
    many = site.directory / "nodes" / "n1" / "many"
    many.mkdir(parents=True)
    directory = os.open(many, os.O_RDONLY)
    for number in range(MANY):
        os.close(os.open(f"file-{number:06d}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=directory))
    os.close(directory)
    try:
        site.start()
        yield site
    finally:
        site.stop()


def test_a_listing_for_programs_tells_the_nodes_that_have_a_file(talk: Talk, place: str) -> None:
    talk.store("f", b"12345")
    assert talk.ask("MKD d").code == 257
    directory, file = talk.get("MLSD").splitlines()
    assert re.fullmatch(rb"type=file;size=5;.*x\.nodes=n[12]; f", file), file
    assert directory.startswith(b"type=dir;")
    assert directory.endswith(b"; d")
    one = talk.ask("MLST f")
    assert one.code == 250
    assert re.search(rb"\r\n type=file;size=5;.*; /%b/f\r\n250 " % place[1:].encode(), one.text), one
    assert [talk.refused("MLSD gone"), talk.ask("MLST gone").code] == [550, 550]
    assert talk.refused("MLSD f") == 501


def test_facts_can_be_chosen(talk: Talk) -> None:
    talk.store("f", b"12345")
    assert talk.ask("OPTS MLST size;TYPE;nonsense;") == (200, b"200 MLST OPTS type;size;\r\n")
    assert talk.get("MLSD") == b"type=file;size=5; f\r\n"
    assert re.search(rb" MLST type\*;size\*;modify;", talk.ask("FEAT").text)
    assert talk.ask("OPTS MLST").code == 200
    assert talk.get("MLSD") == b" f\r\n"


def test_wildcards_count_where_no_such_name_is(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    for name in ("a1.txt", "a2.txt", "b1.bin", "[x]", "d/a3.txt"):
        talk.store(name, b"")
    assert talk.get("NLST *.txt") == b"a1.txt\r\na2.txt\r\n"
    assert talk.get("NLST d/a?.txt") == b"d/a3.txt\r\n"
    assert talk.get("NLST [ab]1*") == b"a1.txt\r\nb1.bin\r\n"
    assert talk.get("NLST [x]") == b"[x]\r\n"
    assert talk.get("NLST *.none") == b""
    assert talk.get("NLST -a d") == b"d/a3.txt\r\n"
    assert [line.split()[-1] for line in talk.get("LIST -la a*").splitlines()] == [b"a1.txt", b"a2.txt"]
    assert talk.get("LIST a1.txt").endswith(b" a1.txt\r\n")
    assert talk.refused("NLST gone") == talk.refused("LIST gone/*") == 550


def test_a_listing_over_the_control_connection_says_the_same(talk: Talk) -> None:
    talk.store("f", b"12345")
    listed = talk.get("LIST")
    told = talk.ask("STAT .")
    assert told.code == 212  # RFC 959 section 4.2.2: the status of a directory
    assert told.text.splitlines()[1:-1] == [b" " + line for line in listed.splitlines()]
    assert talk.ask("STAT gone").code in (450, 550)


@contextmanager
def unmoved(site: Site) -> Iterator[None]:
    """Check that the master's memory doesn't grow meanwhile, at its peak, by more than a page takes."""
    process = Path(f"/proc/{site.pid('master')}")
    (process / "clear_refs").write_text("5")  # proc(5): the peak is counted anew
    before = _kib(process, "VmRSS")
    yield
    assert (_kib(process, "VmHWM") - before) * 1024 < LISTING_BYTES


def _kib(process: Path, what: str) -> int:
    return int(re.findall(rf"{what}:\s+(\d+) kB", (process / "status").read_text())[0])


@pytest.mark.parametrize("verb", ["MLSD", "LIST", "NLST"])
def test_a_great_directory_is_listed_without_being_held(great: Site, verb: str) -> None:
    with unmoved(great), Talk(great) as talk:
        listed = talk.get(f"{verb} /many").splitlines()
    assert len(listed) == MANY
    assert listed[0].endswith(b"file-000000")
    assert listed[-1].endswith(b"file-%06d" % (MANY - 1))


def test_a_great_directory_is_listed_to_a_client_that_reads_slowly(great: Site) -> None:
    with unmoved(great), Talk(great) as talk, Talk(great) as other, talk.data() as data:
        assert talk.ask("MLSD /many").code == 150
        assert data.recv(100)
        assert other.ask("PWD").code == 257  # somebody else isn't kept waiting
        time.sleep(0.3)
        assert everything(data).count(b"\r\n") >= MANY - 1
        assert talk.hear().code == 226


def test_a_great_directory_is_listed_over_the_control_connection(great: Site) -> None:
    count = 0
    with unmoved(great), Talk(great) as talk:
        talk.say("STAT /many")
        lines = talk.socket.makefile("rb")
        assert lines.readline().startswith(b"212-")
        while not (line := lines.readline()).startswith(b"212 "):
            assert line.startswith(b" -rw")
            count += 1
    assert count == MANY


def test_others_are_answered_while_a_great_directory_is_told_over_the_control_connection(great: Site) -> None:
    told: list[bytes] = []
    answered = 0
    with Talk(great) as talk, Talk(great) as other:
        talk.say("STAT /many", "QUIT")
        reader = threading.Thread(target=lambda: told.extend(talk.socket.makefile("rb")))
        reader.start()
        while reader.is_alive():
            assert other.ask("SIZE /many/file-000001").code == 213
            answered += 1
        reader.join()
    assert (len(told), told[-2][:4], told[-1][:4]) == (MANY + 3, b"212 ", b"221 ")
    assert answered >= 20


def test_a_great_directory_that_changes_is_listed_without_gaps_or_repeats(great: Site) -> None:
    """What was there from begin to end is listed once; what came or went meanwhile may be, once."""
    going, coming = (
        [f"/many/{word}-{number:03d}" for number in range(60)] for word in ("file-0500", "file-0900")
    )
    with Talk(great) as talk, Talk(great) as other:
        assert set(other.codes(*(f"MKD {path}" for path in going))) == {257}
        with talk.data() as data:
            assert talk.ask("NLST /many").code == 150
            pieces = [data.recv(10_000)]
            for gone, came in zip(going, coming, strict=True):
                assert other.codes(f"RMD {gone}", f"MKD {came}") == [250, 257]
                pieces.append(data.recv(10_000))
            pieces.append(everything(data))
        assert talk.hear().code == 226
        assert set(other.codes(*(f"RMD {path}" for path in coming))) == {250}
    names = b"".join(pieces).decode().splitlines()
    assert len(names) == len(set(names))
    stayed = {f"/many/file-{number:06d}" for number in range(MANY)}
    assert stayed <= set(names) <= stayed | set(going) | set(coming)


def test_a_listing_is_aborted(great: Site) -> None:
    with Talk(great) as talk:
        with talk.data() as data:
            assert talk.ask("MLSD /many").code == 150
            assert data.recv(1000)
            talk.abort(telnet=True)
            assert [talk.hear().code, talk.hear().code] == [426, 226]
        assert talk.get("NLST") == b"many\r\n"


def test_stat_ends_where_a_pattern_matches_nothing(talk: Talk) -> None:
    talk.store("lonely", b"x")
    answer = talk.ask("STAT nothing*.like?this")
    assert answer == (212, b"212-Status of nothing*.like?this:\r\n212 End of status\r\n")
    assert talk.ask("NOOP").code == 200
