"""Commands as they stand on the line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp import commands, site
from argosy.wire.ftp.commands import (
    ALIASES,
    NOT_IMPLEMENTED,
    PLANNABLE,
    VERBS,
    Argument,
    Command,
    parse,
)
from argosy.wire.ftp.replies import Reply

THE_LIST = """
    USER PASS ACCT QUIT REIN SYST FEAT OPTS TYPE MODE STRU PWD XPWD CWD XCWD CDUP XCUP LIST NLST MLSD MLST
    STAT SIZE MDTM MFMT SITE PRET PASV EPSV PORT EPRT REST RETR STOR APPE ABOR RNFR RNTO DELE MKD XMKD RMD
    XRMD ALLO NOOP HELP AUTH PBSZ PROT XCRC CLNT HOST LANG STOU MFCT MFF AVBL HASH RANG XMD5 XSHA XSHA1
    XSHA256 XSHA512 MD5 CSID CCC ADAT MIC CONF ENC
"""


def test_every_promised_verb_is_in_the_table() -> None:
    assert {ALIASES.get(verb, verb) for verb in THE_LIST.split()} == set(VERBS)


def test_the_tables_agree() -> None:
    assert set(ALIASES.values()) <= set(VERBS)
    assert not set(ALIASES) & set(VERBS)
    assert not NOT_IMPLEMENTED & set(VERBS)
    assert set(VERBS) >= PLANNABLE
    for verb in (*VERBS.values(), *site.SITE_VERBS.values()):
        assert re.match(r"(RFC \d+ section \d|draft-|no RFC)", verb.rfc)
        assert verb.help
        assert not (verb.verbatim and verb.argument is Argument.NONE)


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"NOOP", "NOOP", b""),
        (b"noop", "NOOP", b""),
        (b"Cwd /a b", "CWD", b"/a b"),
        (b"CWD  a", "CWD", b" a"),
        (b"CWD a ", "CWD", b"a "),
        (b"CWD \xe9\xff", "CWD", b"\xe9\xff"),
        (b"LIST ", "LIST", b""),
        (b"PASV ", "PASV", b""),
        (b"TYPE I ", "TYPE", b"I"),
        (b"TYPE  A N", "TYPE", b"A N"),
        (b"USER ann ", "USER", b"ann"),
        (b"PASS  sec ret ", "PASS", b" sec ret "),
        (b"XPWD", "PWD", b""),
        (b"xmkd a", "MKD", b"a"),
        (b"FOO  bar ", "FOO", b" bar "),
        (b"xsha256 a", "XSHA256", b"a"),
        (b"MKD a\0b\rc", "MKD", b"a\0b\rc"),
        (b"REST\tx", "", b""),
    ],
)
def test_one_blank_separates_and_the_rest_is_the_argument(line: bytes, verb: str, argument: bytes) -> None:
    if not verb:
        with pytest.raises(errors.BadArgument):
            parse(line)
        return
    assert parse(line) == Command(verb, argument)


@pytest.mark.parametrize("line", [b"", b" ", b" NOOP", b"1234", b"\xe9", b"CWD\ra", b"CWD\0"])
def test_what_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        parse(line)


@given(st.binary(max_size=60))
def test_no_line_does_worse_than_be_refused(line: bytes) -> None:
    for read in (parse, site.parse, commands.parse_pret):
        try:
            command = read(line)
        except errors.Refused as refusal:
            Reply.of(500, str(refusal)).encode()
        else:
            Reply.of(200, str(command)).encode()


@given(
    st.sampled_from(sorted(VERBS)), st.binary(max_size=60).filter(lambda name: not set(name) & set(b"\0\r\n"))
)
def test_a_name_comes_through_byte_for_byte(verb: str, name: bytes) -> None:
    command = parse(verb.lower().encode() + b" " + name)
    assert command.verb == verb
    assert command.argument == (name if VERBS[verb].verbatim else name.strip(b" "))


def test_a_log_never_shows_a_password_and_never_breaks_a_line() -> None:
    assert str(parse(b"PASS secret")) == "PASS ****"
    assert str(parse(b"ACCT secret")) == "ACCT ****"
    assert str(parse(b"CWD caf\xc3\xa9 \xff\x1b[2J")) == r"CWD caf\xe9 \udcff\x1b[2J"
    assert str(parse(b"PWD")) == "PWD"


@pytest.mark.parametrize(
    ("argument", "verb", "path"),
    [
        (b"MLSD", "MLSD", b""),
        (b"MLSD ", "MLSD", b""),
        (b"MLSD dir", "MLSD", b"dir"),
        (b"retr a b ", "RETR", b"a b "),
        (b"APPE f", "APPE", b"f"),
    ],
)
def test_pret_announces_what_moves_data(argument: bytes, verb: str, path: bytes) -> None:
    command = parse(b"PRET " + argument)
    assert commands.parse_pret(command.argument) == Command(verb, path)


@pytest.mark.parametrize("argument", [b"DELE f", b"MLST f", b"PRET RETR f", b"FOO"])
def test_pret_announces_nothing_else(argument: bytes) -> None:
    with pytest.raises(errors.Unsupported):
        commands.parse_pret(argument)


@pytest.mark.parametrize("argument", [b"RETR", b"STOR ", b""])
def test_pret_wants_the_path(argument: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        commands.parse_pret(argument)


def test_site_has_a_table_of_its_own() -> None:
    assert site.parse(b"chmod 644 a ") == Command("CHMOD", b"644 a ")
    assert site.parse(b"HELP") == Command("HELP", b"")
    with pytest.raises(errors.Unsupported):
        site.parse(b"EXEC rm")
    for nonsense in (b"UTIME", b"WHO me", b"USER \xff"):
        with pytest.raises(errors.BadArgument):
            site.parse(nonsense)


def test_feat_lists_what_clients_look_for() -> None:
    assert commands.features(["MLST type*;", "HASH MD5*;"], tls=True) == (
        *(
            "AUTH TLS",
            "AVBL",
            "CLNT",
            "CSID",
            "EPRT",
            "EPSV",
            "HASH MD5*;",
            "HOST",
            "LANG EN*",
            "MD5",
            "MDTM",
        ),
        *("MFCT", "MFF Create;Modify;UNIX.mode;", "MFMT", "MLST type*;", "PBSZ", "PRET", "PROT"),
        *("REST STREAM", "SITE SYMLINK", "SIZE", "TVFS", "UTF8"),
        *("XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512"),
    )


def test_feat_is_silent_on_tls_where_there_is_none() -> None:
    assert not {"AUTH TLS", "PBSZ", "PROT"} & set(commands.features(["MLST"], tls=False))


def test_help_has_a_line_for_each_verb() -> None:
    lines = commands.help_lines()
    assert [line.split()[0] for line in lines] == sorted(VERBS)


@pytest.mark.parametrize(
    "line",
    [
        b"PASS hush",
        b"SITE CHPASS ann hush",
        b"SITE adduser ann hush *@192.0.2.*",
        b"SITE PASSWD hush",
        b"site GADDUSER g ann hush",
    ],
)
def test_a_password_is_in_no_log(line: bytes) -> None:
    assert "hush" not in str(parse(line))
    assert str(parse(b"SITE USER ann")) == "SITE USER ann"
    if line.upper().startswith(b"SITE"):
        assert "hush" not in str(site.parse(parse(line).argument))
