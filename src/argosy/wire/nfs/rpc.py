"""RPC version 2, RFC 5531: calls, replies, AUTH_SYS. Replies are given whole, with their marks."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from argosy.wire.nfs import xdr
from argosy.wire.nfs.records import LAST_FRAGMENT

RPC_VERSION = 2
CALL, REPLY = 0, 1
ACCEPTED, DENIED = 0, 1

AUTH_LIMIT = 400
"""Bytes in the body of a credential or verifier. RFC 5531 section 8.2."""
MACHINE_LIMIT = 255
GIDS_LIMIT = 16
"""AUTH_SYS carries no more groups. RFC 5531 appendix A."""
CREDENTIALS_KEPT = 1024
"""A client says the same credential with each call: it is read once."""

COPIED = 8192
"""A result of so few bytes is copied into one piece: that costs less than writing many."""

Piece = bytes | memoryview
Reply = bytes | list[Piece]
"""A whole reply with its mark: in one piece, or in some, where the middle ones are a file's bytes."""


class Flavor(IntEnum):
    """Kinds of credentials. RFC 5531 section 8.2."""

    NONE = 0
    SYS = 1
    SHORT = 2
    TLS = 7
    """RFC 9289."""


class AuthStatus(IntEnum):
    """Why a credential is refused: `auth_stat`, RFC 5531 section 9."""

    BADCRED = 1
    REJECTEDCRED = 2
    BADVERF = 3
    REJECTEDVERF = 4
    TOOWEAK = 5


class AcceptStatus(IntEnum):
    """What became of an accepted call: `accept_stat`, RFC 5531 section 9."""

    SUCCESS = 0
    PROG_UNAVAIL = 1
    PROG_MISMATCH = 2
    PROC_UNAVAIL = 3
    GARBAGE_ARGS = 4
    SYSTEM_ERR = 5


class Credential(NamedTuple):
    """Who the client says is asking: AUTH_SYS, RFC 5531 appendix A. Nobody vouches for it."""

    uid: int
    gid: int
    gids: tuple[int, ...] = ()
    machine: bytes = b""


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call, its arguments unread."""

    xid: int
    program: int
    version: int
    procedure: int
    credential: Credential | None
    """None: AUTH_NONE."""
    record: xdr.Record
    at: int
    """Where in the record the arguments begin."""

    def arguments(self) -> xdr.Reader:
        """Begin to read the arguments."""
        return xdr.Reader(self.record, self.at)


class NotACall(Exception):  # noqa: N818 - as the refusals
    """This can't be answered: it is no call, or too short to be one. Hang up."""


class Denied(Exception):  # noqa: N818 - as the refusals
    """The call is refused before anybody looks at what it wants."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self.reply = reply
        """To be sent instead of an answer."""


_CALL = struct.Struct(">8I")
"""xid, CALL, version of RPC, program, its version, procedure, flavor and length of the credential."""
_AUTH = struct.Struct(">2I")
"""Flavor and length of a verifier."""
_AUTH_PLACE = _CALL.size - _AUTH.size
"""Where in a call the credential begins."""
_SYS = struct.Struct(">3I")
_MARK = struct.Struct(">I")
_ACCEPTED = struct.Struct(">7I")
"""Mark, xid, REPLY, accepted, no verifier (flavor and length), and what became of it."""
_ACCEPTED_SIZE = _ACCEPTED.size - _MARK.size
_VERSIONS = struct.Struct(">2I")
_DENIED = struct.Struct(">6I")
_MISMATCH = struct.Struct(">7I")


def unpack_call(record: xdr.Record) -> Call:
    """Read a call up to its arguments. RFC 5531 section 9.

    Raises:
        NotACall: There is nobody to answer to. Hang up.
        Denied: The reply to send is in it: another version of RPC, or a credential that can't be read.
    """
    try:
        xid, kind, rpc, program, version, procedure, _, length = _CALL.unpack_from(record)
    except struct.error:
        raise NotACall(f"{len(record)} bytes") from None
    if kind != CALL:
        raise NotACall(f"message type {kind}")
    if rpc != RPC_VERSION:
        raise Denied(version_denied(xid))
    if length > AUTH_LIMIT:
        raise Denied(denied(xid, AuthStatus.BADCRED))
    at = _CALL.size + length + (-length & 3) + _AUTH.size
    try:
        credential, beyond = _unpack_auth(bytes(record[_AUTH_PLACE:at]))
    except _BadAuth as bad:
        raise Denied(denied(xid, bad.why)) from None
    if beyond:
        at += beyond
        if at > len(record):
            raise Denied(denied(xid, AuthStatus.BADVERF))
    return Call(xid, program, version, procedure, credential, record, at)


class _BadAuth(Exception):  # noqa: N818 - as the refusals
    def __init__(self, why: AuthStatus) -> None:
        super().__init__()
        self.why = why


@lru_cache(CREDENTIALS_KEPT)
def _unpack_auth(header: bytes) -> tuple[Credential | None, int]:
    """Read what stands in a call between procedure and arguments.

    Returns:
        The credential, and how long the verifier's body is, of which nothing is needed.
    """
    source = xdr.Reader(header)
    try:
        flavor = source.u32()
        body = source.opaque(AUTH_LIMIT)
        credential = _unpack_sys(body) if flavor == Flavor.SYS else None
        _, beyond = source.run(_AUTH)
    except xdr.GarbageArguments:
        raise _BadAuth(AuthStatus.BADCRED) from None
    if flavor not in (Flavor.SYS, Flavor.NONE):
        raise _BadAuth(AuthStatus.REJECTEDCRED)
    if beyond > AUTH_LIMIT:
        raise _BadAuth(AuthStatus.BADVERF)
    return credential, beyond + (-beyond & 3)


def _unpack_sys(body: bytes) -> Credential:
    """Read the body of an AUTH_SYS credential; its stamp means nothing to us. RFC 5531 appendix A."""
    source = xdr.Reader(body)
    source.u32()
    machine = source.opaque(MACHINE_LIMIT)
    uid, gid, count = source.run(_SYS)
    if count > GIDS_LIMIT:
        raise xdr.GarbageArguments(f"{count} groups, at most {GIDS_LIMIT}")
    gids = tuple(source.u32() for _ in range(count))
    source.end()
    return Credential(uid, gid, gids, machine)


# --- replies


def success(xid: int, body: bytes) -> bytes:
    """Answer a call with its result."""
    mark = LAST_FRAGMENT | (_ACCEPTED_SIZE + len(body))
    return _ACCEPTED.pack(mark, xid, REPLY, ACCEPTED, 0, 0, 0) + body


def success_pieces(xid: int, pieces: Sequence[Piece]) -> Reply:
    """Answer a call with a result in pieces; none of them is copied but the first, unless all are small."""
    size = sum(map(len, pieces))
    if size <= COPIED:
        return success(xid, b"".join(pieces))
    first, *others = pieces
    mark = LAST_FRAGMENT | (_ACCEPTED_SIZE + size)
    return [_ACCEPTED.pack(mark, xid, REPLY, ACCEPTED, 0, 0, 0) + first, *others]


def accepted(xid: int, status: AcceptStatus) -> bytes:
    """Answer a call that was accepted, and came to nothing."""
    return _ACCEPTED.pack(LAST_FRAGMENT | _ACCEPTED_SIZE, xid, REPLY, ACCEPTED, 0, 0, status)


def program_unavailable(xid: int) -> bytes:
    """Say that there is no such program here."""
    return accepted(xid, AcceptStatus.PROG_UNAVAIL)


def program_mismatch(xid: int, low: int, high: int) -> bytes:
    """Say which versions of the program there are."""
    mark = LAST_FRAGMENT | (_ACCEPTED_SIZE + _VERSIONS.size)
    head = _ACCEPTED.pack(mark, xid, REPLY, ACCEPTED, 0, 0, AcceptStatus.PROG_MISMATCH)
    return head + _VERSIONS.pack(low, high)


def procedure_unavailable(xid: int) -> bytes:
    """Say that the program has no such procedure."""
    return accepted(xid, AcceptStatus.PROC_UNAVAIL)


def garbage_arguments(xid: int) -> bytes:
    """Say that the arguments can't be read."""
    return accepted(xid, AcceptStatus.GARBAGE_ARGS)


