"""The master's side of the link, with nodes that are only a link: they say hello, and hear orders."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argosy import config, errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import Membership, State, TreePath
from argosy.catalogue.people import NOTHING
from argosy.cluster.joining import LinkServer
from argosy.cluster.nodes.roster import Roster
from argosy.cluster.nodes.transfers import Transfer
from argosy.net import peer as links
from argosy.net import pki, tls
from argosy.net.peer import Peer
from argosy.net.pki import Authority
from argosy.vfs.files import Files
from argosy.vfs.vfs import Vfs
from argosy.wire import link
from standin import eventually

LOST_SECONDS = 1.0


class House:
    """A master without doors."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = config.Master(
            paths=config.Paths(keys=str(directory / "keys")),
            link=config.Link(listen="127.0.0.1:0", lost_seconds=LOST_SECONDS, beat_seconds=0.2),
            catalogue=config.Catalogue(directory=str(directory / "catalogue")),
        )
        self.authority = Authority.open(directory / "keys")
        self.authority.issue_master()
        self.catalogue = Catalogue(self.config.catalogue)
        self.roster = Roster()
        self.vfs = Vfs(self.config, self.catalogue, self.roster, owed=lambda: None)
        self.port = 0

    def opened(self, address: str) -> None:
        self.port = int(address.rpartition(":")[2])

    async def dial(self, context: ssl.SSLContext) -> Peer:
        return await links.connect("127.0.0.1", self.port, context=context, seconds=5, silent_seconds=1.5)


class FarNode:
    """A node as the master sees it; keeps what it is told."""

    def __init__(self, house: House, name: str, *, volumes: tuple[str, ...] = (), boot: str = "1") -> None:
        self.house, self.name, self.boot = house, name, boot
        self.volumes = [link.VolumeState(store, 0, 1 << 40, 1 << 40, []) for store in volumes]
        self.running: list[int] = []
        self.told: list[link.Body] = []
        self.peer: Peer | None = None
        self.disk = asyncio.Event()
        """Until it is set the node is busy deleting."""
        self.disk.set()

    async def hear(self, message: link.Body) -> link.Body | None:
        self.told.append(message)
        if isinstance(message, link.Discard):
            await self.disk.wait()
        return link.Scanned(0, 0, 0) if isinstance(message, link.Scan) else None

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[link.Welcome]:
        """Be on the link for a while."""
        keys = self.house.directory / f"node-{self.name}"
        keys.mkdir(exist_ok=True)
        request = pki.make_request(keys / f"{self.name}.key", self.name)
        (keys / f"{self.name}.pem").write_bytes(self.house.authority.sign_node(request, self.name, 90))
        (keys / "authority.pem").write_bytes(self.house.authority.pem)
        self.peer = await self.house.dial(tls.link_client(keys, self.name))
        life = asyncio.create_task(self.peer.run(self.hear))
        try:
            hello = link.Hello(link.VERSION, "test", self.boot, "", [], self.volumes, self.running)
            welcome = await self.peer.ask(hello)
            assert isinstance(welcome, link.Welcome)
            yield welcome
        finally:
            self.peer.close()
            await life

    def orders(self, *kinds: type[link.Body]) -> list[link.Body]:
        return [order for order in self.told if isinstance(order, kinds)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.catalogue.open()
    server = LinkServer(house.config, house.catalogue, house.roster, house.authority, lambda: (b"", b""))
    service = asyncio.create_task(server.serve(house.opened))
    await eventually(lambda: house.port)
    try:
        yield house
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)
        await house.catalogue.close()


async def test_an_order_that_the_link_lost_is_told_again_to_a_node_that_knows_the_ticket(
    house: House,
) -> None:
    node = FarNode(house, "n1", volumes=("a" * 32,))
    async with node.joined():
        host = house.roster.node("n1")
        known, forgotten = Transfer(host), Transfer(host)
        known.follow(7, "a" * 32, offset=0, as_text=False)
        forgotten.follow(8, "a" * 32, offset=0, as_text=False)
        await eventually(lambda: len(node.orders(link.Send)) == 2)
    node.told.clear()
    node.running = [known.ticket]
    async with node.joined():
        await eventually(lambda: node.orders(link.Send))
        assert [order.ticket for order in node.told if isinstance(order, link.Send)] == [known.ticket]
        assert (await forgotten.outcome()).refusal == "TransferCut"
        known.finish(link.Done(known.ticket, 0, "", ""))


