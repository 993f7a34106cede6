"""MOUNT: export names verbatim in, handles and lists out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import packing
from argosy.wire.nfs import mount3, xdr


@given(st.binary(max_size=1024))
def test_an_exports_name_comes_verbatim(path: bytes) -> None:
    assert mount3.unpack_path(xdr.Reader(packing.opaque(path))) == path


@pytest.mark.parametrize("packed", [packing.opaque(bytes(1025)), packing.opaque(b"x") + b"\0", b"\0\0\0\1"])
def test_an_exports_name_that_is_too_long_or_not_whole_is_refused(packed: bytes) -> None:
    with pytest.raises(xdr.GarbageArguments):
        mount3.unpack_path(xdr.Reader(packed))


def test_a_mount_is_answered_with_a_handle_and_the_credentials_taken() -> None:
    assert mount3.mounted(b"handle!", [1, 0]).hex(" ", 4) == (
        "00000000 00000007 68616e64 6c652100 00000002 00000001 00000000"
    )
    assert mount3.refused(mount3.Status.ACCES).hex() == "0000000d"


def test_lists_end() -> None:
    assert mount3.mounts([]) == mount3.exports([]) == bytes(4)
    assert mount3.mounts([(b"host", b"/a")]).hex(" ", 4) == (
        "00000001 00000004 686f7374 00000002 2f610000 00000000"
    )
    assert mount3.exports([(b"/a", [b"g"]), (b"/b", [])]).hex(" ", 4) == (
        "00000001 00000002 2f610000 00000001 00000001 67000000 00000000 "
        "00000001 00000002 2f620000 00000000 00000000"
    )
