"""What is said on the control connection: names, times, logins, and all that isn't a command."""

from __future__ import annotations

import os
import ssl
import time
import zlib

import pytest

from door.conftest import MOVER, READER, WRITER
from running import PASSWORD, Site
from talking import Talk, everything


def names(listing: bytes) -> list[str]:
    """Give the names of an MLSD listing."""
    return [line.partition(b" ")[2].decode(errors="surrogateescape") for line in listing.splitlines()]


# --- names and directories


def test_a_directory_is_made_and_removed(talk: Talk, place: str) -> None:
    made = talk.ask('MKD say "hi"')
    assert made == (257, f'257 "{place}/say ""hi""" is there now\r\n'.encode())
    assert talk.ask('MKD say "hi"').code == 550
    assert talk.codes('CWD say "hi"', "XMKD inner", "CDUP", 'RMD say "hi"') == [250, 257, 250, 550]
    assert talk.codes('RMD say "hi"/inner', 'XRMD say "hi"', 'CWD say "hi"') == [250, 250, 550]


def test_a_file_is_deleted_and_a_directory_is_not(talk: Talk) -> None:
    talk.store("f", b"1")
    assert talk.codes("MKD d", "DELE d", "RMD f", "DELE f", "DELE f", "SIZE f") == [
        257,
        550,
        550,
        250,
        550,
        550,
    ]
    assert talk.refused("RETR f") == 550
    assert names(talk.get("MLSD")) == ["d"]


def test_the_root_and_its_parents_stay(talk: Talk) -> None:
    assert talk.codes("RMD /", "DELE /", "RNFR /", "RNTO /elsewhere")[0] >= 500
    assert talk.codes("CWD /", "CDUP", "CWD ../../..") == [250, 250, 250]
    assert talk.ask("PWD").text.startswith(b'257 "/"')


def test_a_file_is_renamed_and_replaces_another(talk: Talk) -> None:
    talk.store("a", b"first")
    talk.store("b", b"second")
    assert talk.codes("RNFR a", "RNTO c", "RNFR c", "RNTO b", "RNFR a") == [350, 250, 350, 250, 550]
    assert talk.retrieve("b") == b"first"
    assert names(talk.get("MLSD")) == ["b"]


def test_a_directory_is_renamed_with_all_that_is_in_it(talk: Talk, place: str) -> None:
    assert talk.codes("MKD d", "MKD d/e", "MKD other") == [257, 257, 257]
    talk.store("d/e/f", b"deep")
    assert talk.codes("RNFR d", "RNTO other/moved", "RNFR other/moved", "RNTO back") == [350, 250, 350, 250]
    assert talk.retrieve(f"{place}/back/e/f") == b"deep"
    assert talk.codes("CWD d", "RNFR back", "RNTO back/e/inside") == [550, 350, 501]
    assert talk.codes("RNFR back/e/f", "RNTO other", "RNFR other", "RNTO back") == [350, 550, 350, 550]
    assert talk.retrieve("back/e/f") == b"deep"


def test_renaming_needs_both_words_in_a_row(talk: Talk) -> None:
    talk.store("a", b"")
    assert talk.codes("RNTO b", "RNFR gone", "RNTO b", "RNFR a", "RNTO gone/b", "RNTO b") == [
        *(503, 550, 503, 350, 550, 503),
    ]


@pytest.mark.parametrize(
    "name", [b"caf\xe9", b"\xe2\x82\xac", b"  two  ", b"-l", b"*", b"a;b=c", b"back\\slash"]
)
def test_a_name_is_bytes_and_comes_back_as_they_went(talk: Talk, name: bytes) -> None:
    talk.store(name, name)
    assert talk.retrieve(name) == name
    assert talk.get("MLSD").partition(b" ")[2] == name + b"\r\n"
    assert talk.get("LIST").endswith(b" " + name + b"\r\n")
    assert talk.get("NLST") == name + b"\r\n"
    assert talk.ask(b"DELE " + name).code == 250


