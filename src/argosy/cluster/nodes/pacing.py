"""How a user's rate is divided over its transfers, wherever they run. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

HELD_BACK = 0.9
"""Who used so great a share of its pace would use more."""

GROWTH = 1.5
"""Who used less may have half as much again, and so can show that it has got faster."""


def wanted(rate: float, pace: int) -> float:
    """Estimate the bytes per second that a transfer could use.

    Args:
        rate: What it used of late.
        pace: What it was given; 0: no limit.
    """
    return math.inf if not pace or rate >= HELD_BACK * pace else rate * GROWTH


def divide(limit: int, wants: Sequence[float]) -> list[int]:
    """Divide a rate so that nobody has more than it can use while another could use more.

    What is left when all have enough is spread evenly on top: none of them needs to be slower than it must.

    Args:
        limit: Bytes per second for all together, more than 0.
        wants: What each could use, in bytes per second; infinite where nobody knows.

    Returns:
        Bytes per second for each. Together they are the limit, but for what rounding leaves; and nobody has
        less than 1, for 0 would mean no limit.
    """
    given = [0] * len(wants)
    left = limit
    for rank, each in enumerate(sorted(range(len(wants)), key=wants.__getitem__)):
        given[each] = int(min(max(1.0, wants[each]), left // (len(wants) - rank)))
        left -= given[each]
    return [max(1, share + left // len(wants)) for share in given]
