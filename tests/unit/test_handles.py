"""File handles: the same after a restart, and nobody else's to make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.doors.nfs import handles
from argosy.doors.nfs.handles import HANDLE_SIZE, BadHandle, Handles
from argosy.wire.nfs.nfs3 import HANDLE_LIMIT

KEY = bytes(range(32))
MOUNT = st.integers(0, 2**32 - 1)
FILE = st.integers(0, 2**63 - 1)


@given(MOUNT, FILE)
def test_a_handle_leads_back_after_a_restart(mount: int, file: int) -> None:
    handle = Handles(KEY).make(mount, file)
    assert len(handle) == HANDLE_SIZE <= HANDLE_LIMIT
    assert Handles(KEY).read(handle) == (mount, file)


@given(MOUNT, FILE, st.integers(0, HANDLE_SIZE - 1), st.integers(1, 255))
def test_a_handle_with_one_byte_changed_is_refused(mount: int, file: int, at: int, change: int) -> None:
    ours = Handles(KEY)
    handle = bytearray(ours.make(mount, file))
    handle[at] ^= change
    with pytest.raises(BadHandle):
        ours.read(bytes(handle))


@given(st.binary(max_size=HANDLE_LIMIT))
def test_a_made_up_handle_is_refused(handle: bytes) -> None:
    with pytest.raises(BadHandle):
        Handles(KEY).read(handle)


def test_another_gateways_handle_is_refused() -> None:
    with pytest.raises(BadHandle):
        Handles(KEY).read(Handles(bytes(32)).make(1, 3))


def test_ever_new_handles_take_no_ever_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "KEPT", 10)
    ours = Handles(KEY)
    made = [ours.make(1, file) for file in range(1000)]
    assert len(ours._made) <= 10
    assert len(ours._read) <= 10
    assert [ours.read(handle) for handle in made] == [(1, file) for file in range(1000)]