def test_telnets_byte_255_is_doubled_on_the_control_connection(talk: Talk) -> None:
    assert talk.ask(b"MKD a\xff\xffb").text.count(b"a\xff\xffb") == 1
    assert talk.get("NLST") == b"a\xffb\r\n"


@pytest.mark.parametrize("name", ["..", ".", "x/..", "//", "/", "a\rb", "x" * 256])
def test_what_can_be_no_name_makes_no_file(talk: Talk, name: str) -> None:
    with talk.data():
        assert talk.ask(f"STOR {name}").code in (500, 550, 553)
    assert talk.ask(f"MKD {name}").code in (500, 550, 553)
    assert talk.get("MLSD") == b""


def test_odd_ways_to_write_a_path_lead_to_the_same_place(talk: Talk, place: str) -> None:
    assert talk.ask("MKD d").code == 257
    talk.store("d/f", b"here")
    for path in ("d//f", "./d/./f", "d/../d/f", f"//{place}//d/f", f"../../../..{place}/d/f", "d/f/"):
        assert talk.retrieve(path) == b"here"
    assert talk.codes("CWD d/f", "SIZE d/f/g", "CWD /etc", "SIZE /etc/passwd") == [550, 550, 550, 550]


def test_our_own_directory_is_nobodys(talk: Talk) -> None:
    assert talk.codes("CWD /.argosy", "MKD /.argosy", "MKD /.argosy/x", "SIZE /.argosy/volume.id") == [
        *(550, 553, 553, 550),
    ]
    assert ".argosy" not in names(talk.get("MLSD /"))


def test_thousands_of_components_are_refused_and_the_session_goes_on(talk: Talk) -> None:
    deep = "a/" * 4_000
    assert talk.codes(f"CWD {deep}", f"MKD {deep}", f"SIZE {deep}") == [550, 553, 550]
    assert talk.refused(f"STOR {deep}f") in (550, 553)
    assert talk.ask("CWD " + "a/" * 10_000).code == 500
    assert talk.ask("CWD " + "../" * 2_000).code == 250


# --- what isn't a command


def test_a_line_that_is_no_command_is_answered_and_the_session_goes_on(talk: Talk) -> None:
    assert talk.codes("XYZZY", "", "\0", "MKD a\0b", "A" * 100_000, "12 34", "SMNT /", "EPSVX") == [
        *(500, 500, 500, 553, 500, 500, 502, 500),
    ]
    assert talk.codes("NOOP", "noop", "PWD x", "CWD", "RETR", "MKD") == [200, 200, 501, 501, 501, 501]
    assert talk.ask("PWD").code == 257


def test_pipelined_commands_are_answered_in_their_order(talk: Talk) -> None:
    count = 500
    talk.say(*(f"MKD d{number}" for number in range(count)), *["NOOP"] * count, "PWD")
    answers = [talk.hear() for _ in range(2 * count + 1)]
    assert [answer.code for answer in answers] == [257] * count + [200] * count + [257]
    assert all(f'/d{number}"'.encode() in answers[number].text for number in range(count))


def test_commands_behind_a_transfer_wait_for_its_end(talk: Talk) -> None:
    content = os.urandom(300_000)
    talk.store("f", content)
    with talk.data() as data:
        talk.say("SIZE f", "RETR f", "DELE f", "SIZE f")
        assert everything(data) == content
    assert [talk.hear().code for _ in range(5)] == [213, 150, 226, 250, 550]


def test_a_line_may_come_in_pieces(talk: Talk) -> None:
    for piece in (b"P", b"W", b"D\r", b"\nNO", b"OP\r\n"):
        talk.socket.sendall(piece)
        time.sleep(0.02)
    assert [talk.hear().code, talk.hear().code] == [257, 200]


