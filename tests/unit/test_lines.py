"""The control connection's bytes as lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.wire.ftp.lines import LineReader, TooLong

IAC, DM, IP, AYT = b"\xff", b"\xf2", b"\xf4", b"\xf6"
WILL, WONT, DO, DONT = b"\xfb", b"\xfc", b"\xfd", b"\xfe"
ECHO = b"\x01"

bytes_with_line_ends = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", IAC, DM, IP, WILL, DO, b"ABOR", b"x" * 9, b"\0"])
    | st.binary(max_size=6),
    max_size=40,
).map(b"".join)


def read(*pieces: bytes, limit: int = 100) -> list[bytes | TooLong]:
    reader = LineReader(limit)
    return [line for piece in pieces for line in reader.feed(piece)]


def test_a_line_ends_with_crlf_or_with_lf_alone() -> None:
    assert read(b"USER ann\r\nPASS secret\nQUIT") == [b"USER ann", b"PASS secret"]


def test_blanks_around_a_name_stay() -> None:
    assert read(b"RETR  a b \r\n") == [b"RETR  a b "]


@given(bytes_with_line_ends, st.integers(1, 7))
def test_where_the_network_cuts_makes_no_difference(data: bytes, cut: int) -> None:
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    assert read(*pieces, limit=20) == read(data, limit=20)


@pytest.mark.parametrize(
    "before",
    [
        IAC + IP + IAC + DM,  # as written
        IP + IAC + DM,  # lftp sends the first byte as urgent data
        IAC + IP + DM,  # BSD's ftp sends the second IAC so
        IAC + AYT,
        IAC + WILL + ECHO + IAC + DO + ECHO,
        b"",
    ],
)
def test_abor_is_heard_whatever_telnet_stands_before_it(before: bytes) -> None:
    assert read(before + b"ABOR\r\n") == [b"ABOR"]


def test_no_telnet_option_is_agreed_to_and_each_is_refused_once() -> None:
    reader = LineReader(100)
    assert reader.feed(IAC + WILL + ECHO + IAC + DO + b"\x18NO") == []
    assert reader.taken_refusals() == b""
    assert reader.feed(b"OP\r\n" + IAC + DONT + ECHO + IAC + WONT + ECHO + b"PWD\r\n") == [b"NOOP", b"PWD"]
    assert reader.taken_refusals() == IAC + DONT + ECHO + IAC + WONT + b"\x18"
    assert reader.taken_refusals() == b""


@given(bytes_with_line_ends, st.integers(1, 7))
def test_where_the_network_cuts_makes_no_difference_to_what_is_refused(data: bytes, cut: int) -> None:
    whole, pieces = LineReader(20), LineReader(20)
    whole.feed(data)
    for at in range(0, len(data), cut):
        pieces.feed(data[at : at + cut])
    assert pieces.taken_refusals() == whole.taken_refusals()


def test_telnet_writes_a_cr_of_a_name_with_a_nul_behind_it() -> None:
    assert read(b"MKD a\r\0b\r\n") == [b"MKD a\rb"]
    assert read(b"MKD a\0b\r\n") == [b"MKD a\0b"]


def test_a_doubled_byte_255_is_one_byte_of_a_name() -> None:
    assert read(b"RETR a" + IAC + IAC + b"b\r\n") == [b"RETR a\xffb"]
    assert read(b"RETR a" + IAC + IAC + DM + b"\r\n") == [b"RETR a\xff\xf2"]


def test_a_name_in_latin_1_keeps_its_byte_255() -> None:
    assert read(b"RETR L'Ha\xff-les-Roses\r\n") == [b"RETR L'Ha\xff-les-Roses"]
    assert read(b"RETR \xff\r\n") == [b"RETR \xff"]


def test_a_name_in_utf_8_is_left_alone() -> None:
    name = "Größe 𝄞".encode()
    assert read(b"RETR " + name + b"\r\n") == [b"RETR " + name]


def test_a_line_over_the_limit_is_marked_once_and_the_next_one_is_heard() -> None:
    assert read(b"A" * 101 + b"\r\nNOOP\r\n") == [TooLong(), b"NOOP"]
    assert read(*[b"A" * 60] * 9, b"\r\nNOOP\r\n") == [TooLong(), b"NOOP"]


def test_a_line_at_the_limit_is_heard() -> None:
    assert read(b"A" * 100 + b"\n") == [b"A" * 100]


def test_an_endless_line_is_refused_early_and_takes_no_memory() -> None:
    reader = LineReader(100)
    assert reader.feed(b"A" * 200) == [TooLong()]
    for _ in range(100):
        assert reader.feed(b"A" * 10_000) == []
    assert len(reader._pending) == 0


def test_what_was_begun_in_clear_is_forgotten_when_tls_begins() -> None:
    reader = LineReader(100)
    assert reader.feed(b"AUTH TLS\r\nDELE /preci") == [b"AUTH TLS"]
    reader.forget()
    assert reader.feed(b"NOOP\r\n") == [b"NOOP"]
