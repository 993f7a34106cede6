"""What runs in the guest: does jobs that come by TCP, each on a connection of its own.

A job is a line of JSON: `command` for the shell, and how many bytes follow for its stdin, `input`. The answer
is a line of JSON, `code` and the lengths of `out` and `err`, and then their bytes. A job whose connection is
closed from afar is killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socketserver
import subprocess
import tempfile

PORT = 7
QUIT = "quit"


class Job(socketserver.StreamRequestHandler):
    """One job."""

    def handle(self) -> None:
        """Do it."""
        asked = json.loads(self.rfile.readline())
        if asked["command"] == QUIT:
            os._exit(0)
        with (
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            left = asked["input"]
            while left and (data := self.rfile.read(min(left, 1 << 20))):
                left -= said.write(data)
            said.seek(0)
            process = subprocess.Popen(
                ["/bin/sh", "-c", asked["command"]],
                stdin=said,
                stdout=out,
                stderr=err,
                cwd="/tmp",
                start_new_session=True,
            )
            if not self._ended(process):
                os.killpg(process.pid, signal.SIGKILL)
                return
            sizes = {"code": process.returncode}
            for name, file in (("out", out), ("err", err)):
                sizes[name] = file.seek(0, os.SEEK_END)
                file.seek(0)
            self.wfile.write(json.dumps(sizes).encode() + b"\n")
            for file in (out, err):
                while data := file.read(1 << 20):
                    self.wfile.write(data)

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until a process ends; false when nobody waits for it any more."""
        pidfd = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([pidfd, self.connection], [], [])
            if pidfd in ready:
                process.wait()
            return pidfd in ready
        finally:
            os.close(pidfd)


class Agent(socketserver.ThreadingTCPServer):
    """Takes jobs, any number at once."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    Agent(("", PORT), Job).serve_forever()
