"""Groups problems with the same cause, such as one mistake in every row of a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from batchrunner.core.problems import Problem

FEW = 3
"""Up to this many problems of one kind are shown one by one."""
# A path begins at the beginning of a word: to look for one at every letter of a long word takes long.
_VALUE = re.compile(r"\"(?:[^\"\\]|\\.)*\"…?|(?<!\S)\S*[./]\S*\w|[0-9]+")
"""A value, a path or a number in a message; names of fields and columns are in backticks."""


def grouped(problems: Iterable[Problem]) -> Iterator[tuple[Problem, ...]]:
    """Groups of problems that differ only in their place, each at the position of its first problem.

    Two problems belong together if their hints are equal, and their messages are equal except for values.
    Groups of up to `FEW` are split up.
    """
    kinds: dict[tuple[str, str, str], list[Problem]] = {}
    ordered = [(problem, kinds.setdefault(_kind(problem), [])) for problem in problems]
    for problem, alike in ordered:
        alike.append(problem)
    for problem, alike in ordered:
        if len(alike) <= FEW:
            yield (problem,)
        elif problem is alike[0]:
            yield tuple(alike)


def where(problems: Iterable[Problem]) -> str:
    """The first `FEW` places of a group: `rows 1, 2, 3, …`."""
    found = [problem.place for problem in problems]
    first = found[:FEW]
    more = ", …" if len(found) > FEW else ""
    if len({place.file for place in found}) == 1:
        for name, numbers in (("rows", [p.row for p in first]), ("lines", [p.line for p in first])):
            if all(numbers):
                return f"{name} {', '.join(map(str, numbers))}{more}"
    return ", ".join(map(str, first)) + more


def _kind(problem: Problem) -> tuple[str, str, str]:
    named = problem.message.split("`")  # every other part is a name in backticks
    parts = [part if index % 2 else _VALUE.sub("\0", part) for index, part in enumerate(named)]
    message = "`".join(parts)
    return problem.severity, message, problem.hint
