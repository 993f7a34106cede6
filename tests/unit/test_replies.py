"""Replies, byte for byte."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.wire.ftp import replies
from argosy.wire.ftp.replies import Reply

plain = st.binary(max_size=30).filter(lambda line: not set(line) & set(b"\r\n"))


def spoken(data: bytes) -> list[tuple[int, list[bytes]]]:
    """Read replies as RFC 959 section 4.2 tells a client to."""
    found: list[tuple[int, list[bytes]]] = []
    lines: list[bytes] = []
    for line in data.replace(b"\xff\xff", b"\xff").split(b"\r\n")[:-1]:
        start = re.match(rb"(\d{3})([ -])", line)
        ends = start and start[2] == b" " and (not lines or lines[0][:3] == start[1])
        lines.append(line)
        if ends:
            found.append(
                (
                    int(lines[0][:3]),
                    [lines[0][4:], *[text[1:] for text in lines[1:-1]], *[line[4:]][len(lines) == 1 :]],
                )
            )
            lines = []
    assert not lines
    return found


@given(st.lists(st.tuples(st.integers(100, 599), st.lists(plain, min_size=1, max_size=4)), max_size=4))
def test_a_client_hears_just_the_lines_we_said(said: list[tuple[int, list[bytes]]]) -> None:
    data = b"".join(Reply(code, tuple(map(replies.shown, lines))).encode() for code, lines in said)
    assert spoken(data) == said


def test_one_line() -> None:
    assert Reply.of(220, "Argosy ready").encode() == b"220 Argosy ready\r\n"


def test_features_have_a_blank_before_each() -> None:
    assert replies.features(["UTF8", "MLST type*;size;"]).encode() == (
        b"211-Features:\r\n UTF8\r\n MLST type*;size;\r\n211 End\r\n"
    )


def test_a_line_in_the_middle_is_never_taken_for_the_last() -> None:
    assert Reply.of(211, "a", "211 b", "c").encode() == b"211-a\r\n 211 b\r\n211 c\r\n"


@pytest.mark.parametrize("lines", [(), ("a\r\n226 b",), ("a\rb",), ("a", "b\n")])
def test_nobody_can_put_a_reply_into_a_reply(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="whole lines"):
        Reply(200, lines)


@pytest.mark.parametrize("code", [0, 99, 600])
def test_codes_have_three_digits_from_1_to_5(code: int) -> None:
    with pytest.raises(ValueError, match="no such reply code"):
        Reply.of(code, "x")


def test_preliminary() -> None:
    assert Reply.of(150, "x").preliminary
    assert not Reply.of(226, "x").preliminary


def test_a_path_in_quotes_has_its_quotes_doubled() -> None:
    assert replies.pathname(b'/my "best" songs', "is where you are").encode() == (
        b'257 "/my ""best"" songs" is where you are\r\n'
    )


def test_a_name_in_latin_1_comes_out_as_it_came_in() -> None:
    assert replies.pathname(b"/caf\xe9", "made").encode() == b'257 "/caf\xe9" made\r\n'


def test_telnets_byte_255_is_doubled() -> None:
    assert replies.pathname(b"/a\xffb", "made").encode() == b'257 "/a\xff\xffb" made\r\n'


def test_passive() -> None:
    assert replies.entering_passive("10.77.0.2", 50_000).encode() == (
        b"227 Entering Passive Mode (10,77,0,2,195,80).\r\n"
    )


def test_extended_passive() -> None:
    assert (
        replies.entering_extended_passive(6446).encode()
        == b"229 Entering Extended Passive Mode (|||6446|)\r\n"
    )


def test_a_wrong_protocol_is_told_the_right_ones() -> None:
    assert replies.wrong_protocol(1, 2).encode() == b"522 Network protocol not supported, use (1,2)\r\n"


def test_mlst_is_a_block_with_one_entry() -> None:
    assert replies.entry(b"/d/f", b"type=file;size=3; /d/f").encode() == (
        b"250-Listing /d/f\r\n type=file;size=3; /d/f\r\n250 End\r\n"
    )


def test_sizes_and_times() -> None:
    at = 1_795_321_522_000_000_000
    assert replies.size(2**40).encode() == b"213 1099511627776\r\n"
    assert replies.modified(at).encode() == b"213 20261122042522\r\n"
    assert replies.facts_set({"Modify": "20261122042522", "UNIX.mode": "0644"}, b"a b").encode() == (
        b"213 Modify=20261122042522;UNIX.mode=0644; a b\r\n"
    )


def test_help() -> None:
    assert replies.help_text(["NOOP do nothing"]).encode() == (
        b"214-These can be used:\r\n NOOP do nothing\r\n214 End of help\r\n"
    )
