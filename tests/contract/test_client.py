"""One login at each of five servers, in the clear and by TLS: the same answers from all of them."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from argosy import errors
from argosy.sites.model import Address, Facts, Kind, Tls
from argosy.sites.session.client import Client
from argosy.sites.session.dialect import Dialect, Opening
from contract.conftest import log_in, settings_for
from servers import Server

BIG = os.urandom(3_000_017)
YEAR_2017_NS = 1_500_000_000 * 10**9

Verb = Callable[[bytes], object]

NAMES = [
    "plain.txt",
    "two words",
    " blank before",
    "blanks  inside",
    "blank after ",
    'it\'s "quoted"',
    "-dash",
    "[brackets] *?{x}",
    "back\\slash",
    "%41 #1; x=y;",
    "löwe 猫 🐱",
    ".hidden",
    "n" * 200,
    "a -> b",
    "Nov 22 21:37 x",
    "~tilde",
]


def refused_names(peer: Server) -> list[bytes]:
    """Give those names that the server can't have."""
    return [b"back\\slash", b"blank after "] if peer.name == "Pure-FTPd" else []


def put(client: Client, path: bytes, data: bytes) -> None:
    """Write a file."""
    with client.store(path) as upload:
        upload.send(data)
        upload.finish()


def get(client: Client, path: bytes, offset: int = 0) -> bytes:
    """Read a file."""
    with client.retrieve(path, offset) as download:
        return download.read()


def listed(client: Client, path: bytes) -> dict[bytes, Facts]:
    """List a directory, each name once."""
    found = client.list(path)
    names = [one.name for one in found]
    assert len(set(names)) == len(names)
    return {one.name: one for one in found}


def test_what_was_written_is_read_again(client: Client, place: bytes) -> None:
    put(client, place + b"/f", BIG)
    assert get(client, place + b"/f") == BIG
    assert client.facts(place + b"/f").size == len(BIG)


def test_an_empty_file_is_a_file(client: Client, place: bytes) -> None:
    put(client, place + b"/f", b"")
    assert get(client, place + b"/f") == b""
    assert (client.facts(place + b"/f").kind, client.facts(place + b"/f").size) == (Kind.FILE, 0)


def test_a_data_connection_opened_beforehand_carries_what_comes_next(client: Client, place: bytes) -> None:
    put(client, place + b"/f", BIG)
    for offset in (0, 1, len(BIG) - 1):
        client.prepare(place + b"/f")
        assert get(client, place + b"/f", offset) == BIG[offset:]
    assert client.dialect.readies is True
    for prepares in range(3):
        for _ in range(prepares):
            client.prepare(place + b"/f")
        assert client.facts(place + b"/f").size == len(BIG)
        assert listed(client, place)[b"f"].size == len(BIG)
        client.prepare(place + b"/f")
        put(client, place + b"/g", BIG[:1000])
        client.prepare(place + b"/f", window=16_384)
        assert get(client, place + b"/g") == BIG[:1000]
    client.prepare(place + b"/f")
    client.rest()
    assert get(client, place + b"/f") == BIG
    assert client.dialect.readies is True


def test_nothing_is_changed_on_the_way(client: Client, place: bytes) -> None:
    data = bytes(range(256)) * 64 + b"\r\n\n\r\0\x1a\xff\xff" * 100
    put(client, place + b"/f", data)
    assert get(client, place + b"/f") == data


def test_a_file_of_the_disk_is_sent_from_any_offset(
    client: Client, place: bytes, tmp_path: os.PathLike[str]
) -> None:
    source = os.path.join(tmp_path, "source")
    with open(source, "wb") as file:
        file.write(BIG)
    with open(source, "rb") as file, client.store(place + b"/f") as upload:
        upload.sendfile(file.fileno(), 5_001, 2_000_000)
        upload.sendfile(file.fileno(), 0, 0)
        upload.sendfile(file.fileno(), 0, 11)
        upload.finish()
    assert get(client, place + b"/f") == BIG[5_001:2_005_001] + BIG[:11]


