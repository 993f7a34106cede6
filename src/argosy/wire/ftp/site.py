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
    "WHO": SiteVerb(_NONE, "no RFC, DrFTPD", "who is here, from where, doing what", admin=True),
    "KICK": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "user message: hang up on a user's sessions", admin=True),
    "KILL": SiteVerb(_REQUIRED, "no RFC, DrFTPD", "id message: hang up on one session, see WHO", admin=True),
    "HELP": SiteVerb(_OPTIONAL, "no RFC", "verb: this text"),
}
"""Every verb of SITE's that we answer."""


def parse(argument: bytes) -> Command:
    """Read what follows SITE: a command of its own table.

    Raises:
        BadArgument: No command, or one without the argument that it needs, or with one that it hasn't.
            Answer 501.
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
    return command


def known_to(*, admin: bool) -> Mapping[str, SiteVerb]:
    """Give the verbs that a user may say."""
    return {name: verb for name, verb in SITE_VERBS.items() if admin or not verb.admin}
