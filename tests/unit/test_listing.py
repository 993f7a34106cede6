"""Listings, byte for byte."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.wire.ftp import listing
from argosy.wire.ftp.listing import FACTS, Line, choose_facts

NOW = 1_795_321_522_000_000_000
"""2026-11-22 04:25:22 UTC."""
DAY = 86_400 * 10**9

FILE = Line(
    name=b"a b",
    is_directory=False,
    size=12_345,
    mtime_ns=NOW,
    created_ns=NOW - DAY,
    mode=0o644,
    owner="ann",
    group="staff",
    unique=255,
    perm="adfrw",
    nodes=("north", "south"),
)
FOLDER = FILE._replace(
    name=b"caf\xe9", is_directory=True, size=4096, mode=0o755, perm="cdeflmp", nodes=(), links=3
)

OWNERS = {"ann": b"ann", "b;b": b"b_b", "x y": b"x_y", "z\r\n": b"z__", "": b"-"}
"""Names of accounts, and how `ls -l` may show them."""

names = st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"\r\n\0/"))
plain_lines = st.builds(
    Line,
    name=names,
    is_directory=st.booleans(),
    size=st.integers(0, 2**63 - 1),
    mtime_ns=st.integers(-(2**63), 2**63 - 1),
    created_ns=st.integers(0, 2**62),
    mode=st.integers(0, 0o7777),
    owner=st.sampled_from(sorted(OWNERS)),
    group=st.just("g"),
    unique=st.integers(1, 2**63 - 1),
    perm=st.sampled_from(["", "adfrw"]),
    nodes=st.lists(st.sampled_from(["n1", "n2"]), unique=True).map(tuple),
    target=st.none(),
)
lines = plain_lines | st.builds(
    lambda line, target: line._replace(is_directory=False, type="", target=target), plain_lines, names
)


def entries(page: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Read MLSD as RFC 3659 section 7.2 tells a client to."""
    found = []
    for line in page.split(b"\r\n")[:-1]:
        facts, _, name = line.partition(b" ")
        pairs = (fact.split("=", 1) for fact in facts.decode(errors="surrogateescape").split(";")[:-1])
        found.append((dict(pairs), name))
    return found


def test_mlsd_of_a_file() -> None:
    assert listing.mlsd([FILE]) == (
        b"type=file;size=12345;modify=20261122042522;create=20261121042522;perm=adfrw;unique=ff;"
        b"UNIX.mode=0644;UNIX.owner=ann;UNIX.group=staff;x.nodes=north,south; a b\r\n"
    )


def test_mlsd_of_a_directory_has_no_size_and_no_nodes() -> None:
    assert listing.mlsd([FOLDER]) == (
        b"type=dir;modify=20261122042522;create=20261121042522;perm=cdeflmp;unique=ff;"
        b"UNIX.mode=0755;UNIX.owner=ann;UNIX.group=staff; caf\xe9\r\n"
    )


def test_the_listed_directory_itself_and_the_one_above_have_types_of_their_own() -> None:
    page = listing.mlsd([FOLDER._replace(type="cdir"), FOLDER._replace(type="pdir"), FILE], ["type"])
    assert page == b"type=cdir; caf\xe9\r\ntype=pdir; caf\xe9\r\ntype=file; a b\r\n"


def test_mlst_gives_the_entry_alone() -> None:
    assert listing.mlst(FILE._replace(name=b"/d/a b"), ["type", "size"]) == b"type=file;size=12345; /d/a b"


@given(st.lists(lines, max_size=4), st.sets(st.sampled_from(FACTS)))
def test_a_client_reads_back_what_we_wrote(page: list[Line], wanted: set[str]) -> None:
    facts = choose_facts(";".join(wanted).encode())
    found = entries(listing.mlsd(page, facts))
    assert [name for _, name in found] == [line.name for line in page]
    for line, (read, _) in zip(page, found, strict=True):
        kept = wanted if line.target is None and not line.is_directory else wanted - {"size", "x.nodes"}
        assert list(read) == [fact for fact in FACTS if fact in kept]
        if "size" in read:
            assert int(read["size"]) == line.size
        if "unique" in read:
            assert int(read["unique"], 16) == line.unique
        if "UNIX.mode" in read:
            assert int(read["UNIX.mode"], 8) == line.mode


