"""File Transfer Protocol, RFC 959: each verb by the section that has it."""

from __future__ import annotations

import os
import re
import socket

import pytest

from door.conftest import READER, WRITER
from running import PASSWORD, Site
from talking import Talk, everything


def given_up(data: socket.socket) -> bool:
    """Whether the server ends a data connection that nothing came over."""
    data.settimeout(20)
    try:
        return data.recv(1) == b""
    except ConnectionResetError:
        return True


# --- 4.1.1, access control


def test_4_1_1_user_begins_a_login_anew_and_leaves_the_transfer_parameters(talk: Talk, place: str) -> None:
    talk.store("f", b"12345")
    assert talk.codes(f"USER {READER}", "PWD", "SIZE f") == [331, 530, 530]
    assert talk.codes(f"PASS {PASSWORD}", f"CWD {place}") == [230, 250]
    assert talk.ask("SIZE f") == (213, b"213 5\r\n")  # TYPE I is still in force
    assert talk.ask("DELE f").code == 550  # as the reader


def test_4_1_1_user_is_answered_alike_whoever_it_is(site: Site) -> None:
    with Talk(site, login=False) as talk:
        known, unknown = talk.ask(f"USER {WRITER}"), talk.ask("USER nobody-at-all")
        assert known == unknown
        assert known.code == 331


def test_4_1_1_pass_proves_the_user_and_comes_only_behind_it(site: Site) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes("PASS x", f"USER {WRITER}", f"PASS {PASSWORD}", "PWD") == [503, 331, 230, 257]
        assert talk.codes(f"PASS {PASSWORD}", "PWD") == [503, 257]
        assert talk.codes(f"USER {WRITER}", "PASS wrong", f"PASS {PASSWORD}", "PWD") == [331, 530, 503, 530]


def test_4_1_1_acct_is_not_needed(site: Site, talk: Talk) -> None:
    assert talk.codes("ACCT budget", "PWD", "ACCT") == [202, 257, 501]
    with Talk(site, login=False) as stranger:
        assert stranger.codes("ACCT budget", "PWD") == [202, 530]


def test_4_1_1_cwd_changes_the_directory_or_leaves_it(talk: Talk, place: str) -> None:
    talk.store("f", b"")
    assert talk.codes("MKD d", "CWD d") == [257, 250]
    assert talk.ask("PWD").text.startswith(f'257 "{place}/d"'.encode())
    assert talk.codes("CWD gone", "CWD ../f", "CWD ") == [550, 550, 501]
    assert talk.ask("PWD").text.startswith(f'257 "{place}/d"'.encode())


def test_4_1_1_cdup_answers_as_cwd_does_and_stops_at_the_root(talk: Talk) -> None:
    assert talk.codes("CDUP", "CDUP", "CDUP", "CDUP x") == [250, 250, 250, 501]
    assert talk.ask("PWD").text.startswith(b'257 "/"')


def test_4_1_1_smnt_is_not_implemented(talk: Talk) -> None:
    assert talk.codes("SMNT /else", "PWD") == [502, 257]


def test_4_1_1_rein_forgets_user_and_parameters(talk: Talk, place: str) -> None:
    talk.store("f", b"x")
    assert talk.codes("OPTS MLST size;", "OPTS HASH MD5", "REST 1", "RNFR f", "REIN") == [
        200,
        200,
        350,
        350,
        220,
    ]
    assert talk.codes("PWD", "RNTO g") == [530, 530]
    assert talk.codes(f"USER {WRITER}", f"PASS {PASSWORD}", f"CWD {place}") == [331, 230, 250]
    assert talk.ask("SIZE f").code == 550  # TYPE A again
    assert b"type=file;size=1;" in talk.ask("MLST f").text
    assert talk.ask("OPTS HASH").text == b"200 SHA-256\r\n"
    assert talk.get("RETR f") == b"x"
    assert talk.ask("REIN now").code == 501


def test_4_1_1_quit_says_goodbye_and_hangs_up(talk: Talk) -> None:
    assert talk.codes("QUIT now", "QUIT") == [501, 221]
    with pytest.raises(EOFError):
        talk.hear()


def test_4_1_1_quit_in_a_transfer_waits_for_its_result(talk: Talk) -> None:
    content = os.urandom(3_000_000)
    talk.store("f", content)
    with talk.data() as data:
        talk.say("RETR f", "QUIT")
        assert talk.hear().code == 150
        assert everything(data) == content
    assert [talk.hear().code, talk.hear().code] == [226, 221]


