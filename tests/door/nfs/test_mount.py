"""MOUNT: exports, who may mount them, and what is told of that. RFC 1813 section 5."""

from __future__ import annotations

import logging
import os

import pytest

from argosy import config, errors
from argosy.doors.nfs.server import NfsDoor
from argosy.wire.nfs import mount3, rpc
from argosy.wire.nfs.mount3 import Procedure, Status
from argosy.wire.nfs.nfs3 import Procedure as Nfs
from argosy.wire.nfs.nfs3 import Status as NfsStatus
from calling import ROOT, STRANGER, Caller, served
from memory import MemoryMounts
from packing import Unpack, opaque


def lines(result: Unpack) -> list[tuple[bytes, bytes]]:
    """Read what DUMP says."""
    found = []
    while result.boolean():
        found.append((result.opaque(), result.opaque()))
    result.done()
    return found


def exports(result: Unpack) -> dict[bytes, list[bytes]]:
    """Read what EXPORT says."""
    found = {}
    while result.boolean():
        name, groups = result.opaque(), []
        while result.boolean():
            groups.append(result.opaque())
        found[name] = groups
    result.done()
    return found


async def test_mnt_says_who_asks(ann: Caller, mounts: MemoryMounts) -> None:
    for who in (ann.who, ROOT, STRANGER):
        ann.who = who
        await ann.mount("/museum")
    root = (os.geteuid(), os.getegid())
    assert [asked[1:] for asked in mounts.asked] == [(1000, 1000), root, (1234, 1234)]


async def test_a_mount_by_hand_can_be_for_somebody_else_than_root(mounts: MemoryMounts) -> None:
    async with served(mounts, uid=1000, gid=100) as port, await Caller.connect(port) as caller:
        caller.who = ROOT
        await caller.mount("/museum")
    assert mounts.asked[0][1:] == (1000, 100)


async def test_what_root_mounts_is_for_whom_the_gateway_runs(
    ann: Caller, mounts: MemoryMounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 100)
    ann.who = ROOT
    await ann.mount("/museum")
    ann.who = STRANGER
    await ann.mount("/museum")
    assert [asked[1:] for asked in mounts.asked] == [(1000, 100), (1234, 1234)]


async def test_the_export_goes_on_as_it_was_typed(ann: Caller, mounts: MemoryMounts) -> None:
    for export in ("ftp.example.org:ann:secret word", "ftp://ann:secret@host:2121/pub", "", "/a//b/"):
        assert (await ann.mnt(export))[0] is Status.NOENT
    assert [asked[0].decode() for asked in mounts.asked] == [
        *("ftp.example.org:ann:secret word", "ftp://ann:secret@host:2121/pub", "", "/a//b/")
    ]


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (errors.NotFound(), Status.NOENT),
        (errors.LoginFailed(), Status.ACCES),
        (errors.Denied("this ticket was used"), Status.ACCES),
        (errors.BadArgument(), Status.INVAL),
        (errors.NotADirectory(), Status.NOTDIR),
        (errors.Unavailable(), Status.IO),
        (errors.TooMany(), Status.IO),
        (errors.NoSpace(), Status.IO),
        (errors.ConfigError(), Status.SERVERFAULT),
        (RuntimeError("a bug"), Status.SERVERFAULT),
    ],
)
async def test_who_cant_mount_hears_why(
    ann: Caller, mounts: MemoryMounts, trouble: Exception, status: Status
) -> None:
    mounts.trouble = trouble
    refused, result = await ann.mnt("/museum")
    assert refused is status
    result.done()


async def test_no_password_gets_into_the_log_or_the_table(
    ann: Caller, mounts: MemoryMounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mounts.names[b"ftp://ann:secret@host/"] = 1
    await ann.mount("ftp://ann:secret@host/")
    mounts.trouble = errors.LoginFailed("ann at host")
    await ann.mnt("ftp://ann:secret@host/")
    assert "1000" in caplog.text
    assert "ann at host" in caplog.text
    assert "secret" not in caplog.text
    assert b"secret" not in (await ann.desk(Procedure.DUMP))._data


async def test_the_table_of_mounts_follows_mnt_and_umnt(ann: Caller) -> None:
    assert lines(await ann.desk(Procedure.DUMP)) == []
    for export in ("/museum", "/archive", "/museum"):
        await ann.mount(export)
    assert lines(await ann.desk(Procedure.DUMP)) == [
        *((b"127.0.0.1", b"/archive"), (b"127.0.0.1", b"/museum"))
    ]
    (await ann.desk(Procedure.UMNT, opaque(b"/archive"))).done()
    (await ann.desk(Procedure.UMNT, opaque(b"/nothing"))).done()
    assert lines(await ann.desk(Procedure.DUMP)) == [(b"127.0.0.1", b"/museum")]
    (await ann.desk(Procedure.UMNTALL)).done()
    assert lines(await ann.desk(Procedure.DUMP)) == []


async def test_handles_stay_good_after_umnt(ann: Caller, root: bytes) -> None:
    (await ann.desk(Procedure.UMNT, opaque(b"/museum"))).done()
    assert (await ann.getattr(root))["kind"] == 2


async def test_export_lists_what_has_a_name_and_for_whom(ann: Caller, mounts: MemoryMounts) -> None:
    mounts.only[2] = ("192.0.2.0/24", "198.51.100.1")
    assert exports(await ann.desk(Procedure.EXPORT)) == {
        b"/museum": [b"localhost"],
        b"/archive": [b"192.0.2.0/24", b"198.51.100.1/32"],
    }


async def test_an_export_for_other_networks_is_refused(
    ann: Caller, root: bytes, mounts: MemoryMounts
) -> None:
    mounts.only[2] = ("192.0.2.0/24",)
    assert (await ann.mnt("/archive"))[0] is Status.ACCES
    assert (await ann.mnt("/museum"))[0] is Status.OK
    mounts.only[2] = ("192.0.2.0/24", "127.0.0.0/8")
    assert (await ann.mnt("/archive"))[0] is Status.OK


async def test_a_handle_that_came_to_another_network_opens_nothing(mounts: MemoryMounts) -> None:
    async with served(mounts) as port, await Caller.connect(port) as ann:
        handle = await ann.mount("/archive")
    mounts.only[2] = ("192.0.2.0/24",)
    async with served(mounts) as port, await Caller.connect(port) as ann:
        assert await ann.status(Nfs.GETATTR, opaque(handle)) is NfsStatus.ACCES


def test_a_sites_networks_that_are_none_are_named_at_the_start(mounts: MemoryMounts) -> None:
    mounts.only[2] = ("everybody",)
    with pytest.raises(errors.ConfigError, match=r"sites\.archive\.networks: .*everybody"):
        NfsDoor(config.NfsDoor(), mounts)


async def test_a_client_of_another_network_is_hung_up_on(mounts: MemoryMounts) -> None:
    async with served(mounts, networks=("192.0.2.0/24",)) as port:
        caller = await Caller.connect(port)
        async with caller:
            with pytest.raises(ConnectionError):
                await caller.mount("/museum")
    assert mounts.asked == []


async def test_who_says_nothing_mounts_as_nobody(ann: Caller, mounts: MemoryMounts) -> None:
    ann.who = None
    await ann.mount("/museum")
    assert mounts.asked[0][1:] == (65_534, 65_534)


async def test_too_long_a_path_is_garbage(ann: Caller) -> None:
    with pytest.raises(rpc.Refused, match="GARBAGE_ARGS"):
        await ann.mnt("x" * 1025)
    (await ann.desk(mount3.Procedure.NULL)).done()