def test_features_tell_what_there_is(talk: Talk) -> None:
    lines = talk.ask("FEAT").text.decode().splitlines()
    assert {
        " PRET",
        " EPSV",
        " EPRT",
        " SIZE",
        " MDTM",
        " MFMT",
        " REST STREAM",
        " UTF8",
        " AUTH TLS",
    } <= set(lines)
    assert talk.ask("HELP").code == 214
    assert b"CHMOD" in talk.ask("SITE HELP").text
    assert talk.codes(
        "SYST", "STAT", "OPTS UTF8 ON", "OPTS UTF8 OFF", "OPTS XX", "SITE XX", "MODE B", "STRU R"
    ) == [
        *(215, 211, 200, 501, 501, 504, 504, 504),
    ]


# --- times, modes, sums


def test_a_files_time_can_be_set_in_five_ways(talk: Talk) -> None:
    talk.store("my f", b"x")
    for line, shown in (
        ("MFMT 20010203040506 my f", b"20010203040506"),
        ("MDTM 20020203040506 my f", b"20020203040506"),
        ("SITE UTIME 20030203040506 my f", b"20030203040506"),
        ("SITE UTIME 200402030405 my f", b"20040203040500"),
        ("SITE UTIME my f 20010101000000 20050203040506 20010101000000 UTC", b"20050203040506"),
    ):
        assert talk.ask(line).code in (200, 213), line
        assert talk.ask("MDTM my f") == (213, b"213 " + shown + b"\r\n")
        assert b"modify=" + shown in talk.ask("MLST my f").text
    assert talk.codes("MFMT 20011303040506 my f", "MFMT x my f", "MDTM gone", "MFMT 20010203040506 gone") == [
        *(501, 501, 550, 550),
    ]
    assert b" Feb  3  2005 my f" in talk.get("LIST")


def test_a_stored_file_has_the_time_of_its_storing(talk: Talk) -> None:
    before = time.time()
    talk.store("f", b"x")
    told = time.strptime(talk.ask("MDTM f").text[4:18].decode() + " UTC", "%Y%m%d%H%M%S %Z")
    stored = time.mktime(told) - time.timezone
    assert before - 2 < stored < time.time() + 2


def test_a_mode_is_shown_as_it_was_set(talk: Talk) -> None:
    talk.store("f", b"x")
    assert talk.codes("SITE CHMOD 640 f", "SITE CHMOD 999 f", "SITE CHMOD 644 gone", "SITE CHMOD") == [
        *(200, 501, 550, 501),
    ]
    assert b"UNIX.mode=0640;" in talk.ask("MLST f").text
    assert talk.get("LIST").startswith(b"-rw-r----- ")


def test_size_tells_the_bytes_of_type_i_only(talk: Talk) -> None:
    talk.store("f", b"a\nb\n")
    assert talk.codes("MKD d", "SIZE d", "SIZE gone", "TYPE A", "SIZE f", "TYPE I") == [
        257,
        550,
        550,
        200,
        550,
        200,
    ]
    assert talk.size("f") == 4


def test_a_checksum_is_that_of_the_content(talk: Talk) -> None:
    content = os.urandom(200_000)
    talk.store("my f", content)

    def crc(line: str) -> int:
        answer = talk.ask(line)
        assert answer.code == 250, answer
        return int(answer.text[4:].strip(), 16)

    assert crc("XCRC my f") == crc('XCRC "my f"') == zlib.crc32(content)
    assert crc('XCRC "my f" 1000') == zlib.crc32(content[1000:])
    assert crc("XCRC my f 1000 150000") == zlib.crc32(content[1000:150_000])
    assert talk.codes("XCRC gone", "XCRC .") == [550, 550]


# --- who may what


def test_nothing_is_told_before_login(site: Site) -> None:
    with Talk(site, login=False) as talk:
        for line in (
            "PWD",
            "CWD /",
            "PASV",
            "MLSD",
            "MLST /",
            "RETR f",
            "STOR f",
            "SIZE f",
            "STAT /",
            "SITE HELP",
        ):
            assert talk.ask(line).code == 530, line
        assert talk.codes("FEAT", "SYST", "NOOP", "HELP") == [211, 215, 200, 214]
        assert talk.codes(f"PASS {PASSWORD}") == [503]