def test_reading_begins_anywhere(client: Client, place: bytes) -> None:
    put(client, place + b"/f", BIG)
    for offset in (1, 4096, len(BIG) - 1, len(BIG)):
        assert get(client, place + b"/f", offset) == BIG[offset:]


@pytest.mark.parametrize("tls", [Tls.OFF, Tls.NEEDED])
@pytest.mark.parametrize("window", [None, 16_384])
def test_downloads_given_up_cost_no_login(peer: Server, place: bytes, tls: Tls, window: int | None) -> None:
    client = log_in(peer, tls)
    put(client, place + b"/f", BIG * 4)
    began = time.monotonic()
    for offset in range(0, 10_000_000, 500_000):
        view = bytearray(4096)
        with client.retrieve(place + b"/f", offset, window=window) as download:
            count = download.recv_into(memoryview(view))
        assert view[:count] == (BIG * 4)[offset : offset + count]
        assert client.usable
        assert client.facts(place + b"/f").size == 4 * len(BIG)
    assert time.monotonic() - began < 30.0
    assert get(client, place + b"/f", 11_900_000) == (BIG * 4)[11_900_000:]
    client.close()


def test_a_server_that_is_hurt_by_closed_data_is_known_after_one_login(peer: Server, place: bytes) -> None:
    dialect = Dialect()
    lost = 0
    client = log_in(peer, Tls.NEEDED, dialect)
    put(client, place + b"/f", BIG * 4)
    dialect.learn(aborts_first=None)  # as if its greeting said nothing
    for offset in range(0, 10_000_000, 500_000):
        with client.retrieve(place + b"/f", offset, window=16_384) as download:
            assert download.recv_into(bytearray(4096)) > 0
        if not client.usable:
            lost += 1
            assert dialect.aborts_first  # it was learned by that
            client = log_in(peer, Tls.NEEDED, dialect)
    assert lost <= 1
    assert get(client, place + b"/f", 11_900_000) == (BIG * 4)[11_900_000:]
    client.close()


def test_an_upload_given_up_leaves_the_login_as_it_was(client: Client, place: bytes) -> None:
    with client.store(place + b"/f") as upload:
        upload.send(BIG)
    assert client.usable
    assert client.is_alive()
    put(client, place + b"/g", b"next")
    assert get(client, place + b"/g") == b"next"
    with contextlib.suppress(errors.NotFound):  # some keep what came
        client.delete(place + b"/f")


def test_bytes_are_appended(client: Client, place: bytes) -> None:
    put(client, place + b"/f", b"one")
    for piece in (b"two", b"three"):
        with client.append(place + b"/f") as upload:
            upload.send(piece)
            upload.finish()
    assert get(client, place + b"/f") == b"onetwothree"


def test_a_file_is_written_over(client: Client, place: bytes) -> None:
    put(client, place + b"/f", BIG)
    put(client, place + b"/f", b"short")
    assert get(client, place + b"/f") == b"short"


def test_every_name_that_a_file_can_have_goes_there_and_back(
    client: Client, place: bytes, peer: Server
) -> None:
    wanted = {name.encode(): name.encode()[:20] for name in NAMES}
    for name in refused_names(peer):
        with pytest.raises(errors.NameNotAllowed):
            put(client, place + b"/" + name, wanted.pop(name))
    for name, data in wanted.items():
        put(client, place + b"/" + name, data)
    found = listed(client, place)
    assert {name: one.size for name, one in found.items()} == {
        name: len(data) for name, data in wanted.items()
    }
    for name, data in wanted.items():
        assert get(client, place + b"/" + name) == data
        assert client.facts(place + b"/" + name).name == name
    for name in wanted:
        client.rename(place + b"/" + name, place + b"/was " + name[:100])
        client.delete(place + b"/was " + name[:100])
    assert listed(client, place) == {}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_a_directory_can_have_can_be_listed(
    client: Client, place: bytes, peer: Server, name: str
) -> None:
    path = place + b"/" + name.encode()
    if name.encode() in refused_names(peer) or (peer.name == "ProFTPD" and "*" in name):
        with pytest.raises(errors.NameNotAllowed):
            client.make_directory(path)
        return
    client.make_directory(path)
    put(client, path + b"/inside", b"x")
    assert set(listed(client, path)) == {b"inside"}
    assert client.facts(path).kind is Kind.DIRECTORY
    assert listed(client, place)[name.encode()].kind is Kind.DIRECTORY


