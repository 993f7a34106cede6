"""What is destroyed for good: the harness looks at the disks first, so it knows what the site can't save."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence

from probe.harness.disks import Disk
from probe.harness.model import Tree
from probe.harness.plan import Fault
from probe.harness.report import Record
from probe.harness.yard import acknowledged, ruled_by

REPAIRED_SECONDS = 60.0
"""So long after a disk was taken away its copies may be missing still."""


def take(disks: Mapping[str, Disk], name: str, trees: Sequence[Tree], record: Record) -> None:
    """A disk is about to go for good: note the files of which no other disk has a good copy.

    An acknowledged copy counts, too, that waits for its place: its node, or the master, was hit between 226
    and the order. Another part may never have been sealed, and is dropped when its node is started again.
    """
    elsewhere = set(_good(disks, but=name))
    waiting = {content for other, disk in disks.items() if other != name for content in disk.arriving()}
    here = {*_good(disks, only=name), *disks[name].arriving()}
    for tree in trees:
        for path, known in tree.known():
            held = {one.digest for one in known.possible if one is not None}
            if acknowledged(path) > 1 and known.certain and held & waiting:
                continue
            if held & here and not held & elsewhere and not known.lost:
                known.lost = "new-disk"
                if (
                    acknowledged(path) > 1
                    and not held & record.flipped.keys()
                    and _long_ago(record.destroyed)
                ):
                    record.find(f"{path} was acknowledged with several copies, and has this one alone")
                record.lost[ruled_by(path)] += 1
                record.say(f"{path} lay on the disk of {name} alone")
    record.destroyed = time.monotonic()


def flip(disks: Mapping[str, Disk], fault: Fault, trees: Sequence[Tree], record: Record) -> bool:
    """Turn over a bit of a copy, of a file that another disk has in order, too; False: there is none."""
    chance = random.Random(fault.chance)
    wanted = {known.certain.digest for tree in trees for _, known in tree.known() if known.certain}
    for name in (fault.target, *(other for other in disks if other != fault.target)):
        others = [other for other in disks if other != name]
        locs = sorted(loc for loc, _ in disks[name].files())
        chance.shuffle(locs)
        for loc in locs:
            content = disks[name].look(loc)
            if content in wanted and any(disks[other].look(loc) == content for other in others):
                disks[name].flip(loc, chance.getrandbits(40))
                record.flipped[content] = time.monotonic()
                record.say(f"#{fault.number}: a bit turned over in {loc} on {name}")
                return True
    record.say(f"#{fault.number}: nothing to flip")
    return False


def _long_ago(destroyed: float) -> bool:
    """Whether the copies that the last new disk took have been made again since."""
    return time.monotonic() - destroyed > REPAIRED_SECONDS


def _good(disks: Mapping[str, Disk], *, but: str = "", only: str = "") -> Iterator[str]:
    """Give the digests of all files in their places, or waiting for them."""
    for name, disk in disks.items():
        if name != but and (not only or name == only):
            yield from disk.contents().values()
            yield from disk.unplaced().values()
