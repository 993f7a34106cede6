"""The command line: `argosy WORD ...`. Exit 0: done; 1: refused, one line on stderr; 2: misused."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import get_args

import argosy
from argosy.accounts import words as settings
from argosy.cli import (
    find,
    gateway,
    groups,
    members,
    mounting,
    presence,
    quotas,
    reports,
    rules,
    sites,
    tokens,
    up,
    users,
)
from argosy.cli.site import default_directory
from argosy.config import Spread
from argosy.errors import Refused

MOST_SECONDS = 10 * 365 * 86_400
"""Ten years: who asks for a longer life of a token means something else."""

LONG_RUNNING = (members.run_master, members.run_node, gateway.run_gateway)
"""Words with a log."""

Word = Callable[[argparse.Namespace], int]
"""Does a job and gives the exit code."""

Add = Callable[..., argparse.ArgumentParser]
"""`add_parser` of argparse's subparsers."""


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words say and give the exit code.

    Args:
        words: The command line without the program's name; default: this process's.
    """
    arguments = _parsed(words)
    word: Word = arguments.word
    try:
        code = word(arguments)
        sys.stdout.flush()
    except Refused as refused:
        return _complain(str(refused))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing to say
        return 1
    except KeyboardInterrupt:
        return 1
    except Exception as error:
        # An accident. A master's or a node's belongs into its log, a person at the terminal gets a line.
        if word in LONG_RUNNING or os.environ.get("ARGOSY_LOG") == "debug":
            logging.getLogger("argosy.cli").exception("accident")
        if isinstance(error, OSError):
            return _complain(str(error))
        return _complain(f"a bug of ours: {error!r} (ARGOSY_LOG=debug shows where)")
    return code


def parser() -> argparse.ArgumentParser:
    """Give the parser with all words."""
    top = argparse.ArgumentParser(prog="argosy", description=argosy.__doc__)
    top.add_argument("--version", action="version", version=f"argosy {argosy.__version__}")
    add = top.add_subparsers(title="words", required=True, metavar="WORD").add_parser
    _up(add)
    _long_running(add)
    _token(add)
    _user(add)
    _group(add)
    _grant(add)
    _dir_or_config(_word(add, "quota", quotas.show))
    _rule(add)
    _reports(add)
    _presence(add)
    _find(add)
    _gateway(add)
    return top


def _up(add: Add) -> None:
    word = _word(add, "up", up.up)
    word.add_argument("--nodes", type=_count, metavar="N", help="how many nodes; 2 at first use, later more")
    word.add_argument("--host", metavar="ADDR", help="listen here; 0.0.0.0: everywhere [127.0.0.1]")
    word.add_argument("--port", type=_port, help="FTP port; 0: any free one [2121]")
    word.add_argument("--link-port", type=_port, metavar="PORT", help="where nodes connect; 0: any [2122]")
    word.add_argument("--user", type=_account, metavar="NAME:PASSWORD", help="an administrator to have")
    _dir(word)


def _long_running(add: Add) -> None:
    master = _word(add, "master", members.run_master, json=False)
    _dir_or_config(master)
    node = _word(add, "node", members.run_node, json=False)
    node.add_argument("--config", metavar="FILE", help="the node's config file")
    node.set_defaults(misused=node.error)
    for word in (master, node):
        word.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    join = _word(
        node.add_subparsers(title="words", metavar="WORD").add_parser, "join", members.join, json=False
    )
    join.add_argument("master", metavar="MASTER:PORT", help="the master's link")
    join.add_argument("--token", required=True, help="what `argosy token` printed")
    join.add_argument("--name", required=True, help="what to call this node")
    join.add_argument(
        "--root",
        nargs="+",
        action="extend",
        required=True,
        metavar="DIR",
        help="directory to serve, a volume each",
    )
    join.add_argument("--advertise", default="", metavar="ADDR", help="the address that FTP clients are told")
    join.add_argument("--label", action="append", default=[], help="for the rules' prefer, require, avoid")
    join.add_argument("--zone", default="", help="what fails together with it, as a room; for spread zone")
    join.add_argument("--no-start", action="store_true", help="don't run the node now")
    _dir(join)


def _token(add: Add) -> None:
    word = _word(add, "token", tokens.token)
    word.add_argument("--seconds", type=_seconds, help="how long it is good for")
    _dir_or_config(word)


def _user(add: Add) -> None:
    inner = _family(add, "user", "Manage the users.")
    for name, job in (
        ("add", users.add),
        ("passwd", users.passwd),
        ("set", users.change),
        ("show", users.show),
        ("lock", users.lock),
        ("unlock", users.unlock),
        ("delete", users.delete),
    ):
        word = _word(inner, name, job)
        word.add_argument("name", metavar="NAME")
        _dir_or_config(word)
        if name in ("add", "set"):
            _settings(word, "+" if name == "set" else "*")
        if name in ("add", "passwd"):
            word.add_argument(
                "--password-file",
                metavar="FILE",
                help="its first line; default: asked for, or read from stdin",
            )
        if name == "show":
            word.add_argument("--path", default="/", help="also say what it may do there [/]")
        if name == "add":
            word.add_argument("--home", metavar="PATH", help="where a login begins [/]")
            word.add_argument("--group", action="append", default=[], metavar="GROUP", help="to be in")
            word.add_argument("--admin", action="store_true", help="may do everything everywhere")
            word.add_argument("--read-only", action="store_true", help="may change nothing")
            word.add_argument("--fxp", action="store_true", help="may send data from server to server")
    _dir_or_config(_word(inner, "list", users.show_all))


def _group(add: Add) -> None:
    inner = _family(add, "group", "Manage the groups.")
    for name, job in (
        ("add", groups.add),
        ("set", groups.change),
        ("show", groups.show),
        ("join", groups.join),
        ("leave", groups.leave),
        ("delete", groups.delete),
    ):
        word = _word(inner, name, job)
        word.add_argument("name", metavar="GROUP")
        _dir_or_config(word)
        if name in ("add", "set"):
            _settings(word, "+" if name == "set" else "*")
        if name in ("join", "leave"):
            word.add_argument("user", nargs="+", metavar="USER")
    _dir_or_config(_word(inner, "list", groups.show_all))


def _grant(add: Add) -> None:
    for name, job in (("grant", groups.grant), ("revoke", groups.revoke)):
        word = _word(add, name, job)
        word.add_argument("path", metavar="PATH", help="holds for it and all below")
        if name == "grant":
            word.add_argument("rights", metavar="RIGHTS", help="as usual,-delete or list,read; all; none")
        whose = word.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="NAME")
        whose.add_argument("--group", metavar="NAME")
        _dir_or_config(word)


def _rule(add: Add) -> None:
    inner = _family(add, "rule", "Say what is wanted of the files of a directory.")
    for name, job in (("set", rules.change), ("unset", rules.unset)):
        word = _word(inner, name, job)
        word.add_argument("path", metavar="PATH", help="a directory; holds for it and all below")
        _dir_or_config(word)
        if name == "unset":
            word.add_argument("fields", nargs="*", metavar="FIELD", help="as copies; none: all of them")
            continue
        word.add_argument("--copies", type=int, metavar="N", help="of each file; 0: one, and leave others")
        word.add_argument("--acknowledged", type=int, metavar="N", help="copies before an upload's 226")
        word.add_argument("--spread", choices=get_args(Spread), help="what copies shall not share")
        for option, about in (
            ("--require", "only nodes that have all of them"),
            ("--prefer", "nodes that have one come first"),
            ("--avoid", "nodes that have one come last"),
        ):
            word.add_argument(option, type=rules.labels, metavar="LABEL,...", help=about)
        word.add_argument(
            "--repair-delay",
            dest="repair_delay_seconds",
            type=float,
            metavar="SECONDS",
            help="a node may be away for so long before its copies are made elsewhere",
        )
        word.add_argument("--flush", type=rules.yes_or_no, metavar="yes|no", help="to the disk before 226")
    _dir_or_config(_word(inner, "list", rules.show_all))


def _family(add: Add, name: str, about: str) -> Add:
    family = add(name, help=about, description=about)
    return family.add_subparsers(title="words", required=True, metavar="WORD").add_parser


def _parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """Take words apart; settings count behind options, too, where argparse expects no more of them."""
    whole = parser()
    arguments, rest = whole.parse_known_args(words)
    if rest:
        if "settings" not in arguments or any(one.startswith("-") for one in rest):
            whole.error(f"unrecognized arguments: {' '.join(rest)}")
        arguments.settings = [*arguments.settings, *rest]
    return arguments


def _settings(word: argparse.ArgumentParser, count: str) -> None:
    lines = [f"  {key:13}{one.about}: {one.form}" for key, one in settings.WORDS.items()]
    word.formatter_class = argparse.RawDescriptionHelpFormatter
    word.epilog = "settings:\n" + "\n".join(lines)
    word.add_argument("settings", nargs=count, metavar="KEY=VALUE", help="empty value: inherited again")


def _reports(add: Add) -> None:
    nodes = _word(add, "nodes", reports.nodes)
    _dir_or_config(nodes)
    remerge = _word(
        nodes.add_subparsers(title="words", metavar="WORD").add_parser, "remerge", reports.remerge, inner=True
    )
    remerge.add_argument("name")
    remerge.add_argument("--accept-losses", action="store_true", help="files that are gone are gone")
    _dir_or_config(remerge, inner=True)
    _dir_or_config(_word(add, "status", reports.status))
    why = _word(add, "why", reports.why)
    why.add_argument("path")
    _dir_or_config(why)


def _presence(add: Add) -> None:
    _dir_or_config(_word(add, "who", presence.who))
    kick = _word(add, "kick", presence.kick)
    kick.add_argument("who", metavar="USER|ID", help="a user's name, or a session's id")
    kick.add_argument("--message", default="", metavar="TEXT", help="what the user is told")
    _dir_or_config(kick)
    _dir_or_config(_word(add, "bans", presence.bans))
    unban = _word(add, "unban", presence.unban)
    unban.add_argument("address")
    _dir_or_config(unban)


def _find(add: Add) -> None:
    word = _word(add, "find", find.find)
    word.add_argument("path", nargs="?", default="/", help="look below this directory [/]")
    for option, value, about in (
        ("--name", "PATTERN", "of the whole name: *, ?, [a-z] and [!a-z]"),
        ("--iname", "PATTERN", "likewise, in any case"),
        ("--contains", "TEXT", "anywhere in the name, in any case"),
    ):
        word.add_argument(option, action="append", default=[], metavar=value, help=about)
    word.add_argument("--size", type=find.size_range, metavar="MIN..MAX", help="as 10M.. or ..4K; files only")
    word.add_argument("--newer", type=find.moment, metavar="TIME", help="modified since: 7d, 12h, 2026-11-22")
    word.add_argument("--older", type=find.moment, metavar="TIME", help="modified before")
    word.add_argument("--owner", default="", metavar="USER", help="whose it is")
    word.add_argument("--group", default="", help="likewise")
    word.add_argument("--node", default="", help="files with a good copy there")
    word.add_argument("--type", choices=sorted(find.KINDS), help="file, directory or link")
    word.add_argument("--limit", type=find.count, default=0, metavar="N", help="show no more than N")
    _dir_or_config(word)


def _gateway(add: Add) -> None:
    nfs = _word(add, "nfs", gateway.run_gateway, json=False)
    nfs.add_argument("--listen", default="", metavar="ADDR:PORT", help="MOUNT and NFS [127.0.0.1:12049]")
    mount = _word(add, "mount", mounting.mount)
    mount.add_argument(
        "site", metavar="URL", help="ftp://USER@HOST[:PORT]/PATH, or a site's name in the config"
    )
    mount.add_argument("directory", metavar="DIR", help="where it shall be")
    mount.add_argument("--password-file", default="", metavar="FILE", help="the password is its first line")
    mount.add_argument("--keep", action="store_true", help="put the password into the keyring")
    mount.add_argument("--read-only", action="store_true", help="let nothing be changed by this mount")
    mount.add_argument(
        "-o",
        dest="options",
        action="append",
        default=[],
        metavar="OPTIONS",
        help="more of mount's, see nfs(5)",
    )
    mount.add_argument("--print", action="store_true", help="show the command that mounts, don't run it")
    umount = _word(add, "umount", mounting.umount)
    umount.add_argument("directory", metavar="DIR", help="where the site is")
    umount.add_argument("--force", action="store_true", help="even if it is in use, or the gateway is away")
    listed = _word(add, "sites", sites.sites)
    forget = _word(
        listed.add_subparsers(title="words", metavar="WORD").add_parser, "forget", sites.forget, inner=True
    )
    forget.add_argument("site", metavar="SITE", help="its address, as argosy sites shows it")
    for word, inner in ((nfs, False), (mount, False), (umount, False), (listed, False), (forget, True)):
        word.add_argument(
            "--config",
            default=_default("", inner),
            metavar="FILE",
            help="the gateway's config file, if it has one",
        )


def _word(
    add: Add, name: str, job: Word, *, json: bool = True, inner: bool = False
) -> argparse.ArgumentParser:
    about = (job.__doc__ or "").splitlines()[0]
    word = add(name, help=about, description=about)
    word.set_defaults(word=job)
    if json:
        word.add_argument("--json", action="store_true", default=_default(False, inner), help="for scripts")
    return word


def _dir(word: argparse.ArgumentParser, *, inner: bool = False) -> None:
    word.add_argument(
        "--dir",
        default=_default(str(default_directory()), inner),
        help="the site's directory [$ARGOSY_DIR, or ~/.local/share/argosy]",
    )


def _dir_or_config(word: argparse.ArgumentParser, *, inner: bool = False) -> None:
    _dir(word, inner=inner)
    word.add_argument(
        "--config",
        metavar="FILE",
        default=_default("", inner),
        help="the master's config file, instead of --dir",
    )


def _default(value: object, inner: bool) -> object:
    # A word below a word must not wipe out, by its default, what was said to the upper one.
    return argparse.SUPPRESS if inner else value


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"want 1 to 1000, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"want more than 0 and at most {MOST_SECONDS}, got {text!r}")
    return seconds


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"want 0 to 65535, got {text!r}")
    return int(text)


def _account(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise argparse.ArgumentTypeError("want NAME:PASSWORD")
    return name, password


def _complain(sentence: str) -> int:
    print(f"argosy: {' '.join(sentence.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
