"""Extensions to FTP, RFC 3659."""

from __future__ import annotations

import re

import pytest

from door.conftest import READER
from running import Site
from talking import Talk


def test_3_mdtm_tells_when_a_file_was_modified(talk: Talk) -> None:
    talk.store("f", b"1")
    assert re.fullmatch(rb"213 20\d{12}\r\n", talk.ask("MDTM f").text)
    assert talk.codes("MDTM gone", "MDTM", "MKD d") == [550, 501, 257]


def test_3_mdtm_with_two_arguments_sets_it_unless_a_file_is_called_so(talk: Talk) -> None:
    talk.store("f", b"1")
    assert talk.ask("MDTM 20010203040506 f") == (213, b"213 20010203040506\r\n")
    assert talk.ask("MDTM f") == (213, b"213 20010203040506\r\n")
    talk.store("20020203040506 f", b"2")
    assert talk.ask("MDTM 20020203040506 f").text[4:8] != b"2002"
    assert talk.ask("MDTM f") == (213, b"213 20010203040506\r\n")
    assert talk.codes("MDTM 20011303040506 f", "MDTM 20010203040506 gone") == [550, 550]


def test_4_size_tells_what_retr_sends(talk: Talk) -> None:
    talk.store("f", b"a\nb\n")
    assert talk.ask("SIZE f") == (213, b"213 4\r\n")
    assert len(talk.retrieve("f")) == 4
    assert talk.codes("SIZE gone", "SIZE .", "SIZE", "TYPE A", "SIZE f") == [550, 550, 501, 200, 550]


def test_5_rest_begins_the_next_transfer_there_and_that_one_alone(talk: Talk) -> None:
    talk.store("f", b"0123456789")
    assert talk.ask("REST 4").code == 350
    assert [talk.retrieve("f"), talk.retrieve("f")] == [b"456789", b"0123456789"]
    assert talk.ask("REST 7").code == 350
    talk.store("f", b"xyz")
    assert talk.retrieve("f") == b"0123456xyz"
    assert talk.codes("REST 10", "REST 99999999999999999999", "REST -1", "REST x", "REST") == [
        *(350, 501, 501, 501, 501),
    ]
    assert talk.retrieve("f") == b""
    assert talk.codes("REST 11") == [350]
    assert talk.refused("RETR f") == 501
    assert talk.retrieve("f") == b"0123456xyz"


def test_6_tvfs_paths_are_as_unix_has_them(talk: Talk, place: str) -> None:
    assert b"\r\n TVFS\r\n" in talk.ask("FEAT").text
    assert talk.codes("MKD d", "MKD d/e") == [257, 257]
    talk.store("d/e/f", b"1")
    for path in (f"{place}/d/e/f", "d//e/f", "./d/../d/e/f", "/../.." + place + "/d/e/f"):
        assert talk.size(path) == 1, path


def test_7_mlst_tells_of_one_entry_over_the_control_connection(talk: Talk, place: str) -> None:
    talk.store("f", b"12345")
    first, entry, last = talk.ask("MLST f").text.decode().splitlines()
    assert (first[:4], last) == ("250-", "250 End")
    assert re.fullmatch(rf" type=file;size=5;modify=\d{{14}};create=\d{{14}};\S+; {place}/f", entry)
    assert f"; {place}\r\n".encode() in talk.ask("MLST").text
    assert b" type=dir;" in talk.ask("MLST").text
    assert talk.codes("MLST gone", "MLST f/x") == [550, 550]


def test_7_mlsd_tells_of_a_directory_s_entries(talk: Talk) -> None:
    talk.store("f", b"12345")
    assert talk.ask("MKD d").code == 257
    lines = talk.get("MLSD").decode().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["d", "f"]
    assert talk.get("MLSD d") == b""
    assert [talk.refused("MLSD f"), talk.refused("MLSD gone"), talk.ask("MLSD").code] == [501, 550, 425]


def fact(talk: Talk, name: str, path: str) -> str:
    found = re.search(rf"[ ;]{name}=([^;]*);", talk.ask(f"MLST {path}").text.decode())
    assert found, name
    return found[1]


def test_7_5_2_unique_stays_over_a_rename_and_is_not_given_again(talk: Talk) -> None:
    talk.store("f", b"1")
    first = fact(talk, "unique", "f")
    assert talk.codes("RNFR f", "RNTO g") == [350, 250]
    assert fact(talk, "unique", "g") == first
    assert talk.ask("DELE g").code == 250
    talk.store("g", b"1")
    assert fact(talk, "unique", "g") != first


def test_7_5_4_create_stays_when_the_content_is_replaced(talk: Talk) -> None:
    talk.store("f", b"1")
    assert talk.ask("MFCT 20010203040506 f").code == 213
    talk.store("f", b"22")
    assert fact(talk, "create", "f") == "20010203040506"
    assert fact(talk, "modify", "f") > "2002"


def test_7_5_5_perm_tells_what_this_user_may_do(site: Site, talk: Talk, place: str) -> None:
    talk.store("f", b"1")
    assert talk.ask("MKD d").code == 257
    assert set("adfrw") <= set(fact(talk, "perm", "f"))
    assert set("cdeflmp") <= set(fact(talk, "perm", "d"))
    with Talk(site, READER) as reader:
        assert fact(reader, "perm", f"{place}/f") == "r"
        assert fact(reader, "perm", f"{place}/d") == "el"


@pytest.mark.parametrize("wanted", ["type;size;", "SIZE;type;nonsense;", "", "unique;UNIX.mode;x.nodes;"])
def test_7_9_opts_chooses_the_facts_that_are_told(talk: Talk, wanted: str) -> None:
    talk.store("f", b"1")
    told = talk.ask(f"OPTS MLST {wanted}".rstrip())
    assert told.code == 200
    chosen = told.text.decode().removeprefix("200 MLST OPTS").strip()
    entry = talk.get("MLSD").decode().removesuffix(" f\r\n")
    assert [part.split("=")[0] for part in entry.split(";")[:-1]] == chosen.split(";")[:-1]
    assert "nonsense" not in chosen
    assert all(f"{name}*;" in talk.ask("FEAT").text.decode() for name in chosen.split(";")[:-1])
