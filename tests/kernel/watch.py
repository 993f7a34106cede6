"""What runs in the guest: whoever looks at `ps` all the time, and notes what processes were called with."""

from __future__ import annotations

import contextlib
import os
import sys
import time

PAUSE_SECONDS = 0.1


def watch(until: str) -> set[bytes]:
    """Look until a file is there; give the arguments and the environments that were seen."""
    seen: set[bytes] = set()
    while not os.path.exists(until):
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
                    seen.add(file.read())
        time.sleep(PAUSE_SECONDS)
    return seen


if __name__ == "__main__":
    sys.stdout.buffer.write(b"\n".join(sorted(watch(sys.argv[1]))))