# --- 4.1.2, transfer parameters


def test_4_1_2_port_has_the_server_dial_and_serves_one_transfer(talk: Talk) -> None:
    talk.store("f", b"hello")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        high, low = divmod(listener.getsockname()[1], 256)
        assert talk.codes(f"PORT 127,0,0,1,{high},{low}", "RETR f") == [200, 150]
        data, _ = listener.accept()
        with data:
            assert everything(data) == b"hello"
        assert talk.hear().code == 226
    assert talk.ask("RETR f").code == 425


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("127,0,0,1,4", 501),
        ("127,0,0,1,300,1", 501),
        ("127,0,0,1,0,0", 501),
        ("localhost,1,1", 501),
        ("127,0,0,1,0,22", 504),
        ("127,0,0,1,3,255", 504),
        ("10,0,0,1,100,1", 550),
    ],
)
def test_4_1_2_port_to_nonsense_a_low_port_or_a_stranger_is_refused(
    talk: Talk, argument: str, code: int
) -> None:
    assert talk.ask(f"PORT {argument}").code == code
    assert talk.codes("NLST", "PWD") == [425, 257]


def test_4_1_2_pasv_opens_a_port_and_a_second_one_replaces_it(talk: Talk) -> None:
    talk.store("f", b"hello")
    first = talk.data("PASV")
    assert talk.get("RETR f", wish="PASV") == b"hello"
    with first:
        assert given_up(first)
    assert talk.codes("PASV 1", "RETR f") == [501, 425]


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        *(("A", 200), ("A N", 200), ("A T", 200), ("I", 200), ("L 8", 200), ("a n", 200)),
        *(("A C", 504), ("E", 504), ("E N", 504), ("L 36", 504)),
        *(("L", 501), ("X", 501), ("A X", 501), ("I N", 501), ("", 501)),
    ],
)
def test_4_1_2_type_takes_its_forms_and_keeps_what_was_before_a_wrong_one(
    talk: Talk, argument: str, code: int
) -> None:
    talk.store("f", b"a\nb\n")
    assert talk.ask(f"TYPE {argument}").code == code
    ascii_now = code == 200 and argument.upper().startswith("A")
    assert talk.retrieve("f") == (b"a\r\nb\r\n" if ascii_now else b"a\nb\n")


def test_4_1_2_stru_is_file_alone(talk: Talk) -> None:
    assert talk.codes("STRU F", "stru f", "STRU R", "STRU P", "STRU X", "STRU") == [
        200,
        200,
        504,
        504,
        501,
        501,
    ]
    talk.store("f", b"1")
    assert talk.retrieve("f") == b"1"


def test_4_1_2_mode_is_stream_alone(talk: Talk) -> None:
    assert talk.codes("MODE S", "mode s", "MODE B", "MODE C", "MODE X", "MODE") == [
        200,
        200,
        504,
        504,
        501,
        501,
    ]
    talk.store("f", b"1")
    assert talk.retrieve("f") == b"1"


# --- 4.1.3, service


def test_4_1_3_retr_sends_a_file_and_leaves_it_as_it_is(talk: Talk) -> None:
    content = os.urandom(100_000)
    talk.store("f", content)
    assert [talk.retrieve("f"), talk.retrieve("f")] == [content, content]
    assert talk.ask("MKD d").code == 257
    assert [talk.refused(f"RETR {name}") for name in ("", "gone", "d", "f/x")] == [501, 550, 550, 550]
    assert talk.ask("RETR f").code == 425


def test_4_1_3_stor_makes_or_replaces_a_file(talk: Talk) -> None:
    talk.store("f", b"first")
    talk.store("f", b"second, longer")
    assert talk.retrieve("f") == b"second, longer"
    assert talk.ask("MKD d").code == 257
    assert [talk.refused(f"STOR {name}") for name in ("", "d", "gone/f", "f/x", "..")] == [
        *(501, 550, 550, 550, 553),
    ]
    assert talk.codes("STOR g", "SIZE g") == [425, 550]


