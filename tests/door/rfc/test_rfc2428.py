"""FTP Extensions for IPv6 and NATs, RFC 2428."""

from __future__ import annotations

import re
import socket

import pytest

from talking import Talk, everything


def test_2_eprt_has_the_server_dial(talk: Talk) -> None:
    talk.store("f", b"hello")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        assert talk.codes(f"EPRT |1|127.0.0.1|{listener.getsockname()[1]}|", "RETR f") == [200, 150]
        data, _ = listener.accept()
        with data:
            assert everything(data) == b"hello"
    assert talk.codes("NOOP", "RETR f")[0] == 226


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("|3|x|5000|", 501),
        ("|3|127.0.0.1|5000|", 522),
        ("|1|::1|5000|", 501),
        ("|2|127.0.0.1|5000|", 501),
        ("|1|127.0.0.1|0|", 501),
        ("|1|127.0.0.1|65536|", 501),
        ("|1|127.0.0.1|5000", 501),
        ("1,127.0.0.1,5000", 501),
        ("|1|127.0.0.1|1023|", 504),
        ("|1|10.1.1.1|5000|", 550),
    ],
)
def test_2_eprt_wrong_or_elsewhere_is_refused(talk: Talk, argument: str, code: int) -> None:
    assert talk.ask(f"EPRT {argument}").code == code
    assert talk.codes("NLST", "PWD") == [425, 257]


def test_2_eprt_with_another_protocol_hears_which_would_do(talk: Talk) -> None:
    assert re.search(rb"\(1,2\)\r\n$", talk.ask("EPRT |3|127.0.0.1|5000|").text)


def test_3_epsv_gives_a_port_and_no_address(talk: Talk) -> None:
    assert re.fullmatch(rb"229 .*\(\|\|\|\d+\|\)\r\n", talk.ask("EPSV").text)
    assert talk.codes("EPSV 1", "EPSV 2", "EPSV 3", "EPSV x") == [229, 522, 522, 501]
    assert talk.ask("EPSV 2").text.endswith(b"(1)\r\n")
    talk.store("f", b"1")
    assert talk.retrieve("f") == b"1"
    assert talk.ask("RETR f").code == 425


def test_4_epsv_all_leaves_nothing_but_epsv(talk: Talk) -> None:
    assert talk.codes("EPSV ALL", "PASV", "PORT 127,0,0,1,195,80", "EPRT |1|127.0.0.1|50000|") == [
        *(200, 503, 503, 503),
    ]
    talk.store("f", b"1")
    assert talk.retrieve("f") == b"1"
