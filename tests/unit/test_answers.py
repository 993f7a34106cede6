"""Replies as sites say them, in one piece or in many."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp import answers
from argosy.wire.ftp.answers import Answer, AnswerReader
from argosy.wire.ftp.replies import Reply


def read(data: bytes) -> list[Answer]:
    return AnswerReader().feed(data)


def test_one_line_is_a_reply() -> None:
    assert read(b"200 OK\r\n230 In\r\n") == [Answer(200, (b"OK",)), Answer(230, (b"In",))]


def test_a_reply_of_many_lines_ends_at_its_code_and_a_blank() -> None:
    said = b"211-Features:\r\n SIZE\r\n211-not yet\r\n 211 nor this\r\n200 nor this\r\n211 End\r\n"
    lines = (b"Features:", b" SIZE", b"not yet", b" 211 nor this", b"200 nor this", b"End")
    assert read(said) == [Answer(211, lines)]


def test_bare_line_feeds_and_bare_codes_will_do() -> None:
    assert read(b"220-Hi\n\n220\n\r\n331\r\n") == [Answer(220, (b"Hi", b"", b"")), Answer(331, (b"",))]


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad\r\n", b"SSH-2.0-x\r\n", b"20 OK\r\n", b"600 x\r\n", b"2000\r\n"]
)
def test_who_speaks_no_ftp_is_told_apart(said: bytes) -> None:
    with pytest.raises(errors.Failed):
        read(said + b"\r\n")


def test_a_site_that_never_ends_is_stopped() -> None:
    with pytest.raises(errors.Failed):
        read(b"220 " + b"x" * answers.LINE_LIMIT)
    with pytest.raises(errors.Failed):
        read(b"220-x\r\n" * (answers.LINES_LIMIT + 1))


def test_what_was_said_before_tls_does_not_count_after_it() -> None:
    reader = AnswerReader()
    assert reader.feed(b"230-forged\r\n230 Logg") == []
    reader.forget()
    assert reader.feed(b"331 Password\r\n") == [Answer(331, (b"Password",))]


texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))
said_replies = st.builds(Reply, st.integers(100, 599), st.lists(texts, min_size=1).map(tuple))


@given(st.lists(said_replies), st.integers(1, 40))
def test_what_a_server_says_is_heard_wherever_it_is_cut(said: list[Reply], cut: int) -> None:
    data = b"".join(reply.encode() for reply in said)
    reader = AnswerReader()
    heard = [one for at in range(0, len(data), cut) for one in reader.feed(data[at : at + cut])]
    assert [one.code for one in heard] == [reply.code for reply in said]
    for one, reply in zip(heard, said, strict=True):
        plain = [line.encode() for line in reply.lines]
        middle = [b" " + line for line in plain[1:-1]]
        assert [line.replace(b"\r\0", b"\r") for line in one.lines] == [
            line.replace(b"\r\0", b"\r") for line in (plain[:1] + middle + plain[1:][-1:])
        ]


@given(st.binary(), st.integers(1, 20))
def test_anything_at_all_is_read_or_refused(data: bytes, cut: int) -> None:
    reader = AnswerReader()
    with contextlib.suppress(errors.Failed):
        for at in range(0, len(data), cut):
            for answer in reader.feed(data[at : at + cut]):
                assert answer.text.isprintable()
                for reading in READERS:
                    with contextlib.suppress(errors.Failed):
                        reading(answer)


READERS = (
    answers.passive,
    answers.extended_passive,
    answers.pathname,
    answers.size,
    answers.modified,
    answers.entry,
)


@pytest.mark.parametrize(
    "line",
    [
        b"Entering Passive Mode (192,168,1,2,19,137).",
        b"Entering Passive Mode. 192,168,1,2,19,137",
        b"=192,168,1,2,19,137",
        b"(192,168,1,2,19,137)",
    ],
)
def test_an_address_is_found_wherever_it_stands(line: bytes) -> None:
    assert answers.passive(Answer(227, (line,))) == ("192.168.1.2", 5001)


@pytest.mark.parametrize("line", [b"Passive", b"(1,2,3,4,5)", b"(1,2,3,4,0,0)", b"(256,2,3,4,5,6)"])
def test_no_address_is_no_address(line: bytes) -> None:
    with pytest.raises(errors.Failed):
        answers.passive(Answer(227, (line,)))


def test_a_port_of_its_own_stands_between_three_signs_and_one() -> None:
    assert answers.extended_passive(Answer(229, (b"Entering Extended Passive Mode (|||6446|)",))) == 6446
    assert answers.extended_passive(Answer(229, (b"ok (!!!1!)",))) == 1
    for line in (b"(|||0|)", b"(|||65536|)", b"(||6446|)", b"(|1|10.0.0.1|6446|)", b""):
        with pytest.raises(errors.Failed):
            answers.extended_passive(Answer(229, (line,)))


def test_a_path_stands_in_quotes_and_its_own_are_doubled() -> None:
    assert answers.pathname(Answer(257, (b'"/a ""b"" c" is current',))) == b'/a "b" c'
    for line in (b"no quotes", b'""', b'"open'):
        with pytest.raises(errors.Failed):
            answers.pathname(Answer(257, (line,)))


def test_sizes_and_times_are_read_or_refused() -> None:
    assert answers.size(Answer(213, (b" 12345 bytes",))) == 12_345
    assert answers.modified(Answer(213, (b"20170714024000.500",))) == 1_500_000_000_500_000_000
    for line in (b"", b"many", b"9" * 20):
        with pytest.raises(errors.Failed):
            answers.size(Answer(213, (line,)))
    for line in (b"", b"2017", b"20171414024000"):
        with pytest.raises(errors.Failed):
            answers.modified(Answer(213, (line,)))


def test_the_line_with_the_facts_is_found() -> None:
    fact = b"type=file;size=1; /a b"
    assert answers.entry(Answer(250, (b"Begin", b" " + fact, b"End"))) == fact
    assert answers.entry(Answer(250, (b"Begin", fact, b"End"))) == fact
    assert answers.entry(Answer(250, (b" " + fact,))) == fact
    with pytest.raises(errors.Failed):
        answers.entry(Answer(250, (b"Begin", b"End")))
