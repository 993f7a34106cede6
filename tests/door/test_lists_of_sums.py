"""Lists of checksums lie beside files: a running site holds one against the other, and reads no file."""

from __future__ import annotations

import ftplib
import hashlib
import io
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from running import PASSWORD, USER, Site, needs

ONE, TWO, THREE = (os.urandom(size) for size in (70_000, 50_000, 1_000))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = {"sums": {"show_completeness": True, "list_bytes": 600_000, "kept_bytes": 1_500_000}}
    site = Site(tmp_path_factory.mktemp("sums") / "site", "--nodes", "2", settings=settings)
    site.start()
    try:
        yield site
    finally:
        site.stop()


@pytest.fixture
def ftp(site: Site, request: pytest.FixtureRequest) -> Iterator[ftplib.FTP]:
    with ftplib.FTP() as ftp:
        ftp.connect(site.host, site.port, timeout=30)
        ftp.login(USER, PASSWORD)
        directory = "/" + request.node.name[5:40]
        ftp.mkd(directory)
        ftp.cwd(directory)
        yield ftp


def put(ftp: ftplib.FTP, name: str, content: bytes) -> str:
    return ftp.storbinary(f"STOR {name}", io.BytesIO(content))


def sfv(**files: bytes) -> bytes:
    lines = [f"{name.replace('_', '.')} {zlib.crc32(content):08X}\r\n" for name, content in files.items()]
    return b"; made by a test\r\n" + "".join(lines).encode()


def checked(site: Site, path: str, *words: str) -> tuple[int, Any]:
    """Have `argosy sfv` hold a directory against its lists, and give its exit code and document."""
    command = (sys.executable, "-m", "argosy.cli.main", "sfv", path, *words, "--dir", str(site.directory))
    done = subprocess.run([*command, "--json"], capture_output=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout)


def said(ftp: ftplib.FTP, command: str = "SITE SFV") -> dict[str, str]:
    lines = ftp.sendcmd(command).splitlines()
    return dict(line.strip().split(": ", 1) for line in lines[1:-1]) | {"": lines[-1]}


def test_files_that_come_after_their_list_are_told_whether_they_agree(site: Site, ftp: ftplib.FTP) -> None:
    assert put(ftp, "all.sfv", sfv(a_rar=ONE, b_rar=TWO, c_rar=THREE)).endswith(
        "0 of 3 files are here, 3 missing"
    )
    assert put(ftp, "a.rar", ONE).endswith(", as all.sfv says")
    wrong = f"{zlib.crc32(THREE):08x}, and all.sfv says {zlib.crc32(TWO):08x}"
    assert put(ftp, "B.RAR", THREE).endswith(f", but its crc32 is {wrong}")
    assert "all.sfv" not in put(ftp, "other.nfo", ONE)
    assert said(ftp) == {
        "a.rar": "good",
        "b.rar": f"bad, its crc32 is {zlib.crc32(THREE):08x} instead of {zlib.crc32(TWO):08x}",
        "c.rar": "missing",
        "": "200 1 of 3 files are here, 1 bad, 1 missing",
    }
    code, document = checked(site, ftp.pwd())
    assert (code, document["bad"], document["missing"], document["good"]) == (1, 1, 1, 1)
    assert [line["name"] for line in document["lines"]] == ["b.rar", "c.rar"]
    put(ftp, "B.RAR", TWO)
    put(ftp, "c.rar", THREE)
    code, document = checked(site, ftp.pwd() + "/all.sfv", "--all")
    assert (code, document["percent"], len(document["lines"])) == (0, 100, 3)


def test_a_list_that_comes_last_tells_how_complete_the_directory_is(ftp: ftplib.FTP) -> None:
    put(ftp, "a.rar", ONE)
    put(ftp, "b.rar", ONE)
    assert put(ftp, "all.sfv", sfv(a_rar=ONE, b_rar=TWO, c_rar=THREE)).endswith(
        "1 of 3 files are here, 1 bad, 1 missing"
    )


