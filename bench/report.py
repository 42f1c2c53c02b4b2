"""Figures and the table that they are printed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: what was done, what was measured, what ran beside it, and the ratio of the two."""

    work: str
    measured: str
    beside: str
    ratio: str


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which the share of the values lies; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(values: Sequence[float]) -> str:
    """Show seconds as median and 99th percentile in milliseconds."""
    return f"{percentile(values, 0.5) * 1000:.1f} ms (p99 {percentile(values, 0.99) * 1000:.1f})"


def table(rows: Sequence[Row]) -> str:
    """Render the report as Markdown."""
    lines = ["| work | measured | beside it | ratio |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.work} | {row.measured} | {row.beside} | {row.ratio} |" for row in rows]
    return "\n".join(lines)
