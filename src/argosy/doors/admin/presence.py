"""Who is here, who is sent away, and who may not come."""

from __future__ import annotations

from argosy import errors
from argosy.doors.admin.office import Document, Office
from argosy.presence import report
from argosy.presence.visitors import KICKED
from argosy.wire import link


async def who(office: Office, _: link.AskWho) -> Document:
    """Tell of each session."""
    return {"sessions": [report.describe(visitor) for visitor in office.visitors]}


async def kick(office: Office, question: link.AskKick) -> Document:
    """Hang up on a user, or on one session."""
    gone = office.visitors.hang_up(question.who, question.sentence or KICKED)
    return {"hung_up": [visitor.id for visitor in gone]}


async def bans(office: Office, _: link.AskBans) -> Document:
    """Tell which addresses are turned away, and for how long."""
    return {
        "bans": [{"address": at, "seconds": round(left, 1)} for at, left in office.bans.current().items()]
    }


async def unban(office: Office, question: link.AskUnban) -> Document:
    """Let an address come again.

    Raises:
        BadArgument: It is none.
    """
    try:
        return {"lifted": office.bans.lift(question.address)}
    except ValueError as error:
        raise errors.BadArgument(str(error)) from error
