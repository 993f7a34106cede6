"""`argosy rebuild`: a master anew, from what its nodes know, after its disk was lost."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from argosy import config
from argosy.cli import grammar, tables, up
from argosy.cli.ask import ask
from argosy.cli.founding import Login, found
from argosy.cli.site import Site, node_text
from argosy.cli.supervisor import Supervisor
from argosy.errors import ConfigError, Exists, Unavailable
from argosy.net import ports
from argosy.node.disk import roots
from argosy.wire import link

Document = Mapping[str, Any]

LOOK_SECONDS = 1.0
"""How often we look how far it is."""

DAY_SECONDS = 86_400.0

LOST = (
    "users and groups with their passwords, settings and grants; bans",
    "who owns a file, its group and its mode: all belong to argosy",
    "rules that were set at run time, and what the master's file said if that is lost, too",
    "symbolic links, and directories in which there is no file",
    "cut uploads that could have been gone on with",
    "that files lay in a trash: deleted ones are files again, overwritten ones go to .argosy/trash on disks",
    "that a file was deleted or renamed while a node was away: it comes back from there, or as it was called",
    "the name of what was uploaded just before, if its node fell, too: it is kept aside as recovered-...",
)
"""What nodes don't know."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    word = grammar.word(to, "rebuild", rebuild)
    word.add_argument("--replace", action="store_true", help="put a catalogue that is there aside")
    word.add_argument(
        "--seconds", type=grammar.seconds, default=DAY_SECONDS, help="how long to wait for nodes"
    )
    word.add_argument("--host", metavar="ADDR", help="as of `argosy up`")
    word.add_argument("--port", type=up.port, help="as of `argosy up`")
    word.add_argument("--link-port", type=up.port, metavar="PORT", help="as of `argosy up`")
    word.add_argument("--user", type=up.account, metavar="NAME:PASSWORD", help="an administrator to have")
    grammar.dir_option(word)


def rebuild(arguments: argparse.Namespace) -> int:
    """Make a master anew from its nodes, after its catalogue was lost, and its keys and config maybe."""
    site = Site(Path(arguments.dir).absolute())
    site.make()
    arguments.nodes = 0
    with up.alone(site):
        up.stop_leftovers(site)
        _take_nodes_in(site)
        names = _checked(site)
        _forget_authority(site, names)
        aside = _put_aside(site, replace=arguments.replace)
        master, login = found(site, arguments, again=True)
        document = asyncio.run(_run(site, master, names, arguments.seconds))
    document |= {"user": login.name, "password": login.password, "aside": [str(at) for at in aside]}
    if arguments.json:
        print(tables.as_json({**document, "lost": list(LOST)}))
    else:
        print(rebuilt_text(site, master, login, document))
    return 0 if not document["late"] else 1


# --- before it runs ----


def _take_nodes_in(site: Site) -> None:
    """Write the config of nodes that `argosy up` had made here, where that was lost with the master's."""
    known = set(site.node_names())
    for root in sorted((site.directory / "nodes").iterdir()):
        if root.name not in known and roots.has_store_id(root):
            text = node_text(
                name=root.name, master="127.0.0.1:2122", roots=[f"../nodes/{root.name}"], keys="../keys"
            )
            site.write(site.node_config(root.name), text)


def _checked(site: Site) -> list[str]:
    """Give the nodes of this machine, whose disks are all there.

    Raises:
        ConfigError: One isn't; nothing was changed.
    """
    names = site.node_names()
    for name in names:
        for root in config.load_node(site.node_config(name)).roots:
            if not roots.has_store_id(Path(root)):
                raise ConfigError(
                    f"root {root} of {name} has no store id; mount its disk, or take"
                    f" {site.node_config(name)} away"
                )
    return names


