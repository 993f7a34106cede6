"""Where a mount leads: what people write for a site, read into an `Address`.

The password stands in a mount's export only because NFS has no other place for it; where there's a choice,
a named site or a ticket of `argosy mount` is the better one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from argosy import errors
from argosy.sites.model import Address, Tls

SCHEMES: Mapping[str, tuple[Tls, int]] = {
    "ftp": (Tls.WANTED, 21),
    "ftpes": (Tls.NEEDED, 21),
    "ftps": (Tls.IMPLICIT, 990),
}
"""What stands before `://`: TLS, and the port. RFC 1738 section 3.2, RFC 4217 section 3."""

ANONYMOUS = "anonymous"

_EXPORT_URL = re.compile(rb"/*((?:ftp|ftps|ftpes)):/{1,2}(?!/)", re.IGNORECASE)
_HOST = re.compile(r"[^\s/@:\[\]]{1,255}|[0-9A-Fa-f:.]{2,45}")


def parse_url(url: str) -> Address:
    """Read `ftp://user:password@host:port/directory`.

    The directory lies below that of the login; one that begins with `//` or `/%2F` is absolute, as RFC 1738
    section 3.2.2 has it. Letters that mean something there are written as `%40`; a password may have `@`
    and `:` in it all the same, since the last `@` before the path counts.

    Raises:
        BadArgument: It isn't one; the message doesn't repeat the password.
    """
    scheme, _, rest = url.partition("://")
    if not rest or scheme.lower() not in SCHEMES:
        raise errors.BadArgument(f"want ftp://, ftpes:// or ftps://, got {_shown(url)}")
    tls, port = SCHEMES[scheme.lower()]
    place, slash, path = rest.partition("/")
    login, at, place = place.rpartition("@")
    user, colon, password = login.partition(":")
    host, told = _host_and_port(place, url)
    return _address(
        host,
        told or port,
        user=_text(user) if at else ANONYMOUS,
        password=_text(password) if colon else "",
        directory=unquote_to_bytes(path.encode(errors="surrogateescape")) if slash else b"",
        tls=tls,
    )


def parse_export(export: bytes) -> Address:
    """Read what follows `gateway:` in a mount line.

    `host:user:password`, `host:port:user:password:directory` (what is at the end may be left out), or a URL
    with or without slashes before it. In the first form a password may have colons in it; a second word of
    digits alone is a port, never a user.

    Raises:
        BadArgument: It's none of these; the message doesn't repeat the password.
    """
    if _EXPORT_URL.match(export):
        scheme, _, place = _decoded(export).lstrip("/").partition(":")
        return parse_url(f"{scheme}://{place.lstrip('/')}")
    text = _decoded(export)
    if text.startswith("/") and ":" not in text:
        raise errors.NotFound(export)  # a name, and no site has it
    text = text.lstrip("/")  # libnfs can't say a path without one
    if not text:
        raise errors.BadArgument("want host:user:password or ftp://user:password@host/directory")
    host, rest = _split_host(text)
    if rest.startswith("//"):
        raise errors.BadArgument(f"want ftp://, ftpes:// or ftps://, got {_shown(text)}")
    if rest.partition(":")[0].isdecimal():
        port, _, rest = rest.partition(":")
        user, _, rest = rest.partition(":")
        password, _, directory = rest.partition(":")
    else:
        port, directory = "21", ""
        user, _, password = rest.partition(":")
    host, told = _host_and_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", text)
    where = directory.encode(errors="surrogateescape")
    return _address(host, told, user=user or ANONYMOUS, password=password, directory=where, tls=Tls.WANTED)


def _address(host: str, port: int, *, user: str, password: str, directory: bytes, tls: Tls) -> Address:
    words = (user.encode(errors="surrogateescape"), password.encode(errors="surrogateescape"), directory)
    if any(sign in word for word in words for sign in b"\r\n\0"):
        raise errors.BadArgument("a line's end can't be in an address")
    return Address(host=host, port=port, user=user, password=password, directory=directory, tls=tls)


def _split_host(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise errors.BadArgument("want [address] in brackets, and a colon after it")
        return host, rest[1:]
    host, _, rest = text.partition(":")
    return host, rest


def _host_and_port(place: str, whole: str) -> tuple[str, int]:
    host, rest = _split_host(place)
    if not _HOST.fullmatch(host):
        raise errors.BadArgument(f"no host in {_shown(whole)}")
    if rest and not (rest.isascii() and rest.isdecimal() and len(rest) <= 5 and 1 <= int(rest) <= 65_535):
        raise errors.BadArgument(f"no port in {_shown(whole)}")
    return host, int(rest) if rest else 0


def _text(quoted: str) -> str:
    return unquote_to_bytes(quoted.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def _decoded(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _shown(text: str) -> str:
    """Show an address that can't be read, without what may be a password."""
    scheme, separator, rest = text.rpartition("://")
    return ascii(
        f"{scheme}{separator}{rest.rpartition('@')[2]}" if "@" in rest else f"{scheme}{separator}..."
    )
