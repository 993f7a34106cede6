"""`argosy verify`, `scrub` and `findings`: copies are read and compared, and what was found of them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from argosy.catalogue.proof import Became, Finding
from argosy.cli import grammar, progress, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config, opened
from argosy.errors import Unavailable
from argosy.wire import link

Document = Mapping[str, Any]

DAY_SECONDS = 86_400.0

LISTED = 10_000
"""Findings that are shown at the most."""

HEARD_SECONDS = 12.0
"""Nodes say with their beat what is in a pass's way: for so long it may be what was before the order."""

LATER = "it goes on; say it again to see how far it is"

BECAME: Mapping[Became, str] = {
    Became.FOUND: "stays where it is: no good copy is here",
    Became.OWED: "goes to the quarantine",
    Became.QUARANTINED: "in the quarantine",
    Became.PURGED: "deleted from the quarantine",
    Became.GONE: "was gone when it should be moved",
    Became.HEALED: "was read right later",
    Became.OVERTAKEN: "replaced, deleted or changed since",
}
"""What became of bad copies, in a person's words."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    proving = grammar.word(to, "verify", verify)
    proving.add_argument("path", metavar="PATH", help="a file, or a directory with all below")
    proving.add_argument("--no-wait", action="store_true", help="begin it, and don't wait for the end")
    grammar.dir_or_config(proving)
    reading = grammar.word(to, "scrub", scrub)
    reading.add_argument("node", nargs="?", default="", metavar="NODE", help="whose disks; none: all nodes")
    reading.add_argument("--no-wait", action="store_true", help="begin it, and don't wait for the end")
    grammar.dir_or_config(reading)
    listed = grammar.word(to, "findings", findings)
    listed.add_argument("--days", type=float, default=30.0, metavar="N", help="of so many days [30]")
    grammar.dir_or_config(listed)


def verify(arguments: argparse.Namespace) -> int:
    """Have every copy of a file, or of all below a directory, read now and compared."""
    master, path = master_config(arguments), os.fsencode(arguments.path)
    document: Document = asyncio.run(ask(master, link.AskVerify(path, begin=True)))
    if not arguments.no_wait:
        look = partial(ask, master, link.AskVerify(path, begin=False))
        document = _followed(arguments, look, _verifying, "it goes on; say it again to see how far it is")
    print(tables.as_json(document) if arguments.json else verify_text(document))
    unread = document["done"] and (document["away"] or document["rewritten"])
    return 1 if document["bad"] or document["damaged"] or document["failed"] or unread else 0


def scrub(arguments: argparse.Namespace) -> int:
    """Have nodes read all of their files now, as fast as their disks can, and compare them."""
    master = master_config(arguments)
    document: Document = asyncio.run(ask(master, link.AskScrub(arguments.node, begin=True)))
    asked = document["volumes"]
    if not asked:
        raise Unavailable(f"no disk of {arguments.node or 'any node'} is here")
    before = {one["store_id"]: _ended(one) for one in asked}
    heard = time.monotonic() + HEARD_SECONDS

    async def look() -> Document:
        now = await ask(master, link.AskScrub(arguments.node, begin=False))
        there = {one["store_id"]: one for one in now["volumes"]}
        volumes = [there.get(one["store_id"]) or _gone(one) for one in asked]
        return scrubbing(volumes, before, heard=time.monotonic() >= heard)

    if not arguments.no_wait:
        document = _followed(arguments, look, _scrubbing, "it goes on; `argosy status` shows how far it is")
    else:
        document = scrubbing(document["volumes"], before)
    print(tables.as_json(document) if arguments.json else scrub_text(document))
    return 1 if document["done"] and (document["bad"] or document["unread"]) else 0


def findings(arguments: argparse.Namespace) -> int:
    """Show copies whose bytes weren't what they should be, and what became of them."""
    settings = master_config(arguments).catalogue

    async def run() -> list[Finding]:
        async with opened(settings) as catalogue:
            return catalogue.findings(arguments.days * DAY_SECONDS, LISTED)

    found = asyncio.run(run())
    print(
        tables.as_json({"findings": [_described(one) for one in found]}) if arguments.json else listed(found)
    )
    return 0


def _followed(
    arguments: argparse.Namespace,
    look: Callable[[], Awaitable[Document]],
    words: Callable[[Document, progress.Pace], str],
    later: str,
) -> Document:
    try:
        return asyncio.run(progress.follow(look, words, quiet=arguments.json))
    except KeyboardInterrupt:
        print(later, file=sys.stderr)
        raise


# --- in words


def _verifying(document: Document, pace: progress.Pace) -> str:
    bad = f", {document['bad']} bad" if document["bad"] else ""
    counting = "" if document["counted"] else ", still counting"
    return progress.line(document, pace) + bad + counting


