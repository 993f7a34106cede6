"""What runs in the guest: a command at a terminal, and a person there who types what is asked for.

Stdin has JSON: pairs of a prompt and what is typed then. What the terminal shows is told on stdout.
"""

from __future__ import annotations

import json
import os
import pty
import sys


def typed(command: list[str], answers: list[tuple[str, str]]) -> tuple[int, bytes]:
    """Run a command to its end; give its code, and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    shown, looked_at, left = b"", 0, list(answers)
    while True:
        if left and (at := shown.find(left[0][0].encode(), looked_at)) >= 0:
            looked_at = at + len(left[0][0].encode())
            os.write(terminal, left.pop(0)[1].encode() + b"\n")
            continue
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # Linux's way to say that nobody is there any more
            data = b""
        if not data:
            break
        shown += data
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown


if __name__ == "__main__":
    code, shown = typed(sys.argv[1:], json.load(sys.stdin))
    sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
    sys.exit(code)
