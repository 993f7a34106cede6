"""Symbolic links in the tree, as clients meet them."""

from __future__ import annotations

import ftplib
import subprocess
from pathlib import Path

from running import PASSWORD, Site, needs
from talking import Talk

WRITER, READER = "bob", "guest"


def link(talk: Talk, target: str, path: str) -> None:
    answer = talk.ask(f"SITE SYMLINK {target} {path}")
    assert answer.code == 200, answer


def lines(listing: bytes) -> list[bytes]:
    return listing.splitlines()


def test_a_link_is_shown_with_where_it_leads(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    talk.store("d/f", b"12345")
    link(talk, "d/f", "latest")
    link(talk, '"a b"', '"new year"')
    assert [line.split(None, 8)[8] for line in lines(talk.get("LIST"))] == [
        *(b"d", b"latest -> d/f", b"new year -> a b")
    ]
    assert talk.get("LIST").count(b"lrwxrwxrwx ") == 2
    assert talk.ask("OPTS MLST type;size;").code == 200
    assert lines(talk.get("MLSD")) == [
        *(b"type=dir; d", b"type=OS.unix=slink:d/f; latest", b"type=OS.unix=slink; new year")
    ]
    assert lines(talk.get("NLST")) == [b"d", b"latest", b"new year"]


def test_what_is_asked_of_a_link_is_asked_of_where_it_leads(talk: Talk, place: str) -> None:
    assert talk.codes("MKD d", "MFMT 20200101000000 d") == [257, 213]
    talk.store("d/f", b"12345")
    assert talk.ask("MFMT 20200202020202 d/f").code == 213
    link(talk, "d", "way")
    link(talk, f"{place}/way/f", "file")
    assert talk.size("file") == talk.size("way/f") == 5
    assert talk.ask("MDTM file").text == b"213 20200202020202\r\n"
    assert b"type=file;size=5;" in talk.ask("MLST file").text
    assert b"type=dir;" in talk.ask("MLST way").text
    assert talk.ask("XCRC file").text == b"250 CBF53A1C\r\n"
    assert talk.retrieve("file") == talk.retrieve("way/f") == b"12345"
    assert lines(talk.get("NLST way")) == [b"way/f"]
    assert lines(talk.get("LIST way")) == lines(talk.get("LIST d"))
    assert talk.ask("STAT way").code == 212
    assert talk.ask("SITE CHMOD 600 file").code == 200
    assert b"-rw------- " in talk.get("LIST d")


def test_who_goes_through_a_link_comes_back_the_same_way(talk: Talk, place: str) -> None:
    assert talk.codes("MKD d", "MKD d/e") == [257, 257]
    link(talk, "d/e", "way")
    assert talk.ask("CWD way").code == 250
    assert talk.ask("PWD").text.startswith(b'257 "%b/way"' % place.encode())
    talk.store("f", b"x")
    assert talk.codes("CDUP", "SIZE d/e/f") == [250, 213]
    assert talk.ask("PWD").text.startswith(b'257 "%b"' % place.encode())


def test_an_upload_to_a_link_writes_what_it_leads_to(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    link(talk, "d/f", "l")
    talk.store("l", b"123")
    assert talk.retrieve("d/f") == b"123"
    assert talk.put("APPE l", b"45").code == 226
    talk.store("d/f2", b"")
    assert talk.retrieve("d/f") == b"12345"
    assert b" l -> d/f\r\n" in talk.get("LIST")
    link(talk, "d", "dir")
    assert talk.refused("STOR dir") == 550


def test_only_the_link_goes_when_it_is_deleted_or_renamed(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    talk.store("d/f", b"12345")
    link(talk, "d", "way")
    link(talk, "d/f", "file")
    assert talk.codes("RMD way", "RNFR file", "RNTO other") == [550, 350, 250]
    assert talk.retrieve("other") == b"12345"
    assert talk.codes("DELE way", "DELE other", "DELE other") == [250, 250, 550]
    assert talk.retrieve("d/f") == b"12345"
    talk.store("plain", b"x")
    link(talk, "d/f", "l")
    assert talk.codes("RNFR plain", "RNTO l") == [350, 250]
    assert (talk.retrieve("l"), talk.retrieve("d/f")) == (b"x", b"12345")


def test_a_link_that_leads_nowhere_is_shown_and_nothing_else(talk: Talk) -> None:
    link(talk, "gone", "l")
    link(talk, "b", "a")
    link(talk, "a", "b")
    assert talk.codes("SIZE l", "MDTM l", "CWD l", "CWD a", "SIZE a/x", "MKD a/x") == [550] * 6
    assert b"Too many symbolic links" in talk.ask("CWD a").text
    assert talk.refused("RETR l") == talk.refused("RETR a") == talk.refused("STOR a") == 550
    assert talk.get("LIST l").endswith(b" l -> gone\r\n")
    assert b"type=OS.unix=slink:b;" in talk.ask("MLST a").text
    assert talk.codes("DELE a", "DELE b", "DELE l") == [250, 250, 250]


def test_bad_wishes_for_links_are_refused(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    assert talk.codes("SITE SYMLINK", "SITE SYMLINK a", "SITE SYMLINK a b c") == [501, 501, 501]
    assert talk.codes("SITE SYMLINK a d", "SITE SYMLINK a no/where", "SITE SYMLINK a /.argosy") == [
        550,
        550,
        553,
    ]


def test_a_link_is_no_way_around_rights(site: Site, place: str) -> None:
    with Talk(site) as admin, Talk(site, READER) as reader:
        admin.store(f"{place}/f", b"12345")
        link(admin, f"{place}/f", f"{place}/l")
        assert reader.retrieve(f"{place}/l") == b"12345"
        assert reader.refused(f"STOR {place}/l") == 550
        assert reader.codes(
            f"DELE {place}/l", f"SITE SYMLINK f {place}/m", f"MFMT 20200101000000 {place}/l"
        ) == [*(550, 550, 550)]


def test_the_command_line_says_where_a_link_leads(site: Site, place: str) -> None:
    with Talk(site) as talk:
        talk.store(f"{place}/f", b"12345")
        link(talk, "f", f"{place}/l")
    told = site.argosy("why", f"{place}/l")
    assert (told["kind"], told["target"], told["leads_to"]) == ("link", "f", f"{place}/f")
    assert len(told["replicas"]) == 1
    assert told["reading"][0]["chosen"]
    assert site.status()["links"] >= 1


def test_ftplib_sees_links(site: Site, talk: Talk, place: str) -> None:
    talk.store("f", b"12345")
    link(talk, "f", "l")
    with ftplib.FTP() as client:
        client.connect(site.host, site.port, 20)
        client.login(WRITER, PASSWORD)
        facts = dict(client.mlsd(place, ["type"]))
        got: list[bytes] = []
        client.retrbinary(f"RETR {place}/l", got.append)
    assert facts["l"]["type"] == "OS.unix=slink:f"
    assert b"".join(got) == b"12345"


def test_lftp_mirrors_links_as_links(site: Site, talk: Talk, place: str, tmp_path: Path) -> None:
    assert talk.ask("MKD d").code == 257
    talk.store("d/f", b"12345")
    link(talk, "d/f", "file")
    link(talk, "d", "way")
    commands = (
        f"set net:max-retries 1; set ftp:ssl-allow no; open -u '{WRITER},{PASSWORD}'"
        f" ftp://{site.host}:{site.port}; mirror {place} {tmp_path}/copy; cat {place}/way/f"
    )
    done = subprocess.run([needs("lftp"), "-c", commands], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"12345"), done
    assert (tmp_path / "copy/file").readlink() == Path("d/f")
    assert (tmp_path / "copy/way").readlink() == Path("d")
    assert (tmp_path / "copy/file").read_bytes() == b"12345"


def test_lftp_makes_links(site: Site, talk: Talk, place: str) -> None:
    talk.store("f", b"12345")
    commands = (
        f"set net:max-retries 1; set ftp:ssl-allow no; open -u '{WRITER},{PASSWORD}'"
        f" ftp://{site.host}:{site.port}; cd {place}; ln -s f l; cat l"
    )
    done = subprocess.run([needs("lftp"), "-c", commands], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"12345"), done
    assert b"type=OS.unix=slink:f;" in talk.get("MLSD")
