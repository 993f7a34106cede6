"""An NFS client: libnfs, called by ctypes. Files by name, call by call; and bare calls, many at once."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import select
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from processes import until

CALL_SECONDS = 120.0

_CREATE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
_DOTS = (b".", b"..")
_FOLDER = 2  # ftype3, RFC 1813 section 2.5


class NfsError(Exception):
    """A call failed; libnfs's own words."""


class _Handle(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("data", ctypes.c_void_p))


class _Named(ctypes.Structure):
    _fields_ = (("directory", _Handle), ("name", ctypes.c_char_p))


class _Piece(ctypes.Structure):
    _fields_ = (("file", _Handle), ("offset", ctypes.c_uint64), ("count", ctypes.c_uint32))


class _Entry(ctypes.Structure):  # the beginning of struct nfsdirent
    _fields_ = (
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("number", ctypes.c_uint64),
        ("type", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("size", ctypes.c_uint64),
    )


class _RootHandle(ctypes.Structure):  # struct nfs_fh
    _fields_ = (("length", ctypes.c_int), ("data", ctypes.c_void_p))


_Answered = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def _library() -> Any:
    name = ctypes.util.find_library("nfs")
    if name is None:
        raise OSError("libnfs is not here")
    library = ctypes.CDLL(name)
    library.nfs_init_context.restype = ctypes.c_void_p
    library.nfs_get_error.restype = ctypes.c_char_p
    library.nfs_get_rpc_context.restype = ctypes.c_void_p
    library.nfs_get_rootfh.restype = ctypes.POINTER(_RootHandle)
    library.nfs_parse_url_dir.restype = ctypes.c_void_p
    library.nfs_readdir.restype = ctypes.POINTER(_Entry)
    return library


class Export:
    """A mounted export."""

    def __init__(self, port: int, path: str, *, mount_port: int = 0) -> None:
        """Mount it.

        Args:
            port: Of NFS, on loopback.
            path: Whatever MNT shall get.
            mount_port: Of MOUNT, where it differs.

        Raises:
            OSError: libnfs isn't installed.
            NfsError: The server refuses.
        """
        self._library = _library()
        self._context = ctypes.c_void_p(self._library.nfs_init_context())
        ports = f"version=3&auto-traverse-mounts=0&nfsport={port}&mountport={mount_port or port}"
        # Only a URL can set these; the path then comes as it is.
        url = ctypes.c_void_p(
            self._library.nfs_parse_url_dir(self._context, f"nfs://127.0.0.1/?{ports}".encode())
        )
        if not url.value:
            self._fail(-1)
        self._library.nfs_destroy_url(url)
        self._fail(self._library.nfs_mount(self._context, b"127.0.0.1", path.encode()))
        self._rpc = ctypes.c_void_p(self._library.nfs_get_rpc_context(self._context))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.nfs_destroy_context(self._context)

    def _fail(self, code: int) -> int:
        if code < 0:
            raise NfsError((self._library.nfs_get_error(self._context) or b"").decode(errors="replace"))
        return code

    # Files by name

    def read(self, path: str, pieces: Iterator[tuple[int, int]]) -> int:
        """Read pieces of a file, (offset, count), in turn; give how many bytes came."""
        file, moved = self._opened(path, os.O_RDONLY), 0
        buffer = ctypes.create_string_buffer(1 << 20)
        for offset, count in pieces:
            moved += self._fail(
                self._library.nfs_pread(
                    self._context, file, ctypes.c_uint64(offset), ctypes.c_uint64(count), buffer
                )
            )
        self._library.nfs_close(self._context, file)
        return moved

    def write(self, path: str, blocks: Iterator[bytes]) -> int:
        """Write a file anew, and return when the server says that it is safe."""
        file, moved = self._opened(path, _CREATE), 0
        for block in blocks:
            moved += self._fail(
                self._library.nfs_write(self._context, file, ctypes.c_uint64(len(block)), block)
            )
        self._fail(self._library.nfs_fsync(self._context, file))
        self._fail(self._library.nfs_close(self._context, file))
        return moved

    def make_folder(self, path: str) -> None:
        """Make a directory."""
        self._fail(self._library.nfs_mkdir(self._context, path.encode()))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._fail(self._library.nfs_unlink(self._context, path.encode()))

    def look(self, path: str) -> dict[str, int]:
        """List a directory as `ls -l` does; give the sizes of all in it, -1 for a directory's."""
        folder = ctypes.c_void_p()
        self._fail(self._library.nfs_opendir(self._context, path.encode(), ctypes.byref(folder)))
        found = {}
        while entry := self._library.nfs_readdir(self._context, folder):
            told = entry.contents
            if told.name not in _DOTS:
                found[told.name.decode()] = -1 if told.type == _FOLDER else told.size
        self._library.nfs_closedir(self._context, folder)
        return found

    def _opened(self, path: str, flags: int) -> ctypes.c_void_p:
        file = ctypes.c_void_p()
        self._fail(self._library.nfs_open(self._context, path.encode(), flags, ctypes.byref(file)))
        return file

    # Bare calls

    def handle(self, name: str) -> _Handle:
        """Look up a name in the root, and give its handle."""
        root = self._library.nfs_get_rootfh(self._context).contents
        found: list[bytes] = []

        def answered(_rpc: int, status: int, data: int, _private: int) -> None:
            # LOOKUP3res: the status, and behind it, aligned, the handle's length and where it lies.
            ok = status == 0 and ctypes.c_uint.from_address(data).value == 0
            if ok:
                handle = _Handle.from_address(data + 8)
                found.append(ctypes.string_at(handle.data, handle.length))
            else:
                found.append(b"")

        asked = _Named(_Handle(root.length, root.data), name.encode())
        callback = _Answered(answered)
        self._library.rpc_nfs3_lookup_async(self._rpc, callback, ctypes.byref(asked), None)
        self._serve(lambda: bool(found))
        if not found[0]:
            raise NfsError(f"no {name}")
        self._kept = ctypes.create_string_buffer(found[0], len(found[0]))
        return _Handle(len(found[0]), ctypes.addressof(self._kept))

    def getattrs(self, handle: _Handle, times: int, window: int) -> int:
        """Ask so often for attributes, so many calls at once; give how often."""
        return self._many("rpc_nfs3_getattr_async", [handle], times, window)

    def lookups(self, names: list[str], times: int, window: int) -> int:
        """Look up names in the root, so many at once; give how often."""
        root = self._library.nfs_get_rootfh(self._context).contents
        asked = [_Named(_Handle(root.length, root.data), name.encode()) for name in names]
        return self._many("rpc_nfs3_lookup_async", asked, times, window)

    def reads(self, handle: _Handle, count: int, size: int, times: int, window: int) -> int:
        """Read blocks of so many bytes, so many at once; give how often."""
        asked = [_Piece(handle, offset, count) for offset in range(0, size, count)]
        return self._many("rpc_nfs3_read_async", asked, times, window)

    def _many(self, function: str, asked: list[Any], times: int, window: int) -> int:
        call = getattr(self._library, function)
        sent, answers, bad = 0, 0, 0

        def answered(_rpc: int, status: int, data: int, _private: int) -> None:
            nonlocal answers, bad
            answers += 1
            bad += bool(status or ctypes.c_uint.from_address(data).value)
            send()

        callback = _Answered(answered)
        pointers = [ctypes.byref(one) for one in asked]

        def send() -> None:
            nonlocal sent
            if sent < times:
                sent += 1
                call(self._rpc, callback, pointers[sent % len(pointers)], None)

        for _ in range(window):
            send()
        self._serve(lambda: answers >= times)
        if bad:
            raise NfsError(f"{bad} of {times} calls of {function} failed")
        return times

    def _serve(self, done: Callable[[], bool]) -> None:
        poll = select.poll()
        for _ in until("answers", CALL_SECONDS, 0):
            if done():
                return
            events = self._library.nfs_which_events(self._context)
            number = self._library.nfs_get_fd(self._context)
            poll.register(number, events)
            came = poll.poll(1000)
            poll.unregister(number)
            for _, revents in came:
                self._fail(self._library.nfs_service(self._context, revents))
