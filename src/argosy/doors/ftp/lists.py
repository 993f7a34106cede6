"""LIST, NLST, MLSD, MLST and STAT."""

from __future__ import annotations

import asyncio
import fnmatch
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from argosy import __version__, errors
from argosy.catalogue.model import Entry, Kind, TreePath
from argosy.catalogue.people import Right, Rights
from argosy.doors.ftp.client import Client, Replies
from argosy.vfs import verdicts
from argosy.vfs.files import Files, Listed
from argosy.wire.ftp import arguments, listing, replies
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.listing import Line
from argosy.wire.ftp.replies import Reply

Find = Callable[[], Iterator[list[Line]]]
Format = Callable[[Sequence[Line]], bytes]

PERMS: Mapping[Kind, Mapping[str, Right | None]] = {
    Kind.FILE: {
        "a": Right.APPEND,
        "d": Right.DELETE,
        "f": Right.RENAME,
        "r": Right.READ,
        "w": Right.OVERWRITE,
    },
    Kind.DIRECTORY: {
        "c": Right.WRITE,
        "d": Right.RMDIR,
        "e": None,  # what is seen can be entered
        "f": Right.RENAME,
        "l": Right.LIST,
        "m": Right.MKDIR,
        "p": Right.DELETE,
    },
    Kind.LINK: {"d": Right.DELETE, "f": Right.RENAME},
}
"""Which right stands behind each letter of MLSD's perm. RFC 3659 section 7.5.5.

For a link itself, that is: what it leads to may be anything, or not there.
"""

CHANGING = frozenset({Right.WRITE, Right.APPEND, Right.OVERWRITE, Right.DELETE, Right.MKDIR, Right.RMDIR})

WILD = b"*?["


async def for_people(client: Client, command: Command) -> Replies:
    """LIST: as `ls -l` does. RFC 959 section 4.1.3."""
    now_ns = time.time_ns()
    argument = arguments.parse_listed(command.argument)
    async for reply in _send(
        *(client, command, lambda: _find(client, argument, prefixed=False, marked=True)),
        lambda lines: listing.unix(lines, now_ns),
    ):
        yield reply


async def names(client: Client, command: Command) -> Replies:
    """NLST: names that RETR would take. RFC 959 section 4.1.3, RFC 1123 section 4.1.2.7."""
    argument = arguments.parse_listed(command.argument)
    async for reply in _send(client, command, lambda: _find(client, argument, prefixed=True), listing.names):
        yield reply


async def for_programs(client: Client, command: Command) -> Replies:
    """MLSD: a directory's facts. RFC 3659 section 7."""
    facts = client.facts

    def find() -> Iterator[list[Line]]:
        try:
            directory = client.tree.directory(client.path(command.argument))
        except errors.NotADirectory as refused:
            # 501 for this, where all others say 550: RFC 3659 section 7.1
            raise errors.BadArgument(f"{command.text} is no directory") from refused
        return _marked(client, directory, _children(client.tree, directory, with_holders="x.nodes" in facts))

    async for reply in _send(client, command, find, lambda lines: listing.mlsd(lines, facts)):
        yield reply


async def one_for_programs(client: Client, command: Command) -> Replies:
    """MLST: one entry's facts. RFC 3659 section 7."""
    path = client.path(command.argument)
    entry = client.tree.seen(path)
    shown = b"/" + b"/".join(path)
    line = _line(client.tree.rights(entry), entry, shown, client.tree.holders(entry))
    yield replies.entry(shown, listing.mlst(line, client.facts))


async def status(client: Client, command: Command) -> Replies:
    """STAT: how things are; with a path, LIST over the control connection. RFC 959 section 4.1.3."""
    if not command.argument:
        yield Reply(211, ("Argosy " + __version__, *_how(client), "End of status"))
        return
    argument = arguments.parse_listed(command.argument)
    now_ns = time.time_ns()
    pages = _find(client, argument, prefixed=False)
    try:
        code = 212 if client.tree.seen(client.path(argument)).is_directory else 213
    except errors.NotFound:
        code = 212  # a pattern
    # By hand rather than as one Reply: a directory of 100,000 files is streamed, not held.
    shown = argument or b"/" + b"/".join(client.cwd)
    await client.control.say_page(b"%d-Status of %b:\r\n" % (code, shown))
    threads = client.hall.carriage.threads
    while page := await asyncio.get_running_loop().run_in_executor(threads, _next_page, pages, now_ns):
        await client.control.say_page(b" " + page.replace(b"\r\n", b"\r\n ")[:-1])
    yield Reply.of(code, "End of status")


def _next_page(pages: Iterator[list[Line]], now_ns: int) -> bytes:
    """Write the next page of LIST that has lines; nothing at the end."""
    return next((page for page in (listing.unix(lines, now_ns) for lines in pages) if page), b"")


def transfer_status(client: Client) -> Reply:
    """Answer STAT while a transfer runs. RFC 959 section 4.1.3."""
    return Reply(211, ("Argosy " + __version__, *_how(client), "End of status"))