def test_no_fact_wanted_leaves_a_blank_and_the_name() -> None:
    assert listing.mlsd([FILE], choose_facts(b"")) == b" a b\r\n"


def test_facts_are_chosen_in_any_case_and_unknown_ones_are_passed_over() -> None:
    assert choose_facts(b"SIZE;unix.MODE;Type;media-type;") == ("type", "size", "UNIX.mode")


def test_feat_marks_the_facts_in_use() -> None:
    assert listing.mlst_feature(("type", "size")) == (
        "MLST type*;size*;modify;create;perm;unique;UNIX.mode;UNIX.owner;UNIX.group;x.nodes;"
    )


def test_opts_says_what_is_in_use() -> None:
    assert listing.mlst_options(("type", "size")) == "MLST OPTS type;size;"
    assert listing.mlst_options(()) == "MLST OPTS"


def test_list_as_ls_writes_it() -> None:
    assert listing.unix([FILE, FOLDER], NOW) == (
        b"-rw-r--r--   1 ann      staff           12345 Nov 22 04:25 a b\r\n"
        b"drwxr-xr-x   3 ann      staff            4096 Nov 22 04:25 caf\xe9\r\n"
    )


@pytest.mark.parametrize(
    ("mtime_ns", "shown"),
    [
        (NOW - 182 * DAY, b"May 24 04:25"),
        (NOW - 183 * DAY, b"May 23  2026"),
        (NOW + 1, b"Nov 22  2026"),
        (0, b"Jan  1  1970"),
        (-1, b"Dec 31  1969"),
        (NOW - 17 * DAY, b"Nov  5 04:25"),
        (NOW - DAY - 5 * 3600 * 10**9, b"Nov 20 23:25"),
    ],
)
def test_a_time_shows_its_minute_for_half_a_year_and_then_its_year(mtime_ns: int, shown: bytes) -> None:
    assert b" 12345 %b a b\r\n" % shown in listing.unix([FILE._replace(mtime_ns=mtime_ns)], NOW)


@given(st.lists(lines, max_size=4), st.integers(0, 2**62))
def test_a_client_can_split_every_list_line_by_blanks(page: list[Line], now_ns: int) -> None:
    found = listing.unix(page, now_ns).split(b"\r\n")[:-1]
    for line, text in zip(page, found, strict=True):
        shown = line.name if line.target is None else line.name + b" -> " + line.target
        assert text.endswith(b" " + shown)
        letters, _, owner, group, size, *when = text[: -len(shown) - 1].split()
        assert letters[:1] == (b"d" if line.is_directory else b"-" if line.target is None else b"l")
        assert (owner, group) == (OWNERS[line.owner], b"g")
        assert int(size) == line.size
        assert len(when) == 3


@given(st.integers(0, 2**60))
def test_recent_times_are_utc(ns: int) -> None:
    at = datetime.fromtimestamp(ns // 10**9, UTC)
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[at.month * 3 - 3 : at.month * 3]
    shown = f"{month} {at.day:2} {at:%H:%M}"
    assert shown.encode() in listing.unix([FILE._replace(mtime_ns=ns)], ns)


def test_names_alone() -> None:
    assert listing.names([FILE, FOLDER]) == b"a b\r\ncaf\xe9\r\n"


def test_an_empty_directory_is_an_empty_page() -> None:
    assert listing.mlsd([]) == listing.unix([], NOW) == listing.names([]) == b""


LINK = FILE._replace(name=b"latest", target=b"a/b", size=3, nodes=(), perm="df")


def test_a_link_is_shown_with_its_target() -> None:
    shown = listing.unix([LINK], NOW)
    assert shown == b"lrwxrwxrwx   1 ann      staff               3 Nov 22 04:25 latest -> a/b\r\n"
    facts = ("type", "size", "perm", "x.nodes")
    assert listing.mlsd([LINK], facts) == b"type=OS.unix=slink:a/b;perm=df; latest\r\n"
    assert listing.names([LINK]) == b"latest\r\n"


@pytest.mark.parametrize("target", [b"a b", b"a;b", b"; x"])
def test_a_target_that_no_fact_can_hold_is_left_out(target: bytes) -> None:
    page = listing.mlsd([LINK._replace(target=target)], ("type",))
    assert entries(page) == [({"type": "OS.unix=slink"}, b"latest")]
