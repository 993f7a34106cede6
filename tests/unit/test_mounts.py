"""What an export means, who shares a storage with whom, and what a ticket is good for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from argosy import config, errors
from argosy.sites.exports import Mounted, Tickets, Told
from argosy.sites.model import Address, Tls
from farsites import Gateway, Storage


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


async def test_the_same_export_of_the_same_owner_is_one_mount_and_one_login(gateway: Gateway) -> None:
    first = await gateway.mount(b"host:ann:right")
    assert await gateway.mount(b"host:ann:right") == first
    assert len(gateway.far.logins) == 1


async def test_other_passwords_owners_and_directories_are_other_mounts(gateway: Gateway) -> None:
    numbers = [
        await gateway.mount(b"host:ann:right"),
        await gateway.mount(b"host:ann:right", uid=7),
        await gateway.mount(b"host:ann:"),
        await gateway.mount(b"/ftp://ann:right@host/below"),
        await gateway.mount(b"host:bob:right"),
    ]
    assert len(set(numbers)) == 5
    assert len(gateway.far.logins) == 5


async def test_many_clients_at_once_share_one_login(gateway: Gateway) -> None:
    numbers = await asyncio.gather(*(gateway.mounts.mount(b"host:ann:right", 0, 0) for _ in range(20)))
    assert len({number for number, _ in numbers}) == 1
    assert len(gateway.far.logins) == 1


async def test_many_clients_at_once_share_one_refusal(gateway: Gateway) -> None:
    asked = (gateway.mounts.mount(b"host:ann:wrong", 0, 0) for _ in range(20))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {errors.LoginFailed}
    assert len(gateway.far.logins) == 1


async def test_a_wrong_password_is_not_kept(gateway: Gateway) -> None:
    with pytest.raises(errors.LoginFailed):
        await gateway.mount(b"host:ann:wrong-one")
    assert gateway.record.mounts() == {}
    gateway.record.close()
    assert all(b"wrong-one" not in file.read_bytes() for file in gateway.directory.glob("record.db"))


async def test_a_mount_that_was_good_stays_known_while_its_site_is_away(gateway: Gateway) -> None:
    number = await gateway.mount(b"host:ann:right")
    gateway.record.close()
    gateway.start()
    gateway.far.away = True
    for ask in (gateway.mounts.again(number), gateway.mounts.mount(b"host:ann:right", 0, 0)):
        with pytest.raises(errors.Unavailable):
            await ask
    gateway.far.away = False
    assert (await gateway.mounts.again(number)).mounted.number == number


async def test_after_a_restart_a_mount_logs_in_by_itself_as_the_same(gateway: Gateway) -> None:
    number = await gateway.mount(b"/ftps://an%FFn:right@host:2121//d%FFr", uid=7)
    before, key = gateway.last, gateway.mounts.key
    gateway.record.close()
    gateway.start()
    assert gateway.mounts.known(number) is None
    storage = await gateway.mounts.again(number)
    assert storage.mounted == before
    assert before.address == Address("host", 2121, "an\udcffn", "right", b"/d\xffr", Tls.IMPLICIT)
    assert gateway.mounts.known(number) is storage
    assert gateway.mounts.key == key
    assert gateway.mounts.report()[0]["site"] == "ftps://an\\udcffn@host:2121//d\\udcffr"


async def test_a_number_that_nobody_knows_is_stale(gateway: Gateway) -> None:
    with pytest.raises(errors.Stale):
        await gateway.mounts.again(12345)


async def test_what_waits_to_be_uploaded_brings_its_mount_back_when_the_site_is_there(
    gateway: Gateway,
) -> None:
    number = await gateway.mount(b"host:ann:right")
    gateway.record.close()
    gateway.config = config.Gateway(remote=config.Remote(retry_first_seconds=0.01, retry_most_seconds=0.02))
    gateway.start()
    gateway.far.away = True
    taking_up = asyncio.create_task(gateway.mounts.take_up([number, 12345]))
    await asyncio.sleep(0.1)
    assert gateway.mounts.known(number) is None
    gateway.far.away = False
    await asyncio.wait_for(taking_up, 5.0)
    assert gateway.mounts.known(number) is not None
    assert gateway.mounts.known(12345) is None


async def test_a_password_that_is_taken_no_more_is_not_tried_for_ever(gateway: Gateway) -> None:
    (gateway.directory / "password").write_text("right\n")
    number = await gateway.mount(b"/attic")
    (gateway.directory / "password").write_text("old\n")
    gateway.record.close()
    gateway.start()
    await asyncio.wait_for(gateway.mounts.take_up([number]), 5.0)
    assert len(gateway.far.logins) == 2


async def test_a_site_of_the_config_is_mounted_by_its_name(gateway: Gateway) -> None:
    assert gateway.mounts.listed() == [(b"/museum", ()), (b"/attic", ("192.0.2.0/24",))]
    await gateway.mount(b"/museum")
    assert gateway.last.address == Address(
        "museum.example.org", user="ann", directory=b"pub", tls=Tls.NEEDED, encoding="latin-1"
    )
    await gateway.mount(b"museum/old/maps/")
    assert gateway.last.address.directory == b"pub/old/maps"
    await gateway.mount(b"/attic/box")
    assert gateway.last.address == Address("attic.example.org", 990, "bob", "right", b"box", Tls.IMPLICIT)


async def test_a_mount_has_a_title_without_its_password_and_the_networks_of_its_site(
    gateway: Gateway,
) -> None:
    attic, host = await gateway.mount(b"/attic/box"), await gateway.mount(b"host:2121:ann:right:pub/maps")
    assert [gateway.mounts.title(one) for one in (attic, host)] == ["attic", "ann@host/pub/maps"]
    assert [gateway.mounts.networks(one) for one in (attic, host)] == [("192.0.2.0/24",), ()]


async def test_nobody_leaves_a_named_sites_directory(gateway: Gateway) -> None:
    with pytest.raises(errors.BadArgument):
        await gateway.mount(b"/museum/../private")


async def test_a_site_that_has_left_the_config_is_stale(gateway: Gateway) -> None:
    number = await gateway.mount(b"/museum")
    gateway.record.close()
    gateway.config = config.Gateway()
    gateway.start()
    with pytest.raises(errors.Stale):
        await gateway.mounts.again(number)


async def test_a_changed_password_file_counts_with_the_next_start(gateway: Gateway) -> None:
    (gateway.directory / "password").write_text("old\n")
    with pytest.raises(errors.LoginFailed):
        await gateway.mount(b"/attic")
    (gateway.directory / "password").write_text("right\n")
    await gateway.mount(b"/attic")
    (gateway.directory / "password").unlink()
    gateway.record.close()
    gateway.start()
    with pytest.raises(errors.ConfigError, match="No such file"):
        await gateway.mount(b"/attic")


async def test_a_ticket_is_good_for_one_mount(gateway: Gateway) -> None:
    export = await gateway.mounts.ticket(b"/ftp://ann@host:2121/pub", b"right", 1000, 100)
    assert export.startswith("/ticket-")
    assert export.endswith("/ann@host/pub")
    assert "right" not in export
    number = await gateway.mount(export.encode())
    assert gateway.last == Mounted(number, Address("host", 2121, "ann", "right", b"pub"), uid=1000, gid=100)
    assert len(gateway.far.logins) == 1
    with pytest.raises(errors.Denied, match="ticket"):
        await gateway.mount(export.encode())


async def test_a_ticket_does_not_wait_for_ever(gateway: Gateway) -> None:
    export = await gateway.mounts.ticket(b"/museum", b"", 1000, 100)
    assert export.endswith("/museum")
    gateway.now = gateway.config.nfs.ticket_seconds + 1
    with pytest.raises(errors.Denied, match="too old"):
        await gateway.mount(export.encode())


async def test_a_guessed_ticket_is_refused(gateway: Gateway) -> None:
    await gateway.mounts.ticket(b"/museum", b"", 1000, 100)
    for guess in (b"/ticket-", b"ticket-aaaaaaaaaaaaaaaaaaaaaaaa/museum", b"/ticket-\xff"):
        with pytest.raises(errors.Denied):
            await gateway.mount(guess)


async def test_there_is_no_ticket_for_a_wrong_password(gateway: Gateway) -> None:
    with pytest.raises(errors.LoginFailed):
        await gateway.mounts.ticket(b"/ftp://ann@host/", b"wrong", 0, 0)


async def test_tickets_that_nobody_uses_do_not_pile_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("argosy.sites.exports.TICKETS", 3)
    exports = [await gateway.mounts.ticket(b"/museum", b"", 0, 0) for _ in range(4)]
    with pytest.raises(errors.Denied):
        await gateway.mount(exports[0].encode())
    for export in exports[1:]:
        await gateway.mount(export.encode())


async def test_all_storages_are_closed_at_the_end(gateway: Gateway) -> None:
    storages = [(await gateway.mounts.mount(one, 0, 0))[1] for one in (b"host:ann:right", b"/museum")]
    await gateway.mounts.close()
    assert all(storage.closed for storage in storages)
    assert gateway.mounts.report() == []


async def test_no_more_log_in_at_once_than_may(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.config = structs.replace(gateway.config, nfs=config.NfsDoor(logins=3, login_seconds=0.2))
    gateway.record.close()
    gateway.start()
    inside, most, go = 0, 0, asyncio.Event()

    async def login(mounted: Mounted) -> Storage:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await go.wait()
        inside -= 1
        return Storage(mounted)

    monkeypatch.setattr(gateway.mounts, "_opener", login)
    asked = [asyncio.create_task(gateway.mounts.mount(b"host-%d:ann:" % n, 0, 0)) for n in range(10)]
    same = [asyncio.create_task(gateway.mounts.mount(b"host-0:ann:", 0, 0)) for _ in range(10)]
    await asyncio.sleep(0.5)
    late = [one for one in asked if one.done()]
    assert len(late) == 7
    assert all(isinstance(one.exception(), errors.Unavailable) for one in late)
    assert len(gateway.record.mounts()) == 3
    go.set()
    done = await asyncio.gather(*asked, *same, return_exceptions=True)
    assert sum(isinstance(one, errors.Unavailable) for one in done) == 7
    assert most == 3
    await gateway.mount(b"host-9:ann:")


tickets = st.text("abcdefghijklmnopqrstuvwxyz234567=", max_size=40)


@given(st.integers(0, 2**32 - 1), tickets | st.text(max_size=40))
def test_a_ticket_tells_its_gateway_alone_what_it_was_for(number: int, guess: str) -> None:
    ours, theirs = (Tickets(key, 60.0, lambda: 0.0) for key in (b"a" * 32, b"b" * 32))
    word = ours.make(number)
    assert ours.number(word) == number
    assert theirs.number(word) is None
    assert ours.number("ticket-" + guess) is None
    assert ours.number(guess) is None


names = st.text(max_size=9) | st.binary(max_size=9).map(lambda raw: raw.decode(errors="surrogateescape"))


@given(names, names, names, st.binary(max_size=9), st.integers(0, 2**32 - 1), st.sampled_from(Tls))
def test_what_the_record_keeps_is_read_as_it_was(
    host: str, user: str, password: str, directory: bytes, uid: int, tls: Tls
) -> None:
    told = Told(uid, 5, address=Address(host, 21, user, password, directory, tls))
    assert Told.unpack(told.pack()) == told
    named = Told(uid, 5, name=host, below=directory)
    assert Told.unpack(named.pack()) == named