def _forget_authority(site: Site, names: Sequence[str]) -> None:
    """An authority without its key is none: what it signed is signed anew."""
    keys = site.load_master().paths.keys if site.master_config.exists() else str(site.keys)
    directory = Path(keys)
    if (directory / "authority.key").exists() and (directory / "authority.pem").exists():
        return
    for name in ("authority", "master", "ftp", *names):
        (directory / f"{name}.pem").unlink(missing_ok=True)


def _put_aside(site: Site, *, replace: bool) -> list[Path]:
    """Put a catalogue that is there aside.

    Raises:
        Exists: There is one, and nobody said so.
    """
    if not site.master_config.exists():
        return []
    database = Path(site.load_master().catalogue.directory) / "argosy.db"
    there = [at for end in ("", "-wal", "-shm") if (at := database.with_name(database.name + end)).exists()]
    if there and not replace:
        raise Exists(f"{database}; is it really lost? --replace puts it aside")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return [at.rename(at.with_name(f"{at.name}.before-{stamp}")) for at in there]


# --- while it runs ----


async def _run(site: Site, master: config.Master, names: Sequence[str], seconds: float) -> dict[str, Any]:
    supervisor = Supervisor(lambda sentence: print(sentence, file=sys.stderr, flush=True))
    try:
        await up.start(site, master, supervisor)
        late = await _merged(master, names, seconds)
        status = await ask(master, link.AskStatus())
        nodes = (await ask(master, link.AskNodes()))["nodes"]
    finally:
        await supervisor.stop()
    kept = (
        "files",
        "directories",
        "bytes",
        "damaged",
        "conflicts",
        "conflict_paths",
        "suspects",
        "tombstones",
    )
    volumes = [volume for node in nodes for volume in node["volumes"]]
    return {
        **{key: status[key] for key in kept},
        "copies": sum(volume["files"] for volume in volumes),
        "volumes": len(volumes),
        "nodes": [node["name"] for node in nodes],
        "late": late,
    }


async def _merged(master: config.Master, names: Sequence[str], seconds: float) -> list[str]:
    """Wait until the nodes of this machine have told all that they have. Gives those that haven't in time."""
    end = time.monotonic() + seconds
    waiting = list(names)
    while waiting and time.monotonic() < end:
        try:
            nodes = {node["name"]: node for node in (await ask(master, link.AskNodes()))["nodes"]}
        except Unavailable:
            nodes = {}
        waiting = [name for name in names if nodes.get(name, {}).get("state") != "ready"]
        files = sum(volume["files"] for node in nodes.values() for volume in node["volumes"])
        if sys.stderr.isatty():
            print(
                f"\r{files} copies of files, {len(waiting)} nodes to go ", end="", file=sys.stderr, flush=True
            )
        if waiting:
            await asyncio.sleep(LOOK_SECONDS)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return waiting


def rebuilt_text(site: Site, master: config.Master, login: Login, document: Document) -> str:
    """Say what came back, what couldn't, and what is left to do."""
    here = "the nodes of this machine" if document["nodes"] else "no node yet"
    there = f"{tables.counted(document['files'], 'file')} in {document['directories']} directories"
    held = f"{document['copies']} copies on {tables.counted(document['volumes'], 'volume')}"
    lines = [
        f"rebuilt from {here}: {there}, {tables.size(document['bytes'])}, in {held}",
        f"conflicts: {document['conflicts']}; old versions that go to the trash: {document['tombstones']}",
        *(f"  kept aside: {tables.printable(path)}" for path in document["conflict_paths"]),
        "what couldn't come back:",
        *(f"  {what}" for what in LOST),
        *(f"put aside: {at}" for at in document["aside"]),
        *(f"not ready in time: {name}; its log is {site.log(name)}" for name in document["late"]),
        f"administrator: {login.name}" + (f", password {login.password}" if login.password else ""),
        f"now start it: argosy up --dir {site.directory}",
        "nodes on other machines: for each `argosy token` here, then there",
        f"  argosy node rejoin {ports.dialable(master.link.listen)} --token TOKEN --name NAME",
    ]
    return "\n".join(lines)
