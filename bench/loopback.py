"""A network of one's own: loopback in a private namespace, with one congestion control for all.

Some kernels come with BBR, which on loopback takes two thirds of the speed away, and from each server a
different share. In a namespace we may choose without touching the machine's own settings.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WANTED = "cubic"

_INSIDE = "ARGOSY_BENCH_INSIDE"
"""Set in the environment of the program that runs in the namespace."""

_PORTS = "10000 65000"
"""For data connections: thousands of small transfers leave as many ports in TIME_WAIT."""


def enter(program: str, words: Sequence[str]) -> None:
    """Start this program again in a network namespace of its own; return when that can't be, or is done."""
    if os.environ.get(_INSIDE):
        _prepare()
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        return
    leave = ["--net", "--mount"] if os.geteuid() == 0 else ["--net", "--user", "--map-root-user"]
    if subprocess.run([unshare, *leave, "true"], capture_output=True, check=False).returncode:
        return
    os.environ[_INSIDE] = " ".join(leave)
    os.execv(unshare, [unshare, *leave, sys.executable, program, *words])


def congestion_control() -> str:
    """Give the congestion control that connections over loopback really use."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as made,
    ):
        name: bytes = made.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.rstrip(b"\0").decode()


def private() -> bool:
    """Whether we are in a namespace of our own."""
    return bool(os.environ.get(_INSIDE))


def has_accounts() -> bool:
    """Whether we are in a mount namespace of our own too, as root: then we may have an /etc of our own."""
    return "--mount" in os.environ.get(_INSIDE, "")


def _prepare() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # The default of a namespace may only be what the machine allows to all; a route's may be any.
    route = ("local", "127.0.0.1", "dev", "lo", "proto", "kernel", "scope", "host", "src", "127.0.0.1")
    subprocess.run(
        ["ip", "route", "replace", *route, "table", "local", "congctl", WANTED],
        capture_output=True,
        check=False,
    )
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(_PORTS)
