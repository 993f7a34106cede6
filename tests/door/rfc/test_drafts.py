"""Verbs that no RFC has: from drafts, and from other servers."""

from __future__ import annotations

import hashlib
import os
import re
import zlib

from door.conftest import READER
from running import Site
from talking import Talk


def test_pret_says_what_is_next_and_changes_nothing_else(talk: Talk) -> None:
    talk.store("f", b"hello")
    assert talk.codes(
        "PRET RETR f", "PRET STOR new", "PRET STOU", "PRET APPE f", "PRET MLSD", "SIZE new"
    ) == [
        *(200, 200, 200, 200, 200, 550),
    ]
    assert talk.codes("PRET RETR gone", "PRET STOR ..", "PRET DELE f", "PRET RETR", "PRET") == [
        *(550, 553, 504, 501, 501),
    ]
    assert talk.ask("PRET RETR f").code == 200
    assert talk.get("RETR f", wish="PASV") == b"hello"
    assert talk.ask("PRET STOU").code == 200
    assert talk.put("STOU", b"1", wish="PASV").code == 226


def test_mfmt_sets_the_modification_time(talk: Talk) -> None:
    talk.store("a b", b"1")
    assert talk.ask("MFMT 20010203040506 a b") == (213, b"213 Modify=20010203040506; a b\r\n")
    assert talk.ask("MDTM a b").text == b"213 20010203040506\r\n"
    assert talk.codes("MFMT 20010203040506 gone", "MFMT 20010229040506 a b", "MFMT a b", "MFMT") == [
        *(550, 501, 501, 501),
    ]


def test_mfct_sets_the_creation_time(talk: Talk) -> None:
    talk.store("a b", b"1")
    assert talk.ask("MFCT 20010203040506 a b") == (213, b"213 Create=20010203040506; a b\r\n")
    assert b";create=20010203040506;" in talk.ask("MLST a b").text
    assert talk.codes("MFCT 20010203040506 gone", "MFCT 20010229040506 a b", "MFCT a b", "MFCT") == [
        *(550, 501, 501, 501),
    ]


def test_mff_sets_several_facts(site: Site, talk: Talk, place: str) -> None:
    talk.store("a b", b"1")
    told = talk.ask("MFF modify=20010203040506;UNIX.mode=600;Create=20000203040506; a b")
    assert told == (213, b"213 Modify=20010203040506;Create=20000203040506;UNIX.mode=0600; a b\r\n")
    shown = talk.ask("MLST a b").text
    assert b";modify=20010203040506;create=20000203040506;" in shown
    assert b";UNIX.mode=0600;" in shown
    assert talk.codes("MFF Size=5; a b", "MFF Modify=20020203040506;X.y=1; a b") == [504, 504]
    assert talk.ask("MLST a b").text == shown  # all or none
    assert talk.codes("MFF Modify=20020203040506; gone", "MFF Modify=2; a b", "MFF a b", "MFF") == [
        *(550, 501, 501, 501),
    ]
    with Talk(site, READER) as reader:
        assert reader.ask(f"MFF UNIX.mode=777; {place}/a b").code == 550


def test_hash_sums_a_file_up_by_the_chosen_algorithm(site: Site, talk: Talk, place: str) -> None:
    content = os.urandom(300_000)
    talk.store("a b", content)
    digits = {
        "SHA-256": hashlib.sha256(content).hexdigest(),
        "SHA-512": hashlib.sha512(content).hexdigest(),
        "SHA-1": hashlib.sha1(content).hexdigest(),
        "MD5": hashlib.md5(content).hexdigest(),
        "CRC32": f"{zlib.crc32(content):08x}",
    }
    assert talk.ask("HASH a b").text.split()[1] == b"SHA-256"
    for name, right in digits.items():
        assert talk.ask(f"OPTS HASH {name.lower()}") == (200, f"200 {name}\r\n".encode())
        for _ in range(2):  # as the node reads it, then as it is remembered
            assert talk.ask("HASH a b") == (213, f"213 {name} 0-299999 {right} a b\r\n".encode())
    talk.store("a b", b"")
    assert talk.ask("OPTS HASH MD5").code == 200
    assert talk.ask("HASH a b").text == b"213 MD5 0-0 d41d8cd98f00b204e9800998ecf8427e a b\r\n"
    assert talk.codes("HASH gone", "HASH .", "HASH", "OPTS HASH CRC-37", "OPTS HASH") == [
        550,
        553,
        501,
        501,
        200,
    ]