def system_error(xid: int) -> bytes:
    """Say that we failed."""
    return accepted(xid, AcceptStatus.SYSTEM_ERR)


def denied(xid: int, why: AuthStatus) -> bytes:
    """Refuse a credential. RFC 5531 section 9, AUTH_ERROR."""
    mark = LAST_FRAGMENT | (_DENIED.size - _MARK.size)
    return _DENIED.pack(mark, xid, REPLY, DENIED, 1, why)


def version_denied(xid: int) -> bytes:
    """Say which version of RPC we speak. RFC 5531 section 9, RPC_MISMATCH."""
    mark = LAST_FRAGMENT | (_MISMATCH.size - _MARK.size)
    return _MISMATCH.pack(mark, xid, REPLY, DENIED, 0, RPC_VERSION, RPC_VERSION)


# --- the other side


class Refused(Exception):  # noqa: N818 - as the refusals
    """The server doesn't do what it was called for, or its reply can't be read."""


def pack_call(
    xid: int,
    program: int,
    version: int,
    procedure: int,
    arguments: bytes = b"",
    *,
    credential: Credential | None = None,
) -> bytes:
    """Give a call with its mark."""
    body = b""
    if credential is not None:
        uid, gid, gids, machine = credential
        groups = struct.pack(f">{len(gids)}I", *gids)
        body = bytes(4) + xdr.opaque(machine) + _SYS.pack(uid, gid, len(gids)) + groups
    flavor = Flavor.NONE if credential is None else Flavor.SYS
    head = _CALL.pack(xid, CALL, RPC_VERSION, program, version, procedure, flavor, len(body))
    message = b"".join((head, body, bytes(_AUTH.size), arguments))
    return _MARK.pack(LAST_FRAGMENT | len(message)) + message


def unpack_reply(record: xdr.Record) -> tuple[int, xdr.Reader]:
    """Read a reply, without its mark, up to the result; give its xid and the reader.

    Raises:
        Refused: It says no, or it isn't a reply; the message tells what it says.
    """
    source = xdr.Reader(record)
    try:
        xid, kind, answer = source.run(_SYS)
        if (kind, answer) == (REPLY, DENIED):
            why, detail = source.run(_AUTH)
            raise Refused(f"auth_stat {detail}" if why else "RPC_MISMATCH")
        if (kind, answer) != (REPLY, ACCEPTED):
            raise Refused("not a reply")
        source.u32()
        source.opaque(AUTH_LIMIT)
        status = source.u32()
    except xdr.GarbageArguments as error:
        raise Refused("not a whole reply") from error
    if status != AcceptStatus.SUCCESS:
        raise Refused(AcceptStatus(status).name if status in set(AcceptStatus) else f"accept_stat {status}")
    return xid, source
