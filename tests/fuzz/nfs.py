"""Random calls of NFS and MOUNT: most are right, many nearly; and what reads them."""

from __future__ import annotations

import contextlib
import itertools
import random
import selectors
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import packing
from argosy.wire.nfs import arguments, mount3, nfs3, rpc, xdr
from argosy.wire.nfs.nfs3 import Procedure
from argosy.wire.nfs.records import RecordReader, RecordTooLong
from fuzz import making
from packing import opaque, u32, u64

LIMIT = 100_000
"""Bytes in a record, here."""

_NAMES = (
    *(b"a", b"b", b"c", b"dir", b"link", b"new", b".", b"..", b"", b"a/b", b"/", b"\0", b"x\r\ny", b"\xff"),
    *(b"n" * 255, b"n" * 256, b"n" * 4096, b"n" * 4097, b" ", b"-la", b".argosy-1.part", b"caf\xc3\xa9"),
)
_NUMBERS = (0, 1, 2, 3, 4, 7, 512, 4096, 65_536, 1 << 20, (1 << 20) + 1, 1 << 31, (1 << 32) - 1)
_LARGE = (*(number for number in _NUMBERS if number < 1 << 21), (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
"""None is some gigabytes: a file with such a hole would fit, and be brought to the site, hole and all."""

_FORMS: Mapping[Procedure, str] = {
    Procedure.NULL: "",
    Procedure.GETATTR: "h",
    Procedure.SETATTR: "hsg",
    Procedure.LOOKUP: "hn",
    Procedure.ACCESS: "hi",
    Procedure.READLINK: "h",
    Procedure.READ: "hLi",
    Procedure.WRITE: "hLw",
    Procedure.CREATE: "hnc",
    Procedure.MKDIR: "hns",
    Procedure.SYMLINK: "hnsn",
    Procedure.MKNOD: "hnk",
    Procedure.REMOVE: "hn",
    Procedure.RMDIR: "hn",
    Procedure.RENAME: "hnhn",
    Procedure.LINK: "hhn",
    Procedure.READDIR: "hLvi",
    Procedure.READDIRPLUS: "hLvii",
    Procedure.FSSTAT: "h",
    Procedure.FSINFO: "h",
    Procedure.PATHCONF: "h",
    Procedure.COMMIT: "hLi",
}
"""What each takes: h handle, n name, i number, L large number, v verifier, s attributes, g guard; and the
rest of CREATE (c), MKNOD (k) and WRITE (w)."""


def field(chance: random.Random, kind: str, handles: Sequence[bytes]) -> bytes:
    """Make one of those."""
    match kind:
        case "h":
            made = chance.choice(
                [*handles, *handles, *handles, chance.randbytes(chance.choice((0, 8, 32, 64, 65)))]
            )
            return opaque(making.damaged(chance, made) if chance.random() < 0.05 else made)
        case "n":
            return opaque(chance.choice(_NAMES))
        case "i":
            return u32(chance.choice(_NUMBERS))
        case "L":
            return u64(chance.choice(_LARGE))
        case "v":
            return chance.choice((bytes(8), chance.randbytes(8)))
        case "s":
            return _attributes(chance)
        case "g":
            return packing.optional(chance.choice((None, None, chance.randrange(1 << 60))), packing.time)
        case "c":
            mode = chance.choice((0, 0, 1, 1, 2, 3))
            return u32(mode) + (chance.randbytes(8) if mode == 2 else _attributes(chance))
        case "k":
            kind_of_node = chance.randrange(9)
            device = u32(1) + u32(2) if kind_of_node in (3, 4) else b""
            return u32(kind_of_node) + (b"" if kind_of_node in (1, 2, 5) else _attributes(chance)) + device
        case _:
            data = chance.randbytes(chance.choice((0, 1, 5, 7, 100, 300, 9000)))
            count = chance.choice((len(data), len(data), len(data), chance.choice(_NUMBERS)))
            return u32(count) + u32(chance.choice((0, 0, 1, 2, 2, 3))) + opaque(data)


def _attributes(chance: random.Random) -> bytes:
    maybe = chance.choice
    time = (None, None, "now", 0, 10**18, (1 << 32) * 10**9 - 1)
    size = maybe((None, None, None, 0, 5, 70_000, 1 << 63, (1 << 64) - 1))
    return packing.sattr3(
        mode=maybe((None, 0o644, 0o7777, (1 << 32) - 1)),
        uid=maybe((None, None, 0, 1000, (1 << 32) - 1)),
        gid=maybe((None, None, 0, 1000)),
        size=size,
        atime_ns=maybe(time),
        mtime_ns=maybe(time),
    )


def call(chance: random.Random, xid: int, handles: Sequence[bytes] = (b"handle",)) -> bytes:
    """Make a call, without its mark.

    Args:
        chance: For all of it.
        xid: The call's number.
        handles: Of files that are there.
    """
    credential = chance.choice(
        (None, rpc.Credential(0, 0), rpc.Credential(1000, 1000, (4, 27), b"host"), rpc.Credential(1, 1))
    )
    if chance.random() < 0.1:
        program, version = mount3.PROGRAM, chance.choice((3, 3, 3, 1))
        procedure = chance.randrange(7)
        packed = (
            opaque(chance.choice((b"/", b"", b"/none", b"x" * 1024, b"x" * 1025)))
            if procedure in (1, 3)
            else b""
        )
    else:
        program = chance.choice((*[nfs3.PROGRAM] * 20, 100_227, 100_021, 0))
        version = chance.choice((*[nfs3.VERSION] * 20, 2, 4, 0))
        procedure = chance.choice((*Procedure, *Procedure, *Procedure, 22, 1 << 31))
        kinds = _FORMS.get(procedure, "hn")
        packed = b"".join(field(chance, kind, handles) for kind in kinds)
    made = rpc.pack_call(xid, program, version, procedure, packed, credential=credential)[4:]
    return made[:4] + making.damaged(chance, made[4:]) if chance.random() < 0.15 else made


def read(record: xdr.Record) -> None:
    """Read a call as far as can be; it is read or refused, and nothing else happens."""
    with contextlib.suppress(rpc.NotACall, rpc.Denied, xdr.GarbageArguments):
        heard = rpc.unpack_call(record)
        if heard.program == mount3.PROGRAM:
            mount3.unpack_path(heard.arguments())
        elif heard.procedure in arguments.ARGUMENTS:
            arguments.ARGUMENTS[Procedure(heard.procedure)].unpack(heard.arguments())


def calls(chance: random.Random) -> int:
    """However calls are cut they come out whole, and each is read or refused; so are damaged streams."""
    messages = [call(chance, xid) for xid in range(chance.randrange(1, 6))]
    stream = b"".join(
        packing.record(message, cuts=sorted(chance.sample(range(len(message)), chance.choice((0, 0, 0, 3)))))
        for message in messages
    )
    reader = RecordReader(LIMIT)
    pieces = list(making.cut(chance, stream))
    heard = [record for piece in pieces for record in reader.feed(piece)]
    assert heard == messages
    for record in heard:
        read(record)
    reader = RecordReader(LIMIT)
    with contextlib.suppress(RecordTooLong):
        for piece in making.cut(chance, making.damaged(chance, stream)):
            for record in reader.feed(piece):
                assert len(record) <= LIMIT
                read(record)
            assert reader.held <= LIMIT + 8192 + 4
    return len(messages) + len(pieces)


# --- to a door

BATCH = 60
_SECONDS = 120.0
"""For a batch; the site of a real gateway is asked for some of it."""
_PAUSE_SECONDS = 1.0


def _is_call(record: bytes) -> bool:
    try:
        rpc.unpack_call(record)
    except rpc.NotACall:
        return False
    except rpc.Denied:
        return True
    return True


def converse(
    address: tuple[str, int], chance: random.Random, count: int, handles: Sequence[bytes]
) -> Counter[str]:
    """Make many calls, pipelined and cut anywhere; each must have just one reply. Give what was answered.

    Args:
        address: Of a door.
        chance: For the calls.
        count: How many.
        handles: Of files that are there.
    """
    answers: Counter[str] = Counter()
    xid = chance.randrange(1 << 31)
    with socket.create_connection(address, _SECONDS) as made:
        while count > 0:
            calls_made: dict[int, bytes] = {}
            while len(calls_made) < BATCH:
                xid += 1
                if _is_call(message := call(chance, xid, handles)):
                    calls_made[xid] = message
            stream = b"".join(map(packing.record, calls_made.values()))
            for number, reply in _exchange(made, list(making.cut(chance, stream)), set(calls_made)).items():
                answers[_told(calls_made[number], reply)] += 1
            count -= BATCH
    return answers


def _exchange(made: socket.socket, pieces: list[bytes], wanted: set[int]) -> dict[int, bytes]:
    """Send pieces and read at the same time, until each call has its reply."""
    pieces.reverse()
    unsent = b""
    reader, replies = RecordReader(1 << 22), dict[int, bytes]()
    made.setblocking(False)
    until = time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as ready:
        ready.register(made, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while len(replies) < len(wanted):
            assert time.monotonic() < until, f"{len(replies)} replies, not {len(wanted)}"
            unsent = unsent or (pieces.pop() if pieces else b"")
            ready.modify(made, selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0))
            ready.select(1.0)
            with contextlib.suppress(BlockingIOError):
                unsent = unsent[made.send(unsent) :] if unsent else b""
            with contextlib.suppress(BlockingIOError):
                came = made.recv(1 << 18)
                assert came, f"hung up after {len(replies)} replies"
                for record in reader.feed(came):
                    number = int.from_bytes(record[:4], "big")
                    assert number in wanted, "a reply to nothing"
                    assert number not in replies, "a second reply"
                    replies[number] = bytes(record)
    made.setblocking(True)
    made.settimeout(_SECONDS)
    return replies


def _told(record: bytes, reply: bytes) -> str:
    """Say what was answered: a status by its name, or why there is none."""
    try:
        _, source = rpc.unpack_reply(reply)
    except rpc.Refused as refused:
        return str(refused)
    asked = rpc.unpack_call(record)
    if asked.program != nfs3.PROGRAM:
        return "MOUNT"
    if asked.procedure == Procedure.NULL:
        return "NULL"
    status = nfs3.Status(source.u32())
    assert status is not nfs3.Status.SERVERFAULT, (Procedure(asked.procedure), record)
    return status.name


# --- to a gateway


def mount(address: tuple[str, int], export: bytes) -> bytes:
    """Give the root's handle."""
    with socket.create_connection(address, _SECONDS) as made:
        return _ask(made, mount3.PROGRAM, mount3.Procedure.MNT, opaque(export)).opaque()


def prepare(address: tuple[str, int], root: bytes) -> list[bytes]:
    """Make some files, and give all handles."""
    handles = [root]
    with socket.create_connection(address, _SECONDS) as made:
        for name, procedure, more in (
            (b"a", Procedure.CREATE, u32(0) + packing.sattr3()),
            (b"dir", Procedure.MKDIR, packing.sattr3()),
            (b"b", Procedure.CREATE, u32(0) + packing.sattr3()),
        ):
            handle = _ask(made, nfs3.PROGRAM, procedure, opaque(root) + opaque(name) + more).handle()
            assert handle
            handles.append(handle)
        data = opaque(handles[1]) + u64(0) + u32(9000) + u32(2) + opaque(bytes(9000))
        _ask(made, nfs3.PROGRAM, Procedure.WRITE, data)
    return handles


def _ask(made: socket.socket, program: int, procedure: int, packed: bytes) -> packing.Unpack:
    """Have a call succeed; JUKEBOX is repeated as another call, as clients do. RFC 1813 section 2.6."""
    until = time.monotonic() + _SECONDS
    who = rpc.Credential(1000, 1000)
    for xid in itertools.count(1):
        message = rpc.pack_call(xid, program, 3, procedure, packed, credential=who)[4:]
        (reply,) = _exchange(made, [packing.record(message)], {xid}).values()
        result = packing.Unpack(reply[rpc.unpack_reply(reply)[1].at :])
        status = result.u32()
        if status != nfs3.Status.JUKEBOX or time.monotonic() > until:
            break
        time.sleep(_PAUSE_SECONDS)
    assert status == 0, f"{procedure!r} of program {program} was answered by status {status}"
    return result
