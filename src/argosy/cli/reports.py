"""`argosy nodes`, `argosy status` and `argosy why`: what the running master says of itself."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from argosy.cli import grammar, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config
from argosy.wire import link

Document = Mapping[str, Any]


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    listed = grammar.word(to, "nodes", nodes)
    grammar.dir_or_config(listed)
    under = grammar.below(listed)
    again = grammar.word(under, "remerge", remerge, inner=True)
    again.add_argument("name")
    again.add_argument("--accept-losses", action="store_true", help="files that are gone are gone")
    grammar.dir_or_config(again, inner=True)
    striking = grammar.word(under, "strike", strike, inner=True)
    striking.add_argument("store_id", metavar="STORE_ID", help="the volume's id, or its beginning")
    forgetting = grammar.word(under, "forget", forget, inner=True)
    forgetting.add_argument("name")
    for word in (striking, forgetting):
        word.add_argument("--accept-losses", action="store_true", help="files that are only there go")
        grammar.dir_or_config(word, inner=True)
    grammar.dir_or_config(grammar.word(to, "status", status))
    told = grammar.word(to, "why", why)
    told.add_argument("path")
    grammar.dir_or_config(told)


def nodes(arguments: argparse.Namespace) -> int:
    """Show the nodes."""
    return _report(arguments, link.AskNodes(), nodes_text)


def status(arguments: argparse.Namespace) -> int:
    """Show how the site is."""
    return _report(arguments, link.AskStatus(), status_text)


def why(arguments: argparse.Namespace) -> int:
    """Show where a path lies, and who would serve it now."""
    return _report(arguments, link.AskWhy(os.fsencode(arguments.path)), why_text)


def remerge(arguments: argparse.Namespace) -> int:
    """Have a node read its disks now and merge the whole list."""
    master = master_config(arguments)
    question = link.AskRemerge(arguments.name, arguments.accept_losses)
    # Two runs over the disk: the scan, then the list.
    document = asyncio.run(ask(master, question, seconds=2 * master.link.checksum_seconds))
    print(tables.as_json(document) if arguments.json else remerge_text(document))
    return 0


def strike(arguments: argparse.Namespace) -> int:
    """Take a volume that won't come back out of the record."""
    return _struck(arguments, link.AskStrike(arguments.store_id, arguments.accept_losses))


def forget(arguments: argparse.Namespace) -> int:
    """Take a node that won't come back out of the record, with its volumes."""
    return _struck(arguments, link.AskForgetNode(arguments.name, arguments.accept_losses))


def _struck(arguments: argparse.Namespace, question: link.Body) -> int:
    master = master_config(arguments)
    document = asyncio.run(ask(master, question, seconds=master.link.checksum_seconds))
    print(tables.as_json(document) if arguments.json else struck_text(document))
    return 0 if document["struck"] else 1


def struck_text(document: Document) -> str:
    """Say what was struck, and which files went with it, or would."""
    files = f"{tables.counted(document['lost'], 'file')}, {tables.size(document['lost_bytes'])}"
    named = [f"  {tables.printable(path)}" for path in document["lost_paths"]]
    if document["lost"] > len(named):
        named.append("  ...")
    if not document["struck"]:
        return "\n".join(
            [
                f"not struck: {files}, are only there. Wait for repair; or give them up: --accept-losses",
                *named,
            ]
        )
    volumes = [f"struck: {store_id}" for store_id in document["volumes"]] or ["it had no volume"]
    return "\n".join([*volumes, *([f"gone with it: {files}", *named] if document["lost"] else [])])


def nodes_text(document: Document) -> str:
    """Give the nodes and their volumes as a table."""
    rows = []
    for node in document["nodes"]:
        volumes = node["volumes"] or [None]
        for number, volume in enumerate(volumes):
            first = (
                [node["name"], node["state"], node["advertise"] or node["address"], node["transfers"]]
                if not number
                else ["", "", "", ""]
            )
            rows.append([*first, *_volume_cells(volume)])
    if not rows:
        return "no node has joined yet; `argosy token` prints what one needs"
    head = ("name", "state", "address", "transfers", "volume", "merge", "files", "bytes", "free", "of")
    table = tables.aligned(head, rows, right=("transfers", "files", "bytes", "free", "of"))
    return "\n".join([table, *_losses(document)])