def test_a_wrong_name_and_a_wrong_password_look_the_same(site: Site) -> None:
    with Talk(site, login=False) as talk:
        answers = [talk.codes(f"USER {name}", "PASS wrong") for name in (WRITER, "nobody-here")]
        assert answers == [[331, 530], [331, 530]]
        assert talk.ask("PWD").code == 530
        talk.log_in(WRITER)
        assert talk.ask("PWD").code == 257


def test_after_too_many_wrong_passwords_we_hang_up(site: Site) -> None:
    with Talk(site, login=False) as talk:
        codes = [talk.codes(f"USER {WRITER}", "PASS wrong")[1] for _ in range(3)]
        assert codes == [530, 530, 421]
        with pytest.raises(EOFError):
            talk.hear()


def test_a_reader_changes_nothing(site: Site, place: str) -> None:
    with Talk(site, WRITER) as writer:
        writer.store(f"{place}/f", b"mine")
    with Talk(site, READER) as talk:
        assert talk.retrieve(f"{place}/f") == b"mine"
        for line in ("STOR f", "STOR new", "APPE f"):
            assert talk.refused(f"{line[:5]}{place}/{line[5:]}") == 550, line
        for line in (f"DELE {place}/f", f"MKD {place}/d", f"RMD {place}", f"MFMT 20010101000000 {place}/f"):
            assert talk.ask(line).code == 550, line
        assert talk.codes(f"SITE CHMOD 600 {place}/f", f"RNFR {place}/f", f"RNTO {place}/g")[-1] in (503, 550)
        assert b"perm=r;" in talk.ask(f"MLST {place}/f").text.lower()
        assert talk.retrieve(f"{place}/f") == b"mine"


def test_a_session_can_begin_anew(site: Site, talk: Talk) -> None:
    assert talk.codes("REIN", "PWD") == [220, 530]
    talk.log_in(READER)
    assert talk.codes("PWD", "QUIT") == [257, 221]
    with pytest.raises(EOFError):
        talk.hear()


# --- TLS


@pytest.fixture
def trust(site: Site) -> ssl.SSLContext:
    """Trust the site's authority."""
    return ssl.create_default_context(cafile=str(site.authority))


def test_tls_is_agreed_upon_in_its_order(site: Site, trust: ssl.SSLContext, place: str) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes("PBSZ 0", "PROT P", "AUTH KERBEROS", "AUTH TLS") == [503, 503, 504, 234]
        talk.encrypt(trust)
        assert talk.codes("AUTH TLS", "PROT P", "PBSZ 0", "PROT E", "PROT S", "PROT X") == [
            *(503, 503, 200, 536, 536, 504),
        ]
        talk.log_in(WRITER)
        assert talk.ask("PROT P").code == 200
        with talk.data() as data, trust.wrap_socket(data, server_hostname=site.host) as wrapped:
            assert talk.ask(f"STOR {place}/f").code == 150
            wrapped.sendall(b"secret")
            wrapped.unwrap().close()
        assert talk.hear().code == 226
        assert talk.ask("PROT C").code == 200
        assert talk.retrieve(f"{place}/f") == b"secret"


def test_a_login_in_clear_counts_for_nothing_after_auth_tls(site: Site, trust: ssl.SSLContext) -> None:
    with Talk(site, WRITER) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.encrypt(trust)
        assert talk.ask("PWD").code == 530


def test_what_was_said_in_clear_behind_auth_tls_is_dropped(site: Site, trust: ssl.SSLContext) -> None:
    with Talk(site, login=False) as talk:
        talk.say("AUTH TLS", f"USER {WRITER}", f"PASS {PASSWORD}", "FEAT")
        assert talk.hear().code == 234
        talk.encrypt(trust)
        assert talk.ask("NOOP").code == 200
        assert talk.ask("PWD").code == 530


