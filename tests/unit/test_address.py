"""What people write for a site."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.sites.address import parse_export, parse_url
from argosy.sites.model import Address, Tls

EXPORTS = {
    b"ftp.example.org:ann:secret": Address("ftp.example.org", 21, "ann", "secret"),
    b"ftp.example.org:ann:se:cr:et": Address("ftp.example.org", 21, "ann", "se:cr:et"),
    b"ftp.example.org": Address("ftp.example.org"),
    b"ftp.example.org:ann": Address("ftp.example.org", 21, "ann"),
    b"ftp.example.org::": Address("ftp.example.org"),
    b"ftp.example.org:2121": Address("ftp.example.org", 2121),
    b"ftp.example.org:2121:ann:secret:/pub/a b:c": Address(
        "ftp.example.org", 2121, "ann", "secret", b"/pub/a b:c"
    ),
    b"10.0.0.1:2121:ann:secret:pub": Address("10.0.0.1", 2121, "ann", "secret", b"pub"),
    b"/ftp.example.org:ann:secret": Address("ftp.example.org", 21, "ann", "secret"),
    b"[fd00::1]:ann:secret": Address("fd00::1", 21, "ann", "secret"),
    b"[fd00::1]:2121:ann:secret:d": Address("fd00::1", 2121, "ann", "secret", b"d"),
    b"ftp://ann:secret@ftp.example.org:2121/pub": Address("ftp.example.org", 2121, "ann", "secret", b"pub"),
    b"/ftp://ann:secret@ftp.example.org": Address("ftp.example.org", 21, "ann", "secret"),
    b"//ftp:/ftp.example.org/pub": Address("ftp.example.org", directory=b"pub"),
    b"/ftps://ann@ftp.example.org/": Address("ftp.example.org", 990, "ann", tls=Tls.IMPLICIT),
    b"FTPES://ann@ftp.example.org": Address("ftp.example.org", 21, "ann", tls=Tls.NEEDED),
    b"ftp://a%40b:p%2Fw%3A@h//etc/x%20y": Address("h", 21, "a@b", "p/w:", b"/etc/x y"),
    b"ftp://h/%2Fetc": Address("h", directory=b"/etc"),
    b"ftp://ann:p@ss:w@h": Address("h", 21, "ann", "p@ss:w"),
    b"ftp://[fd00::1]:2121/%ff": Address("fd00::1", 2121, directory=b"\xff"),
    "ftp://h/\u00e4".encode(): Address("h", directory="\u00e4".encode()),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_every_form_of_a_mount_line_is_understood(export: bytes) -> None:
    assert parse_export(export) == EXPORTS[export]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b":ann:secret",
        b"a b:ann:secret",
        b"h:0:ann:secret",
        b"h:65536:ann:secret",
        b"h:01210121",
        b"[fd00::1:ann:secret",
        b"[fd00::1]ann:secret",
        b"ftp://",
        b"ftp://ann:secret@",
        b"ftp://ann:secret@h:port/",
        b"http://ann:secret@h/",
        b"ftp://ann%0d:secret@h/",
        b"ftp://h/a%0aDELE%20b",
        b"h:ann:secret\r\nQUIT",
    ],
)
def test_what_is_no_address_is_refused_without_its_password(wrong: bytes) -> None:
    with pytest.raises(errors.BadArgument) as refused:
        parse_export(wrong)
    assert "secret" not in str(refused.value)


def test_a_named_site_is_not_an_address() -> None:
    with pytest.raises(errors.NotFound):
        parse_export(b"/museum")


def test_other_protocols_are_refused() -> None:
    for url in ("sftp://h/", "h", "//h/", "ftp:h"):
        with pytest.raises(errors.BadArgument):
            parse_url(url)


def test_an_address_never_shows_its_password() -> None:
    address = Address("h", 21, "ann", "secret", b"\xffpub")
    assert "secret" not in f"{address!r} {address}"


@given(st.binary(max_size=80) | st.text(max_size=40).map(lambda text: f"ftp://{text}".encode()))
def test_anything_is_an_address_or_refused(export: bytes) -> None:
    try:
        address = parse_export(export)
    except (errors.BadArgument, errors.NotFound):
        return
    assert address.host
    assert 1 <= address.port <= 65_535
    said = f"{address.user}{address.password}".encode(errors="surrogateescape") + address.directory
    assert not set(said) & set(b"\r\n\0")
