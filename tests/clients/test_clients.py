"""Clients that people use, with the settings they come with: each does what it can, in clear and by TLS."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

from argosy.net.pki import Authority
from clients.client import JOBS, NAMES, Here, Setup
from clients.page import ONLY, PAGE, YES
from clients.table import SETUPS
from clients.trials import attempt
from running import needs, run
from servers import Server

ABLE = [
    pytest.param(setup, job, id=f"{setup}-{job}")
    for setup in SETUPS
    for job in (*JOBS, *NAMES)
    if setup.tries(job) and job not in setup.client.fails
]
FETCHING = [pytest.param(setup, id=str(setup)) for setup in SETUPS if "get" in setup.client.does]


@pytest.mark.parametrize(("setup", "job"), ABLE)
async def test_a_client_does_its_job(server: Server, place: str, home: Path, setup: Setup, job: str) -> None:
    await attempt(setup, job, server, place, home)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("setup", FETCHING)
async def test_a_client_hears_that_a_file_is_missing(
    server: Server, place: str, home: Path, setup: Setup
) -> None:
    here = Here(server, setup.tls, f"{place}/gone.bin", home / "gone.bin", home)
    try:
        said = await setup.client.does["get"](here)
    except Exception as error:  # noqa: BLE001 - each has a way of its own to fail
        said = str(error)
    gc.collect()  # aioftp leaves a socket open; Python shall complain here, and not in another test
    if not setup.client.mute:
        assert re.search("550|No such file|not found|does not exist", said), said
    assert not re.search("(?i)reset|426", said), said


async def test_a_client_that_trusts_another_authority_stays_away(server: Server, home: Path) -> None:
    curl = needs("curl")
    stranger = home / "stranger.pem"
    stranger.write_bytes(Authority.open(home / "other-site").pem)
    url = f"ftp://{server.host}:{server.port}/five.bin"
    code, _, err = await run(curl, "-sS", "--ssl-reqd", "--cacert", str(stranger), url)
    assert code == 60, err  # CURLE_PEER_FAILED_VERIFICATION


@pytest.mark.parametrize("columns", [JOBS, tuple(NAMES)], ids=["jobs", "names"])
def test_the_page_tells_of_all_clients_and_of_no_fault_of_ours(columns: tuple[str, ...]) -> None:
    rows = told(PAGE.read_text(), columns)
    setups = [setup for setup in SETUPS if any(map(setup.tries, columns))]
    assert [*rows] == [str(setup) for setup in setups]
    for setup in setups:
        for job, cell in rows[str(setup)].items():
            should = setup.tries(job) and job not in setup.client.fails
            assert (cell in (YES, ONLY.format("Argosy"))) == should, (str(setup), job)


def told(page: str, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Read from the page's table with these columns what it says of each set-up."""
    table = page[page.index(f"| {' | '.join(columns)} |") :].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {row[0]: dict(zip(columns, row[-len(columns) :], strict=True)) for row in rows}
