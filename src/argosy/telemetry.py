"""The form of the log, in one place: one event a line on stderr, times in UTC."""

from __future__ import annotations

import json as jsonlib
import logging
import os
import sys
from datetime import UTC, datetime

from argosy.errors import ConfigError

LEVELS = ("debug", "info", "warning", "error")
"""What `ARGOSY_LOG` may say."""

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {9: "\t"}
"""A client's words reach the log; with these a name can neither forge a line nor paint the terminal."""


class Lines(logging.Formatter):
    """`2026-01-31T12:00:00.123Z master warning link: text`; a traceback follows on lines of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """Give the line for a record."""
        source = record.name.removeprefix("argosy.")
        message = record.getMessage().translate(_ESCAPES)
        line = f"{_time(record)} {self._name} {record.levelname.lower()} {source}: {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """The same as one JSON object a line, for machines."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """Give the object for a record."""
        fields = {
            "time": _time(record),
            "name": self._name,
            "level": record.levelname.lower(),
            "source": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return jsonlib.dumps(fields)


def setup(name: str, *, level: str = "", json: bool = False) -> None:
    """Send this process's log to stderr; a second call replaces the first.

    Args:
        name: Of the process: `master`, or the node's.
        level: One of `LEVELS`; empty: what the environment's `ARGOSY_LOG` says, else `info`.
        json: Write JSON objects instead of lines for people.

    Raises:
        ConfigError: There is no such level.
    """
    level = (level or os.environ.get("ARGOSY_LOG", "") or "info").lower()
    if level not in LEVELS:
        raise ConfigError(f"ARGOSY_LOG: want one of {', '.join(LEVELS)}, got {level!r}")
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(JsonLines(name) if json else Lines(name))
    logging.basicConfig(level=level.upper(), handlers=[stderr], force=True)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
