"""The stream from node to node, as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.wire.link import LinkError, pieces
from argosy.wire.link.pieces import END, HEAD_BYTES, PIECE_LIMIT, Coming, Mark, Piece

VERSIONS = st.integers(1, 2**63 - 1)


def head(piece: Piece) -> bytes:
    buffer = bytearray(HEAD_BYTES)
    pieces.pack_into(buffer, 0, piece)
    return bytes(buffer)


def cut(ver: int, size: int, step: int) -> list[Piece]:
    """Cut a file into pieces."""
    whole = [Piece(ver, step, Mark.MORE)] * ((size - 1) // step if size else 0)
    return [*whole, Piece(ver, size - step * len(whole), Mark.LAST)]


def test_a_head_has_thirteen_bytes_in_the_order_of_the_document() -> None:
    assert head(Piece(0x0102030405060708, 0x0A0B0C0D, Mark.REFUSED)).hex() == "01020304050607080a0b0c0d02"
    assert head(END).hex() == "00" * 12 + "03"


@given(st.lists(st.tuples(VERSIONS, st.integers(0, 5000), st.integers(1, 900), st.booleans())))
def test_files_come_in_any_pieces_and_some_are_refused(files: list[tuple[int, int, int, bool]]) -> None:
    coming = Coming((ver, size) for ver, size, _, _ in files)
    for ver, size, step, refused in files:
        sent = cut(ver, size, step)
        if refused:
            sent[-1] = Piece(ver, 7, Mark.REFUSED)
        for piece in sent:
            assert coming.take(head(piece)) == piece
    assert coming.take(head(END)) == END


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), max_size=3),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(Mark)), max_size=8),
)
def test_whatever_comes_no_file_gets_more_or_fewer_bytes_than_it_has(
    wanted: list[tuple[int, int]], sent: list[tuple[int, int, Mark]]
) -> None:
    coming = Coming(wanted)
    whole: list[tuple[int, int]] = []
    came, over = 0, 0
    for ver, length, mark in sent:
        try:
            piece = coming.take(head(Piece(ver, length, mark)))
        except LinkError:
            return
        if piece.mark is Mark.END:
            assert over == len(wanted)
            return
        came += piece.length if piece.mark is not Mark.REFUSED else 0
        if piece.mark is not Mark.MORE:
            if piece.mark is Mark.LAST:
                whole.append((ver, came))
                assert whole[-1] == wanted[over]
            over, came = over + 1, 0


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(Mark)), max_size=6))
def test_a_file_of_unknown_size_ends_only_with_what_it_has_become(sent: list[tuple[int, Mark]]) -> None:
    coming = Coming([(5, -1)])
    for length, mark in sent:
        try:
            piece = coming.take(head(Piece(5, length, mark)))
        except LinkError:
            assert mark not in (Mark.MORE, Mark.REFUSED) or not length
            return
        assert mark in (Mark.MORE, Mark.REFUSED) or (mark, length) == (Mark.WHOLE, pieces.WHOLE_BYTES)
        if piece.mark is not Mark.MORE:
            assert coming.take(head(END)) == END
            return


@given(
    st.integers(0, 2**64 - 1),
    st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    st.one_of(st.none(), st.binary(min_size=16, max_size=16)),
)
def test_what_a_file_has_become_is_said_in_29_bytes(
    size: int, crc32: int | None, digest: bytes | None
) -> None:
    said = pieces.whole(size, crc32, digest)
    assert len(said) == pieces.WHOLE_BYTES == 29
    assert pieces.said_whole(said) == (size, crc32, digest)


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES))
def test_any_thirteen_bytes_are_a_piece_that_fits_or_are_refused(data: bytes) -> None:
    try:
        piece = Coming([(5, 100)]).take(data)
    except LinkError:
        return
    assert piece.ver == 5
    assert piece.length <= 100 or piece.mark is Mark.REFUSED


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (Piece(6, 10, Mark.LAST), "another file"),
        (Piece(5, 9, Mark.LAST), "too short"),
        (Piece(5, 11, Mark.LAST), "too long"),
        (Piece(5, 11, Mark.MORE), "too long, and more"),
        (Piece(5, 0, Mark.MORE), "nothing, for ever"),
        (END, "too early"),
        (Piece(5, pieces.WORDS_LIMIT + 1, Mark.REFUSED), "a refusal without an end"),
    ],
)
def test_what_makes_no_sense_is_refused(piece: Piece, reason: str) -> None:
    with pytest.raises(LinkError):
        Coming([(5, 10)]).take(head(piece))


def test_a_piece_is_never_longer_than_the_buffer() -> None:
    coming = Coming([(5, PIECE_LIMIT * 3)])
    assert coming.take(head(Piece(5, PIECE_LIMIT, Mark.MORE))).length == PIECE_LIMIT
    with pytest.raises(LinkError):
        coming.take(head(Piece(5, PIECE_LIMIT + 1, Mark.MORE)))


@given(st.from_regex(r"[A-Z][A-Za-z]{0,30}", fullmatch=True), st.text(max_size=6000))
def test_a_refusal_keeps_its_name_and_as_much_of_its_subject_as_there_is_room(
    name: str, subject: str
) -> None:
    said = pieces.words(name, subject)
    assert len(said) <= pieces.WORDS_LIMIT
    assert pieces.refused(said)[0] == name
