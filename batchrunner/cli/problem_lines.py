"""Formats manifest problems as lines for a terminal or an editor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from batchrunner.core.grouping import grouped, where
from batchrunner.core.problems import Problem, Severity
from batchrunner.core.redaction import redacted
from batchrunner.core.text import columns, count, cut, printable

SNIPPET_WIDTH = 100
BEFORE_PLACE = 59
"""How many characters of a long line are shown before the place of a problem."""
MOST_PROBLEMS = 100
"""How many problems, or groups of equal problems, are printed before `and N more`."""


def short_lines(problems: Iterable[Problem]) -> Iterator[str]:
    """One line per problem and nothing else, in the format editors parse."""
    for problem in problems:
        place = problem.place
        where_it_is = f"{printable(place.file)}:{place.line or 1}:{place.column or 1}"
        yield f"{where_it_is}: {problem.severity}: {printable(redacted(problem.message))}"


def long_lines(problems: Sequence[Problem], every: bool, option: str = "") -> Iterator[str]:
    """Each problem with its source line and hint, then the totals.

    Equal problems are shown once, with their first places; `every` lists each. `option` is the one with which
    the command lists each, if it has one.
    """
    how = f" ({option} lists each)" if option else ""
    groups = [(problem,) for problem in problems] if every else list(grouped(problems))
    most = len(groups) if every else MOST_PROBLEMS
    for group in groups[:most]:
        yield from _problem(group[0])
        if len(group) > 1:
            yield f"      = {len(group):,} of these: {printable(where(group))}{how}"
    if left := sum(map(len, groups[most:])):
        yield f"… and {left:,} more{how}"
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    told = [count(errors, "error")] if errors else []
    if warnings := len(problems) - errors:
        told.append(count(warnings, "warning"))
    yield ", ".join(told)


def _problem(problem: Problem) -> Iterator[str]:
    """One problem, printed as a compiler would."""
    place = problem.place
    yield f"{printable(str(place))}: {problem.severity}: {printable(redacted(problem.message))}"
    if place.snippet and place.line:
        # Redact the whole line before any of it is cut off: half an address doesn't look like one.
        raw = place.snippet.expandtabs(1)
        text, before = redacted(raw), redacted(raw[: max(place.column - 1, 0)])
        # In a secret, the place is where its mask begins.
        at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, before, strict=False)))
        start, gutter = max(0, at - BEFORE_PLACE), f"{place.line:>5} | "
        yield gutter + cut(text[start:], SNIPPET_WIDTH)
        yield " " * (len(gutter) + columns(text[start:at])) + "^"
    if problem.hint:
        yield f"      = {printable(redacted(problem.hint))}"
