"""A clock that can be set while a program runs: on the way of its modules, before anything else is imported.

What durations are measured by stays as it is, as when an administrator sets a machine's clock.
"""

import os
import time

_right, _right_ns = time.time, time.time_ns
_file = os.environ["ARGOSY_HARNESS_CLOCK"]
_read = [0.0, 0.0]


def _ahead() -> float:
    """Give by how many seconds the clock is ahead; the file is read twice a second."""
    now = time.monotonic()
    if now >= _read[0]:
        try:
            with open(_file) as file:
                _read[1] = float(file.read())
        except (OSError, ValueError):
            pass  # it is being written
        _read[0] = now + 0.5
    return _read[1]


time.time = lambda: _right() + _ahead()
time.time_ns = lambda: _right_ns() + int(_ahead() * 1e9)
