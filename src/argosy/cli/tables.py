"""Answers on the terminal: `argosy.tables` for people, JSON for scripts."""

from __future__ import annotations

import json
from typing import Any

from argosy.tables import aligned, counted, printable, size, span

__all__ = ("aligned", "as_json", "counted", "printable", "size", "span")


def as_json(document: Any) -> str:
    """Give a document as one JSON text, keys in the order they were made."""
    return json.dumps(document, indent=2)
