"""Terminal output: results go to stdout, messages to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from batchrunner.cli import streams
from batchrunner.cli.problem_lines import long_lines, short_lines
from batchrunner.core.errors import BatchrunnerError, ManifestError
from batchrunner.core.problems import Problem
from batchrunner.core.redaction import redacted, redacted_values
from batchrunner.core.text import iso, printable


def say(text: str = "") -> None:
    """Print one line of a result to stdout; never raises (see `streams`)."""
    print(text, flush=True)  # noqa: T201


def talk(text: str) -> None:
    """Print one message to stderr; never raises."""
    print(text, file=sys.stderr)  # noqa: T201


def say_json(value: object) -> None:
    """Print a result to stdout as JSON."""
    say(json_text(value))


def json_text(value: object) -> str:
    """A result as JSON."""
    ascii_only = not streams.shows_any_character()  # a stream's own escapes are not JSON escapes
    return json.dumps(value, ensure_ascii=ascii_only, indent=2, default=str)


def with_iso_times(value: object) -> object:
    """A JSON value whose times (`at`, `…_at`, `not_before`) are in ISO 8601 instead of Unix seconds."""
    if isinstance(value, dict):
        return {
            name: iso(item) if isinstance(item, float | int) and _is_time(name) else with_iso_times(item)
            for name, item in value.items()
        }
    return [with_iso_times(item) for item in value] if isinstance(value, list | tuple) else value


def _is_time(name: str) -> bool:
    return name in ("at", "not_before") or name.endswith("_at")


def as_values(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """All problems as JSON values."""
    return [cast(dict[str, Any], redacted_values(asdict(problem))) for problem in problems]


def show_error(
    error: BatchrunnerError,
    as_json: bool,
    short: bool = False,
    every_problem: bool = False,
    option: str = "",
) -> None:
    """Print what is wrong, where, and what to do next; the options are as in `show_problems`."""
    problems = error.problems if isinstance(error, ManifestError) else ()
    if as_json:
        say_json(error_values(error))
    if problems:
        unharmed = error.unharmed if isinstance(error, ManifestError) else ""
        show_problems(problems, short, every_problem, option, unharmed)
    else:
        talk(f"batchrunner: {redacted(printable(str(error)))}")
        if error.hint:
            talk(f"  hint: {redacted(printable(error.hint))}")


def error_values(error: BatchrunnerError) -> dict[str, object]:
    """An error as JSON values."""
    problems = error.problems if isinstance(error, ManifestError) else ()
    return {
        "error": redacted(str(error)),
        "hint": redacted(error.hint),
        "exit_code": int(error.exit_code),
        "problems": as_values(problems),
    }


def show_problems(
    problems: Iterable[Problem],
    short: bool = False,
    every: bool = False,
    option: str = "",
    unharmed: str = "",
) -> None:
    """Print every problem with its place, source line and hint, then the totals.

    `short` prints one line per problem and nothing else, in the format editors parse; `unharmed` is what
    didn't happen because of them; without `every`, equal problems are shown once, and `option` lists each.
    """
    found = list(problems)
    lines = list(short_lines(found) if short else long_lines(found, every, option))
    if unharmed and not short:
        lines[-1] += f"; {unharmed}"
    for line in lines:
        talk(line)


def shown_path(path: Path) -> str:
    """A path as the user would type it here, without control characters."""
    try:
        return printable(str(path.relative_to(Path.cwd()) if Path.cwd() != Path("/") else path))
    except ValueError:
        return printable(str(path))
