"""What Argosy wants to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import lostnode
import mounts
import nodes
import repairs
import uploads
from table import Row, Table
from transfers import STREAMS, streams

DIRECT, RELAYED, ALONE = "argosy direct", "argosy relayed", "argosy"
SMALL_PEER = "vsftpd"
GANESHA = "nfs-ganesha"

CPU_FACTOR = 1.2
RELAY_FACTOR = 0.7
ADOPTED = 50_000.0
REJOIN_SECONDS = 2.0
PIECES_FACTOR = 10.0
LINKS_SHARE = 0.95
MASTERS_PERCENT = 1.0
REPAIR_SHARE = 0.9
REPAIRED = 500.0
SECOND_COPY_FACTOR = 1.15


@dataclass(frozen=True, slots=True)
class Verdict:
    """An aim, and how far we are."""

    what: str
    wanted: str
    found: str
    met: bool


def verdicts(tables: Mapping[str, Table]) -> list[Verdict]:
    """Look at the tables that there are, by name, and judge; aims of other tables are passed over."""
    found: list[Verdict] = []
    if table := tables.get("large"):
        found += _large(table)
    if table := tables.get("small"):
        found += _small(table)
    if table := tables.get("merge"):
        found += _merge(table)
    if table := tables.get("mounts"):
        found += _mounts(table)
    if table := tables.get("nfs"):
        found += _nfs(table)
    if table := tables.get("nodes"):
        found += _nodes(table)
    if table := tables.get("repair"):
        found += _repair(table)
    if table := tables.get("lostnode"):
        found += _lostnode(table)
    if table := tables.get("uploads"):
        found += _uploads(table)
    return found


def text(found: Sequence[Verdict]) -> str:
    """Render for a terminal."""
    return "\n".join(
        f"{'met   ' if one.met else 'MISSED'}  {one.what}: {one.found}; wanted: {one.wanted}" for one in found
    )


def markdown(found: Sequence[Verdict]) -> str:
    """Render for a document."""
    lines = [
        f"| {one.what} | {one.wanted} | {one.found} | {'met' if one.met else '**missed**'} |" for one in found
    ]
    return "\n".join(["| aim | wanted | found | |", "|---|---|---|---|", *lines])


def _large(table: Table) -> Iterator[Verdict]:
    peers = [column for column in table.columns if column not in (DIRECT, RELAYED)]
    for what in (f"{verb}, {streams(count)}" for verb in ("RETR", "STOR") for count in STREAMS):
        speed, cpu = Row(what, "GiB/s"), Row(what, "server CPU s per GiB")
        ours, spent = table.median(speed, DIRECT), table.median(cpu, DIRECT)
        if ours is None or spent is None:
            continue
        speeds = {peer: value for peer in peers if (value := table.median(speed, peer)) is not None}
        if speeds:
            best = max(speeds, key=lambda peer: speeds[peer])
            yield _at_least(f"{what}, direct, GiB/s", ours, speeds[best], f"{best}'s")
            theirs = table.median(cpu, best)
            if theirs is not None:
                limit = theirs * CPU_FACTOR
                yield Verdict(
                    f"{what}, direct, CPU s per GiB",
                    f"at most {limit:.2f}, {CPU_FACTOR} times {best}'s",
                    f"{spent:.2f} ({spent / theirs:.2f} times)",
                    spent <= limit,
                )
        relayed = table.median(speed, RELAYED)
        if relayed is not None:
            yield _at_least(
                f"{what}, relayed, GiB/s", relayed, ours * RELAY_FACTOR, f"{RELAY_FACTOR} of direct's"
            )


def _small(table: Table) -> Iterator[Verdict]:
    for what in ("1 KiB files read", "1 KiB files written"):
        row = Row(what, "files/s", 0)
        ours, theirs = table.median(row, DIRECT), table.median(row, SMALL_PEER)
        if ours is not None and theirs is not None:
            yield _at_least(f"{what} a second", ours, theirs, f"{SMALL_PEER}'s", digits=0)


def _merge(table: Table) -> Iterator[Verdict]:
    adopted = table.median(Row("adoption", "files/s", 0), ALONE)
    if adopted is not None:
        yield _at_least("files of a new node adopted a second", adopted, ADOPTED, "", digits=0)
    rejoin = table.median(Row("rejoin, from the node's start until it is ready", "s"), ALONE)
    if rejoin is not None:
        yield Verdict(
            "rejoin of an unchanged node, s",
            f"at most {REJOIN_SECONDS:g}",
            f"{rejoin:.2f}",
            rejoin <= REJOIN_SECONDS,
        )


def _mounts(table: Table) -> Iterator[Verdict]:
    for row in table.rows:
        ours = table.median(row, mounts.OURS)
        others = [column for column in table.columns if column != mounts.OURS]
        peers = {name: value for name in others if (value := table.median(row, name)) is not None}
        if ours is None or not peers:
            continue
        if row.unit.endswith("/s"):
            best = max(peers, key=lambda name: peers[name])
            wanted = peers[best] * (PIECES_FACTOR if mounts.PIECES in row.what else 1)
            whose = f"{PIECES_FACTOR:g} times {best}'s" if mounts.PIECES in row.what else f"{best}'s"
            yield _at_least(f"{row.what}, {row.unit}", ours, wanted, whose, digits=0)
        elif row.unit == "s":
            best = min(peers, key=lambda name: peers[name])
            limit = f"at most {peers[best]:.2f}, {best}'s"
            yield Verdict(f"{row.what}, s", limit, f"{ours:.2f}", ours <= peers[best])


def _nfs(table: Table) -> Iterator[Verdict]:
    for row in (row for row in table.rows if "CPU" in row.unit or "CPU" in row.what):
        ours, theirs = table.median(row, ALONE), table.median(row, GANESHA)
        if ours is not None and theirs is not None:
            yield _at_least(f"{row.what}, {row.unit}", ours, theirs, f"{GANESHA}'s", digits=0)


def _nodes(table: Table) -> Iterator[Verdict]:
    links = table.median(nodes.LINKS, nodes.ARGOSY) or 0.0
    for what in (nodes.DOWN, nodes.UP, nodes.BOTH_DOWN, nodes.BOTH_UP):
        found = table.median(nodes.rate(what), nodes.ARGOSY)
        if found is not None:
            about = f"{what}, as many clients as nodes, Mbit/s"
            yield _at_least(about, found, LINKS_SHARE * links, f"{LINKS_SHARE} of the wire", digits=1)
    share = table.median(nodes.MASTERS_SHARE, nodes.ARGOSY)
    if share is not None:
        limit = f"less than {MASTERS_PERCENT:g}"
        yield Verdict("the master's share of the bytes, %", limit, f"{share:.3f}", share < MASTERS_PERCENT)


def _repair(table: Table) -> Iterator[Verdict]:
    share = table.median(repairs.SHARE, repairs.COLUMN)
    if share is not None:
        about = "repair of a lost node: share of what the links that are left can carry"
        yield _at_least(about, share, REPAIR_SHARE, "")
    for row in (repairs.FEW, repairs.LOST):
        found = table.median(row, repairs.COLUMN)
        if found is not None:
            yield _at_least(f"{row.what}, {row.unit}", found, REPAIRED, "", digits=0)


def _lostnode(table: Table) -> Iterator[Verdict]:
    for row in (lostnode.LATER, lostnode.WRONG):
        found = table.median(row, lostnode.COLUMN)
        if found is not None:
            yield Verdict(f"a node dies under load: {row.what}", "none", f"{found:.0f}", found == 0)


def _uploads(table: Table) -> Iterator[Verdict]:
    for row in (row for row in table.rows if row.unit == "s"):
        one, both = table.median(row, uploads.ONE), table.median(row, uploads.BOTH)
        if one and both:
            limit = f"at most {SECOND_COPY_FACTOR} times as long as with one"
            factor = both / one
            is_met = factor <= SECOND_COPY_FACTOR
            yield Verdict(f"upload with two copies before 226, {row.what}", limit, f"{factor:.2f}", is_met)


def _at_least(what: str, found: float, wanted: float, whose: str, *, digits: int = 2) -> Verdict:
    limit = f"at least {wanted:,.{digits}f}" + (f", {whose}" if whose else "")
    return Verdict(what, limit, f"{found:,.{digits}f} ({found / wanted:.2f})", found >= wanted)
