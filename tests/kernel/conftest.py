"""One guest for all tests here: it takes half a minute to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.guest import Guest, boot
from kernel.image import Missing


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """Run a Linux that is an NFS client."""
    try:
        with boot(tmp_path_factory.mktemp("guest")) as guest:
            yield guest
    except Missing as error:
        pytest.skip(str(error))
