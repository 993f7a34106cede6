"""`argosy sites`: what is mounted by the gateway, how the sites behind it are, and forgetting one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from argosy.cli import grammar, tables
from argosy.cli.ask import ask_gateway
from argosy.cli.gateway import settings_of
from argosy.cli.mounting import exports_of_ours
from argosy.errors import Failed
from argosy.wire import link

Document = Mapping[str, Any]

HEAD = ("site", "state", "logins", "cached", "asked", "fetched", "sent", "waiting")
"""Of the table. Logins: connections there are, of as many as there may be."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    listed = grammar.word(to, "sites", sites)
    forgotten = grammar.word(grammar.below(listed), "forget", forget, inner=True)
    forgotten.add_argument("site", metavar="SITE", help="its address, as argosy sites shows it")
    grammar.gateway_config(listed)
    grammar.gateway_config(forgotten, inner=True)


def sites(arguments: argparse.Namespace) -> int:
    """Show the mounted sites, as the running gateway sees them."""
    state = Path(settings_of(arguments).state.directory)
    document = asyncio.run(ask_gateway(state, link.AskSites()))
    print(tables.as_json(document) if arguments.json else sites_text(document))
    return 0


class NotForgotten(Failed):
    """Not forgotten."""


def forget(arguments: argparse.Namespace) -> int:
    """Forget a site's mounts and their passwords, if it is mounted nowhere and has all that was written."""
    settings = settings_of(arguments)
    mounted = exports_of_ours(settings, arguments.config)
    question = link.AskForget(arguments.site, mounted)
    document = asyncio.run(ask_gateway(Path(settings.state.directory), question))
    if arguments.json:
        print(tables.as_json(document))
    for mount in document["mounts"]:
        if why := NOT_FORGOTTEN.get(mount["fate"]):
            raise NotForgotten(f"{mount['site']}: {why.format(', '.join(mount['unsent']))}")
    if not arguments.json:
        print(f"forgotten: {arguments.site}")
    return 0


NOT_FORGOTTEN = {
    "mounted": "it is mounted; first: argosy umount DIR",
    "unsent": "not on the site yet: {}",
}
"""Why a mount isn't forgotten."""


def sites_text(document: Document) -> str:
    """Give the mounts as a table; long uploads, and what is wrong, stand below it."""
    up = tables.span(document["uptime_seconds"])
    head = f"NFS at {document['nfs']}, up for {up}, {tables.size(document['memory_bytes'])} in the cache"
    rows = [_cells(mount) for mount in document["mounts"]]
    rows += [[mount["site"], "asleep", *["-"] * (len(HEAD) - 2)] for mount in document["asleep"]]
    if not rows:
        return f"{head}\nnothing is mounted"
    table = tables.aligned(HEAD, rows, right=HEAD[2:])
    notes = [tables.printable(note) for mount in document["mounts"] for note in _notes(mount)]
    return "\n".join([head, table, *notes])


def _cells(mount: Document) -> list[object]:
    asked, cached = mount["asked_bytes"], mount["cached_bytes"]
    away = mount["away_seconds"]
    return [
        mount["site"],
        f"away for {tables.span(away)}" if away else mount["state"],
        f"{mount['connections']} of {mount['most_connections']}",
        f"{100 * cached / asked:.0f} %" if asked else "-",
        *(tables.size(mount[key]) for key in ("asked_bytes", "fetched_bytes", "sent_bytes", "dirty_bytes")),
    ]


def _notes(mount: Document) -> Iterator[str]:
    for upload in mount["uploads"]:
        size = upload["size"]
        share = f"{100 * upload['sent'] / size:.0f} %" if size else "0 %"
        yield f"{mount['site']}: sending {upload['path']}, {share} of {tables.size(size)}"
    for refused in mount["refused"]:
        yield f"{mount['site']}: {refused['path']} isn't there yet: {refused['why']}"
    if mount["trouble"]:
        yield f"{mount['site']}: {mount['trouble']}"
