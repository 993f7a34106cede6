"""A control connection's end of the event loop."""

import asyncio
from typing import Any

from argosy.config import FtpDoor
from argosy.doors.ftp.control import Control


class Gone(asyncio.Transport):
    """What the event loop gives for a connection that the far side reset before we took it."""

    aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 2121) if name == "sockname" else default

    def abort(self) -> None:
        self.aborted = True


async def test_who_is_gone_before_he_came_has_no_session() -> None:
    taken: list[Control] = []
    control = Control(FtpDoor(), taken.append)
    transport = Gone()
    control.connection_made(transport)
    control.connection_lost(None)
    assert transport.aborted
    assert not taken
