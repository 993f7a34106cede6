"""SITE SFV: a directory held against its lists of checksums."""

from __future__ import annotations

from argosy.doors.ftp.client import Client, Replies
from argosy.vfs.verdicts import Judged, Verdict, words
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply

PAGE = 500
"""Lines said at once."""


async def against_lists(client: Client, command: Command) -> Replies:
    """SITE SFV: say of each file that a list names whether it is here and as it should be. No RFC."""
    judged = await client.tree.against_lists(client.path(command.argument))
    if not judged.lists and not judged.troubles:
        yield Reply.of(200, "There is no list of checksums here")
        return
    await client.control.say_page(b"200-Held against the lists of checksums:\r\n")
    for name, why in judged.troubles.items():
        await client.control.say_page(b" %b: can't be read now: %b\r\n" % (name, why.encode()))
    for start in range(0, len(judged.lines), PAGE):
        page = b"".join(map(_line, judged.lines[start : start + PAGE]))
        await client.control.say_page(page)
    if more := judged.left_off.total():
        await client.control.say_page(b" and %d more\r\n" % more)
    yield Reply.of(200, words(judged))


def _line(judged: Judged) -> bytes:
    told: str = judged.verdict
    if judged.verdict is Verdict.BAD:
        told += f", its {judged.algorithm} is {judged.found} instead of {judged.digits}"
    elif judged.verdict is Verdict.UNKNOWN:
        told += f", nobody knows its {judged.algorithm}"
    return b" %b: %b\r\n" % (judged.name, told.encode())
