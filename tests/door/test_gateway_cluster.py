"""A cluster as a site: the gateway says PRET, so the bytes come straight from the nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways import Gateway, nfs
from running import PASSWORD, USER, Site, needs

BIG = bytes(range(256)) * 4096 * 8
"""8 MiB."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a master and three nodes."""
    site = Site(tmp_path_factory.mktemp("cluster") / "site", "--nodes", "3")
    try:
        site.start()
        yield site
    finally:
        site.stop()


@pytest.fixture
def gateway(site: Site, tmp_path: Path) -> Iterator[Gateway]:
    """Run a gateway that trusts the site's authority."""
    (tmp_path / "password").write_text(PASSWORD)
    url = f"ftp://{USER}@{site.host}:{site.port}/"
    gateway = Gateway(
        tmp_path / "gateway",
        {"remote": {"trust_file": str(site.authority)}},
        sites={"cluster": {"url": url, "password_file": str(tmp_path / "password"), "tls": "needed"}},
    )
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


async def test_bytes_go_straight_between_gateway_and_nodes(
    site: Site, gateway: Gateway, tmp_path: Path
) -> None:
    needs("nfs-cp")
    (tmp_path / "big").write_bytes(BIG)
    for number in range(6):
        await nfs("cp", str(tmp_path / "big"), gateway.url("/cluster", f"/{number}"))
    holders = {
        replica["node"] for number in range(6) for replica in site.argosy("why", f"/{number}")["replicas"]
    }
    assert len(holders) > 1
    gateway.stop()
    gateway.start()  # with nothing in its memory
    for number in range(6):
        again = tmp_path / f"again{number}"
        await nfs("cp", gateway.url("/cluster", f"/{number}"), str(again))
        assert again.read_bytes() == BIG
    assert site.status()["relayed_bytes"] == 0
