"""MOUNT: from an export's name to the first handle, and who has mounted what. RFC 1813 section 5."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence

from argosy import errors
from argosy.doors.nfs.handles import Handles
from argosy.doors.nfs.networks import Networks
from argosy.doors.nfs.rights import NOBODY
from argosy.doors.nfs.statuses import MOUNT_STATUS_FOR, STATUS_FOR
from argosy.doors.nfs.storage import Mounts
from argosy.wire.nfs import mount3, xdr
from argosy.wire.nfs.mount3 import Procedure, Status
from argosy.wire.nfs.rpc import Credential, Flavor

log = logging.getLogger("argosy.nfs")

TABLE_LIMIT = 10_000
"""Lines of the table of mounts. Nobody has to say UMNT, and nothing hangs on the table: the oldest go."""


class MountDesk:
    """Answers MOUNT."""

    def __init__(
        self, mounts: Mounts, handles: Handles, everybody: Networks, *, uid: int = -1, gid: int = -1
    ) -> None:
        """Put it together.

        Args:
            mounts: What can be mounted.
            handles: Makes them.
            everybody: Whose clients may come at all.
            uid: For whom mounts are; -1: for who says MNT, or if that is root, as in a `mount` by hand, for
                who runs the gateway.
            gid: Likewise.

        Raises:
            ConfigError: A site's networks are none.
        """
        for name, written in mounts.listed():
            Networks(f"sites.{name.decode().strip('/')}.networks", written)
        self._uid = uid
        self._gid = gid
        self._mounts = mounts
        self._handles = handles
        self._everybody = everybody
        self._table: dict[tuple[str, bytes], int] = {}
        """Host and export, as the client said it, and the mount."""

    async def mount(self, host: str, who: Credential | None, source: xdr.Reader) -> bytes:
        """MNT: log in there, and give the handle of the root. Section 5.2.1.

        Raises:
            GarbageArguments: They are no path.
        """
        export = mount3.unpack_path(source)
        who = who or NOBODY
        try:
            mount, storage = await self._mounts.mount(export, *self._owner(who))
            self.check(host, mount)
        except errors.Refused as refused:
            status = MOUNT_STATUS_FOR.get(STATUS_FOR[type(refused)], Status.IO)
            # Not `export`: a password may be in it.
            log.warning("%s can't mount (%s): %s", host, status.name, refused)
            return mount3.refused(status)
        except Exception:
            log.exception("%s: accident in MNT", host)
            return mount3.refused(Status.SERVERFAULT)
        self._table.pop((host, export), None)
        if len(self._table) >= TABLE_LIMIT:
            del self._table[next(iter(self._table))]
        self._table[host, export] = mount
        log.info("%s mounted %s for uid %d", host, self._mounts.title(mount), self._mounts.owner(mount))
        return mount3.mounted(self._handles.make(mount, storage.root), (Flavor.SYS,))

    def check(self, host: str, mount: int) -> None:
        """See that a client may use a mount.

        Raises:
            Denied: Its export is for other networks.
        """
        if host not in self._networks(self._mounts.networks(mount)):
            raise errors.Denied(f"{host} isn't in the networks of {self._mounts.title(mount)}")

    def dump(self, host: str, source: xdr.Reader) -> bytes:
        """DUMP: who has mounted what, as far as we know. Section 5.2.2."""
        del host
        source.end()
        return mount3.mounts(
            (host.encode(), title.encode())
            for (host, _), mount in self._table.items()
            if (title := self._mounts.title(mount))
        )

    def unmount(self, host: str, source: xdr.Reader) -> bytes:
        """UMNT: forget a line of the table; the handles stay what they are. Section 5.2.3."""
        mount = self._table.pop((host, mount3.unpack_path(source)), None)
        if mount is not None:
            log.info("%s unmounted %s", host, self._mounts.title(mount) or "what is forgotten")
        return b""

    def unmount_all(self, host: str, source: xdr.Reader) -> bytes:
        """UMNTALL: forget all of a client's. Section 5.2.4."""
        source.end()
        for line in [line for line in self._table if line[0] == host]:
            del self._table[line]
        return b""

    def exports(self, host: str, source: xdr.Reader) -> bytes:
        """EXPORT: what has a name, and whose clients may mount it. Section 5.2.5."""
        del host
        source.end()
        listed = ((name, self._networks(written)) for name, written in self._mounts.listed())
        return mount3.exports((name, networks.written()) for name, networks in listed)

    def null(self, host: str, source: xdr.Reader) -> bytes:
        """NULL: nothing. Section 5.2.0."""
        del host
        source.end()
        return b""

    def _owner(self, who: Credential) -> tuple[int, int]:
        """Say for whom a mount is."""
        uid, gid = (who.uid, who.gid) if who.uid else (os.geteuid(), os.getegid())
        return uid if self._uid < 0 else self._uid, gid if self._gid < 0 else self._gid

    def _networks(self, written: Sequence[str]) -> Networks:
        """Give an export's own networks, or those of all."""
        return Networks("networks", written) if written else self._everybody

    @property
    def at_once(self) -> Mapping[int, Callable[[str, xdr.Reader], bytes]]:
        """Give what answers each procedure but MNT."""
        return {
            Procedure.NULL: self.null,
            Procedure.DUMP: self.dump,
            Procedure.UMNT: self.unmount,
            Procedure.UMNTALL: self.unmount_all,
            Procedure.EXPORT: self.exports,
        }
