"""Figures in rows and columns: medians of rounds, beside a factor to one column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

NONE = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """What one row tells."""

    what: str
    unit: str
    digits: int = 2


@dataclass(slots=True)
class Table:
    """Samples by row and column."""

    title: str
    columns: Sequence[str]
    baseline: str = ""
    """The column that the others are divided by; empty: none is."""
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    _samples: dict[tuple[Row, str], list[float]] = field(default_factory=dict)

    def add(self, row: Row, column: str, value: float) -> None:
        """Enter a sample; rows come in the order of their first."""
        if row not in self.rows:
            self.rows.append(row)
        self._samples.setdefault((row, column), []).append(value)

    def median(self, row: Row, column: str) -> float | None:
        """Give the median of a cell; None when it has no samples."""
        samples = self._samples.get((row, column))
        return median(samples) if samples else None

    def text(self) -> str:
        """Render for a terminal."""
        lines = list(self._lines())
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        shown = [
            "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]).rstrip()
            for cells in lines
        ]
        return "\n".join([self.title, "", *shown, *([""] if self.notes else []), *self.notes])

    def markdown(self) -> str:
        """Render for a document."""
        head, *body = ["| " + " | ".join(cells) + " |" for cells in self._lines()]
        rule = "|---" + "|---:" * len(self.columns) + "|"
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"## {self.title}", "", head, rule, *body, *([""] if notes else []), *notes])

    def _lines(self) -> Iterable[list[str]]:
        yield ["", *self.columns]
        for row in self.rows:
            yield [f"{row.what}, {row.unit}", *(self._cell(row, column) for column in self.columns)]

    def _cell(self, row: Row, column: str) -> str:
        value = self.median(row, column)
        if value is None:
            return NONE
        shown = f"{value:,.{row.digits}f}"
        base = self.median(row, self.baseline) if self.baseline and column != self.baseline else None
        return f"{shown} ({value / base:.2f})" if base else shown
