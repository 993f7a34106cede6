"""A mount's journal: what was written and the site hasn't got yet, on the gateway's disk.

What outlasts a power cut, and what needn't, is said in docs/decisions/0020.
"""

from __future__ import annotations

import contextlib
import logging
import os

from argosy.sites.model import FileId, Version
from argosy.sites.writing.draft import Draft

_log = logging.getLogger(__name__)


class Journal:
    """The drafts of one mount, in a directory of its own."""

    def __init__(self, directory: str) -> None:
        self._directory = os.fsencode(directory)
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        self._boot = _boot()

    def begin(self, file: FileId, base: Version | None) -> Draft:
        """Begin to change a file; nothing is on the disk before `save`."""
        return Draft(self._path(file), file, base, size=base.size if base else 0, boot=self._boot)

    def recover(self) -> list[Draft]:
        """Take up what a process before us left, and remove what is of no use."""
        drafts = []
        for name in sorted(os.listdir(self._directory)):
            stem, ending = os.path.splitext(name)
            try:
                file = int(stem, 16)
            except ValueError:
                _log.warning("%s: not of the journal", os.path.join(self._directory, name).decode())
                continue
            logged = os.path.exists(self._path(file) + b".log")
            if ending == b".new" or not logged:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._directory, name))
            elif ending == b".log" and (draft := self._recover(file)) is not None:
                drafts.append(draft)
        return drafts

    def _recover(self, file: FileId) -> Draft | None:
        draft = Draft.read_log(self._path(file), file, self._boot)
        if draft is not None and not (draft.doubtful and draft.clean):
            return draft
        for ending in (b".log", b".data"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(file) + ending)
        return None

    def _path(self, file: FileId) -> bytes:
        return os.path.join(self._directory, b"%016x" % file)


def _boot() -> str:
    """Name this run of the machine; empty where the system tells none: then no power cut is noticed."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
