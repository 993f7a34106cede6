"""File handles: a mount and a file of it, signed, so that nobody can make up one of another mount.

They are the same after a restart and after a rename, for they hold numbers only, and the key is kept.
"""

from __future__ import annotations

import hmac
import struct
from hashlib import blake2s

from argosy.sites.model import FileId

_FORM = 1
_MAC_SIZE = 16
_SAID = struct.Struct(">B3xIQ")
"""Form of the handle, mount, file."""

HANDLE_SIZE = _SAID.size + _MAC_SIZE
KEPT = 65_536
"""Handles remembered, so that signing and checking is done once: some 20 MB."""


class BadHandle(Exception):  # noqa: N818 - as the refusals
    """It isn't a handle of ours: BADHANDLE, RFC 1813 section 2.6."""


class Handles:
    """Make handles, and read them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._read: dict[bytes, tuple[int, FileId]] = {}
        self._made: dict[tuple[int, FileId], bytes] = {}

    def make(self, mount: int, file: FileId) -> bytes:
        """Give the handle of a file."""
        which = mount, file
        handle = self._made.get(which)
        if handle is None:
            said = _SAID.pack(_FORM, mount, file)
            handle = said + self._sign(said)
            self._remember(which, handle)
        return handle

    def read(self, handle: bytes) -> tuple[int, FileId]:
        """Give the mount and the file of a handle.

        Raises:
            BadHandle: We never made it.
        """
        which = self._read.get(handle)
        if which is None:
            said = handle[: _SAID.size]
            if len(handle) != HANDLE_SIZE or not hmac.compare_digest(handle[_SAID.size :], self._sign(said)):
                raise BadHandle
            form, mount, file = _SAID.unpack(said)
            if form != _FORM:
                raise BadHandle
            which = mount, file
            self._remember(which, handle)
        return which

    def _sign(self, said: bytes) -> bytes:
        return blake2s(said, key=self._key, digest_size=_MAC_SIZE).digest()

    def _remember(self, which: tuple[int, FileId], handle: bytes) -> None:
        if len(self._made) >= KEPT:
            self._made.clear()
            self._read.clear()
        self._made[which] = handle
        self._read[handle] = which
