"""What `argosy up` needs on the disk before it starts anything: config, keys, an account, nodes."""

from __future__ import annotations

import argparse
import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

from argosy import config
from argosy.cli.catalogues import accounts
from argosy.cli.site import Site, master_text, node_text, with_key
from argosy.errors import ConfigError, Exists
from argosy.net import ports
from argosy.net.pki import Authority
from argosy.node.disk import roots

FTP_PORT = 2121
LINK_PORT = 2122
FIRST_NODES = 2


@dataclass(frozen=True, slots=True)
class Login:
    """A name and its password in the clear: told once and kept nowhere."""

    name: str
    password: str
    """Empty: it was told before, and nobody knows it any more."""


def found(site: Site, wanted: argparse.Namespace, *, again: bool = False) -> tuple[config.Master, Login]:
    """Make a site, or what is missing of it; what is there stays, but for what was asked to change.

    Args:
        site: Where.
        wanted: The options of `argosy up`: host, port, link_port, nodes, user.
        again: The nodes are those of a site that was here: their roots stay as they are.

    Returns:
        The master's config, and an account: the one that was made or changed, else one that is there.

    Raises:
        Exists: A port is taken, or the directory belongs to another site's node.
        BadArgument: A host or a port that this machine can't have.
        ConfigError: The directory can't be written, or a file in it makes no sense.
    """
    if site.master_config.exists():
        _change(site, wanted)
    else:
        _begin(site, wanted, again=again)
    master = site.load_master()
    Authority.open(Path(master.paths.keys))
    login = asyncio.run(_login(master, wanted.user))
    _nodes(site, master, wanted.nodes)
    if not again:
        _prepare(site)
    return master, login


def is_enrolled(site: Site, name: str) -> bool:
    """Whether a node has its certificate."""
    return (site.keys / f"{name}.pem").exists()


def _begin(site: Site, wanted: argparse.Namespace, *, again: bool) -> None:
    if (names := site.node_names()) and not again:
        raise Exists(
            f"{site.directory} has a node of another site; choose another --dir, or start that node with: "
            f"argosy node --config {site.node_config(names[0])}"
        )
    host = wanted.host or "127.0.0.1"
    if wanted.port != 0:
        ports.check_free(host, wanted.port or FTP_PORT, "--port (0: any free one)")
    port = ports.choose(host, FTP_PORT if wanted.port is None else wanted.port)
    if wanted.link_port:
        ports.check_free(host, wanted.link_port, "--link-port (0: any free one)")
    link_port = ports.choose(host, LINK_PORT if wanted.link_port is None else wanted.link_port, taken=port)
    text = master_text(ftp=config.join_address(host, port), link=config.join_address(host, link_port))
    site.write(site.master_config, text)


def _change(site: Site, wanted: argparse.Namespace) -> None:
    master = site.load_master()
    text = before = _read(site.master_config)
    for table, listen, port, option in (
        ("link", master.link.listen, wanted.link_port, "--link-port"),
        ("ftp", master.ftp.listen, wanted.port, "--port"),
    ):
        host, old_port = config.split_address(f"{table}.listen", listen)
        host = wanted.host or host
        # "Any free one" is the one that clients know already, as long as it is free.
        new_port = old_port if port is None else port or ports.choose(host, old_port)
        ports.check_free(host, new_port, f"{option} (0: any free one)")
        if (address := config.join_address(host, new_port)) != listen:
            text = with_key(text, table, "listen", address)
    if text != before:
        site.write(site.master_config, text)


async def _login(master: config.Master, wanted: tuple[str, str] | None) -> Login:
    async with accounts(master.catalogue) as book:
        there = sorted(book.users(), key=lambda user: not user.admin)
        names = {user.name for user in there}
        if wanted is None and there:
            return Login(there[0].name, "")
        login = Login(*wanted) if wanted else Login("admin", secrets.token_hex(8))
        if login.name in names:
            await book.set_password(login.name, login.password)
        else:
            await book.add(login.name, login.password, admin=True)
        return login


def _nodes(site: Site, master: config.Master, wanted: int | None) -> None:
    names = site.node_names()
    address = ports.dialable(master.link.listen)
    for name in names:
        text = _read(site.node_config(name))
        if (changed := with_key(text, "", "master", address)) != text:
            site.write(site.node_config(name), changed)
    if wanted is None and not names:
        wanted = FIRST_NODES
    missing = (wanted or 0) - len(names)
    unused = (f"n{number}" for number in range(1, 10_000))
    fresh = (name for name in unused if name not in names)
    for _, name in zip(range(missing), fresh, strict=False):
        text = node_text(name=name, master=address, roots=[f"../nodes/{name}"], keys="../keys")
        site.write(site.node_config(name), text)


def _prepare(site: Site) -> None:
    for name in site.node_names():
        # Never again after the first start: a root without its id may be a disk that isn't mounted.
        if not is_enrolled(site, name):
            site.root(name).mkdir(mode=0o700, exist_ok=True)
            roots.prepare(site.root(name))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
