"""The users, the groups, and what they have in the tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from argosy.catalogue.ground import Ground
from argosy.catalogue.model import TreePath
from argosy.catalogue.people import Group, Usage, User
from argosy.catalogue.store import usage, users


class Users(Ground):
    """The record of the accounts."""

    def user(self, name: str) -> User | None:
        """Find a user."""
        return self._engine.read(users.user, name)

    def users(self) -> list[User]:
        """List the users by name."""
        return self._engine.read(users.users)

    async def put_user(self, user: User, *, new: bool = False) -> None:
        """Write a user.

        Raises:
            Exists: It shall be `new`, and isn't.
        """
        await self._engine.write(lambda db: users.put_user(db, user, new=new), durable=True)

    async def change_user(self, name: str, change: Callable[[User], User]) -> User:
        """Change a user, whatever another process changes at the same time; give what it is now.

        Args:
            name: Whom.
            change: Called in the writer's thread; what it raises undoes the change.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        return await self._engine.write(users.change_user, name, change, durable=True)

    async def drop_user(self, name: str) -> None:
        """Remove a user.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._engine.write(users.drop_user, name, durable=True)

    def usage(self, sections: Mapping[str, TreePath]) -> Usage:
        """Count files and bytes by owner and group, and by section. Reads whole tables, as `counts`."""
        return self._engine.read_together(usage.usage, sections)

    def group(self, name: str) -> Group | None:
        """Find a group."""
        return self._engine.read(users.group, name)

    def groups(self) -> list[Group]:
        """List the groups by name."""
        return self._engine.read(users.groups)

    async def put_group(self, group: Group, *, new: bool = False) -> None:
        """Write a group.

        Raises:
            Exists: It shall be `new`, and isn't.
        """
        await self._engine.write(lambda db: users.put_group(db, group, new=new), durable=True)

    async def change_group(self, name: str, change: Callable[[Group], Group]) -> Group:
        """Change a group, as `change_user`."""
        return await self._engine.write(users.change_group, name, change, durable=True)

    async def drop_group(self, name: str) -> None:
        """Remove a group; nobody is in it any more.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._engine.write(users.drop_group, name, durable=True)

    def accounts_generation(self) -> int:
        """Give a number that is another one after each change of a user or group, by whichever process."""
        return self._engine.read(users.generation)
