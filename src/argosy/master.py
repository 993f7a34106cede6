"""The master, put together: it reads as a table of contents."""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from argosy.accounts.accounts import Accounts
from argosy.catalogue.catalogue import Catalogue
from argosy.cluster.copies.copying import Copier
from argosy.cluster.copies.draining import Draining
from argosy.cluster.copies.floors import Floors
from argosy.cluster.copies.proving import Proving
from argosy.cluster.copies.rebalancing import Rebalancing
from argosy.cluster.copies.relocating import Relocating
from argosy.cluster.copies.repair import Repair
from argosy.cluster.copies.retention import Retention
from argosy.cluster.copies.rules import Rules
from argosy.cluster.copies.verifying import Verifier
from argosy.cluster.emptying import Emptying
from argosy.cluster.joining import LinkServer
from argosy.cluster.nodes.roster import Roster
from argosy.cluster.upkeep import Upkeep
from argosy.config import Master, split_address
from argosy.doors.admin.door import AdminDoor
from argosy.doors.admin.office import Office
from argosy.doors.ftp.client import Hall
from argosy.doors.ftp.data import Carriage
from argosy.doors.ftp.server import FtpDoor
from argosy.net import ports, tls
from argosy.net.certificate import Certificate
from argosy.net.pki import Authority
from argosy.presence.bans import Bans
from argosy.presence.visitors import Visitors
from argosy.vfs.vfs import Vfs

log = logging.getLogger("argosy.master")

DAY_SECONDS = 86_400


def run(config: Master) -> None:
    """Run a master until TERM or INT.

    Raises:
        ConfigError: A certificate or directory can't be used.
    """
    uvloop.run(_serve_until_told(config))


async def _serve_until_told(config: Master) -> None:
    loop = asyncio.get_running_loop()
    service = asyncio.ensure_future(serve(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.cancel)
    try:
        await service
    except asyncio.CancelledError:
        log.info("stopped")


async def serve(config: Master) -> None:
    """Open the catalogue and all doors, and serve until cancelled."""
    keys = Path(config.paths.keys)
    authority = Authority.open(keys)
    authority.issue_master()
    certificate = Certificate(lambda: _ftp_certificate(config, authority))
    catalogue = Catalogue(config.catalogue)
    await catalogue.open()
    accounts = Accounts(catalogue)
    threads = ThreadPoolExecutor(config.ftp.data_threads, thread_name_prefix="data")
    searchers = ThreadPoolExecutor(config.search.at_once, thread_name_prefix="search")
    try:
        await catalogue.recover()
        roster = Roster(config)
        upkeep = Upkeep(config, catalogue, roster)
        rules = Rules(config.sections, catalogue.wishes)
        copier = Copier(config, catalogue, roster)
        verifier = Verifier(config, catalogue, roster, owed=upkeep.wake)
        links = LinkServer(
            *(config, catalogue, roster, authority),
            lambda: certificate.pem,
            judge=verifier.judge,
        )
        proving = Proving(config, catalogue, roster, verifier)
        repair = Repair(config, catalogue, roster, rules, copier, owed=upkeep.wake, doubted=verifier.doubt)
        vfs = Vfs(config, catalogue, roster, owed=upkeep.wake, rules=rules, searchers=searchers)
        carriage = Carriage(
            config=config.ftp,
            threads=threads,
            client_tls=certificate.data,
            node_tls=tls.link_server(keys),
            answer_seconds=config.link.answer_seconds,
        )
        visitors = Visitors(sessions_per_address=config.ftp.sessions_per_address)
        bans = Bans(
            failures=config.ftp.ban_failures,
            window_seconds=config.ftp.ban_window_seconds,
            ban_seconds=config.ftp.ban_seconds,
        )
        door = FtpDoor(Hall(config.ftp, vfs, accounts, carriage, certificate, visitors, bans))
        addresses = {"ftp": "", "ftps": "", "link": ""}
        floors = Floors(config, catalogue, repair)
        retention = Retention(config, catalogue, roster, repair, owed=upkeep.wake)
        rebalancing = Rebalancing(config, catalogue, repair)
        emptying = Emptying(config, catalogue, roster, owed=upkeep.wake)
        office = Office(
            config,
            vfs,
            accounts,
            lambda: {
                **addresses,
                "sessions": len(visitors),
                "relayed_bytes": carriage.relayed_bytes,
                "tasks": len(asyncio.all_tasks()),
            },
            visitors,
            bans,
            repair,
            Draining(catalogue, roster, repair),
            Relocating(catalogue, roster, rules, repair),
            rebalancing,
            proving,
            floors,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(links.serve(lambda at: addresses.update(link=at)))
            tasks.create_task(door.serve(lambda name, at: addresses.update({name: at})))
            tasks.create_task(AdminDoor(office).serve())
            for chore in (upkeep, repair, rebalancing, floors, retention, verifier, proving, emptying):
                tasks.create_task(chore.run())
            tasks.create_task(visitors.run(config.link.beat_seconds))
            tasks.create_task(accounts.watch(config.accounts.refresh_seconds))
            tasks.create_task(vfs.ledger.run(config.quota.count_seconds))
            tasks.create_task(vfs.lists.run())
            tasks.create_task(certificate.watch(config.ftp.certificate_seconds, links.certify))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        searchers.shutdown(wait=False, cancel_futures=True)
        accounts.close()
        await catalogue.close()


def _ftp_certificate(config: Master, authority: Authority) -> tuple[Path, Path]:
    """Give the door's certificate and key: the configured ones, or some of our own making."""
    if config.ftp.certificate:
        return Path(config.ftp.certificate), Path(config.ftp.key)
    host = split_address("ftp.listen", config.ftp.listen)[0]
    wanted = [ports.reachable(host), config.ftp.advertise, "localhost", "127.0.0.1"]
    authority.issue_ftp([name for name in dict.fromkeys(wanted) if name])
    keys = Path(config.paths.keys)
    return keys / "ftp.pem", keys / "ftp.key"