def _volume_cells(volume: Document | None) -> list[object]:
    if volume is None:
        return ["-", "-", "-", "-", "-", "-"]
    sizes = [tables.size(volume[key]) for key in ("bytes", "free", "total")]
    return [volume["store_id"][:8], volume["state"], volume["files"], *sizes]


def _losses(document: Document) -> list[str]:
    return [
        f"{node['name']}: a scan of {volume['store_id'][:8]} misses "
        f"{tables.counted(volume['held_losses'], 'file')} and waits; if they are really gone:"
        f" argosy nodes remerge {node['name']} --accept-losses"
        for node in document["nodes"]
        for volume in node["volumes"]
        if volume["held_losses"]
    ]


def status_text(document: Document) -> str:
    """Give the site's figures, a line each."""
    count = document["nodes"]
    folders = tables.counted(document["directories"], "directory", "directories")
    lines = [
        ("version", document["version"]),
        ("up for", tables.span(document["uptime_seconds"])),
        ("ftp", document["ftp"]),
        *([("ftps", document["ftps"])] if document["ftps"] else []),
        ("link", document["link"]),
        ("nodes", f"{count['ready']} ready, {count['merging']} merging, {count['away']} away"),
        ("sessions", document["sessions"]),
        ("transfers", document["transfers"]),
        ("relayed", tables.size(document["relayed_bytes"])),
        ("files", f"{document['files']} in {folders}"),
        ("links", document["links"]),
        ("bytes", tables.size(document["bytes"])),
        ("damaged", document["damaged"]),
        ("partial", document["partial"]),
        ("conflicts", document["conflicts"]),
        ("suspects", document["suspects"]),
        ("to delete", document["tombstones"]),
        *([("matters", f"{len(document['matters'])}; argosy matters")] if document.get("matters") else []),
        *_leaving(document.get("leaving", {"files": 0})),
        *(("room", _lack(one)) for one in document.get("lacking_room", ())),
        *_trash(document.get("trash", {"files": 0})),
        *_copies(document["copies"]),
        *_proof(document),
    ]
    text = "\n".join(f"{name:<10} {tables.printable(value)}" for name, value in lines)
    named = [("damaged", path) for path in document["damaged_paths"]]
    named += [("conflict", path) for path in document["conflict_paths"]]
    named += [("matter", one["sentence"]) for one in document.get("matters", ())]
    named += [("copies", f"{_files(one)}: {one['why']}") for one in document["copies"]["obstacles"]]
    return "\n".join([text, *(f"  {what:<8} {tables.printable(path)}" for what, path in named)])


def _proof(document: Document) -> list[tuple[str, str]]:
    """Say what was found of copies lately, and how far the volumes' scrubs are."""
    found = document.get("findings", {})
    lines = []
    if found:
        open_ones = found.get("found", 0) + found.get("owed", 0)
        lines.append(("bad copies", f"{sum(found.values())} lately, {open_ones} open; argosy findings"))
    for one in document.get("scrubs", ()):
        if one["running"]:
            share = 100 * one["bytes"] // one["of_bytes"] if one["of_bytes"] else 100
            told = f"{min(share, 100)} % read, {tables.size(one['bytes'])}"
        elif one["ended"]:
            told = f"read whole {tables.span(max(0.0, time.time() - one['ended']))} ago"
        else:
            told = "not yet"
        lines.append(("scrub", f"{one['node']} {one['store_id'][:8]}: {told}, {one['bad']} bad"))
        if one["trouble"]:
            lines.append(("scrub", f"{one['node']} {one['store_id'][:8]}: can't go on: {one['trouble']}"))
    return lines


def _leaving(leaving: Document) -> list[tuple[str, str]]:
    """Say what has outlived its retention and will go; nothing, where nothing has."""
    if not leaving["files"]:
        return []
    soon = tables.span(leaving["first_seconds"] or 0.0)
    return [("will go", f"{_files(leaving)}, older than retention allows, the first in {soon}")]


