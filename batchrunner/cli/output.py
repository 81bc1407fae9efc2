"""Words on the terminal: stdout is data, stderr is talk."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchrunner.cli import streams
from batchrunner.core.errors import BatchrunnerError, ManifestError
from batchrunner.core.problems import Problem, Severity
from batchrunner.core.redaction import redacted
from batchrunner.core.text import columns, count, cut, printable

SNIPPET_WIDTH = 100
MOST_PROBLEMS = 100
"""How many problems are printed before `and N more`."""


def say(text: str = "") -> None:
    """One line of result, on stdout, which never raises: see `streams`."""
    print(text, flush=True)  # noqa: T201


def talk(text: str) -> None:
    """One line about it, on stderr, likewise."""
    print(text, file=sys.stderr)  # noqa: T201


def say_json(value: object) -> None:
    """A result for programs, on stdout."""
    ascii_only = not streams.shows_any_character()  # a stream's own escapes are not those of JSON
    say(json.dumps(value, ensure_ascii=ascii_only, indent=2, default=str))


def as_values(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems for programs: all of them."""
    return [asdict(problem) for problem in problems]


def show_error(error: BatchrunnerError, as_json: bool, short: bool = False) -> None:
    """What is wrong, where, and what to do next; `short` makes one line of each problem in a manifest."""
    problems = error.problems if isinstance(error, ManifestError) else ()
    if as_json:
        say_json(error_values(error))
    if problems:
        show_problems(problems, short, refused=True)
    else:
        talk(f"batchrunner: {redacted(printable(str(error)))}")
        if error.hint:
            talk(f"  hint: {redacted(printable(error.hint))}")


def error_values(error: BatchrunnerError) -> dict[str, object]:
    """An error for programs."""
    problems = error.problems if isinstance(error, ManifestError) else ()
    return {
        "error": redacted(str(error)),
        "hint": redacted(error.hint),
        "exit_code": int(error.exit_code),
        "problems": as_values(problems),
    }


def show_problems(problems: Iterable[Problem], short: bool = False, refused: bool = False) -> None:
    """Every problem with its place, the line it stands in, and what to do; then how many there are.

    `short` is one line each and nothing else, in the form that editors look for; `refused` says that
    nothing was sent because of them.
    """
    found = list(problems)
    for problem in found[:MOST_PROBLEMS]:
        for line in [problem_line(problem)] if short else problem_lines(problem):
            talk(line)
    if len(found) > MOST_PROBLEMS:
        talk(f"… and {len(found) - MOST_PROBLEMS:,} more")
    if short:
        return
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    told = [count(errors, "error")] if errors else []
    if warnings := len(found) - errors:
        told.append(count(warnings, "warning"))
    talk(", ".join(told) + ("; nothing was sent" if refused else ""))


def problem_line(problem: Problem) -> str:
    """`file:line:col: severity: message`."""
    place = problem.place
    where = f"{printable(place.file)}:{place.line or 1}:{place.column or 1}"
    return f"{where}: {problem.severity}: {printable(problem.message)}"


def problem_lines(problem: Problem) -> list[str]:
    """One problem as a compiler would print it."""
    place = problem.place
    lines = [f"{printable(str(place))}: {problem.severity}: {printable(problem.message)}"]
    if place.snippet and place.line:
        gutter, start = f"{place.line:>5} | ", max(0, place.column - 60)
        text = place.snippet.expandtabs(1)[start:]
        before = text[: max(place.column - 1 - start, 0)]
        lines += [gutter + cut(text, SNIPPET_WIDTH), " " * (len(gutter) + columns(before)) + "^"]
    if problem.hint:
        lines.append(f"      = {printable(problem.hint)}")
    return lines


def shown_path(path: Path) -> str:
    """A path as a person here would type it, but for what could steer a terminal."""
    try:
        return printable(str(path.relative_to(Path.cwd()) if Path.cwd() != Path("/") else path))
    except ValueError:
        return printable(str(path))
