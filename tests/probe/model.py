"""What a site should show: a plain tree in memory that says yes and no as the catalogue should."""

from __future__ import annotations

from dataclasses import dataclass

from argosy import errors
from argosy.catalogue.model import State, TreePath

Shown = dict[TreePath, tuple[str, bytes | None]]
"""By path: `dir`, or a file's state; and the content, where it has one."""


@dataclass(eq=False)
class Arriving:
    """An upload, open or cut."""

    id: int
    node: int
    epoch: int
    content: bytes
    """All of it, with what it goes on from."""
    placeholder: bool
    """Its name was made for it."""
    base: bytes | None = None
    """The content that it goes on from."""
    received: int = 0
    open: bool = True


@dataclass(eq=False)
class Name:
    """What stands at a path."""

    folder: bool = False
    content: bytes | None = None
    """None: a directory, or a name that is only taken for an upload."""
    upload: Arriving | None = None
    torn: bool = False
    """A replacement was cut: it can't be gone on with."""

    @property
    def busy(self) -> bool:
        return self.upload is not None and self.upload.open


class Model:
    """The tree."""

    def __init__(self) -> None:
        self.tree: dict[TreePath, Name] = {(): Name(folder=True)}

    def shown(self) -> Shown:
        found: Shown = {}
        for path, name in self.tree.items():
            if not path:
                continue
            if name.folder:
                found[path] = "dir", None
            elif name.content is not None:
                found[path] = str(State.LIVE), name.content
            else:
                assert name.upload is not None
                found[path] = str(State.UPLOADING if name.upload.open else State.PARTIAL), None
        return found

    def uploads(self) -> list[Arriving]:
        return [name.upload for name in self.tree.values() if name.upload]

    # --- finding ----

    def find(self, path: TreePath) -> Name:
        for depth in range(len(path)):
            if not self.tree[path[:depth]].folder:
                raise errors.NotADirectory
            if path[: depth + 1] not in self.tree:
                raise errors.NotFound
        return self.tree[path]

    def directory(self, path: TreePath) -> Name:
        name = self.find(path)
        if not name.folder:
            raise errors.NotADirectory
        return name

    def _is_empty(self, path: TreePath) -> bool:
        return not any(len(other) > len(path) and other[: len(path)] == path for other in self.tree)

    # --- the tree ----

    def make_directory(self, path: TreePath) -> None:
        if path in self.tree:
            raise errors.Exists
        self.directory(path[:-1])
        self.tree[path] = Name(folder=True)

    def remove_directory(self, path: TreePath) -> None:
        self.directory(path)
        if not path:
            raise errors.Denied
        if not self._is_empty(path):
            raise errors.NotEmpty
        del self.tree[path]

    def delete(self, path: TreePath) -> None:
        name = self.find(path)
        if name.folder:
            raise errors.IsADirectory
        if name.busy:
            raise errors.Busy
        del self.tree[path]

    def rename(self, source: TreePath, target: TreePath) -> None:
        name = self.find(source)
        if not source:
            raise errors.Denied
        if source == target:
            return
        if not target:
            raise errors.NameNotAllowed
        self.directory(target[:-1])
        if name.folder and target[: len(source)] == source:
            raise errors.BadArgument
        if occupant := self.tree.get(target):
            self._make_way(name, occupant, target)
        below = [path for path in self.tree if path[: len(source)] == source]
        for path in below:
            self.tree[(*target, *path[len(source) :])] = self.tree.pop(path)

    def bring(self, path: TreePath, content: bytes) -> None:
        """A file that somebody put on a disk has been found."""
        assert path not in self.tree
        self.tree[path] = Name(content=content)

    def _make_way(self, name: Name, occupant: Name, target: TreePath) -> None:
        if not occupant.folder:
            if name.folder:
                raise errors.NotADirectory
            self.delete(target)
        elif not name.folder:
            raise errors.IsADirectory
        elif not self._is_empty(target):
            raise errors.NotEmpty
        else:
            del self.tree[target]

    # --- uploads ----

    def begin(
        self, path: TreePath, node: int, epoch: int, content: bytes, *, resume: bool, holds: bool
    ) -> Arriving:
        """Begin an upload; its id isn't known yet.

        Args:
            path: Where.
            node: Where the bytes will arrive.
            epoch: Of that node.
            content: All of it, or what comes behind what is there.
            resume: Go on with what is there.
            holds: The node has a good copy of what is there.
        """
        if not path:
            raise errors.NameNotAllowed
        self.directory(path[:-1])
        name = self.tree.get(path)
        if name is None:
            name = self.tree[path] = Name(upload=Arriving(0, node, epoch, content, placeholder=True))
        elif name.folder:
            raise errors.IsADirectory
        elif name.upload is not None:
            self._again(name, node, epoch, content, resume=resume)
        else:
            base = self._base(name, resume=resume, holds=holds)
            whole = (base or b"") + content
            name.upload = Arriving(0, node, epoch, whole, placeholder=False, base=base)
        assert name.upload is not None
        return name.upload

    def _again(self, name: Name, node: int, epoch: int, content: bytes, *, resume: bool) -> None:
        cut = name.upload
        assert cut is not None
        if cut.open:
            raise errors.Busy
        if not resume:
            name.upload = Arriving(0, node, epoch, content, placeholder=True)
        elif cut.node != node:
            raise errors.Unavailable
        else:
            cut.open, cut.epoch = True, epoch

    def _base(self, name: Name, *, resume: bool, holds: bool) -> bytes | None:
        if not resume:
            return None
        if name.torn:
            raise errors.Denied
        if not holds:
            raise errors.Unavailable
        return name.content

    def commit(self, upload: Arriving) -> None:
        name = self._name_of(upload)
        name.content, name.upload, name.torn = upload.content, None, False

    def cut(self, upload: Arriving, received: int | None, *, lost: bool = False) -> None:
        """End an upload that brought nothing; None: nobody knows yet what has arrived.

        Args:
            upload: Which.
            received: Bytes in its part.
            lost: The node came back without it.
        """
        name = self._name_of(upload)
        if not upload.placeholder:
            name.torn = name.torn or (upload.base is None and received != 0 and not lost)
            name.upload = None
        elif received == 0 or lost:
            self.tree = {path: one for path, one in self.tree.items() if one is not name}
        else:
            upload.open = False
            upload.received = upload.received if received is None else received

    def _name_of(self, upload: Arriving) -> Name:
        return next(name for name in self.tree.values() if name.upload is upload)