def _lack(lack: Document) -> str:
    """Say of a volume with less free space than it shall have what leaves it."""
    missing = lack["floor"] - lack["free"]
    words = [f"{lack['node']} {lack['store_id'][:8]}: {tables.size(lack['free'])} free"]
    words[0] += f" of the {tables.size(lack['floor'])} that shall be"
    if lack["leaving"]:
        words.append(f"{tables.size(lack['leaving'])} on the way")
    if missing > lack["leaving"]:
        words.append(f"nobody makes the other {tables.size(missing - lack['leaving'])}")
    return ", ".join(words)


def _trash(trash: Document) -> list[tuple[str, str]]:
    """Say what is kept of what was deleted; nothing, where nothing is."""
    return [("trash", _files(trash))] if trash["files"] else []


def _copies(copies: Document) -> list[tuple[str, str]]:
    """Say what is to be copied, and how that goes; nothing, where nothing is."""
    lines = [
        (
            "copies",
            f"{_files(one)}, {_verb(one, 'want')} more than the {one['left']} that count",
        )
        for one in copies["lacking"]
    ]
    if copies["misplaced"]["files"]:
        more = copies["misplaced"]
        lines.append(("copies", f"{_files(more)}, {_verb(more, 'need')} some to be moved"))
    if copies["batches"]:
        left = copies["seconds_left"]
        speed = f"{copies['files_per_second']:.0f} files/s, {tables.size(copies['bytes_per_second'])}/s"
        lines.append(("copying", speed + (f", {tables.span(left)} left" if left else "")))
    return lines


def _files(sums: Document) -> str:
    return f"{tables.counted(sums['files'], 'file')}, {tables.size(sums['bytes'])}"


def _verb(sums: Document, verb: str) -> str:
    return f"{verb}s" if sums["files"] == 1 else verb


def why_text(document: Document) -> str:
    """Give a path's replicas, and the choice of nodes with its reasons."""
    lines = [f"{tables.printable(document['path'])}: {document['kind']}"]
    if document["kind"] == "file":
        stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(document["mtime"]))
        lines[0] += f", {document['state']}, {tables.size(document['size'])}, {stamp}"
    if document["kind"] == "link":
        lines[0] += tables.printable(f" to {document['target']}, leads to {document['leads_to']}")
    if document["section"]:
        lines.append(f"section {tables.printable(document['section'])}")
    lines += [
        tables.printable(f"{field} {_said(one['value'])} ({one['by']})")
        for field, one in document["wanted"].items()
        if one["by"] != "default"
    ]
    for replica in document["replicas"]:
        online = "online" if replica["online"] else "away"
        where = f"{replica['node']} {str(replica['volume'])[:8]} {replica['loc']}"
        lines.append(f"  on {tables.printable(where)} ({replica['standing']}, {online})")
    lines += [tables.printable(f"  {word}") for word in document.get("moves", [])]
    for title, key in (("reading", "reading"), ("writing", "writing")):
        if document[key]:
            lines.append(f"{title}:")
        elif key == "reading" and document["replicas"]:
            lines.append("reading: by nobody, for none of its copies is good")
        for choice in document[key]:
            lines += _choice(choice)
    return "\n".join(lines)


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _choice(choice: Document) -> list[str]:
    verdict = "chosen" if choice["chosen"] else "could" if choice["eligible"] else "can't"
    reasons = [
        f"      {reason['points']:+8.1f}  {tables.printable(reason['why'])}" for reason in choice["reasons"]
    ]
    return [f"  {verdict:<7} {choice['node']}  {choice['score']:.1f} points", *reasons]


def remerge_text(document: Document) -> str:
    """Give what a remerge found, a line for each volume."""
    head = ("volume", "files", "changes", "held losses")
    rows = [
        (volume["store_id"][:8], volume["files"], volume["changes"], volume["held_losses"])
        for volume in document["volumes"]
    ]
    return f"{document['node']}\n" + tables.aligned(head, rows, right=head[1:])


def _report(arguments: argparse.Namespace, question: link.Body, text: Callable[[Document], str]) -> int:
    document = asyncio.run(ask(master_config(arguments), question))
    print(tables.as_json(document) if arguments.json else text(document))
    return 0