def test_4_1_3_stou_stores_under_a_name_of_its_own_and_tells_it(talk: Talk) -> None:
    told = []
    for line, content in (("STOU", b"1"), ("STOU", b"22"), ("STOU my file", b"333")):
        with talk.data() as data:
            began = talk.ask(line)
            assert began.code == 150
            data.sendall(content)
        assert talk.hear().code == 226
        found = re.fullmatch(rb"150 FILE: (.+)\r\n", began.text)
        assert found, began
        told.append(found[1])
        assert talk.retrieve(found[1]) == content
    assert len(set(told)) == 3
    assert told[2].startswith(b"my file.")
    assert [talk.refused("STOU gone/f"), talk.refused("STOU " + "x" * 250), talk.ask("STOU").code] == [
        550,
        553,
        425,
    ]


def test_4_1_3_stou_begins_at_the_start_whatever_rest_said(talk: Talk) -> None:
    assert talk.ask("REST 5").code == 350
    with talk.data() as data:
        name = talk.ask("STOU f").text.split()[2]
        data.sendall(b"whole")
    assert talk.hear().code == 226
    assert talk.retrieve(name) == b"whole"


def test_4_1_3_appe_goes_on_at_the_end_or_makes_the_file(talk: Talk) -> None:
    for piece in (b"one ", b"two ", b"three"):
        assert talk.put("APPE f", piece).code == 226
    assert talk.retrieve("f") == b"one two three"
    assert talk.ask("MKD d").code == 257
    assert [talk.refused("APPE d"), talk.refused("APPE gone/f"), talk.ask("APPE f").code] == [550, 550, 425]


def test_4_1_3_allo_takes_a_size_and_a_record_size(talk: Talk) -> None:
    assert talk.codes("ALLO 5", "ALLO 5 R 80", "ALLO 0", "ALLO", "ALLO x", "ALLO 5 R", "ALLO -1") == [
        *(200, 200, 200, 501, 501, 501, 501),
    ]
    talk.store("f", b"")  # the last good one said 0
    assert talk.ask("ALLO 10").code == 200
    assert talk.put("STOR f", b"12345").code == 451
    talk.store("f", b"12345")  # it counts once
    assert talk.retrieve("f") == b"12345"


def test_4_1_3_rnfr_wants_what_is_there(talk: Talk, place: str) -> None:
    talk.store("f", b"1")
    assert talk.codes("RNFR gone", "RNTO g", "RNFR f", f"RNFR {place}/f", "RNTO g", "RNFR") == [
        *(550, 503, 350, 350, 250, 501),
    ]
    assert talk.size("g") == 1


def test_4_1_3_rnto_follows_rnfr_at_once_or_not_at_all(talk: Talk) -> None:
    talk.store("f", b"1")
    assert talk.codes("RNTO g", "RNFR f", "NOOP", "RNTO g", "SIZE f") == [503, 350, 200, 503, 213]
    assert talk.codes("RNFR f", "RNTO gone/g", "RNTO g", "RNFR f", "RNTO") == [350, 550, 503, 350, 501]
    assert talk.codes("RNFR f", "RNTO ..", "SIZE f") == [350, 553, 213]


def test_4_1_3_abor_stops_a_transfer_and_then_answers_for_itself(talk: Talk) -> None:
    assert talk.codes("ABOR", "ABOR x") == [226, 501]
    talk.store("f", os.urandom(20_000_000))
    with talk.data() as data:
        assert talk.ask("RETR f").code == 150
        assert data.recv(1000)
        talk.abort(telnet=True)
        assert [talk.hear().code, talk.hear().code] == [426, 226]
    assert talk.size("f") == 20_000_000
    with talk.data():
        assert talk.codes("ABOR", "RETR f") == [226, 425]  # it closes the data connection, too


def test_4_1_3_dele_deletes_a_file_once(talk: Talk) -> None:
    talk.store("f", b"1")
    assert talk.codes("MKD d", "DELE d", "DELE", "DELE f", "DELE f", "SIZE f") == [
        257,
        550,
        501,
        250,
        550,
        550,
    ]


def test_4_1_3_rmd_removes_an_empty_directory(talk: Talk) -> None:
    assert talk.codes("MKD d", "MKD d/e", "RMD d", "RMD d/e", "RMD d", "RMD d", "CWD d", "RMD") == [
        *(257, 257, 550, 250, 250, 550, 550, 501),
    ]
    talk.store("f", b"")
    assert talk.ask("RMD f").code == 550