def test_a_listing_begins_with_how_complete_the_directory_is(ftp: ftplib.FTP) -> None:
    put(ftp, "a.rar", ONE)
    lines: list[str] = []
    ftp.retrlines("LIST", lines.append)
    assert len(lines) == 1
    put(ftp, "all.sfv", sfv(a_rar=ONE, b_rar=TWO))
    lines.clear()
    ftp.retrlines("LIST", lines.append)
    assert lines[0].startswith("dr-xr-xr-x")
    marker = "[ 50% complete - 1 of 2 files are here, 1 missing ]"
    assert lines[0].endswith(marker)
    assert dict(ftp.mlsd())[marker]["type"] == "dir"
    assert sorted(ftp.nlst()) == ["a.rar", "all.sfv"]
    ftp.sendcmd("RNFR a.rar")
    ftp.sendcmd("RNTO b.rar")
    lines.clear()
    ftp.retrlines("LIST", lines.append)
    assert lines[0].endswith("[ 0% complete - 0 of 2 files are here, 1 bad, 1 missing ]")
    ftp.delete("all.sfv")
    assert "200 There is no list of checksums here" in ftp.sendcmd("SITE SFV")
    assert len(list(ftp.mlsd())) == 1


def test_a_list_says_what_it_says_wherever_it_is_moved(site: Site, ftp: ftplib.FTP) -> None:
    ftp.mkd("below")
    put(ftp, "all.sfv", sfv(a_rar=ONE))
    ftp.rename("all.sfv", "below/other.sfv")
    site.wait_for("it read there", lambda: "[" in " ".join(name for name, _ in ftp.mlsd("below")))
    assert put(ftp, "below/a.rar", ONE).endswith(", as other.sfv says")
    assert "[" not in " ".join(name for name, _ in ftp.mlsd())
    ftp.rename("below/other.sfv", "below/notes.txt")
    assert "other.sfv" not in put(ftp, "below/a.rar", TWO)


def test_another_list_in_its_place_says_something_else(ftp: ftplib.FTP) -> None:
    put(ftp, "a.rar", ONE)
    put(ftp, "all.sfv", sfv(a_rar=TWO))
    assert said(ftp)["a.rar"].startswith("bad")
    assert put(ftp, "all.sfv", sfv(a_rar=ONE)).endswith("1 of 1 files are here")
    assert said(ftp)["a.rar"] == "good"


def test_other_sums_are_unknown_until_somebody_asks_for_them(site: Site, ftp: ftplib.FTP) -> None:
    put(ftp, "a.rar", ONE)
    text = f"{hashlib.sha256(ONE).hexdigest()}  a.rar\n{hashlib.sha256(ONE).hexdigest()} *b.rar\n"
    put(ftp, "b.rar", TWO)
    put(ftp, "SHA256SUMS", text.encode())
    assert said(ftp)["a.rar"] == "unknown, nobody knows its sha256"
    code, document = checked(site, ftp.pwd())
    assert (code, document["unknown"]) == (0, 2)
    for name in ("a.rar", "b.rar"):
        ftp.sendcmd(f"XSHA256 {name}")
    assert said(ftp)["a.rar"] == "good"
    assert said(ftp)["b.rar"].startswith("bad")
    assert checked(site, ftp.pwd())[0] == 1


def test_a_list_that_lay_on_a_disk_is_read_when_somebody_looks(site: Site, ftp: ftplib.FTP) -> None:
    put(ftp, "a.rar", ONE)
    root = min((site.directory / "nodes").iterdir()) / ftp.pwd().strip("/")
    root.mkdir(exist_ok=True)
    (root / "all.sfv").write_bytes(sfv(a_rar=ONE, b_rar=TWO))
    site.argosy("nodes", "remerge", root.parent.name)
    site.wait_for("the list in the tree", lambda: "all.sfv" in ftp.nlst())
    assert said(ftp)["a.rar"] == "good"


