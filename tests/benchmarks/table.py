"""Figures as a table: for the terminal, with what changed, and for a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.benchmarks.figures import Figure

HEADER = ("measure", "ratio", "goal", "met", "figure", "floor", "since the last run")
STEADY = 0.05
"""A smaller change than this share is not worth showing."""


def lines(figures: Iterable[Figure], before: Mapping[str, Figure]) -> list[str]:
    """Aligned rows; `before` holds the last figures, by name."""
    figures = list(figures)
    rows = [HEADER] + [(*_cells(one), changed(one, before.get(one.name))) for one in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    notes = [f"{one.what}: {one.note}" for one in figures if one.note]
    goals = [one.goal.is_met(one) for one in figures if one.goal]
    met = [f"{sum(goals)} of {len(goals)} goals met"] if goals else []
    return [*(row.rstrip() for row in table), "", *notes, *met]


def markdown(figures: Sequence[Figure]) -> list[str]:
    """The rows of a Markdown table: figures with a goal, then their notes."""
    shown = [one for one in figures if one.goal]
    columns = HEADER[:-1]
    rows = [columns, ("---",) * len(columns), *map(_cells, shown)]
    notes = [f"- {one.what}: {one.note}" for one in shown if one.note]
    return [f"| {' | '.join(row)} |" for row in rows] + ["", *notes]


def _cells(figure: Figure) -> tuple[str, ...]:
    goal = met = ""
    if figure.goal:
        sign, unit = ("≥" if figure.goal.at_least else "≤"), ("×" if figure.goal.by_ratio else figure.unit)
        goal = f"{sign} {with_unit(figure.goal.limit, unit)}"
        met = "yes" if figure.goal.is_met(figure) else "NO"
    ratio = "" if figure.ratio is None else with_unit(figure.ratio, "×")
    floor = "" if figure.floor is None else with_unit(figure.floor, figure.unit)
    return (figure.what, ratio, goal, met, with_unit(figure.value, figure.unit), floor)


def with_unit(value: float, unit: str) -> str:
    """A number with three digits that count, and its unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    shown = f"{value:,.{digits}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} {unit}".rstrip()


def changed(figure: Figure, before: Figure | None) -> str:
    """What changed: of the ratio if there is one, which another machine changes least."""
    if before is None:
        return ""
    by_ratio = figure.ratio is not None and before.ratio is not None
    now, then = (figure.ratio, before.ratio) if by_ratio else (figure.value, before.value)
    unit = "×" if by_ratio else figure.unit
    if not now or not then or abs(now / then - 1) < STEADY:
        return "the same"
    return f"{100 * (now / then - 1):+.0f} %, was {with_unit(then, unit)}"
