"""The FTP door's certificate, read again when its files change; nobody who is connected notices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from argosy.errors import ConfigError, Refused
from argosy.net import tls

log = logging.getLogger("argosy.tls")

Pem = tuple[bytes, bytes]
"""A certificate chain and its key."""


class Certificate:
    """The certificate in use, and the contexts that show it."""

    def __init__(self, files: Callable[[], tuple[Path, Path]]) -> None:
        """Read it.

        Args:
            files: Gives the certificate's file and its key's, made anew if it is time for that.

        Raises:
            ConfigError: They can't be read, or don't belong together.
        """
        self._files = files
        self.pem = _read(*files())
        self._refused: Pem | None = None
        self.control = tls.ftp_server(*self.pem)
        """For control connections."""
        self.data = tls.data_server(*self.pem, resuming=self.control)
        """For data connections of ours; they go on with a control connection's session if asked to."""

    async def watch(self, seconds: float, changed: Callable[[], None]) -> None:
        """Look at the files every so often, until cancelled; what makes no sense is logged, and not used.

        Args:
            seconds: How often.
            changed: Told when another certificate is in use.
        """
        while True:
            await asyncio.sleep(seconds)
            try:
                pem = await asyncio.to_thread(lambda: _read(*self._files()))
                if pem in (self.pem, self._refused):
                    continue
                self._refused = pem
                self._use(pem)
            except Refused as refused:
                log.warning("the FTP door keeps its certificate: %s", refused)
            else:
                log.info("the FTP door has a new certificate")
                changed()

    def _use(self, pem: Pem) -> None:
        control, data = tls.ftp_server(*pem), tls.data_server(*pem)
        tls.supersede(self.control, control)
        tls.supersede(self.data, data)
        self.pem, self._refused = pem, None


def _read(certificate: Path, key: Path) -> Pem:
    try:
        return certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