def test_a_client_that_breaks_the_handshake_harms_nobody(site: Site) -> None:
    with Talk(site, login=False) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.say("this is no TLS")
        talk.socket.settimeout(5)
        try:
            while talk.socket.recv(1000):
                pass
        except ConnectionError:
            pass
    with Talk(site) as talk:
        assert talk.ask("NOOP").code == 200


# --- where data connections may lead


BAD_ADDRESSES = (
    *("PORT 1,2,3,4,5", "PORT 1,2,3,4,5,256", "PORT 127,0,0,1,0,0", "PORT a,b,c,d,e,f", "PORT ,,,,,"),
    *("EPRT |1|127.0.0.1|99999|", "EPRT |1|nonsense|5000|", "EPRT 1", "EPRT |1|127.0.0.1|5000", "EPSV x"),
    "PORT 127,0,0,1,195,80 ,",
)


@pytest.mark.parametrize("line", BAD_ADDRESSES)
def test_an_address_that_is_none_is_refused(talk: Talk, line: str) -> None:
    assert talk.ask(line).code == 501


def test_extended_addresses_know_their_protocols(talk: Talk) -> None:
    assert talk.codes("EPRT |3|127.0.0.1|5000|", "EPSV 2", "EPSV 3", "EPSV 1", "EPSV") == [
        522,
        522,
        522,
        229,
        229,
    ]
    assert talk.codes("EPSV ALL", "PASV", "PORT 127,0,0,1,195,80", "EPRT |1|127.0.0.1|50000|", "EPSV") == [
        *(200, 503, 503, 503, 229),
    ]


@pytest.mark.parametrize(
    "line", ["PORT 10,1,2,3,195,80", "EPRT |1|10.1.2.3|50000|", "EPRT |2|fe80::1|50000|"]
)
def test_nobody_has_us_dial_a_stranger(site: Site, talk: Talk, line: str) -> None:
    assert talk.ask(line).code in (504, 550)
    assert talk.ask("NLST").code == 425
    with Talk(site, MOVER) as mover:
        assert mover.ask(line).code == 200  # who may FXP may


@pytest.mark.parametrize("line", ["PORT 127,0,0,1,0,25", "EPRT |1|127.0.0.1|1023|"])
def test_nobody_has_us_dial_a_low_port(site: Site, line: str) -> None:
    for user in (WRITER, MOVER):
        with Talk(site, user) as talk:
            assert talk.ask(line).code in (504, 550)


def test_an_announcement_is_checked(talk: Talk) -> None:
    talk.store("f", b"x")
    wishes = ("RETR f", "RETR gone", "RETR .", "STOR new", "STOR gone/f", "STOR ..", "APPE f", "MLSD", "LIST")
    assert [talk.ask(f"PRET {wish}").code for wish in wishes] == [200, 550, 550, 200, 550, 553, 200, 200, 200]
    assert talk.codes("PRET", "PRET NOOP", "PRET DELE f", "PRET RETR", "PRET PRET RETR f") == [
        501,
        504,
        504,
        501,
        504,
    ]


def test_a_transfer_without_a_data_connection_is_refused(talk: Talk) -> None:
    talk.store("f", b"x")
    assert talk.codes("RETR f", "STOR g", "MLSD", "LIST", "NLST", "SIZE g") == [425, 425, 425, 425, 425, 550]


def test_who_never_connects_hears_of_it(site: Site, talk: Talk, place: str) -> None:
    talk.store("f", b"x")
    with Talk(site) as second, Talk(site) as third:
        waiting = {talk: f"RETR {place}/f", second: f"STOR {place}/g", third: "NLST /"}
        for one, line in waiting.items():
            assert one.codes("PASV", line) == [227, 150]
        assert [one.hear().code for one in waiting] == [425, 425, 425]
    assert talk.codes("SIZE g", "PWD") == [550, 257]