@pytest.mark.parametrize("name", [b"\xe9t\xe9", b"\xff", b"\xff\xff", b"a\xffb", b"\xfe\xf4x"])
def test_a_name_that_is_no_utf8_keeps_its_bytes(
    client: Client, place: bytes, peer: Server, name: bytes
) -> None:
    if peer.name == "pyftpdlib":  # would take all such names for one
        with pytest.raises(errors.NameNotAllowed):
            client.make_directory(place + b"/" + name)
        return
    put(client, place + b"/" + name, b"x")
    assert set(listed(client, place)) == {name}
    assert get(client, place + b"/" + name) == b"x"
    client.delete(place + b"/" + name)


@pytest.mark.parametrize("name", [b"a\r\nDELE b", b"a\nb", b"a\rb", b"a\0b"])
def test_a_name_can_never_be_a_second_command(client: Client, place: bytes, name: bytes) -> None:
    put(client, place + b"/b", b"still there")
    verbs: list[Verb] = [client.delete, client.facts, client.list, client.make_directory]
    verbs += [client.retrieve, client.store, client.append]
    for verb in verbs:
        with pytest.raises(errors.NameNotAllowed):
            verb(place + b"/" + name)
    with pytest.raises(errors.NameNotAllowed):
        client.rename(place + b"/b", place + b"/" + name)
    assert get(client, place + b"/b") == b"still there"


def test_a_listing_tells_of_files_and_directories(client: Client, place: bytes) -> None:
    began = time.time() - 120
    put(client, place + b"/f", b"12345")
    client.make_directory(place + b"/d")
    found = listed(client, place)
    assert {name: one.kind for name, one in found.items()} == {b"f": Kind.FILE, b"d": Kind.DIRECTORY}
    assert found[b"f"].size == 5
    mtime_ns = found[b"f"].mtime_ns
    assert mtime_ns is not None
    assert began <= mtime_ns / 1e9 <= time.time() + 60


def test_an_empty_directory_is_empty(client: Client, place: bytes) -> None:
    client.make_directory(place + b"/d")
    assert client.list(place + b"/d") == []


def test_the_root_is_a_directory(client: Client) -> None:
    assert client.facts(b"/").kind is Kind.DIRECTORY
    assert b"area" in listed(client, b"/")


def test_a_time_is_set_and_told_to_the_second(client: Client, place: bytes) -> None:
    put(client, place + b"/f", b"x")
    client.set_mtime(place + b"/f", YEAR_2017_NS)
    assert client.facts(place + b"/f").mtime_ns == YEAR_2017_NS
    told = listed(client, place)[b"f"]
    assert told.mtime_ns is not None
    if told.precise:
        assert told.mtime_ns == YEAR_2017_NS
    else:
        assert abs(told.mtime_ns - YEAR_2017_NS) < 86_400 * 10**9


def test_a_mode_is_set_or_it_is_said_that_it_cannot_be(client: Client, place: bytes, peer: Server) -> None:
    put(client, place + b"/f", b"x")
    if peer.name == "vsftpd":  # for anonymous users
        with pytest.raises(errors.Denied):
            client.set_mode(place + b"/f", 0o600)
        return
    client.set_mode(place + b"/f", 0o640)
    assert client.facts(place + b"/f").mode == 0o640
    assert listed(client, place)[b"f"].mode == 0o640


