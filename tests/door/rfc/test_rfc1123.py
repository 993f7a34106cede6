"""Requirements for Internet Hosts, RFC 1123 section 4: what it adds to RFC 959."""

from __future__ import annotations

import re
import time

import pytest

from door.conftest import WRITER
from running import PASSWORD, Site
from talking import Talk

IAC, DONT, DO, WONT, WILL = b"\xff", b"\xfe", b"\xfd", b"\xfc", b"\xfb"


def test_4_1_2_2_telnet_format_is_as_good_as_non_print(talk: Talk) -> None:
    assert talk.codes("TYPE A T", "TYPE A N", "TYPE A C") == [200, 200, 504]


def test_4_1_2_6_the_address_of_227_stands_in_brackets(talk: Talk) -> None:
    told = talk.ask("PASV").text
    assert re.fullmatch(rb"227 [^(]*\((\d+,){5}\d+\)\.\r\n", told), told


def test_4_1_2_7_nlst_has_a_name_in_each_line_and_nothing_else(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    talk.store("f", b"")
    assert talk.get("NLST") == b"d\r\nf\r\n"


def test_4_1_2_9_stou_tells_the_name_in_just_one_form(talk: Talk) -> None:
    with talk.data() as data:
        assert re.fullmatch(rb"150 FILE: \S+\r\n", talk.ask("STOU").text)
        data.sendall(b"1")
    assert talk.hear().code == 226


def test_4_1_2_12_no_telnet_option_is_agreed_to(talk: Talk) -> None:
    talk.socket.sendall(IAC + WILL + b"\x01" + IAC + DO + b"\x03" + IAC + WONT + b"\x01" + b"NOOP\r\n")
    came = b""
    while b"\r\n" not in came:
        came += talk.socket.recv(1000)
    assert came == IAC + DONT + b"\x01" + IAC + WONT + b"\x03" + b"200 Still here\r\n"
    assert talk.ask("PWD").code == 257


@pytest.mark.parametrize(("old", "new"), [("XPWD", "PWD"), ("xcup", "CDUP")])
def test_4_1_3_1_the_names_from_before_rfc_959_are_understood(talk: Talk, old: str, new: str) -> None:
    assert talk.ask(old).code == talk.ask(new).code


def test_4_1_3_1_directories_have_old_names_of_verbs_too(talk: Talk) -> None:
    assert talk.codes("XMKD d", "XCWD d", "XCUP", "XRMD d", "CWD d") == [257, 250, 250, 250, 550]


def test_4_1_2_13_a_small_client_s_whole_session(site: Site, place: str) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes(f"USER {WRITER}", f"PASS {PASSWORD}", "TYPE A N", "MODE S", "STRU F") == [
            *(331, 230, 200, 200, 200),
        ]
        assert talk.put(f"STOR {place}/f", b"line\r\n", wish="PASV").code == 226
        assert talk.codes("TYPE I", "NOOP") == [200, 200]
        assert talk.get(f"RETR {place}/f", wish="PASV") == b"line\n"
        assert talk.codes("TYPE L 8", "QUIT") == [200, 221]


def test_4_1_3_3_the_control_connection_is_heard_while_data_flows(talk: Talk) -> None:
    with talk.data() as data:
        assert talk.ask("STOR f").code == 150
        for _ in range(3):
            data.sendall(b"x" * 1000)
            began = time.monotonic()
            assert talk.ask("STAT").code == 211
            assert time.monotonic() - began < 5
    assert talk.hear().code == 226
    assert talk.size("f") == 3000