def test_rang_is_for_the_next_hash_alone(talk: Talk) -> None:
    talk.store("f", b"0123456789")

    def told(*lines: str) -> bytes:
        for line in lines:
            assert talk.ask(line).code == 350
        return talk.ask("HASH f").text

    def right(first: int, last: int) -> bytes:
        digits = hashlib.sha256(b"0123456789"[first : last + 1]).hexdigest()
        return f"213 SHA-256 {first}-{last} {digits} f\r\n".encode()

    assert told("RANG 2 4") == right(2, 4)
    assert told() == right(0, 9)
    assert told("RANG 2 4", "RANG 1 0") == right(0, 9)
    assert told("RANG 5 99") == right(5, 9)
    assert talk.codes("RANG 2 4", "RANG 4 2") == [350, 501]  # and the earlier one is forgotten
    assert told() == right(0, 9)
    assert talk.codes("RANG 11 12", "HASH f", "RANG", "RANG 1", "RANG a b") == [350, 501, 501, 501, 501]


def summed(talk: Talk, verb: str, algorithm: str) -> None:
    content = os.urandom(200_000)
    talk.store("a b", content)
    for line, part in (
        ("a b", content),
        ('"a b"', content),
        ('"a b" 1000', content[1000:]),
        ("a b 1000 150000", content[1000:150_000]),
    ):
        told = talk.ask(f"{verb} {line}")
        right = (
            f"{zlib.crc32(part):08x}" if algorithm == "crc32" else hashlib.new(algorithm, part).hexdigest()
        )
        assert told == (250, f"250 {right.upper()}\r\n".encode()), line
    assert talk.codes(f"{verb} gone", f"{verb} .", f'{verb} "a b" 0 200001', verb) == [550, 550, 501, 501]


def test_xcrc_is_a_file_s_crc_32(talk: Talk) -> None:
    summed(talk, "XCRC", "crc32")


def test_xmd5_is_a_file_s_md5(talk: Talk) -> None:
    summed(talk, "XMD5", "md5")


def test_xsha_is_a_file_s_sha_1(talk: Talk) -> None:
    summed(talk, "XSHA", "sha1")


def test_xsha1_is_a_file_s_sha_1(talk: Talk) -> None:
    summed(talk, "XSHA1", "sha1")


def test_xsha256_is_a_file_s_sha_256(talk: Talk) -> None:
    summed(talk, "XSHA256", "sha256")


def test_xsha512_is_a_file_s_sha_512(talk: Talk) -> None:
    summed(talk, "XSHA512", "sha512")


def test_md5_tells_the_path_and_the_sum(talk: Talk) -> None:
    talk.store("a b", b"hello")
    assert talk.ask("MD5 a b") == (251, b"251 a b 5D41402ABC4B2A76B9719D911017C592\r\n")
    assert talk.codes("MD5 gone", "MD5 .", "MD5") == [550, 550, 501]


def test_avbl_tells_the_bytes_that_could_be_stored(talk: Talk) -> None:
    told = talk.ask("AVBL")
    assert re.fullmatch(rb"213 \d+\r\n", told.text)
    assert int(told.text[4:]) > 0
    talk.store("f", b"")
    assert talk.codes("AVBL .", "AVBL gone", "AVBL f") == [213, 550, 550]


def test_clnt_is_noted_and_told_to_who_asks_who_is_here(site: Site, place: str) -> None:
    with Talk(site) as talk:
        assert talk.codes(f"CLNT Program of {place}", "PWD") == [200, 257]
        programs = {one["program"] for one in site.argosy("who")["sessions"]}
        assert f"Program of {place}" in programs
        assert talk.codes("CLNT " + "x" * 1000, "CLNT", "PWD") == [200, 200, 257]


def test_csid_is_answered_in_kind(talk: Talk) -> None:
    assert re.fullmatch(rb"200 Name=Argosy; Version=[^;]+; .*\r\n", talk.ask("CSID Name=x; Version=1;").text)


def test_lprt_and_lpsv_of_rfc_1639_are_not_implemented(talk: Talk) -> None:
    assert talk.codes("LPRT 4,4,127,0,0,1,2,4,1", "LPSV", "PWD") == [502, 502, 257]
