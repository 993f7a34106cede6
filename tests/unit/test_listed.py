"""Listings as servers of many makes write them, read to the letter."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp import listed, listing
from argosy.wire.ftp.listed import Listed, Precision, Type, parse_list, parse_mlsd, parse_mlst

NOW = 1_795_321_522_000_000_000
"""2026-11-22 04:25:22 UTC."""
DAY = 86_400 * 10**9
SECOND = 10**9

FILE, DIRECTORY, LINK = Type.FILE, Type.DIRECTORY, Type.LINK
MINUTE, OF_DAY = Precision.MINUTE, Precision.DAY
LOCAL, EXACT = Precision.LOCAL_SECOND, Precision.SECOND


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * SECOND


def entry(name: bytes, kind: Type, size: int | None, when: tuple[int, Precision], **more: object) -> Listed:
    return Listed(name=name, type=kind, size=size, mtime_ns=when[0], precision=when[1], **more)  # type: ignore[arg-type]


ANN = {"owner": b"ann", "group": b"staff"}
FTP = {"owner": b"ftp", "group": b"ftp"}

UNIX = {
    "vsftpd": (
        b"-rw-r--r--    1 ftp      ftp          1234 Nov 22 04:20 a b.txt",
        entry(b"a b.txt", FILE, 1234, (at(2026, 11, 22, 4, 20), MINUTE), mode=0o644, **FTP),
    ),
    "an old directory": (
        b"drwxr-xr-x    2 ftp      ftp          4096 Jan 05  2024 old",
        entry(b"old", DIRECTORY, 4096, (at(2024, 1, 5), OF_DAY), mode=0o755, **FTP),
    ),
    "last December, seen in November": (
        b"-rw-r--r--    1 ftp      ftp             1 Dec 24 18:00 xmas",
        entry(b"xmas", FILE, 1, (at(2025, 12, 24, 18), MINUTE), mode=0o644, **FTP),
    ),
    "tomorrow there is today here": (
        b"-rw-r--r--    1 ftp      ftp             1 Nov 22 23:59 east",
        entry(b"east", FILE, 1, (at(2026, 11, 22, 23, 59), MINUTE), mode=0o644, **FTP),
    ),
    "a leap day": (
        b"-rw-r--r--    1 ftp      ftp             1 Feb 29 12:00 leap",
        entry(b"leap", FILE, 1, (at(2024, 2, 29, 12), MINUTE), mode=0o644, **FTP),
    ),
    "a blank before the name": (
        b"-rw-r--r--    1 ftp      ftp             1 Nov 22 04:20  name ",
        entry(b" name ", FILE, 1, (at(2026, 11, 22, 4, 20), MINUTE), mode=0o644, **FTP),
    ),
    "ProFTPD": (
        b"lrwxrwxrwx   1 ann      staff           7 Mar 13  2023 link -> ../x y",
        entry(b"link", LINK, 7, (at(2023, 3, 13), OF_DAY), mode=0o777, target=b"../x y", **ANN),
    ),
    "a name like a date": (
        b"-rw-r--r--   1 ann      staff        2024 Jan 05 2024 2024 Jan 05 2023 x",
        entry(b"2024 Jan 05 2023 x", FILE, 2024, (at(2024, 1, 5), OF_DAY), mode=0o644, **ANN),
    ),
    "an access list, and a group with blanks": (
        b"-rwsr-sr-t+  1 ann domain users            99 Nov 01 10:00 acl",
        entry(
            b"acl", FILE, 99, (at(2026, 11, 1, 10), MINUTE), mode=0o7755, owner=b"ann", group=b"domain users"
        ),
    ),
    "SELinux": (
        b"-rw-r--r--.  1 ann staff 99 Nov 01 10:00 dot",
        entry(b"dot", FILE, 99, (at(2026, 11, 1, 10), MINUTE), mode=0o644, **ANN),
    ),
    "sticky, and not executable": (
        b"drwxr-Sr-T  1 ann staff 9 Nov 01 10:00 odd",
        entry(b"odd", DIRECTORY, 9, (at(2026, 11, 1, 10), MINUTE), mode=0o3744, **ANN),
    ),
    "a device": (
        b"brw-rw----   1 root     disk       8,   0 Nov 01 10:00 sda",
        entry(
            b"sda", Type.OTHER, None, (at(2026, 11, 1, 10), MINUTE), mode=0o660, owner=b"root", group=b"disk"
        ),
    ),
    "no group": (
        b"-rw-r--r--   1 ann          1234 Jan 01  2020 nogroup",
        entry(b"nogroup", FILE, 1234, (at(2020, 1, 1), OF_DAY), mode=0o644, owner=b"ann"),
    ),
    "the day first": (
        b"-r--------   1 ann      staff        1234 22 Nov 04:20 dayfirst",
        entry(b"dayfirst", FILE, 1234, (at(2026, 11, 22, 4, 20), MINUTE), mode=0o400, **ANN),
    ),
    "long-iso": (
        b"-rw-r--r--   1 ann      staff          12 2024-01-12 10:11 iso",
        entry(b"iso", FILE, 12, (at(2024, 1, 12, 10, 11), MINUTE), mode=0o644, **ANN),
    ),
    "full-iso": (
        b"-rw-r--r--   1 ann      staff          12 2024-01-12 10:11:12.500000000 +0100 full",
        entry(
            b"full", FILE, 12, (at(2024, 1, 12, 9, 11, 12) + SECOND // 2, Precision.SECOND), mode=0o644, **ANN
        ),
    ),
    "seconds and a year": (
        b"-rw-r--r--   1 ann      staff          12 Jan 12 10:11:12 2024 all",
        entry(b"all", FILE, 12, (at(2024, 1, 12, 10, 11, 12), LOCAL), mode=0o644, **ANN),
    ),
    "German": (
        "-rw-r--r--   1 ann      staff          12 Mär 12  2021 de".encode(),
        entry(b"de", FILE, 12, (at(2021, 3, 12), OF_DAY), mode=0o644, **ANN),
    ),
    "Japanese": (
        "-rw-r--r--   1 ann      staff          12  1月 12  2021 ja".encode(),
        entry(b"ja", FILE, 12, (at(2021, 1, 12), OF_DAY), mode=0o644, **ANN),
    ),
    "NetPresenz, a file": (
        b"-------r--         326  1391972  1392298 Nov 22  1995 MegaPhone.sit",
        entry(b"MegaPhone.sit", FILE, 1392298, (at(1995, 11, 22), OF_DAY), mode=0o004, owner=b"1391972"),
    ),
    "NetPresenz, a folder": (
        b"drwxrwxr-x               folder        2 May 10  1996 network",
        entry(b"network", DIRECTORY, 2, (at(1996, 5, 10), OF_DAY), mode=0o775, owner=b"folder"),
    ),
    "NetWare, a directory": (
        b"d [R----F--] supervisor            512       Jan 16 18:53    login",
        entry(b"login", DIRECTORY, 512, (at(2026, 1, 16, 18, 53), MINUTE), owner=b"supervisor"),
    ),
    "NetWare, a file": (
        b"- [R----F--] rhesus             214059       Oct 20 15:27    cx.exe",
        entry(b"cx.exe", FILE, 214059, (at(2026, 10, 20, 15, 27), MINUTE), owner=b"rhesus"),
    ),
}

OTHERS = {
    "IIS, a directory": (
        b"11-05-25  09:09PM       <DIR>          pub x",
        entry(b"pub x", DIRECTORY, None, (at(2025, 11, 5, 21, 9), MINUTE)),
    ),
    "IIS, a file": (
        b"04-14-00  12:47AM                  589 read me.htm",
        entry(b"read me.htm", FILE, 589, (at(2000, 4, 14, 0, 47), MINUTE)),
    ),
    "IIS, four digits": (
        b"07-18-2000  12:16PM                  589 noon",
        entry(b"noon", FILE, 589, (at(2000, 7, 18, 12, 16), MINUTE)),
    ),
    "the year first, and 24 hours": (
        b"2024-01-12  22:11             1,234 iso.txt",
        entry(b"iso.txt", FILE, 1234, (at(2024, 1, 12, 22, 11), MINUTE)),
    ),
    "European": (
        b"31.12.2024  22:11             1.234 eu.txt",
        entry(b"eu.txt", FILE, 1234, (at(2024, 12, 31, 22, 11), MINUTE)),
    ),
    "a junction": (
        b"02-05-2024  11:00    <JUNCTION>     l [C:\\x\\y]",
        entry(b"l", LINK, None, (at(2024, 2, 5, 11), MINUTE), target=b"C:/x/y"),
    ),
    "EPLF, a directory": (
        b"+i8388621.29609,m824255902,/,\ttdir",
        Listed(name=b"tdir", type=DIRECTORY, mtime_ns=824_255_902 * SECOND, unique=b"8388621.29609"),
    ),
    "EPLF, a file": (
        b"+i8388621.44468,m839956783,r,s10376,up644,\tRFC EPLF",
        Listed(
            name=b"RFC EPLF",
            type=FILE,
            size=10376,
            mtime_ns=839_956_783 * SECOND,
            mode=0o644,
            unique=b"8388621.44468",
        ),
    ),
    "VMS, a directory": (
        b"CORE.DIR;1          1  8-SEP-1996 16:09 [SYSTEM] (RWE,RWE,RE,RE)",
        entry(b"CORE", DIRECTORY, None, (at(1996, 9, 8, 16, 9), MINUTE)),
    ),
    "VMS, a file": (
        b"CII-MANUAL.TEX;1  213/216  29-JAN-1996 03:33:12  [ANONYMOU,ANONYMOUS]   (RWED,RWED,,)",
        entry(b"CII-MANUAL.TEX", FILE, 213 * 512, (at(1996, 1, 29, 3, 33, 12), LOCAL)),
    ),
    "OS/400": (
        b"QSYS            77824 02/23/00 15:09:55 *DIR       QOpenSys/",
        entry(b"QOpenSys", DIRECTORY, 77824, (at(2000, 2, 23, 15, 9, 55), LOCAL), owner=b"QSYS"),
    ),
}

LINES = UNIX | OTHERS
FORMS = [line for line, _ in LINES.values()]


@pytest.mark.parametrize("form", LINES)
def test_every_form_of_a_listing_is_read_to_the_letter(form: str) -> None:
    line, wanted = LINES[form]
    assert parse_list(line + b"\r\n", NOW) == listed.Listing((wanted,))
    assert parse_list(line + b"\n", NOW) == listed.Listing((wanted,))


def test_forms_may_be_mixed_and_headings_stand_among_them() -> None:
    data = b"total 12\r\n\r\n" + b"".join(line + b"\r\n" for line, _ in LINES.values())
    assert parse_list(data, NOW).entries == tuple(wanted for _, wanted in LINES.values())


def test_what_is_no_entry_is_given_back_unread() -> None:
    told = [
        b"-rw-r--r-- 1 a b 1 Nov 22 04:20 ok",
        b"ls: cannot open: x",
        b"-rw-r--r-- 1 a b 1 Nov 42 04:20 no",
    ]
    found = parse_list(b"\r\n".join(told), NOW)
    assert [one.name for one in found.entries] == [b"ok"]
    assert len(found.unread) == 2


@pytest.mark.parametrize("name", [b"../../etc/passwd", b"/etc/passwd", b"a/b", b"a\0b", b"n" * 256, b"a\rb"])
def test_a_name_that_leads_elsewhere_is_none(name: bytes) -> None:
    found = parse_list(b"-rw-r--r-- 1 a b 1 Nov 22 04:20 " + name + b"\r\n", NOW)
    assert (found.entries, len(found.unread)) == ((), 1)
    found = parse_mlsd(b"type=file; " + name + b"\r\n")
    assert (found.entries, len(found.unread)) == ((), 1)


def test_the_directory_itself_is_not_in_it() -> None:
    data = b"drwxr-xr-x 2 a b 1 Nov 22 04:20 .\r\ndrwxr-xr-x 2 a b 1 Nov 22 04:20 ..\r\n"
    assert parse_list(data, NOW) == listed.Listing((), (), dots=True)
    data = b"type=cdir;modify=20240112101112; /a\r\ntype=pdir; ..\r\nType=file; x\r\n"
    assert [one.name for one in parse_mlsd(data).entries] == [b"x"]
    assert parse_mlsd(data).unread == ()


def test_a_name_told_twice_is_one_name() -> None:
    assert len(parse_mlsd(b"type=file;size=1; x\r\ntype=file;size=2; x\r\n").entries) == 1


MLSD = {
    b"type=file;size=1024990;modify=19980130010322.5;perm=adfr;unique=ab1; a b": Listed(
        name=b"a b",
        type=FILE,
        size=1024990,
        mtime_ns=at(1998, 1, 30, 1, 3, 22) + SECOND // 2,
        perm="adfr",
        unique=b"ab1",
    ),
    b"TYPE=Dir;Modify=19990112030508;UNIX.mode=0755;UNIX.uid=7;UNIX.gid=8;sizd=4096;  x": Listed(
        name=b" x",
        type=DIRECTORY,
        size=4096,
        mtime_ns=at(1999, 1, 12, 3, 5, 8),
        mode=0o755,
        owner=b"7",
        group=b"8",
    ),
    b"type=OS.unix=slink:/a/b;unix.mode=0o777;UNIX.owner=0;UNIX.ownername=ann; l": Listed(
        name=b"l", type=LINK, mode=0o777, owner=b"ann", target=b"/a/b"
    ),
    b"type=OS.unix=symlink;size=9; l": Listed(name=b"l", type=LINK, size=9),
    b"type=OS.unix=chr-13/29;modify=x;size=-1;unix.mode=9; dev": Listed(name=b"dev", type=Type.OTHER),
    b" nothing is told": Listed(name=b"nothing is told", type=FILE),
}


@pytest.mark.parametrize("line", MLSD)
def test_facts_are_read_to_the_letter(line: bytes) -> None:
    assert parse_mlsd(line + b"\r\n") == listed.Listing((MLSD[line],))
    assert parse_mlst(line) == MLSD[line]


def test_mlst_tells_of_a_directory_in_its_own_words() -> None:
    assert parse_mlst(b"size=1;type=cdir;modify=20240112101112; /a b").type is DIRECTORY
    with pytest.raises(errors.BadArgument):
        parse_mlst(b"type=file;")


names = st.binary(min_size=1, max_size=30).filter(
    lambda name: not set(name) & set(b"\r\n\0/") and name not in (b".", b"..") and b" -> " not in name
)
lines = st.builds(
    listing.Line,
    name=names,
    is_directory=st.booleans(),
    size=st.integers(0, 2**62),
    mtime_ns=st.integers(0, (NOW + 200 * DAY) // SECOND).map(lambda second: second * SECOND),
    created_ns=st.just(0),
    mode=st.integers(0, 0o777),
    owner=st.sampled_from(["ann", "b b", ""]),
    group=st.sampled_from(["staff", "c"]),
    unique=st.integers(1, 2**60),
    perm=st.just("adfrw"),
    nodes=st.just(()),
    links=st.integers(1, 9),
    type=st.just(""),
    target=st.none(),
)


@given(st.lists(lines, unique_by=lambda line: line.name))
def test_our_own_mlsd_is_read_as_it_was_meant(ours: list[listing.Line]) -> None:
    found = parse_mlsd(listing.mlsd(ours))
    assert found.unread == ()
    for one, line in zip(found.entries, ours, strict=True):
        assert (one.name, one.mtime_ns, one.mode) == (line.name, line.mtime_ns, line.mode)
        assert one.type is (DIRECTORY if line.is_directory else FILE)
        assert one.size == (None if line.is_directory else line.size)


@given(st.lists(lines, unique_by=lambda line: line.name))
def test_our_own_list_is_read_as_it_was_meant(ours: list[listing.Line]) -> None:
    found = parse_list(listing.unix(ours, NOW), NOW)
    assert found.unread == ()
    for one, line in zip(found.entries, ours, strict=True):
        assert (one.name, one.size, one.mode) == (line.name, line.size, line.mode)
        assert one.type is (DIRECTORY if line.is_directory else FILE)
        assert one.mtime_ns is not None
        assert 0 <= line.mtime_ns - one.mtime_ns < (60 * SECOND if one.precision is MINUTE else DAY)


@given(
    st.binary(max_size=300) | st.lists(st.sampled_from([line for line, _ in LINES.values()])).map(b"\n".join)
)
def test_any_bytes_are_read_or_given_back(data: bytes) -> None:
    for found in (parse_list(data, NOW), parse_mlsd(data)):
        told = [one.name for one in found.entries]
        assert len(set(told)) == len(told)
        assert all(listed.can_be_name(name) and name not in (b".", b"..") for name in told)
        for one in found.entries:
            assert one.size is None or 0 <= one.size < 1 << 63
            assert one.mode is None or 0 <= one.mode <= 0o7777


@given(st.sampled_from(FORMS), st.data())
def test_a_damaged_line_does_no_harm(line: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(line)))
    damaged = line[:place] + data.draw(st.binary(max_size=3)) + line[place + data.draw(st.integers(0, 3)) :]
    found = parse_list(damaged, NOW)
    assert len(found.entries) + len(found.unread) <= damaged.count(b"\n") + 1


@pytest.mark.parametrize(
    ("hours", "zone"), [(0, 0), (1, 3600), (-5, -18_000), (5.75, 20_700), (14, 50_400), (-12, -43_200)]
)
def test_the_zone_is_found_by_one_time_told_twice(hours: float, zone: int) -> None:
    true = at(2026, 11, 22, 4, 20, 31)
    shown = (true + int(hours * 3600) * SECOND) // (60 * SECOND) * (60 * SECOND)
    assert listed.zone_of(shown, true) == zone


@pytest.mark.parametrize("hours", [0.1, 15, -13, 24 * 365])
def test_what_no_zone_explains_is_none(hours: float) -> None:
    true = at(2026, 11, 22, 4, 20, 31)
    assert listed.zone_of(true + int(hours * 3600) * SECOND, true) is None


@pytest.mark.parametrize(
    "line",
    [
        b"-rw-r--r-- " + b" " * 200_000,
        b"-rw-r--r-- " + b"a " * 100_000,
        b"-rw-r--r-- " + b"1 " * 100_000,
        b"-rw-r--r-- 1 a b 1 Nov" + b" " * 200_000,
        b"11-05-25  09:09PM <DIR>" + b" " * 200_000,
        b"11-05-25  09:09PM " + b"1" * 200_000,
        b"+" + b"," * 200_000,
        b"total " + b"1," * 100_000,
        b"a;1 1 8-SEP-1996" + b" " * 200_000,
    ],
)
def test_a_line_made_to_be_slow_is_not(line: bytes) -> None:
    began = time.process_time()
    parse_list(line, NOW)
    parse_mlsd(line)
    assert time.process_time() - began < 2.0