def test_a_link_is_as_asked_or_is_not_made(client: Client, place: bytes, peer: Server) -> None:
    put(client, place + b"/f", b"x")
    if peer.name != "Argosy":
        with pytest.raises(errors.Unsupported):
            client.symlink(b"f", place + b"/l")
        assert set(listed(client, place)) == {b"f"}
        return
    for name, target in ((b"l", b"f"), (b"l 2", b"../two words"), (b"l3", b'/a "b"; c')):
        client.symlink(target, place + b"/" + name)
        assert listed(client, place)[name].kind is Kind.LINK
        assert client.read_link(place + b"/" + name) == target
    with pytest.raises(errors.BadArgument):
        client.read_link(place + b"/f")


def test_a_link_that_was_there_is_told_of(client: Client, place: bytes, peer: Server) -> None:
    if peer.root is None:
        return  # made by SITE SYMLINK above
    put(client, place + b"/f", b"content")
    os.symlink("f", os.fsencode(peer.root) + place + b"/l")
    os.symlink("f", os.fsencode(peer.root) + place + b"/a -> b")
    found = listed(client, place)[b"l"]
    assert get(client, place + b"/l") == b"content"
    if found.kind is Kind.LINK:
        assert client.read_link(place + b"/l") == b"f"
    else:
        assert (found.kind, found.size) == (Kind.FILE, 7)


def test_renaming_over_a_file_replaces_it(client: Client, place: bytes) -> None:
    put(client, place + b"/old", b"old")
    put(client, place + b"/new", b"new")
    client.rename(place + b"/new", place + b"/old")
    assert get(client, place + b"/old") == b"new"
    assert set(listed(client, place)) == {b"old"}


def test_a_directory_is_renamed_with_all_in_it(client: Client, place: bytes) -> None:
    client.make_directory(place + b"/d")
    client.make_directory(place + b"/other")
    put(client, place + b"/d/f", b"x")
    client.rename(place + b"/d", place + b"/other/e")
    assert get(client, place + b"/other/e/f") == b"x"
    with pytest.raises(errors.NotFound):
        client.facts(place + b"/d")


@pytest.fixture
def furnished(client: Client, place: bytes) -> Iterator[bytes]:
    """Give a directory with a file, an empty directory, and one with a file in it."""
    put(client, place + b"/file", b"x")
    client.make_directory(place + b"/empty")
    client.make_directory(place + b"/full")
    put(client, place + b"/full/inside", b"x")
    return place  # type: ignore[return-value]


def test_what_is_missing_is_not_found_by_any_verb(client: Client, furnished: bytes) -> None:
    gone, below = furnished + b"/gone", furnished + b"/gone/below"
    verbs = [
        client.facts,
        client.list,
        client.retrieve,
        client.delete,
        client.remove_directory,
        client.read_link,
    ]
    for verb in verbs:
        for path in (gone, below):
            with pytest.raises(errors.NotFound):
                verb(path)
    verbs = [client.store, client.append, client.make_directory]
    for verb in verbs:
        with pytest.raises(errors.NotFound):
            verb(below)
    with pytest.raises(errors.NotFound):
        client.rename(gone, furnished + b"/x")
    with pytest.raises(errors.NotFound):
        client.rename(furnished + b"/file", below)
    with pytest.raises(errors.NotFound):
        client.set_mtime(gone, YEAR_2017_NS)
    assert client.usable


def test_files_are_no_directories_and_directories_no_files(client: Client, furnished: bytes) -> None:
    with pytest.raises(errors.NotADirectory):
        client.list(furnished + b"/file")
    with pytest.raises(errors.NotADirectory):
        client.remove_directory(furnished + b"/file")
    verbs: list[Verb] = [client.retrieve, client.store, client.append, client.delete]
    for verb in verbs:
        with pytest.raises(errors.IsADirectory):
            verb(furnished + b"/empty")
    assert client.usable


def test_a_directory_with_something_in_it_stays(client: Client, furnished: bytes) -> None:
    with pytest.raises(errors.NotEmpty):
        client.remove_directory(furnished + b"/full")
    client.remove_directory(furnished + b"/empty")
    assert set(listed(client, furnished)) == {b"file", b"full"}


def test_what_is_there_is_not_made_again(client: Client, furnished: bytes) -> None:
    for name in (b"/empty", b"/file"):
        with pytest.raises(errors.Exists):
            client.make_directory(furnished + name)


