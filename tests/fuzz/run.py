"""`make fuzz`: a million random lines and cuts for each protocol, then a real site, and a gateway to it."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from fuzz import asking, live, parsers
from gateways import Gateway
from running import PASSWORD, Site

COUNT = 1_000_000
TALKS = 8
"""Sessions at once."""
CALLS = 20
"""One call of NFS to a gateway for so many lines to a site: it may have to ask the site, and write to it.
The same for an administrator's questions."""
NODES = 20_000
"""A node that joins and talks nonsense for so many lines."""


def main(words: Sequence[str]) -> int:
    """Try it all; 0: nothing was found."""
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Random input for every parser, and for a site."
    )
    parser.add_argument(
        "--count", type=int, default=COUNT, help="lines, frames and cuts for each [%(default)s]"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of rudeness to a site [%(default)g]")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_000)
    parser.add_argument("what", nargs="*", help=f"of {', '.join(parsers.TARGETS)}, site, gateway [all]")
    wanted = parser.parse_args(words)
    names = wanted.what or [*parsers.TARGETS, "site", "gateway"]
    print(f"seed {wanted.seed}", flush=True)
    failed = False
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tries = {
            name: pool.submit(parsers.again_and_again, name, wanted.count, wanted.seed)
            for name in names
            if name in parsers.TARGETS
        }
        for name, tried in tries.items():
            try:
                print(f"{name}: {wanted.count:,} in {tried.result():,} inputs", flush=True)
            except AssertionError as error:
                failed = True
                print(f"FAILED: {error}", flush=True)
    if "site" in names:
        failed |= not _site(wanted.count, wanted.seconds, wanted.seed)
    if "gateway" in names:
        failed |= not _gateway(wanted.count // CALLS, wanted.seed)
    print("verdict: " + ("something was found" if failed else "nothing was found"))
    return int(failed)


def _site(count: int, seconds: float, seed: int) -> bool:
    """Try a real site; whether it was well."""
    directory = Path(tempfile.mkdtemp(prefix="argosy-fuzz-"))
    site = Site(directory / "site", "--nodes", "2", settings=live.SETTINGS)
    site.start()
    try:
        site.add_user(live.GUEST)
        before = live.Before(site)
        begin = time.monotonic()
        with ThreadPoolExecutor(TALKS) as pool:
            talks = [
                pool.submit(
                    live.converse,
                    site,
                    random.Random(f"{seed}:{number}"),
                    count // TALKS,
                    secure=number % 4 == 3,
                )
                for number in range(TALKS)
            ]
            codes = sum((talk.result() for talk in talks), Counter[int]())
        told = ", ".join(f"{code}: {number:,}" for code, number in sorted(codes.items()))
        print(
            f"site: {count:,} lines and cuts in {time.monotonic() - begin:.0f} s; replies {told}", flush=True
        )
        rude = live.be_rude(site, random.Random(seed), seconds)
        print("site, rudely: " + ", ".join(f"{name} {number}" for name, number in rude.items()), flush=True)
        before.check()
        asked = asking.questions(site, random.Random(seed), count // CALLS)
        answers = ", ".join(f"{answer}: {number:,}" for answer, number in asked.most_common())
        print(f"site, asked by an administrator: {answers}", flush=True)
        joined = asking.as_a_node(site, random.Random(seed), count // NODES)
        answers = ", ".join(f"{answer}: {number:,}" for answer, number in joined.most_common())
        print(f"site, told by a node: {answers}", flush=True)
    except (AssertionError, OSError) as error:
        print(f"FAILED: {type(error).__name__}: {error}\nthe site is in {directory}", flush=True)
        return False
    finally:
        site.stop()
    shutil.rmtree(directory)
    return True


def _gateway(count: int, seed: int) -> bool:
    """Try a real gateway to a real site; whether it was well."""
    directory = Path(tempfile.mkdtemp(prefix="argosy-fuzz-"))
    site = Site(directory / "site", "--nodes", "2", settings=live.SETTINGS)
    gateway = Gateway(directory / "gateway", live.GATEWAY)
    site.start()
    try:
        site.add_user(live.GUEST)
        gateway.start()
        url = f"ftp://{live.GUEST}:{PASSWORD}@{site.host}:{site.port}/"
        begin = time.monotonic()
        answers = live.call(gateway, url, random.Random(seed), count)
        told = ", ".join(f"{answer}: {number:,}" for answer, number in answers.most_common())
        print(f"gateway: {count:,} calls in {time.monotonic() - begin:.0f} s; answers {told}", flush=True)
        assert gateway.stop() == 0
    except (AssertionError, OSError) as error:
        print(f"FAILED: {type(error).__name__}: {error}\nthe gateway is in {directory}", flush=True)
        return False
    finally:
        with contextlib.suppress(AssertionError):  # it hasn't started
            gateway.stop()
        site.stop()
    shutil.rmtree(directory)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