def _how(client: Client) -> list[str]:
    user = client.files.account.name if client.files else ""
    return [
        f"Connected from {client.control.remote[0]}",
        f"Logged in as {user}" if user else "Not logged in",
        f"TYPE {client.type.value}, MODE S, STRU F",
        f"Control connection {_privacy(client.session.secure)}, data {_privacy(client.session.protected)}",
        f"Under way: {client.doing}" if client.doing else "No transfer is under way",
    ]


def _privacy(encrypted: bool) -> str:
    return "encrypted" if encrypted else "in clear"


async def _send(client: Client, command: Command, find: Find, form: Format) -> Replies:
    with client.transferring(str(command)) as channel:
        if channel.node is not None:
            raise errors.NoDataConnection("PRET named a file, not a listing")
        pages = find()
        yield Reply.of(150, "Here comes the listing")
        sent = await channel.list(form(page) for page in pages)
    yield Reply.of(226, f"Sent {sent} bytes")


def _find(client: Client, argument: bytes, *, prefixed: bool, marked: bool = False) -> Iterator[list[Line]]:
    """Give what LIST, NLST or STAT means: a directory's children, a file, or what a pattern matches.

    Args:
        client: Whose directory it starts from.
        argument: A path; wildcards count in the last part, and only where no such name exists.
        prefixed: Show children with the path that was asked for before them, so that RETR takes them.
        marked: Begin a directory with how complete it is, where the site shows that.

    Raises:
        NotFound: Nothing is there.
    """
    path = client.path(argument)
    try:
        entry = client.tree.seen(path)
    except errors.NotFound:
        if not path or not any(sign in path[-1] for sign in WILD):
            raise
        return _matching(client.tree, path, argument, prefixed=prefixed)
    if entry.is_directory:
        prefix = argument.rstrip(b"/") + b"/" if prefixed and argument.strip(b"/.") else b""
        pages = _children(client.tree, entry, prefix=prefix)
        return _marked(client, entry, pages) if marked else pages
    return iter([[_line(client.tree.rights(entry), entry, argument)]])


def _marked(client: Client, directory: Entry, pages: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Begin a directory's listing with an entry that tells how complete it is, if it has lists of checksums.

    That entry is no file: its name is all there is. It looks like a directory, as DrFTPD's does.
    """
    if not client.hall.vfs.config.sums.show_completeness:
        return pages
    files = client.tree

    def marked() -> Iterator[list[Line]]:
        if judged := files.completeness(directory):
            name = f"[ {verdicts.percent(judged)}% complete - {verdicts.words(judged)} ]".encode()
            when = directory.mtime_ns, directory.created_ns
            yield [Line(name, True, 0, *when, 0o555, directory.owner, directory.group, 0, "")]
        yield from pages

    return marked()


def _matching(files: Files, path: TreePath, argument: bytes, *, prefixed: bool) -> Iterator[list[Line]]:
    before, slash, _ = argument.rpartition(b"/")
    prefix = before + slash if prefixed else b""
    directory = files.directory(path[:-1])
    pattern = path[-1]
    pages = _children(files, directory, prefix=prefix)

    def matching() -> Iterator[list[Line]]:
        for page in pages:
            yield [line for line in page if fnmatch.fnmatchcase(line.name[len(prefix) :], pattern)]

    return matching()


def _children(
    files: Files, directory: Entry, *, prefix: bytes = b"", with_holders: bool = False
) -> Iterator[list[Line]]:
    pages = files.pages(directory, with_holders=with_holders)
    return (_lines(page, prefix) for page in pages)


def _lines(page: Listed, prefix: bytes) -> list[Line]:
    return [
        _line(page.rights_for(entry), entry, prefix + entry.name, page.holders.get(entry.id, ()))
        for entry in page.entries
    ]


@lru_cache(1000)
def _perm(kind: Kind, rights: Rights) -> str:
    return "".join(letter for letter, right in PERMS[kind].items() if right is None or right in rights)


@lru_cache(10_000)
def _mode(kind: Kind, mode: int, rights: Rights) -> int:
    """Take bits out of a mode that this user can't make use of, as `ls -l` would tell it."""
    reads = Right.LIST if kind is Kind.DIRECTORY else Right.READ
    changes = CHANGING if kind is Kind.DIRECTORY else {Right.APPEND, Right.OVERWRITE}
    return mode & ~(0 if reads in rights else 0o444) & ~(0 if changes & rights else 0o222)


def _line(rights: Rights, entry: Entry, name: bytes, holders: Sequence[str] = ()) -> Line:
    # By place, in the order of the fields: naming them costs as much again, a hundred thousand times.
    return Line(
        name,
        entry.is_directory,
        entry.size,
        entry.mtime_ns,
        entry.created_ns,
        _mode(entry.kind, entry.mode, rights),
        entry.owner,
        entry.group,
        entry.id,
        _perm(entry.kind, rights),
        tuple(holders),
        target=entry.target,
    )
