"""Internationalization of FTP, RFC 2640."""

from __future__ import annotations

import pytest

from talking import Talk


@pytest.mark.parametrize(
    ("argument", "code"),
    [("", 200), (" EN", 200), (" en-GB", 200), (" fr", 504), (" de-AT", 504), (" 12", 501), (" e n", 501)],
)
def test_4_lang_is_english(talk: Talk, argument: str, code: int) -> None:
    assert talk.codes(f"LANG{argument}", "PWD") == [code, 257]


def test_4_lang_stands_in_feat_with_the_one_in_use_starred(talk: Talk) -> None:
    assert b"\r\n LANG EN*\r\n" in talk.ask("FEAT").text


@pytest.mark.parametrize("name", ["Größe", "日本語", "🚢", "e\u0301 decomposed", "\u200f\u05e2\u05d1\u05e8"])
def test_2_a_name_in_utf_8_comes_back_byte_for_byte(talk: Talk, name: str) -> None:
    assert b"\r\n UTF8\r\n" in talk.ask("FEAT").text
    talk.store(name, b"1")
    assert talk.get("NLST") == f"{name}\r\n".encode()
    assert f"; {name}\r\n".encode() in talk.get("MLSD")
    assert talk.codes(f"MKD {name}.d", f"CWD {name}.d") == [257, 250]
    assert f'/{name}.d"'.encode() in talk.ask("PWD").text


def test_2_two_spellings_of_a_letter_are_two_names(talk: Talk) -> None:
    talk.store("\u00e9", b"one")
    talk.store("e\u0301", b"two")
    assert [talk.retrieve("\u00e9"), talk.retrieve("e\u0301")] == [b"one", b"two"]


def test_3_1_a_cr_in_a_name_comes_with_a_nul_and_no_file_is_called_so(talk: Talk) -> None:
    assert talk.codes(b"MKD a\r\0b", b"CWD a\r\0b", b"SIZE a\r\0b", b"RNFR a\r\0b") == [553, 553, 553, 553]
    assert talk.refused(b"STOR a\r\0b") == 553
    assert talk.codes(b"USER a\r\0b", "PWD") == [501, 257]
    assert talk.get("NLST") == b""
