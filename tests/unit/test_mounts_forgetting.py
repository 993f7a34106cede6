"""Mounts that nobody uses sleep, and what was taken away is forgotten with its password."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from argosy import config, errors
from argosy.sites.mounts import Fate
from farsites import Gateway, mounted_by_ticket


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


async def look(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> None:
    """Let the gateway look after its mounts once, some seconds later."""
    monkeypatch.setattr("argosy.sites.mounts.TEND_SECONDS", 0.001)
    gateway.now += seconds
    tending = asyncio.create_task(gateway.mounts.tend())
    await asyncio.sleep(0.05)
    tending.cancel()


async def test_a_mount_that_nobody_uses_sleeps_and_wakes_at_the_next_call(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await gateway.mount(b"host:ann:right")
    before = await gateway.mounts.again(number)
    await look(gateway, monkeypatch)
    assert gateway.mounts.known(number) is before
    await look(gateway, monkeypatch, 899.0)
    await look(gateway, monkeypatch, 899.0)
    assert gateway.mounts.asleep() == []
    await look(gateway, monkeypatch, 2.0)
    assert before.closed
    assert gateway.mounts.known(number) is None
    assert gateway.mounts.report() == []
    assert gateway.mounts.asleep() == [{"mount": number, "site": "ftp://ann@host:21/"}]
    after = await gateway.mounts.again(number)
    assert (after.closed, after.mounted) == (False, before.mounted)
    assert gateway.mounts.asleep() == []


async def test_a_mount_that_has_something_to_do_does_not_sleep(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, storage = await gateway.mounts.mount(b"host:ann:right", 0, 0)
    storage.busy = True
    for _ in range(3):
        await look(gateway, monkeypatch, 1000.0)
    assert not storage.closed


async def test_who_calls_while_a_mount_falls_asleep_waits_until_it_has(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, storage = await gateway.mounts.mount(b"host:ann:right", 0, 0)
    await look(gateway, monkeypatch)
    sleeping = asyncio.Event()

    async def close() -> None:
        await sleeping.wait()
        storage.closed = True

    monkeypatch.setattr(storage, "close", close)
    await look(gateway, monkeypatch, 1000.0)
    calling = asyncio.create_task(gateway.mounts.again(number))
    await asyncio.sleep(0.05)
    assert not calling.done()
    assert len(gateway.far.logins) == 1
    sleeping.set()
    assert await calling is not storage
    assert storage.closed


async def test_a_mount_that_was_taken_away_is_forgotten_with_its_password(gateway: Gateway) -> None:
    number, export = await mounted_by_ticket(gateway)
    storage = gateway.mounts.known(number)
    assert storage is not None
    outcome = await gateway.mounts.release(export, ())
    assert outcome == ("ftp://ann@host:21/", Fate.FORGOTTEN, ())
    assert storage.closed
    assert gateway.record.mounts() == {}
    assert gateway.mounts.title(number) == ""
    with pytest.raises(errors.Stale):
        await gateway.mounts.again(number)
    assert (await gateway.mounts.release(export, ())).fate is Fate.UNKNOWN


async def test_after_a_restart_a_ticket_still_tells_what_it_was_for(gateway: Gateway) -> None:
    _, export = await mounted_by_ticket(gateway)
    gateway.record.close()
    gateway.start()
    assert (await gateway.mounts.release(export, ())).fate is Fate.FORGOTTEN
    assert gateway.record.mounts() == {}


async def test_what_is_mounted_elsewhere_too_is_kept(gateway: Gateway) -> None:
    number, first = await mounted_by_ticket(gateway)
    again, second = await mounted_by_ticket(gateway)
    assert number == again
    assert (await gateway.mounts.release(first, [second])).fate is Fate.MOUNTED
    assert (await gateway.mounts.release(second, [b"ftp://ann:right@host/"])).fate is Fate.MOUNTED
    assert (
        await gateway.mounts.release(second, [b"ftp://ann:other@host/", b"/museum"])
    ).fate is Fate.FORGOTTEN


async def test_what_other_machines_may_have_mounted_is_kept(gateway: Gateway) -> None:
    gateway.config = structs.replace(gateway.config, nfs=config.NfsDoor(networks=("192.0.2.0/24",)))
    gateway.record.close()
    gateway.start()
    _, export = await mounted_by_ticket(gateway)
    assert (await gateway.mounts.release(export, ())).fate is Fate.SHARED
    (outcome,) = await gateway.mounts.forget("ftp://ann@host:21/", ())
    assert outcome.fate is Fate.FORGOTTEN


async def test_what_is_not_sent_yet_is_named_and_forgotten_when_it_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, export = await mounted_by_ticket(gateway)
    storage = await gateway.mounts.again(number)
    storage.left = ["letter"]
    assert await gateway.mounts.release(export, ()) == ("ftp://ann@host:21/", Fate.UNSENT, ["letter"])
    (outcome,) = await gateway.mounts.forget("ftp://ann@host:21/", ())
    assert outcome == ("ftp://ann@host:21/", Fate.UNSENT, ["letter"])
    await look(gateway, monkeypatch)
    assert gateway.mounts.known(number) is storage
    storage.left = []
    await look(gateway, monkeypatch)
    assert gateway.record.mounts() == {}


async def test_what_a_journal_holds_keeps_a_mount_that_cannot_log_in(gateway: Gateway) -> None:
    number, export = await mounted_by_ticket(gateway)
    gateway.record.close()
    gateway.start()
    (gateway.directory / "journal" / str(number)).mkdir(parents=True)
    (gateway.directory / "journal" / str(number) / "0000000000000004.log").touch()
    assert (await gateway.mounts.release(export, ())).fate is Fate.UNSENT
    assert list(gateway.record.mounts()) == [number]


async def test_who_mounts_it_again_keeps_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    number, export = await mounted_by_ticket(gateway)
    storage = await gateway.mounts.again(number)
    storage.left = ["letter"]
    await gateway.mounts.release(export, ())
    assert (await mounted_by_ticket(gateway))[0] == number
    storage.left = []
    await look(gateway, monkeypatch)
    assert gateway.mounts.known(number) is storage


async def test_a_ticket_that_nobody_used_leaves_no_password(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = await gateway.mounts.ticket(b"/ftp://ann@host/", b"right", 7, 7)
    await look(gateway, monkeypatch)
    assert len(gateway.record.mounts()) == 1
    await look(gateway, monkeypatch, gateway.config.nfs.ticket_seconds + 1)
    assert gateway.record.mounts() == {}
    with pytest.raises(errors.Denied):
        await gateway.mount(export.encode())


async def test_a_mount_of_a_mount_line_is_forgotten_on_request_when_it_is_mounted_nowhere(
    gateway: Gateway,
) -> None:
    await gateway.mount(b"host:ann:right", uid=7)
    await gateway.mount(b"host:ann:right", uid=8)
    kept = await gateway.mount(b"host:bob:right")
    site = "ftp://ann@host:21/"
    fates = [one.fate for one in await gateway.mounts.forget(site, [b"ftp://ann:right@host/"])]
    assert fates == [Fate.MOUNTED] * 2
    fates = [one.fate for one in await gateway.mounts.forget(site, [b"nonsense", b"/museum"])]
    assert fates == [Fate.FORGOTTEN] * 2
    assert list(gateway.record.mounts()) == [kept]
    with pytest.raises(errors.NotFound):
        await gateway.mounts.forget(site, ())


async def slow_to_close(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, bytes, asyncio.Event]:
    """Mount a site whose storage closes when it is told to."""
    number, export = await mounted_by_ticket(gateway)
    storage, go = await gateway.mounts.again(number), asyncio.Event()
    monkeypatch.setattr(storage, "close", go.wait)
    return number, export, go


async def test_a_command_that_is_broken_off_leaves_no_password(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, export, go = await slow_to_close(gateway, monkeypatch)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gateway.mounts.release(export, ()), 0.05)
    go.set()
    await look(gateway, monkeypatch)
    assert gateway.record.mounts() == {}


async def test_who_takes_a_mount_away_that_is_being_forgotten_hears_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, export, go = await slow_to_close(gateway, monkeypatch)
    both = [asyncio.create_task(gateway.mounts.release(export, ())) for _ in range(2)]
    site = asyncio.create_task(gateway.mounts.forget("ftp://ann@host:21/", ()))
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in (*both, site))
    go.set()
    assert [one.fate for one in await asyncio.gather(*both)] == [Fate.FORGOTTEN] * 2
    assert [one.fate for one in await site] == [Fate.FORGOTTEN]
    assert gateway.record.mounts() == {}


async def test_who_mounts_a_site_while_it_is_forgotten_has_a_mount_that_lasts(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, export, go = await slow_to_close(gateway, monkeypatch)
    going = asyncio.create_task(gateway.mounts.release(export, ()))
    await asyncio.sleep(0.05)
    with pytest.raises(errors.Stale):
        await gateway.mounts.again(number)
    coming = asyncio.create_task(mounted_by_ticket(gateway))
    await asyncio.sleep(0.05)
    go.set()
    assert (await going).fate is Fate.FORGOTTEN
    made, _ = await coming
    assert list(gateway.record.mounts()) == [made]
    assert made != number, "old handles mean nothing of it"
    assert gateway.mounts.owner(made) == gateway.last.uid


async def test_a_mount_that_is_logging_in_is_not_forgotten_below_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, export = await mounted_by_ticket(gateway)
    (await gateway.mounts.again(number)).left = ["letter"]
    await gateway.mounts.release(export, ())
    gateway.record.close()
    gateway.start()
    looked, go = asyncio.Event(), asyncio.Event()

    async def left(number: int, seconds: float) -> list[str]:
        looked.set()
        await go.wait()
        return []

    monkeypatch.setattr(gateway.mounts, "_left", left)
    tending = asyncio.create_task(gateway.mounts.release(export, ()))
    await looked.wait()
    coming = asyncio.create_task(gateway.mounts.ticket(b"/ftp://ann@host/", b"right", 7, 7))
    while not gateway.mounts._opening:  # it begins to log in
        await asyncio.sleep(0)
    go.set()
    await tending
    assert (await gateway.mounts.mount((await coming).encode(), 0, 0))[0] == number
    assert list(gateway.record.mounts()) == [number]
