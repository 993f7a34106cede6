"""What is said to rpcbind, to the byte."""

import pytest

import packing
from argosy.wire.nfs import portmap, xdr

NFS = portmap.Binding(100_003, 3, "0.0.0.0", 12_049)


def test_version_4_names_network_and_address() -> None:
    assert portmap.pack_rpcb(NFS, "ann").hex(" ", 4) == (
        "000186a3 00000003 00000003 74637000 0000000d 302e302e 302e302e 34372e31 37000000 00000003 616e6e00"
    )
    sixth = portmap.Binding(100_005, 3, "::", 2049)
    assert (sixth.network, sixth.universal) == ("tcp6", "::.8.1")


def test_version_2_names_protocol_and_port() -> None:
    assert portmap.pack_mapping(NFS).hex(" ", 4) == "000186a3 00000003 00000006 00002f11"


def test_answers_are_read() -> None:
    assert portmap.unpack_done(xdr.Reader(packing.u32(1))) is True
    assert portmap.unpack_port(xdr.Reader(packing.u32(12_049))) == 12_049
    assert portmap.unpack_address(xdr.Reader(packing.opaque(b"0.0.0.0.47.17"))) == NFS.universal
    for read in (portmap.unpack_done, portmap.unpack_port, portmap.unpack_address):
        with pytest.raises(xdr.GarbageArguments):
            read(xdr.Reader(b"\0\0\0"))
