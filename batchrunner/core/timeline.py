"""What a run did over time, as series of numbers to draw; times in which nothing happened are left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

STEPS = 96
"""Into how many parts the time is divided."""
LEAST_PAUSE = 900.0
"""Seconds without anything in flight that are left out."""
BARS = 24
"""At most this many bars of generation times."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A submission from its POST until its end, in Unix seconds."""

    began: float
    ended: float
    collected: float | None = None
    """When its video was collected; None if it wasn't."""
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Series over the time in which something was in flight; all have the same length."""

    edges: tuple[float, ...]
    """When each step begins, in Unix seconds."""
    ends: tuple[float, ...]
    """When it ends; the next one begins later if there was a pause."""
    collected: tuple[int, ...]
    """Videos collected in each step."""
    in_flight: tuple[float, ...]
    """Submissions in flight, on average."""
    spent: tuple[float, ...]
    """Money spent until the end of each step."""


def timeline(submissions: Iterable[InFlight], steps: int = STEPS) -> Timeline:
    """Divide the busy time into steps of equal length; empty without submissions."""
    found = list(submissions)
    spans = _busy([(one.began, max(one.began, one.ended, one.collected or 0.0)) for one in found])
    total = sum(end - begin for begin, end in spans)
    if total <= 0:
        return Timeline((), (), (), (), ())
    cells = _cells(spans, total / steps)
    collected, busy, spent = [0] * len(cells), [0.0] * len(cells), [0.0] * len(cells)
    for one in found:
        for index in range(_cell_at(cells, one.began), _cell_at(cells, one.ended) + 1):
            begin, end = cells[index]
            busy[index] += max(0.0, min(end, one.ended) - max(begin, one.began))
        spent[_cell_at(cells, one.ended)] += one.cost
        if one.collected is not None:
            collected[_cell_at(cells, one.collected)] += 1
    sums, so_far = [], 0.0
    for amount in spent:
        so_far += amount
        sums.append(round(so_far, 6))
    return Timeline(
        edges=tuple(begin for begin, _ in cells),
        ends=tuple(end for _, end in cells),
        collected=tuple(collected),
        in_flight=tuple(
            round(seconds / (end - begin), 3) for seconds, (begin, end) in zip(busy, cells, strict=True)
        ),
        spent=tuple(sums),
    )


def _busy(stays: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The times in which something was in flight, without pauses that are long."""
    spans: list[tuple[float, float]] = []
    for begin, end in sorted(stays):
        if spans and begin - spans[-1][1] < LEAST_PAUSE:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((begin, end))
    return [(begin, end) for begin, end in spans if end > begin]


def _cells(spans: Sequence[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    """The spans, each divided into parts of about this length."""
    cells = []
    for begin, end in spans:
        number = max(1, ceil((end - begin) / length - 1e-9))
        marks = [begin + (end - begin) * index / number for index in range(number)] + [end]
        cells += list(pairwise(marks))
    return cells


def _cell_at(cells: Sequence[tuple[float, float]], at: float) -> int:
    """The last cell that begins at or before `at`, else the first one."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        if cells[middle][0] <= at:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Histogram:
    """How long generations took: bars of equal width, in nominal seconds."""

    start: float
    width: float
    counts: tuple[int, ...]
    median: float
    slow: float
    """95 % were at least as fast."""


def histogram(seconds: Iterable[float]) -> Histogram | None:
    """The distribution of generation times; None without any."""
    found = sorted(seconds)
    if not found:
        return None
    low, high = found[0], found[-1]
    width = _round_width((high - low) / BARS)
    start = low // width * width
    counts = [0] * (int((high - start) // width) + 1)
    for value in found:
        counts[min(int((value - start) // width), len(counts) - 1)] += 1
    return Histogram(
        round(start, 3), width, tuple(counts), found[len(found) // 2], found[(len(found) - 1) * 95 // 100]
    )


def _round_width(least: float) -> float:
    """The next width that people count in."""
    widths = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
    return next((width for width in widths if width >= least), ceil(least / 3600.0) * 3600.0)
