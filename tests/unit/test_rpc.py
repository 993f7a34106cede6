"""RPC: calls are read or refused as RFC 5531 says, replies are what clients expect, to the byte."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import packing
from argosy.wire.nfs import rpc, xdr

U32 = st.integers(0, 2**32 - 1)
CREDENTIALS = st.none() | st.builds(
    rpc.Credential, U32, U32, st.lists(U32, max_size=16).map(tuple), st.binary(max_size=255)
)

CALL = bytes.fromhex(
    "80000050"  # the last fragment, 80 bytes
    "00001234 00000000 00000002 000186a3 00000003 00000001"  # xid, CALL, RPC 2, NFS, version 3, GETATTR
    "00000001 0000001c 00000000 00000004 61626364 000003e8 000003e9 00000001 0000001b"  # AUTH_SYS
    "00000000 00000000"  # no verifier
    "00000008 0102030405060708"
)


def test_a_call_of_getattr_is_read() -> None:
    call = rpc.unpack_call(CALL[4:])
    assert (call.xid, call.program, call.version, call.procedure) == (0x1234, 100_003, 3, 1)
    assert call.credential == rpc.Credential(1000, 1001, (27,), b"abcd")
    assert call.arguments().opaque(64) == bytes(range(1, 9))


def test_a_call_is_packed_to_the_byte() -> None:
    arguments = packing.opaque(bytes(range(1, 9)))
    credential = rpc.Credential(1000, 1001, (27,), b"abcd")
    assert rpc.pack_call(0x1234, 100_003, 3, 1, arguments, credential=credential) == CALL


@given(U32, U32, U32, U32, st.binary(max_size=50), CREDENTIALS)
def test_a_call_comes_out_as_it_went_in(
    xid: int, program: int, version: int, procedure: int, arguments: bytes, credential: rpc.Credential | None
) -> None:
    record = rpc.pack_call(xid, program, version, procedure, arguments, credential=credential)[4:]
    call = rpc.unpack_call(bytearray(record))
    assert (call.xid, call.program, call.version, call.procedure) == (xid, program, version, procedure)
    assert call.credential == credential
    assert call.record[call.at :] == arguments


@given(st.binary(max_size=200))
def test_rubbish_is_read_refused_or_hung_up_on(data: bytes) -> None:
    with contextlib.suppress(rpc.NotACall, rpc.Denied):
        assert rpc.unpack_call(data).at <= len(data)


@given(st.integers(4, len(CALL) - 1), st.integers(0, 255), st.integers(0, len(CALL)))
def test_a_damaged_call_is_read_refused_or_hung_up_on(place: int, value: int, end: int) -> None:
    damaged = bytearray(CALL)
    damaged[place] = value
    with contextlib.suppress(rpc.NotACall, rpc.Denied, xdr.GarbageArguments):
        call = rpc.unpack_call(bytes(damaged[4:end]))
        call.arguments().opaque(64)


def changed(place: int, value: int) -> bytes:
    """The call with another word at a place."""
    return CALL[4 : 4 + place] + packing.u32(value) + CALL[8 + place :]


def refusal(record: bytes) -> str:
    with pytest.raises(rpc.Denied) as denied:
        rpc.unpack_call(record)
    return denied.value.reply.hex(" ", 4)


def test_another_version_of_rpc_is_told_ours() -> None:
    assert refusal(changed(8, 3)) == "80000018 00001234 00000001 00000001 00000000 00000002 00000002"


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (24, 6, 2),  # RPCSEC_GSS: REJECTEDCRED
        (24, 7, 2),  # AUTH_TLS where there is none
        (28, 401, 1),  # a credential over 400 bytes: BADCRED
        (28, 396, 1),  # longer than the record
        (36, 256, 1),  # a machine name over 255 bytes
        (52, 17, 1),  # 17 groups
        (52, 2, 1),  # more groups than there are
        (64, 401, 3),  # a verifier over 400 bytes: BADVERF
        (64, 300, 3),  # longer than the record
    ],
)
def test_a_credential_that_cant_be_read_is_told_so(place: int, value: int, why: int) -> None:
    assert refusal(changed(place, value)) == f"80000014 00001234 00000001 00000001 00000001 0000000{why}"


def test_a_reply_is_no_call() -> None:
    with pytest.raises(rpc.NotACall):
        rpc.unpack_call(changed(4, 1))
    with pytest.raises(rpc.NotACall):
        rpc.unpack_call(CALL[4:35])


@pytest.mark.parametrize(
    ("reply", "golden"),
    [
        (
            rpc.success(7, b"\0\0\0\0"),
            "8000001c 00000007 00000001 00000000 00000000 00000000 00000000 00000000",
        ),
        (rpc.program_unavailable(7), "80000018 00000007 00000001 00000000 00000000 00000000 00000001"),
        (
            rpc.program_mismatch(7, 3, 3),
            "80000020 00000007 00000001 00000000 00000000 00000000 00000002 00000003 00000003",
        ),
        (rpc.procedure_unavailable(7), "80000018 00000007 00000001 00000000 00000000 00000000 00000003"),
        (rpc.garbage_arguments(7), "80000018 00000007 00000001 00000000 00000000 00000000 00000004"),
        (rpc.system_error(7), "80000018 00000007 00000001 00000000 00000000 00000000 00000005"),
        (rpc.denied(7, rpc.AuthStatus.TOOWEAK), "80000014 00000007 00000001 00000001 00000001 00000005"),
    ],
)
def test_replies_are_as_the_rfc_draws_them(reply: bytes, golden: str) -> None:
    assert reply.hex(" ", 4) == golden


def test_a_reply_in_pieces_is_the_same_and_copies_no_data() -> None:
    data = memoryview(bytes(rpc.COPIED))
    pieces = rpc.success_pieces(9, [b"head", data, b"\0"])
    assert isinstance(pieces, list)
    assert b"".join(pieces) == rpc.success(9, b"head" + bytes(rpc.COPIED + 1))
    assert pieces[1] is data


def test_a_small_reply_is_one_piece() -> None:
    assert rpc.success_pieces(9, [b"head", memoryview(bytes(100)), b"\0"]) == rpc.success(
        9, b"head" + bytes(101)
    )


def test_a_client_reads_what_was_answered_or_hears_why_not() -> None:
    xid, source = rpc.unpack_reply(rpc.success(5, packing.u32(42))[4:])
    assert (xid, source.u32()) == (5, 42)
    for reply, why in (
        (rpc.garbage_arguments(1), "GARBAGE_ARGS"),
        (rpc.program_mismatch(1, 3, 3), "PROG_MISMATCH"),
        (rpc.denied(1, rpc.AuthStatus.BADCRED), "auth_stat 1"),
        (rpc.version_denied(1), "RPC_MISMATCH"),
        (CALL, "not a reply"),
        (b"\0\0\0\0", "not a whole reply"),
        (rpc.success(1, b"")[:-4] + packing.u32(9), "accept_stat 9"),
    ):
        with pytest.raises(rpc.Refused, match=f"^{why}$"):
            rpc.unpack_reply(reply[4:])
