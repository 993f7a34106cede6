"""One guest for all tests here, for it takes half a minute to start; a site and a gateway for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from kernel.guest import Guest, boot
from kernel.image import Missing
from kernel.scene import Scene, gateway_for


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """Run a Linux that is an NFS client."""
    try:
        with boot(tmp_path_factory.mktemp("guest")) as guest:
            yield guest
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture
def whole(guest: Guest, tmp_path: Path) -> Iterator[Scene]:
    """Run ProFTPD, which can do what a site can, and a gateway."""
    with servers.proftpd(tmp_path / "site") as site, gateway_for(tmp_path / "gateway", site) as gateway:
        yield Scene(guest, gateway, site)


@pytest.fixture
def scene(guest: Guest, tmp_path: Path) -> Iterator[Scene]:
    """Run vsftpd, whose anonymous user may not change modes, and a gateway."""
    with servers.vsftpd(tmp_path / "site") as site, gateway_for(tmp_path / "gateway", site) as gateway:
        yield Scene(guest, gateway, site)
