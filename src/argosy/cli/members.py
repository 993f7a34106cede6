"""`argosy master` and `argosy node`: the two long-running processes, and how a node becomes one of a site."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path

from argosy import config, telemetry
from argosy.cli import grammar
from argosy.cli.site import Site, node_text, with_key
from argosy.cli.supervisor import tie_to_parent
from argosy.errors import ConfigError, Exists, NotADirectory, NotFound
from argosy.net import pki
from argosy.node.disk.roots import has_store_id, prepare
from argosy.node.link.enrol import enrol

ENROL_SECONDS = 30.0
"""How long the master may take to connect, and to answer each of the two questions."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    master = grammar.word(to, "master", run_master, json=False, log=True)
    grammar.dir_or_config(master)
    node = grammar.word(to, "node", run_node, json=False, log=True)
    node.add_argument("--config", metavar="FILE", help="the node's config file")
    node.set_defaults(misused=node.error)
    for word in (master, node):
        word.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    under = grammar.below(node)
    joining = grammar.word(under, "join", join, json=False)
    joining.add_argument("master", metavar="MASTER:PORT", help="the master's link")
    joining.add_argument("--token", required=True, help="what `argosy token` printed")
    joining.add_argument("--name", required=True, help="what to call this node")
    joining.add_argument(
        "--root",
        nargs="+",
        action="extend",
        required=True,
        metavar="DIR",
        help="directory to serve, a volume each",
    )
    joining.add_argument("--create", action="store_true", help="make the directories that aren't there")
    joining.add_argument(
        "--advertise", default="", metavar="ADDR", help="the address that FTP clients are told"
    )
    joining.add_argument("--label", action="append", default=[], help="for the rules' prefer, require, avoid")
    joining.add_argument("--zone", default="", help="what fails together with it, as a room; for spread zone")
    joining.add_argument("--no-start", action="store_true", help="don't run the node now")
    grammar.dir_option(joining)

    fresh = grammar.word(under, "prepare", prepare_roots, json=False)
    fresh.add_argument("roots", nargs="+", metavar="DIR", help="a directory for a node's files")
    again = grammar.word(under, "rejoin", rejoin, json=False)
    again.add_argument("master", metavar="MASTER:PORT", help="the new master's link")
    again.add_argument("--token", required=True, help="what `argosy token` printed there")
    again.add_argument("--name", required=True, help="the node's")
    grammar.dir_option(again)


def run_master(arguments: argparse.Namespace) -> int:
    """Run a master until TERM or INT."""
    telemetry.setup("master")
    if arguments.parent:
        tie_to_parent(arguments.parent)
    settings = config.load_master(Path(arguments.config or Site(Path(arguments.dir)).master_config))
    import_module("argosy.master").run(settings)  # only here: a node never loads the master
    return 0


def run_node(arguments: argparse.Namespace) -> int:
    """Run a node until TERM or INT."""
    if arguments.parent:
        tie_to_parent(arguments.parent)
    if not arguments.config:
        arguments.misused("want --config FILE, or: argosy node join")
    return _serve(config.load_node(Path(arguments.config)))


def join(arguments: argparse.Namespace) -> int:
    """Enrol this machine's directories as a node of a site, then run it."""
    site = Site(Path(arguments.dir).absolute())
    file = site.node_config(arguments.name)
    pki.check_node_name(arguments.name)
    config.split_address("MASTER", arguments.master)
    how = f"argosy node --config {file}"
    if file.exists():
        raise Exists(f"{arguments.name} is a node already; start it with: {how}")
    roots = [Path(root).absolute() for root in arguments.root]
    for root in roots:
        if not root.is_dir() and not arguments.create:
            raise NotADirectory(f"{root}; is its disk mounted? --create makes it")
        prepare(root)  # before the token is spent: a directory may be unfit
    asyncio.run(enrol(arguments.master, arguments.token, arguments.name, site.keys, seconds=ENROL_SECONDS))
    text = node_text(
        name=arguments.name,
        master=arguments.master,
        roots=[str(root) for root in roots],
        keys="../keys",
        advertise=arguments.advertise,
        labels=arguments.label,
        zone=arguments.zone,
    )
    site.write(file, text)
    print(f"{arguments.name} has joined; later start it with: {how}", file=sys.stderr, flush=True)
    return 0 if arguments.no_start else _serve(config.load_node(file))


def prepare_roots(arguments: argparse.Namespace) -> int:
    """Give directories store ids, so that a node that has joined already can serve them."""
    for root in map(Path, arguments.roots):
        print(f"{prepare(root.absolute())} {root}")
    return 0


def rejoin(arguments: argparse.Namespace) -> int:
    """Have a node go on with a master that was made anew, with its name, its roots and its files."""
    site = Site(Path(arguments.dir).absolute())
    file = site.node_config(arguments.name)
    if not file.exists():
        raise NotFound(f"{file}; for a node without its config: argosy node join, with the same roots")
    settings = config.load_node(file)
    config.split_address("MASTER", arguments.master)
    for root in settings.roots:
        if not has_store_id(Path(root)):
            raise ConfigError(f"root {root} has no store id; is the disk mounted?")
    asyncio.run(
        enrol(
            *(arguments.master, arguments.token, settings.name, Path(settings.keys)),
            seconds=ENROL_SECONDS,
            again=True,
        )
    )
    if settings.master != arguments.master:
        site.write(file, with_key(file.read_text(), "", "master", arguments.master))
    print(
        f"{settings.name} belongs to the new master; restart it: argosy node --config {file}", file=sys.stderr
    )
    return 0


def _serve(settings: config.Node) -> int:
    telemetry.setup(settings.name)
    import_module("argosy.node.agent").run(settings)  # only here: the other words don't need it
    return 0
