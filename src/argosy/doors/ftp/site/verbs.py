"""The one table of SITE's verbs and their handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from argosy import errors
from argosy.doors.ftp.client import Client, Replies
from argosy.doors.ftp.site import files, finding, lists, machines, people, sessions
from argosy.wire.ftp import commands, replies
from argosy.wire.ftp import site as wire
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply

Handler = Callable[[Client, Command], Replies]


def site(client: Client, command: Command) -> Replies:
    """SITE: do what follows it. RFC 959 section 4.1.3.

    Raises:
        Unsupported: There is no such verb, or none for this user.
    """
    wish = wire.parse(command.argument)
    if wish.verb not in wire.known_to(admin=client.tree.account.admin):
        raise errors.Unsupported(f"SITE {wish.verb}")
    return HANDLERS[wish.verb](client, wish)


async def help_me(client: Client, command: Command) -> Replies:
    """SITE HELP: what this user can say. RFC 959 section 4.1.3."""
    known = wire.known_to(admin=client.tree.account.admin)
    if (word := command.text.upper()) in known:
        yield Reply.of(214, f"SITE {word} {known[word].help}")
    else:
        yield replies.help_text(commands.help_lines(known))


HANDLERS: Mapping[str, Handler] = {
    "ADDGROUP": people.add_group,
    "ADDIP": people.add_masks,
    "ADDUSER": people.add_user,
    "CHANGE": people.change_user,
    "CHANGEGROUP": people.change_group,
    "CHGRP": people.change_groups,
    "CHMOD": files.set_mode,
    "CHPASS": people.set_password,
    "DELGROUP": people.delete_group,
    "DELIP": people.drop_masks,
    "DELUSER": people.delete_user,
    "DF": machines.room,
    "FIND": finding.find,
    "GADDUSER": people.add_user_to_group,
    "GINFO": people.group,
    "GROUPS": people.groups,
    "HELP": help_me,
    "KICK": sessions.kick,
    "KILL": sessions.kill,
    "NODES": machines.nodes,
    "PASSWD": people.set_own_password,
    "QUOTA": machines.quota,
    "SEARCH": finding.search,
    "SFV": lists.against_lists,
    "SLAVES": machines.nodes,
    "STATS": sessions.stats,
    "SYMLINK": files.make_link,
    "USER": people.user,
    "USERS": people.users,
    "UTIME": files.set_time,
    "WHO": sessions.who,
    "WHY": machines.why,
}
"""A test says that its verbs are just those of `wire.ftp.site.SITE_VERBS`."""