def test_4_1_3_mkd_makes_a_directory_and_quotes_its_path(talk: Talk, place: str) -> None:
    assert talk.ask('MKD a "b"').text.startswith(f'257 "{place}/a ""b"""'.encode())
    assert talk.codes('CWD a "b"', "CDUP", 'MKD a "b"', "MKD gone/d", "MKD") == [250, 250, 550, 550, 501]


def test_4_1_3_pwd_quotes_the_path(talk: Talk, place: str) -> None:
    assert talk.codes('MKD say "hi"', 'CWD say "hi"') == [257, 250]
    assert talk.ask("PWD").text.startswith(f'257 "{place}/say ""hi"""'.encode())
    assert talk.ask("PWD x").code == 501


def test_4_1_3_list_is_what_ls_writes(talk: Talk) -> None:
    talk.store("f", b"12345")
    assert talk.ask("MKD d").code == 257
    directory, file = talk.get("LIST").decode().splitlines()
    assert re.fullmatch(r"drwx\S+ +\d+ \w+ +\w+ +\d+ \w{3} [ \d]\d \d\d:\d\d d", directory)
    assert re.fullmatch(r"-rw-\S+ +\d+ \w+ +\w+ +5 \w{3} [ \d]\d \d\d:\d\d f", file)
    assert talk.get("LIST -la") == talk.get("LIST -aL .") == talk.get("LIST")
    assert talk.get("LIST f").endswith(b" f\r\n")
    assert [talk.refused("LIST gone"), talk.ask("LIST").code] == [550, 425]


def test_4_1_3_nlst_is_names_that_retr_takes(talk: Talk) -> None:
    assert talk.ask("MKD d").code == 257
    talk.store("d/f 1", b"1")
    talk.store("d/f 2", b"2")
    names = talk.get("NLST d").splitlines()
    assert [talk.retrieve(name) for name in names] == [b"1", b"2"]
    assert talk.get("NLST") == b"d\r\n"
    assert [talk.refused("NLST gone"), talk.ask("NLST").code] == [550, 425]


def test_4_1_3_site_has_verbs_of_its_own(talk: Talk) -> None:
    talk.store("f", b"1")
    assert talk.codes("SITE HELP", "site chmod 600 f", "SITE NONSENSE", "SITE CHMOD", "SITE") == [
        *(214, 200, 504, 501, 501),
    ]
    assert b"UNIX.mode=0600;" in talk.ask("MLST f").text


def test_4_1_3_syst_names_a_system_whose_listings_clients_can_read(talk: Talk) -> None:
    assert talk.ask("SYST") == (215, b"215 UNIX Type: L8\r\n")
    assert talk.ask("SYST x").code == 501


def test_4_1_3_stat_tells_of_the_session(talk: Talk) -> None:
    told = talk.ask("STAT")
    assert told.code == 211
    assert b"Logged in as " + WRITER.encode() in told.text
    assert b"TYPE I, MODE S, STRU F" in told.text


def test_4_1_3_stat_of_a_path_lists_over_the_control_connection(talk: Talk) -> None:
    assert talk.codes("MKD d", "STAT gone") == [257, 550]
    talk.store("d/f", b"12345")
    directory, file = talk.ask("STAT d"), talk.ask("STAT d/f")
    assert (directory.code, file.code) == (212, 213)
    assert directory.text.count(b" 5 ") == file.text.count(b" 5 ") == 1


def test_4_1_3_stat_in_a_transfer_tells_of_it_at_once(talk: Talk) -> None:
    talk.store("f", os.urandom(20_000_000))
    with talk.data() as data:
        assert talk.ask("RETR f").code == 150
        told = talk.ask("STAT")
        assert told.code == 211
        assert b"Under way: RETR f" in told.text
        everything(data)
    assert talk.hear().code == 226


def test_4_1_3_help_tells_all_verbs_or_one(talk: Talk) -> None:
    assert b" RETR " in talk.ask("HELP").text
    assert talk.ask("HELP retr").text.startswith(b"214 RETR path")
    assert talk.ask("HELP xpwd").text.startswith(b"214 XPWD ")
    assert talk.ask("HELP nonsense").code == 214


def test_4_1_3_noop_does_nothing(talk: Talk, place: str) -> None:
    assert talk.codes("NOOP", "NOOP at all", "noop") == [200, 200, 200]
    assert talk.ask("PWD").text.startswith(f'257 "{place}"'.encode())
