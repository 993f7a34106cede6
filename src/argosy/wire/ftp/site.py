"""What may follow SITE: one table, in DrFTPD's words where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy import errors
from argosy.wire.ftp import commands
from argosy.wire.ftp.commands import Argument, Command, Verb


@dataclass(frozen=True, slots=True)
class SiteVerb(Verb):
    """A verb of SITE's."""

    admin: bool = False
    """For administrators alone; to others it isn't there."""


_NONE, _OPTIONAL, _REQUIRED = Argument.NONE, Argument.OPTIONAL, Argument.REQUIRED

SITE_VERBS: Mapping[str, SiteVerb] = {
    "CHMOD": SiteVerb(_REQUIRED, "no RFC", "mode path: set the permission bits", verbatim=True),
    "UTIME": SiteVerb(
        _REQUIRED, "no RFC", "time path, or path time time time UTC: set when it was modified", verbatim=True
    ),
    "FIND": SiteVerb(
        _OPTIONAL,
        "no RFC, DrFTPD",
        "path -name * -iname * -size [-]n -mtime [-]n -user u -group g -slave s -type f|d|l -limit n:"
        " look below a directory",
        verbatim=True,
    ),
    "SEARCH": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "words: look for names that hold them all", verbatim=True
    ),
    "SYMLINK": SiteVerb(_REQUIRED, "no RFC, ProFTPD", "target path: make a symbolic link", verbatim=True),
    "SFV": SiteVerb(
        _OPTIONAL,
        "no RFC",
        "path: hold a directory, or the files of one list, against SFV and other lists of checksums",
        verbatim=True,
    ),
    "STATS": SiteVerb(_OPTIONAL, "no RFC, DrFTPD", "user: what was moved since the start"),
    "WHO": SiteVerb(_NONE, "no RFC, DrFTPD", "who is here, from where, doing what", admin=True),
    "KICK": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "user message: hang up on a user's sessions", admin=True),
    "KILL": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "id message: hang up on one session, see WHO", admin=True),
    "ADDUSER": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "user password mask ...: add a user, who may come from there", admin=True
    ),
    "GADDUSER": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "group user password mask ...: add a user to a group", admin=True
    ),
    "DELUSER": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "user: delete a user; its files stay", admin=True),
    "CHPASS": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "user password: give a user another password", admin=True, verbatim=True
    ),
    "PASSWD": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "password: change your own password", verbatim=True),
    "ADDIP": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "user mask ...: let logins come from there, too", admin=True
    ),
    "DELIP": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "user mask ...: let logins come from there no more", admin=True
    ),
    "CHGRP": SiteVerb(
        _REQUIRED,
        "no RFC, DrFTPD",
        "user group ...: put a user into groups, or out of those that it is in",
        admin=True,
    ),
    "CHANGE": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "user setting value: change a setting; no value: inherit it", admin=True
    ),
    "CHANGEGROUP": SiteVerb(
        _REQUIRED, "no RFC, DrFTPD", "group setting value: change a group's setting", admin=True
    ),
    "USER": SiteVerb(_OPTIONAL, "no RFC, DrFTPD", "user: show what is set"),
    "USERS": SiteVerb(_NONE, "no RFC, DrFTPD", "list the users", admin=True),
    "GROUPS": SiteVerb(_NONE, "no RFC, DrFTPD", "list the groups", admin=True),
    "GINFO": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "group: show its settings and members", admin=True),
    "ADDGROUP": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "group: add a group", admin=True),
    "DELGROUP": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "group: delete a group; its members stay", admin=True),
    "NODES": SiteVerb(_NONE, "no RFC", "how the nodes are", admin=True),
    "SLAVES": SiteVerb(_NONE, "no RFC, DrFTPD", "how the nodes are", admin=True),
    "WHY": SiteVerb(
        _REQUIRED, "no RFC", "path: where it lies, and who would serve it", admin=True, verbatim=True
    ),
    "DF": SiteVerb(_NONE, "no RFC, DrFTPD", "how much room there is"),
    "QUOTA": SiteVerb(_NONE, "no RFC", "what you may still store where you are"),
    "HELP": SiteVerb(_OPTIONAL, "no RFC", "verb: this text"),
}
"""Every verb of SITE's that we answer."""


def parse(argument: bytes) -> Command:
    """Read what follows SITE: a command of its own table.

    Raises:
        BadArgument: No command, or one without the argument that it needs, with one that it hasn't, or with
            names that aren't UTF-8. Answer 501.
        Unsupported: A command that isn't in the table. Answer 504.
    """
    command = commands.parse(argument, SITE_VERBS)
    verb = SITE_VERBS.get(command.verb)
    if verb is None:
        raise errors.Unsupported(f"SITE {command.verb}")
    if verb.argument is Argument.REQUIRED and not command.argument:
        raise errors.BadArgument(f"SITE {command.verb} {verb.help.partition(':')[0]}")
    if verb.argument is Argument.NONE and command.argument:
        raise errors.BadArgument(f"SITE {command.verb} takes no argument")
    if not verb.verbatim and not _is_text(command.argument):
        raise errors.BadArgument(f"SITE {command.verb}: names of users and groups are UTF-8")
    return command


def _is_text(argument: bytes) -> bool:
    try:
        argument.decode()
    except UnicodeDecodeError:
        return False
    return True


def known_to(*, admin: bool) -> Mapping[str, SiteVerb]:
    """Give the verbs that a user may say."""
    return {name: verb for name, verb in SITE_VERBS.items() if admin or not verb.admin}
