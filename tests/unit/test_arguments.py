"""What follows each verb."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp import addresses, arguments, listing
from argosy.wire.ftp.arguments import FactsChange, FilePart, FileRange, ModeChange, TimeChange, Type
from argosy.wire.ftp.replies import Reply

AT = 1_795_321_522_000_000_000
"""2026-11-22 04:25:22 UTC."""

PARSERS: tuple[Callable[[bytes], object], ...] = (
    arguments.parse_offset,
    arguments.parse_allocation,
    arguments.parse_type,
    arguments.check_mode,
    arguments.check_structure,
    arguments.parse_option,
    arguments.check_mechanism,
    arguments.parse_protection,
    arguments.parse_listed,
    arguments.parse_mdtm,
    arguments.parse_mfmt,
    arguments.parse_utime,
    arguments.parse_chmod,
    arguments.parse_summed,
    arguments.parse_facts,
    arguments.parse_host,
    arguments.check_language,
    arguments.check_buffer_size,
    arguments.parse_range,
    addresses.parse_port,
    addresses.parse_eprt,
    addresses.parse_epsv,
    listing.choose_facts,
)

words = st.sampled_from(
    [
        b" ",
        b'"',
        b"20261122042522",
        b"202611220425",
        b"99999999999999",
        b"UTC",
        b"-la",
        b"--",
        b"644",
        b"|",
        b"1",
        b",",
        b"f",
    ]
)
messy = st.lists(words | st.binary(max_size=4), max_size=12).map(b"".join)


@given(messy.map(lambda text: bytes(byte for byte in text if byte not in b"\0\r\n")))
def test_no_argument_does_worse_than_be_refused(argument: bytes) -> None:
    for parser in PARSERS:
        try:
            parser(argument)
        except errors.Refused as refusal:
            Reply.of(501, str(refusal)).encode()


def test_rest_takes_any_offset_a_file_can_have() -> None:
    assert arguments.parse_offset(b"0") == 0
    assert arguments.parse_offset(b"9223372036854775807") == 2**63 - 1
    for argument in (b"9223372036854775808", b"-1", b"1.5", b"", b"0x10", b"9" * 5000):
        with pytest.raises(errors.BadArgument):
            arguments.parse_offset(argument)


def test_allo_may_name_a_record_size() -> None:
    assert arguments.parse_allocation(b"123") == 123
    assert arguments.parse_allocation(b"123 R 456") == 123
    with pytest.raises(errors.BadArgument):
        arguments.parse_allocation(b"123 456")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"A", Type.ASCII),
        (b"a n", Type.ASCII),
        (b"I", Type.IMAGE),
        (b"L 8", Type.IMAGE),
        (b"L8", Type.IMAGE),
        (b"E", errors.Unsupported),
        (b"A T", Type.ASCII),
        (b"E N", errors.Unsupported),
        (b"A X", errors.BadArgument),
        (b"L", errors.BadArgument),
        (b"L x", errors.BadArgument),
        (b"A C", errors.Unsupported),
        (b"L 7", errors.Unsupported),
        (b"X", errors.BadArgument),
        (b"I I", errors.BadArgument),
    ],
)
def test_type(argument: bytes, expected: Type | type[errors.Refused]) -> None:
    if isinstance(expected, Type):
        assert arguments.parse_type(argument) is expected
        return
    with pytest.raises(expected):
        arguments.parse_type(argument)


def test_only_streams_of_plain_files_are_known() -> None:
    arguments.check_mode(b"s")
    arguments.check_structure(b"F")
    for check, letters in ((arguments.check_mode, b"BC"), (arguments.check_structure, b"RP")):
        for letter in letters:
            with pytest.raises(errors.Unsupported):
                check(bytes([letter]))
        for argument in (b"", b"X", b"SS", b"BC"):
            with pytest.raises(errors.BadArgument):
                check(argument)


def test_options_for_mlst_hash_and_utf8() -> None:
    assert arguments.parse_option(b"MLST type;size;") == ("MLST", b"type;size;")
    assert arguments.parse_option(b"mlst") == ("MLST", b"")
    for argument in (b"UTF8 ON", b"utf8 on", b"UTF-8 NLST", b"UTF8"):
        assert arguments.parse_option(argument) == ("UTF8", b"")
    assert arguments.parse_option(b"hash SHA-1") == ("HASH", b"SHA-1")
    for argument in (b"UTF8 OFF", b"PRET", b""):
        with pytest.raises(errors.Unsupported):
            arguments.parse_option(argument)


def test_tls_is_the_only_mechanism_and_p_or_c_the_only_levels() -> None:
    arguments.check_mechanism(b"tls")
    assert arguments.parse_protection(b"P") is True
    assert arguments.parse_protection(b"c") is False
    with pytest.raises(errors.Unsupported):
        arguments.check_mechanism(b"GSSAPI")
    with pytest.raises(errors.Unsupported):
        arguments.parse_protection(b"S")
    with pytest.raises(errors.BadArgument):
        arguments.parse_protection(b"X")


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        (b"", b""),
        (b"-la", b""),
        (b"-l -a", b""),
        (b"-la dir", b"dir"),
        (b"-la  dir", b" dir"),
        (b"-1 a b ", b"a b "),
        (b"-a -- -dir", b"-dir"),
        (b"./-dir", b"./-dir"),
        (b"-", b"-"),
        (b"-2026", b"-2026"),
        (b"a -l", b"a -l"),
    ],
)
def test_lists_drop_the_switches_that_clients_send(argument: bytes, path: bytes) -> None:
    assert arguments.parse_listed(argument) == path


def test_mdtm_asks_or_sets_and_the_door_can_tell() -> None:
    assert arguments.parse_mdtm(b"f") == (b"f", None)
    both = b"20261122042522 my file"
    assert arguments.parse_mdtm(both) == (both, TimeChange(b"my file", AT))
    assert arguments.parse_mdtm(b"20261322042522 f") == (b"20261322042522 f", None)


def test_mfmt_sets() -> None:
    assert arguments.parse_mfmt(b"20261122042522  f ") == TimeChange(b" f ", AT)
    assert arguments.parse_mfmt(b"20261122042522.5 f") == TimeChange(b"f", AT + 500_000_000)
    for argument in (b"20261122042522", b"f", b"20261322042522 f", b"202611220425 f"):
        with pytest.raises(errors.BadArgument):
            arguments.parse_mfmt(argument)


def test_mff_sets_facts_together() -> None:
    assert arguments.parse_facts(b"modify=20261122042522;UNIX.mode=640; a b") == FactsChange(
        b"a b", mtime_ns=AT, mode=0o640
    )
    assert arguments.parse_facts(b"Create=20261122042522; f") == FactsChange(b"f", created_ns=AT)
    for argument in (b"f", b"Modify=20261122042522;", b"Modify=20261322042522; f", b"UNIX.mode=9; f", b"; f"):
        with pytest.raises((errors.BadArgument, errors.Unsupported)):
            arguments.parse_facts(argument)
    with pytest.raises(errors.Unsupported, match="Size"):
        arguments.parse_facts(b"Size=5; f")


@pytest.mark.parametrize(
    ("argument", "host"),
    [
        (b"FTP.Example.org", "ftp.example.org"),
        (b"ftp.example.org.", "ftp.example.org"),
        (b"192.0.2.1", "192.0.2.1"),
        (b"[2001:DB8:0::1]", "[2001:db8::1]"),
        (b"localhost", "localhost"),
    ],
)
def test_host_is_a_name_or_an_address(argument: bytes, host: str) -> None:
    assert arguments.parse_host(argument) == host


@pytest.mark.parametrize(
    "argument",
    [
        b"a b",
        b"-a",
        b"a..b",
        b"[1.2.3.4]",
        b"[::1",
        b"::1]",
        b"[::1]:21",
        b"2001:db8::1",
        b"caf\xc3\xa9",
        b"a" * 64,
        b"a/b",
    ],
)
def test_host_is_nothing_else(argument: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        arguments.parse_host(argument)


def test_lang_knows_english() -> None:
    for argument in (b"", b"EN", b"en", b"en-US"):
        arguments.check_language(argument)
    with pytest.raises(errors.Unsupported):
        arguments.check_language(b"FR-ca")
    for argument in (b"12", b"en_US", b"en-verylongtag"):
        with pytest.raises(errors.BadArgument):
            arguments.check_language(argument)


def test_rang_is_two_numbers_in_order_or_none() -> None:
    assert arguments.parse_range(b"0 0") == FileRange(0, 0)
    assert arguments.parse_range(b"5 10") == FileRange(5, 10)
    assert arguments.parse_range(b"1 0") is None
    for argument in (b"2 1", b"1", b"a b", b"0 9999999999999999999"):
        with pytest.raises(errors.BadArgument):
            arguments.parse_range(argument)


def test_site_utime_as_lftp_sends_it() -> None:
    assert arguments.parse_utime(b"20261122042522 a b") == TimeChange(b"a b", AT)
    assert arguments.parse_utime(b"202611220425 f") == TimeChange(b"f", AT - 22_000_000_000)


def test_site_utime_with_three_times() -> None:
    argument = b"a b 20200101000000 20261122042522 20200101000000 UTC"
    assert arguments.parse_utime(argument) == TimeChange(b"a b", AT)
    assert arguments.parse_utime(argument.replace(b"UTC", b"utc")) == TimeChange(b"a b", AT)
    with pytest.raises(errors.BadArgument):
        arguments.parse_utime(argument.replace(b"UTC", b"CET"))


def test_site_chmod() -> None:
    assert arguments.parse_chmod(b"644 a b") == ModeChange(b"a b", 0o644)
    assert arguments.parse_chmod(b"0755 d") == ModeChange(b"d", 0o755)
    for argument in (b"888 f", b"644", b"u+x f", b"64 f", b"77777 f"):
        with pytest.raises(errors.BadArgument):
            arguments.parse_chmod(argument)


@pytest.mark.parametrize(
    ("argument", "readings"),
    [
        (b"f", [FilePart(b"f")]),
        (b"a b", [FilePart(b"a b")]),
        (b'"a b"', [FilePart(b"a b"), FilePart(b'"a b"')]),
        (b'"a ""b"""', [FilePart(b'a "b"'), FilePart(b'"a ""b"""')]),
        (b'"a b" 5 10', [FilePart(b"a b", 5, 10), FilePart(b'"a b" 5 10')]),
        (b'"a b" 5', [FilePart(b"a b", 5), FilePart(b'"a b" 5')]),
        (b"a b 5 10", [FilePart(b"a b 5 10"), FilePart(b"a b", 5, 10)]),
        (b"f 5", [FilePart(b"f 5"), FilePart(b"f", 5)]),
        (b"f 10 5", [FilePart(b"f 10 5")]),
        (b"f 0 0", [FilePart(b"f 0 0"), FilePart(b"f", 0, 0)]),
    ],
)
def test_xcrc_is_read_every_way_it_may_be_meant(argument: bytes, readings: list[FilePart]) -> None:
    assert list(arguments.parse_summed(argument)) == readings


