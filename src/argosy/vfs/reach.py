"""Which way a user may go: links followed, and every right checked where the way ends."""

from __future__ import annotations

from argosy import errors
from argosy.accounts.login import Login
from argosy.accounts.rules import Account
from argosy.catalogue.model import Entry, TreePath, check_path, shown
from argosy.catalogue.people import Right
from argosy.vfs.vfs import Vfs

GUARDED = frozenset({Right.READ, Right.APPEND, Right.OVERWRITE, Right.DELETE})
"""Rights that nobody gets by moving something to where it has them."""


class Reach:
    """What one user can get at: each way there ends in the true path, where the right to go it is checked."""

    def __init__(self, vfs: Vfs, login: Login) -> None:
        self._vfs = vfs
        self._catalogue = vfs.catalogue
        self._login = login

    @property
    def account(self) -> Account:
        """What is in force for the user, now."""
        return self._login.account

    def may(self, right: Right, path: TreePath) -> bool:
        """Say whether the user may do one thing at a path."""
        return self.account.may(right, path)

    def find(self, path: TreePath, *, follow: bool = True) -> tuple[TreePath, Entry]:
        """Give the true path of what a path leads to, without links, and the entry there.

        Raises:
            NotFound: Nothing is there, or nothing that the user may see.
        """
        if not self.account.sees(path):
            raise errors.NotFound(shown(path))
        true, entry = self._resolved(path, follow=follow)
        if entry is None:
            raise errors.NotFound(shown(path))
        return true, self._vfs.as_it_arrives(entry)

    def to_read(self, path: TreePath) -> tuple[TreePath, Entry]:
        """As `find`, for a file whose bytes the user wants.

        Raises:
            Denied: The user may not read it.
        """
        true, entry = self.find(path)
        if not self.may(Right.READ, true):
            raise errors.Denied(f"{shown(path)} ({Right.READ})")
        return true, entry

    def to_change(self, path: TreePath, right: Right | None, *, follow: bool = False) -> TreePath:
        """Give the true path of what shall change, without links, if the user has the right to do so there.

        Args:
            path: As the client says it.
            right: What the change needs; None: the caller sees to that.
            follow: The link that has the path isn't meant, but what it leads to.
        """
        check_path(path)
        try:
            true = self._resolved(path, follow=follow)[0]
        except (errors.NotFound, errors.NotADirectory):
            # Who may not change anything here hears nothing of what is here.
            self.check(path, right or Right.WRITE)
            raise
        if right:
            self.check(true, right)
        return true

    def to_describe(self, path: TreePath) -> TreePath:
        """Give the true path of what shall get other facts: one's own needs no right to overwrite."""
        path = self.to_change(path, None, follow=True)
        entry = self._catalogue.find_or_none(path)
        own = entry is not None and entry.owner == self.account.name
        fresh = Right.MKDIR if entry and entry.is_directory else Right.WRITE
        self.check(path, fresh if own and self.may(fresh, path) else Right.OVERWRITE)
        return path

    def check(self, path: TreePath, right: Right) -> None:
        """See that the user may do one thing at a path, which has no links.

        Raises:
            Denied: The user may not.
            NotFound: The user may not even see what is there.
            NameNotAllowed: Nothing may be called so.
        """
        if not self.may(right, path):
            if not self.account.sees(path):
                raise errors.NotFound(shown(path))
            raise errors.Denied(f"{shown(path)} ({right})")
        check_path(path)

    def check_move(self, source: TreePath, target: TreePath) -> None:
        """See that nobody gets around a grant by moving things.

        Raises:
            Denied: Grants lie below, or what is moved could be read or changed there, and not here.
        """
        account = self.account
        if account.fenced(source) or account.fenced(target):
            raise errors.Denied(f"{shown(source)} (what is granted lies below)")
        gained = (account.rights(target) - account.rights(source)) & GUARDED
        if gained:
            raise errors.Denied(f"{shown(target)} (it would give the right to {min(gained)})")

    def _resolved(self, path: TreePath, *, follow: bool) -> tuple[TreePath, Entry | None]:
        """Give the true path of what a path leads to, and what is there, which may be nothing.

        A link may lead to where the user sees nothing: whatever is there, the answer is the same, and names
        the path that was asked for.

        Raises:
            NotFound: A directory on the way isn't there, or the user may not see where it leads.
            NotADirectory: A file stands in the way.
        """
        try:
            true, entry = self._catalogue.resolve(path, follow=follow)
        except errors.NotADirectory as refused:
            if self.account.grants and not self.account.admin:
                raise errors.NotFound(shown(path)) from refused
            raise
        if not self.account.sees(true):
            raise errors.NotFound(shown(path))
        return true, entry
