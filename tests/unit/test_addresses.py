"""Addresses of data connections."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.wire.ftp.addresses import Address, EpsvWish, format_port, parse_eprt, parse_epsv, parse_port

hosts = st.ip_addresses(v=4).map(str)
ports = st.integers(1, 65_535)


@given(hosts, ports)
def test_what_pasv_says_port_can_read(host: str, port: int) -> None:
    assert parse_port(format_port(host, port).encode()) == Address(host, port)


def test_the_high_byte_of_the_port_comes_first() -> None:
    assert format_port("10.77.0.2", 5001) == "10,77,0,2,19,137"
    assert parse_port(b"10,77,0,2,19,137") == Address("10.77.0.2", 5001)


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b"1,2,3,4,5",
        b"1,2,3,4,5,6,7",
        b"1,2,3,4,5,256",
        b"1,2,3,4,0,0",
        b"1,2,3,4,-5,6",
        b"1,2,3,4,5,6 ",
        b"a,b,c,d,e,f",
    ],
)
def test_port_wants_six_bytes(argument: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        parse_port(argument)


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        (b"|1|132.235.1.2|6275|", Address("132.235.1.2", 6275)),
        (b"|2|1080::8:800:200C:417A|5282|", Address("1080::8:800:200c:417a", 5282)),
        (b"!1!10.77.0.2!21!", Address("10.77.0.2", 21)),
    ],
)
def test_eprt_as_the_rfc_shows_it(argument: bytes, address: Address) -> None:
    assert parse_eprt(argument) == address


@pytest.mark.parametrize(
    "argument",
    [
        b"",
        b"|1|10.77.0.2|21",
        b"|1|10.77.0.2|0|",
        b"|1|10.77.0.2|65536|",
        b"|1|::1|21|",
        b"|2|10.77.0.2|21|",
        b"|2|fe80::1%eth0|21|",
        b"|1|10.77.0.2!21|",
        b"|1|localhost|21|",
        b" 1 10.77.0.2 21 ",
        b"|1|10.77.0.2|21|x",
    ],
)
def test_eprt_wants_all_its_parts(argument: bytes) -> None:
    with pytest.raises(errors.BadArgument):
        parse_eprt(argument)


def test_eprt_knows_two_network_protocols() -> None:
    with pytest.raises(errors.Unsupported):
        parse_eprt(b"|3|10.77.0.2|21|")


@pytest.mark.parametrize(
    ("argument", "wish"),
    [(b"", EpsvWish.ANY), (b"1", EpsvWish.IPV4), (b"2", EpsvWish.IPV6), (b"all", EpsvWish.ALL)],
)
def test_epsv(argument: bytes, wish: EpsvWish) -> None:
    assert parse_epsv(argument) is wish


@pytest.mark.parametrize(
    ("argument", "refusal"),
    [(b"3", errors.Unsupported), (b"17", errors.Unsupported), (b"some", errors.BadArgument)],
)
def test_epsv_refuses_the_rest(argument: bytes, refusal: type[errors.Refused]) -> None:
    with pytest.raises(refusal):
        parse_epsv(argument)


@given(st.binary(max_size=40))
def test_no_argument_does_worse_than_be_refused(argument: bytes) -> None:
    parsers: tuple[Callable[[bytes], object], ...] = (parse_port, parse_eprt, parse_epsv)
    for parser in parsers:
        try:
            parser(argument)
        except errors.Refused:
            continue
