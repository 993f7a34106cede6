"""What other languages bring along: Perl's Net::FTP, Ruby's net/ftp, PHP's ftp, Node's basic-ftp.

Each has one short script beside this module, called in the same way:
`VERB HOST PORT USER PASSWORD AUTHORITY REMOTE LOCAL TARGET OFFSET`, where an empty AUTHORITY means no TLS.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.client import Here, Job

SCRIPTS = Path(__file__).with_name("scripts")
MODULES = SCRIPTS / "node_modules"


def script(program: str, file: str, verb: str) -> Job:
    """Make a job of one verb of a script."""

    async def job(here: Here) -> str:
        if program == "node" and not (MODULES / "basic-ftp").exists():
            pytest.skip("needs basic-ftp: npm ci --prefix tests/clients/scripts")
        server = here.server
        authority = str(server.authority) if here.tls else ""
        where = (server.host, server.port, server.user, server.password, authority)
        words = (*where, here.remote, here.local, here.target, here.offset)
        return await here.run(program, SCRIPTS / file, verb, *words)

    return job


def jobs(program: str, file: str) -> dict[str, Job]:
    """Make jobs of all verbs that the scripts know."""
    verbs = ("list", "get", "put", "resume get", "resume put", "rename", "delete")
    return {verb: script(program, file, verb) for verb in verbs}