async def test_a_node_that_speaks_of_a_volume_that_did_not_come_with_it_is_told_so(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    node = FarNode(house, "n1", volumes=("a" * 32,))
    async with node.joined():
        assert node.peer is not None
        strange = "b" * 32
        for message in (
            link.Held(strange, 5, 6),
            link.Doubted(strange, []),
            link.Changes(strange, 1, False, b"", None, []),
        ):
            with pytest.raises(errors.NotFound, match=strange):
                await node.peer.ask(message)
    assert "accident" not in caplog.text


async def test_a_second_node_of_a_name_that_is_taken_is_refused(house: House) -> None:
    async with FarNode(house, "n1", boot="1").joined():
        with pytest.raises(errors.Exists, match="take another name"):
            async with FarNode(house, "n1", boot="2").joined():
                pass
        assert house.roster.node("n1").boot == "1"
    async with FarNode(house, "n1", boot="2").joined():
        assert house.roster.node("n1").boot == "2"


async def test_no_volume_is_fed_before_all_of_a_node_have_been_settled(house: House) -> None:
    stores = tuple(letter * 32 for letter in "ab")
    for store in stores:
        await house.catalogue.register("n1", "0")
        await house.catalogue.attach(store, "n1")
    node = FarNode(house, "n1", volumes=stores)
    for volume in node.volumes:
        volume.parts = [link.Part(5, 10, False)]  # of nobody: forgotten at joining
    async with node.joined():
        await eventually(lambda: len(node.orders(link.Feed)) == len(stores))
    kinds = [type(order) for order in node.orders(link.Forget, link.Feed)]
    assert kinds == [link.Forget, link.Forget, link.Feed, link.Feed]


async def test_an_upload_cut_while_the_past_of_its_node_is_settled_goes_on_where_its_client_was_told(
    house: House,
) -> None:
    node = FarNode(house, "n1", volumes=("a" * 32,))
    files = Files(house.vfs, Login(Account(name="ann", admin=True)))
    async with node.joined():
        await uploaded(files, (b"old",), 5, cut=False)
        resumed = await uploaded(files, (b"resumed",), 3)
        await eventually(lambda: node.orders(link.Feed))
    await house.catalogue.delete((b"old",))
    node.boot = "2"
    node.volumes[0].parts = [link.Part(resumed, 3, False)]
    node.disk.clear()
    async with node.joined():
        await eventually(lambda: node.orders(link.Discard))
        await uploaded(files, (b"resumed",), 9, offset=3)
        await uploaded(files, (b"new",), 7)
        node.told.clear()
        node.disk.set()
        await eventually(lambda: node.orders(link.Feed))
        assert not node.orders(link.Forget)
        for path, size in (((b"resumed",), 9), ((b"new",), 7)):
            assert files.entry(path).size == size
            await uploaded(files, path, 20, offset=size, cut=False)


async def test_a_replaced_disk_is_lost_though_the_master_died_while_the_new_one_joined(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FarNode(house, "n1", volumes=("a" * 32,)).joined():
        pass
    attach = house.catalogue.attach

    async def die(*words: Any, **more: Any) -> None:
        await attach(*words, **more)
        raise errors.Unavailable("the master dies here")

    new = FarNode(house, "n1", volumes=("b" * 32,), boot="2")
    with monkeypatch.context() as patched, contextlib.suppress(errors.Refused):
        patched.setattr(house.catalogue, "attach", die)
        async with new.joined():
            raise AssertionError("the master died")
    async with new.joined():
        memberships = {volume.store_id: volume.membership for volume in house.catalogue.volumes()}
    assert memberships == {"a" * 32: Membership.LOST, "b" * 32: Membership.MEMBER}


async def test_after_an_upload_that_a_disk_could_not_store_others_go_elsewhere_and_it_is_told(
    house: House,
) -> None:
    files = Files(house.vfs, Login(Account(name="ann", admin=True)))
    n1, n2 = (FarNode(house, name, volumes=(name[1] * 32,)) for name in ("n1", "n2"))
    async with n1.joined(), n2.joined():
        storing = files.plan_upload((b"f",))
        await storing.begin(offset=0)
        transfer = Transfer(storing.node)
        storing.start(transfer, as_text=False, announced=-1)
        transfer.finish(link.Done(transfer.ticket, 100, "Failed", "Input/output error", size=100))
        with pytest.raises(errors.Failed):
            await storing.end(await transfer.outcome(), alive=True)
        for number in range(4):
            assert files.plan_upload((b"g%d" % number,)).node is not storing.node
        assert files.plan_upload((b"f",)).node is not storing.node
        (matter,) = house.catalogue.matters()
    assert f"{storing.node.name} couldn't store an upload" in matter.sentence
    assert "Input/output error" in matter.sentence


@pytest.mark.parametrize(
    ("why", "kept"),
    [
        ("Failed", 600),
        ("Failed", 0),
        ("OverQuota", 600),
        ("NoSpace", 600),
        ("NoSpace", 0),
        ("TransferCut", 600),
    ],
)
async def test_what_a_disk_refused_of_a_replacement_is_not_gone_on_with_from_the_old_content(
    house: House, why: str, kept: int
) -> None:
    files = Files(house.vfs, Login(Account(name="ann", admin=True)))
    node = FarNode(house, "n1", volumes=("a" * 32,))
    async with node.joined():
        await uploaded(files, (b"f",), 1000, cut=False)
        storing = files.plan_upload((b"f",))
        await storing.begin(offset=0)
        transfer = Transfer(storing.node)
        storing.start(transfer, as_text=False, announced=-1)
        transfer.finish(link.Done(transfer.ticket, 600, why, "no", size=kept))
        with pytest.raises(errors.Refused):
            await storing.end(await transfer.outcome(), alive=True)
        with pytest.raises(errors.Denied, match="send it whole"):
            await files.plan_upload((b"f",)).begin(offset=600)


async def test_a_replacement_goes_elsewhere_than_to_a_disk_that_refused_one(house: House) -> None:
    files = Files(house.vfs, Login(Account(name="ann", admin=True)))
    n1, n2 = (FarNode(house, name, volumes=(name[1] * 32,)) for name in ("n1", "n2"))
    async with n1.joined(), n2.joined():
        await uploaded(files, (b"f",), 1000, cut=False)
        (copy,) = house.catalogue.replicas(house.catalogue.find((b"f",)).id)
        node, live = house.vfs.roster.place(copy.volume)
        assert files.plan_upload((b"f",)).node is node
        conduct, now = house.vfs.roster.conduct, time.monotonic()
        conduct.trouble(node.name, live.number, "a question was late", now)
        assert files.plan_upload((b"f",)).node is node, "for who goes on with it"
        conduct.refused_upload(live.number, now)
        assert files.plan_upload((b"f",)).node is not node


async def uploaded(files: Files, path: TreePath, size: int, *, offset: int = 0, cut: bool = True) -> int:
    """Have a node say that an upload was cut, or ended, at a size; give the upload's id."""
    storing = files.plan_upload(path)
    await storing.begin(offset=offset)
    transfer = Transfer(storing.node)
    storing.start(transfer, as_text=False, announced=-1)
    refusal = errors.TransferCut.__name__ if cut else ""
    done = link.Done(transfer.ticket, size - offset, refusal, "", size=size, mtime_ns=1, crc32=1, digest=b"d")
    transfer.finish(done)
    with contextlib.suppress(errors.TransferCut):
        await storing.end(done, alive=True)
    return storing.number


@pytest.mark.parametrize("known", ["committed", "cut", "not at all"])
async def test_an_outcome_for_another_master_has_the_part_settled_by_what_is_known_of_it(
    house: House, known: str
) -> None:
    store_id = "a" * 32
    node = FarNode(house, "n1", volumes=(store_id,))
    async with node.joined():
        files = Files(house.vfs, Login(Account(name="ann", admin=True)))
        await eventually(lambda: house.roster.node("n1").merged)
        upload = 77
        if known != "not at all":
            upload = await uploaded(files, (b"f",), 5, cut=known == "cut")
        node.told.clear()
        done = link.Done(7, 5, "", "", size=5, mtime_ns=1, crc32=1, digest=b"d", store_id=store_id)
        assert node.peer
        await node.peer.ask(msgspec.structs.replace(done, upload=upload))
        settled = {
            (type(order), order.uploads[0] if isinstance(order, link.Forget) else order.parts[0].upload)
            for order in node.told
            if isinstance(order, link.Forget | link.Commit)
        }
        wanted = {"committed": {(link.Commit, upload)}, "not at all": {(link.Forget, upload)}}
        assert settled == wanted.get(known, set())  # whoever sent it may go on with what was cut


async def test_a_stranger_is_not_listened_to_for_long(house: House) -> None:
    peer = await house.dial(tls.enrol_client())
    life = asyncio.create_task(peer.run(_nothing))
    with pytest.raises(errors.Denied):
        await peer.ask(link.Scan("", False))
    async with asyncio.timeout(LOST_SECONDS * 3):
        await peer.closed()  # though it says that it is alive
    await life


async def test_a_stranger_cannot_have_us_keep_much(house: House) -> None:
    peer = await house.dial(tls.enrol_client())
    life = asyncio.create_task(peer.run(_nothing))
    with pytest.raises(errors.Unavailable):
        await peer.ask(link.Enrol("", "", "n1", b"x" * (1 << 20)))
    assert peer.lost
    await life


async def _nothing(_: link.Body) -> None:
    """Hear nothing."""


@pytest.mark.parametrize("end", ["accident", "client gone"])
async def test_an_upload_that_is_not_acknowledged_is_cut(house: House, end: str) -> None:
    node = FarNode(house, "n1", volumes=("a" * 32,))
    async with node.joined():
        files = Files(house.vfs, Login(Account(name="ann", admin=True)))
        storing = files.plan_upload((b"f",))
        await storing.begin(offset=0)
        transfer = Transfer(storing.node)
        storing.start(transfer, as_text=False, announced=-1)
        done = link.Done(transfer.ticket, 5, "", "", size=5, mtime_ns=1, crc32=1, digest=b"d")
        transfer.finish(done)
        if end == "accident":
            broken = msgspec.structs.replace(done, mtime_ns=1 << 70)  # the database can't take it
            with pytest.raises(OverflowError):
                await storing.end(broken, alive=True)
        else:
            with pytest.raises(errors.TransferCut):
                await storing.end(done, alive=False)
        entry = house.catalogue.find((b"f",))
        assert (entry.state, entry.size) == (State.PARTIAL, 5)
        assert not await storing.kept()
        await files.plan_upload((b"f",)).begin(offset=5)  # it can go on at once


async def test_what_was_chosen_ahead_serves_once_and_while_nothing_has_changed(house: House) -> None:
    path, login = (b"f",), Login(Account(name="ann", admin=True))
    files = Files(house.vfs, login)
    async with FarNode(house, "n1", volumes=("a" * 32,)).joined():
        ahead = files.plan_upload(path, ahead=True)
        node = ahead.node
        assert files.plan_upload(path, node=node) is ahead
        assert files.plan_upload(path, node=node) is not ahead
        ahead = files.plan_upload(path, ahead=True)
        assert files.plan_upload((b"g",), node=node).path == (b"g",)
        files.plan_upload(path, ahead=True)
        await house.catalogue.make_directory(path, owner="bob")
        with pytest.raises(errors.IsADirectory):
            files.plan_upload(path, node=node)
        path = (b"g",)
        files.plan_upload(path, ahead=True)
        login.account = Account(name="ann", grants={(): NOTHING})
        with pytest.raises(errors.Refused):
            files.plan_upload(path, node=node)
        login.account = Account(name="ann", admin=True)
        files.plan_upload(path, ahead=True)
    async with asyncio.timeout(LOST_SECONDS * 3):
        while node.online:
            await asyncio.sleep(0.01)
    with pytest.raises(errors.Unavailable):
        files.plan_upload(path, node=node)
