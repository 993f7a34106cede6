"""The last touch to a part that is whole: what it is, said on the file itself, and all of it on the disk."""

from __future__ import annotations

import os

from argosy.errors import Failed
from argosy.node.disk import marks, roots
from argosy.node.disk.journal import PartRow


def finish(upload: int, descriptor: int, *, flush: bool, crc32: int | None, digest: bytes | None) -> PartRow:
    """Mark a part's file with what it is, and with `flush` have it on the disk. Gives the row of its seal.

    Raises:
        Failed: It was forgotten meanwhile, or the disk failed.
    """
    try:
        marks.write(descriptor, upload, crc32, digest)
        if flush:
            os.fsync(descriptor)  # brings the file's name along on ext4, XFS, btrfs and ZFS
        found = os.fstat(descriptor)
    except OSError as error:
        raise roots.refusal(error) from error
    if found.st_nlink == 0:
        raise Failed(f"part {upload:x} was given up")
    return PartRow(upload, 1, int(flush), found.st_size, found.st_mtime_ns, crc32, digest)