@given(messy)
def test_xcrc_always_has_a_reading(argument: bytes) -> None:
    readings = arguments.parse_summed(argument)
    assert FilePart(argument) in readings
    assert all(0 <= part.start <= arguments.SIZE_LIMIT for part in readings)


@pytest.mark.parametrize(
    ("argument", "target", "path"),
    [
        (b"a b", b"a", b"b"),
        (b'"a b" c', b"a b", b"c"),
        (b'../x/y "c ""d"""', b"../x/y", b'c "d"'),
        (b'a" b', b'a"', b"b"),
    ],
)
def test_site_symlink_names_two_paths(argument: bytes, target: bytes, path: bytes) -> None:
    assert arguments.parse_link(argument) == (target, path)


@pytest.mark.parametrize(
    "argument", [b"a", b"a ", b" a b", b"a b c", b'"a b', b'"a" b c', b'"" b', b'"a"b c']
)
def test_site_symlink_guesses_nothing(argument: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        arguments.parse_link(argument)


def quoted(path: bytes) -> bytes:
    return b'"' + path.replace(b'"', b'""') + b'"'


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_any_two_paths_can_be_said_in_quotes(target: bytes, path: bytes) -> None:
    assert arguments.parse_link(quoted(target) + b" " + quoted(path)) == (target, path)
