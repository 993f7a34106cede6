"""The closed list of refusals: every answer of "no" that Argosy can give.

A refusal is an answer, not an accident. Its docstring is the message; a door translates each class
once, by a table, and a test says that no class is forgotten. Anything that isn't a `Refused` is an
accident: its traceback is logged and the client is told that we failed.
"""


class Refused(Exception):  # noqa: N818 - reads as a sentence: raise NotFound(path)
    """Request refused."""

    def __init__(self, subject: object = "") -> None:
        self.subject = subject
        super().__init__(subject)

    def __str__(self) -> str:
        """Say the reason, then what it was about: `No such file or directory: /a/b`."""
        reason = (type(self).__doc__ or "").splitlines()[0].rstrip(".")
        subject = self.subject
        if isinstance(subject, bytes):
            subject = subject.decode(errors="surrogateescape")
        return f"{reason}: {subject}" if subject else reason


class NotFound(Refused):
    """No such file or directory."""


class Exists(Refused):
    """It exists already."""


class NotADirectory(Refused):
    """Not a directory."""


class IsADirectory(Refused):
    """Is a directory."""


class LinkLoop(Refused):
    """Too many symbolic links."""


class NotEmpty(Refused):
    """Directory not empty."""


class Denied(Refused):
    """Permission denied."""


class NameNotAllowed(Refused):
    """Name not allowed."""


class BadArgument(Refused):
    """Argument not understood."""


class Unsupported(Refused):
    """Not supported."""


class LoginFailed(Refused):
    """Login incorrect."""


class Untrusted(Refused):
    """The site's certificate isn't trusted."""


class NoSuchAccount(Refused):
    """No such user or group."""


class Busy(Refused):
    """In use by another transfer, try again."""


class Changed(Refused):
    """It changed meanwhile, try again."""


class TooMany(Refused):
    """As many as may be at once, try again later."""


class Banned(Refused):
    """Turned away for wrong passwords."""


class Unavailable(Refused):
    """Out of reach now, try again."""


class NoSpace(Refused):
    """No room for this."""


class OverQuota(Refused):
    """Quota exceeded."""


class Damaged(Refused):
    """No good copy is left."""


class NoDataConnection(Refused):
    """Can't open the data connection."""


class TransferCut(Refused):
    """Transfer cut, the data connection is closed."""


class Failed(Refused):
    """It failed there, try again."""


class Incomplete(Refused):
    """Fewer bytes arrived than were announced."""


class Stale(Refused):
    """The file of this handle is gone."""


class BadCookie(Refused):
    """The directory can't be read on from there, begin anew."""


class ConfigError(Refused):
    """Configuration not understood."""