def verify_text(document: Document) -> str:
    """Say what came of it."""
    path = tables.printable(document["path"])
    if not document["done"]:
        return f"verifying {path}: {progress.line(document, _still(document))}"
    read = tables.counted(document["good"] + document["bad"], "copy", "copies")
    lines = [f"{path}: {read} read, {document['bad']} bad"]
    if document["damaged"]:
        lines.append(f"  {tables.counted(document['damaged'], 'file')} without a good copy")
    if document["away"]:
        away = tables.counted(document["away"], "copy", "copies")
        lines.append(f"  {away} not read: a node or a disk is away, or doesn't answer")
    if document["rewritten"]:
        by_hand = tables.counted(document["rewritten"], "copy", "copies")
        lines.append(f"  {by_hand} not compared: changed by hand on the disk; its next scan takes that up")
    if document["changed"]:
        lines.append(f"  {tables.counted(document['changed'], 'copy', 'copies')} changed meanwhile")
    if document["failed"]:
        lines.append("  it ended early; the master's log says why")
    lines += [
        f"  bad: {tables.printable(one['path'])} on {one['node']}, {one['why']}"
        for one in document["bad_copies"]
    ]
    return "\n".join(lines)


def scrubbing(volumes: Sequence[Document], before: Mapping[str, float], *, heard: bool = True) -> Document:
    """Say how far volumes are that were asked to be read.

    Args:
        volumes: As the master tells of them.
        before: When their last passes had ended, by then.
        heard: Whether what they say of trouble is said since.
    """
    unread = []
    total = {"files": 0, "bytes": 0}
    left = {"files": 0, "bytes": 0}
    done, bad = True, 0
    for one in volumes:
        stand = one["scrub"] or _NOT_YET
        over = not stand["running"] and _ended(one) > before[one["store_id"]]
        if not over and heard and stand.get("trouble"):
            unread.append({key: one[key] for key in ("node", "store_id")} | {"why": stand["trouble"]})
            continue
        read = stand["bytes"] if over or stand["running"] else 0
        files = max(one["files"], stand["files"])
        total["files"] += files
        total["bytes"] += max(stand["of_bytes"], read)
        if not over:
            left["files"] += max(files - (stand["files"] if stand["running"] else 0), 1)
            left["bytes"] += max(stand["of_bytes"] - read, 0)
        done = done and over
        bad += stand["bad"] if over or stand["running"] else 0
    told = {"done": done, "total": total, "left": left, "obstacles": [], "bad": bad, "unread": unread}
    return {**told, "volumes": list(volumes)}


def _gone(volume: Document) -> Document:
    """A volume that was asked to be read, and isn't here any more."""
    return {**volume, "scrub": {**(volume["scrub"] or _NOT_YET), "running": False, "trouble": "it is away"}}


_NOT_YET: Document = {"running": False, "files": 0, "bytes": 0, "of_bytes": 0, "bad": 0, "ended": 0.0}
"""Of a volume that hasn't told of a pass."""


def _ended(volume: Document) -> float:
    return float(volume["scrub"]["ended"]) if volume["scrub"] else 0.0


def _scrubbing(document: Document, pace: progress.Pace) -> str:
    return progress.line(document, pace) + (f", {document['bad']} bad" if document["bad"] else "")


def scrub_text(document: Document) -> str:
    """Say what came of it."""
    total = document["total"]
    what = f"{tables.counted(total['files'], 'file')}, {tables.size(total['bytes'])}"
    if not document["done"]:
        return f"reading {what}; `argosy status` shows how far it is"
    unread = [f"  not read to its end: {_named(one)}: {one['why']}" for one in document["unread"]]
    bad = f"{what} read, {document['bad']} bad" + ("; see `argosy findings`" if document["bad"] else "")
    return "\n".join([bad, *map(tables.printable, unread)])


def _named(volume: Document) -> str:
    return f"{volume['node']} {volume['store_id'][:8]}"


def listed(found: Sequence[Finding]) -> str:
    """Give findings as a table."""
    rows = [
        (
            _stamp(one.found_ns),
            one.node,
            one.path.decode(errors="backslashreplace"),
            one.trouble or "wrong checksum",
            one.cause,
            BECAME[one.became],
        )
        for one in found
    ]
    return (
        tables.aligned(("when", "node", "file", "what", "by", "the copy"), rows) if rows else "nothing found"
    )


def _described(one: Finding) -> Document:
    return {
        "id": f"{one.id:016x}",
        "found": one.found_ns / 1e9,
        "node": one.node,
        "volume": one.volume,
        "loc": one.loc.decode(errors="backslashreplace"),
        "path": one.path.decode(errors="backslashreplace"),
        "version": one.ver,
        "size": one.size,
        "cause": one.cause,
        "trouble": one.trouble,
        "wanted": _sums(one.wanted_crc32, one.wanted_digest),
        "read": _sums(one.found_crc32, one.found_digest),
        "became": str(one.became),
        "since": one.became_ns / 1e9,
    }


def _sums(crc32: int | None, digest: bytes | None) -> Document:
    return {"crc32": None if crc32 is None else f"{crc32:08x}", "xxh3": digest.hex() if digest else None}


def _stamp(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(ns / 1e9))


def _still(document: Document) -> progress.Pace:
    pace = progress.Pace()
    pace.note(document["left"]["files"], document["left"]["bytes"])
    return pace