def test_a_thousand_files_make_one_listing(client: Client, place: bytes, peer: Server) -> None:
    if peer.root is None:
        for number in range(100):
            put(client, place + b"/%03d" % number, b"")
        assert len(client.list(place)) == 100
        return
    for number in range(1_000):
        with open(os.fsencode(peer.root) + place + b"/%04d" % number, "wb"):
            pass
    assert len(listed(client, place)) == 1_000


@pytest.mark.parametrize("opening", list(Opening))
def test_each_way_to_a_data_connection_works(peer: Server, place: bytes, opening: Opening) -> None:
    for tls in (Tls.OFF, Tls.NEEDED):
        dialect = Dialect(refused_openings=frozenset(Opening) - {opening})
        client = log_in(peer, tls, dialect)
        put(client, place + b"/f", BIG)
        assert get(client, place + b"/f", 1_000_000) == BIG[1_000_000:]
        with client.retrieve(place + b"/f") as download:
            assert download.recv_into(bytearray(100)) > 0
        assert set(listed(client, place)) == {b"f"}
        assert dialect.opening is opening
        client.close()


def test_a_wrong_password_is_told_as_such(peer: Server) -> None:
    if peer.user == "anonymous":
        address = Address(peer.host, peer.port, "nobody-here", "wrong")
    else:
        address = Address(peer.host, peer.port, peer.user, "wrong")
    with pytest.raises(errors.LoginFailed):
        Client(address, settings_for(peer), Dialect())


def test_a_certificate_that_nobody_vouches_for_keeps_the_password_from_being_told(peer: Server) -> None:
    for tls in (Tls.WANTED, Tls.NEEDED):
        with pytest.raises(errors.Untrusted):
            log_in(peer, tls, trust_file="")
    client = log_in(peer, Tls.NEEDED, trust_file="", certificates="any")
    assert client.is_alive()
    client.close()


def test_a_name_that_the_certificate_does_not_have_is_not_trusted(peer: Server) -> None:
    if peer.name == "Argosy":
        return  # its certificate has all names of this machine
    address = Address("localhost", peer.port, peer.user, peer.password, tls=Tls.NEEDED)
    with pytest.raises(errors.Untrusted):
        Client(address, settings_for(peer), Dialect())


def test_tls_is_used_where_it_can_be_had(peer: Server, place: bytes) -> None:
    client = log_in(peer, Tls.WANTED)
    assert (client.dialect.encrypts, client.dialect.protects) == (True, True)
    put(client, place + b"/f", BIG)
    assert get(client, place + b"/f") == BIG
    client.close()


def test_the_directory_of_the_address_is_where_it_begins(peer: Server, place: bytes) -> None:
    for directory in (place, place.removeprefix(b"/")):
        address = Address(peer.host, peer.port, peer.user, peer.password, directory, Tls.OFF)
        client = Client(address, settings_for(peer), Dialect())
        assert client.home == place
        client.close()
    for missing in (b"/nowhere", b"nowhere", b"nowhere/below", place + b"/nowhere"):
        gone = Address(peer.host, peer.port, peer.user, peer.password, missing, Tls.OFF)
        with pytest.raises(errors.NotFound):
            Client(gone, settings_for(peer), Dialect())


def test_two_logins_share_what_is_known_of_the_site(peer: Server, place: bytes) -> None:
    dialect = Dialect()
    one, two = log_in(peer, Tls.OFF, dialect), log_in(peer, Tls.OFF, dialect)
    trouble: list[BaseException] = []

    def work(client: Client, name: bytes) -> None:
        try:
            for round_ in range(5):
                put(client, place + b"/" + name, BIG[: 100_000 * round_])
                assert get(client, place + b"/" + name) == BIG[: 100_000 * round_]
                listed(client, place)
        except BaseException as error:  # noqa: BLE001 - told below
            trouble.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in ((one, b"1"), (two, b"2"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.close()
    two.close()
    assert trouble == []