def test_what_is_no_list_or_too_long_for_one_is_said_so(site: Site, ftp: ftplib.FTP) -> None:
    put(ftp, "a.rar", ONE)
    with pytest.raises(ftplib.error_perm, match="501"):
        ftp.sendcmd("SITE SFV a.rar")
    with pytest.raises(ftplib.error_perm, match="550"):
        ftp.sendcmd("SITE SFV nowhere")
    reply = put(ftp, "large.sfv", b"a 00000000\n" * 60_000)
    assert reply.endswith("too long for a list of checksums that is read")
    assert "can't be read now: it has more than sums.list_bytes" in ftp.sendcmd("SITE SFV")
    long = b"".join(b"%064d 00000000\r\n" % number for number in range(7_000))
    assert put(ftp, "long.sfv", long).endswith("0 of 7000 files are here, 7000 missing")
    code, document = checked(site, ftp.pwd())
    assert (code, document["missing"], len(document["unread"])) == (1, 7_000, 1)


def test_of_a_file_that_only_has_the_name_of_a_list_nothing_is_said(site: Site, ftp: ftplib.FTP) -> None:
    reply = put(ftp, "junk.sfv", ONE)
    assert "files are here" not in reply
    assert " bytes on n" in reply
    assert ftp.sendcmd("SITE SFV").endswith("200 the lists name no files")
    code, document = checked(site, ftp.pwd())
    assert (code, document["files"], document["lists"]) == (1, 0, ["junk.sfv"])


def test_who_may_not_read_here_hears_nothing(site: Site, ftp: ftplib.FTP) -> None:
    put(ftp, "all.sfv", sfv(a_rar=ONE))
    site.add_user("drop")
    site.argosy("grant", "/", "list", "--user", "drop")
    site.argosy("grant", ftp.pwd(), "list,write,overwrite", "--user", "drop")
    with ftplib.FTP() as other:
        other.connect(site.host, site.port, timeout=30)
        other.login("drop", PASSWORD)
        other.cwd(ftp.pwd())
        assert "all.sfv" not in put(other, "a.rar", TWO)
        with pytest.raises(ftplib.error_perm, match="550"):
            other.sendcmd("SITE SFV")
        assert "[" not in " ".join(name for name, _ in other.mlsd())


def test_curl_hears_that_its_file_is_not_the_one(site: Site, ftp: ftplib.FTP, tmp_path: Path) -> None:
    put(ftp, "all.sfv", sfv(a_rar=ONE))
    (tmp_path / "a.rar").write_bytes(TWO)
    url = f"ftp://{site.host}:{site.port}{ftp.pwd()}/a.rar"
    done = subprocess.run(
        [needs("curl"), "-sSv", "--ftp-pret", "-u", f"{USER}:{PASSWORD}", "-T", str(tmp_path / "a.rar"), url],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b", but its crc32 is " in done.stderr


def test_lists_beyond_the_sites_room_are_not_read_until_others_go(site: Site, ftp: ftplib.FTP) -> None:
    long = b"".join(b"%064d 00000000\r\n" % number for number in range(7_000))
    names = [f"{number}.sfv" for number in range(3)]
    replies = [put(ftp, name, long) for name in names]
    full = "not read, as the site's lists of checksums have no more room"
    assert replies[0].endswith("0 of 7000 files are here, 7000 missing")
    assert replies[2].endswith(full)
    assert "2.sfv: can't be read now: No room for this" in ftp.sendcmd("SITE SFV")
    assert checked(site, ftp.pwd())[1]["unread"][-1]["list"] == "2.sfv"
    for name in names[:2]:
        ftp.delete(name)
    site.wait_for("it read", lambda: checked(site, ftp.pwd())[1]["lists"] == ["2.sfv"])
    ftp.delete("2.sfv")
