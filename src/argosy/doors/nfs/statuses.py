"""The one table of refusal and NFS status, and the door's own refusals."""

from __future__ import annotations

from collections.abc import Mapping

from argosy import errors
from argosy.wire.nfs import mount3
from argosy.wire.nfs.nfs3 import Status

STATUS_FOR: Mapping[type[errors.Refused], Status] = {
    errors.BadArgument: Status.INVAL,
    errors.BadCookie: Status.BAD_COOKIE,
    errors.Banned: Status.ACCES,
    errors.Busy: Status.JUKEBOX,
    errors.Changed: Status.JUKEBOX,
    errors.ConfigError: Status.SERVERFAULT,
    errors.Damaged: Status.IO,
    errors.Denied: Status.ACCES,
    errors.Exists: Status.EXIST,
    errors.Failed: Status.IO,
    errors.Incomplete: Status.IO,
    errors.IsADirectory: Status.ISDIR,
    errors.LinkLoop: Status.INVAL,
    errors.LoginFailed: Status.ACCES,
    errors.NameNotAllowed: Status.INVAL,
    errors.NoDataConnection: Status.IO,
    errors.NoSpace: Status.NOSPC,
    errors.NoSuchAccount: Status.INVAL,
    errors.NotADirectory: Status.NOTDIR,
    errors.NotEmpty: Status.NOTEMPTY,
    errors.NotFound: Status.NOENT,
    errors.OverQuota: Status.DQUOT,
    errors.Stale: Status.STALE,
    errors.TooMany: Status.JUKEBOX,
    errors.TransferCut: Status.IO,
    errors.Unavailable: Status.JUKEBOX,
    errors.Unsupported: Status.PERM,
    errors.Untrusted: Status.ACCES,
}
"""The status for every refusal. RFC 1813 section 2.6.

JUKEBOX makes the client's program wait, and the client ask again each few seconds: for what passes by itself.
Unsupported isn't NOTSUPP, which Linux shows as "Unknown error 524".
"""

MOUNT_STATUS_FOR: Mapping[Status, mount3.Status] = {
    **{Status(status): status for status in mount3.Status if status is not mount3.Status.OK},
    Status.JUKEBOX: mount3.Status.IO,
    Status.STALE: mount3.Status.NOENT,
    Status.ISDIR: mount3.Status.INVAL,
}
"""MNT has fewer words; what isn't here is IO. RFC 1813 section 5.1.5."""


class Failure(Exception):  # noqa: N818 - as the refusals
    """A refusal that only NFS knows."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status
