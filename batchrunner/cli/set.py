"""`batchrunner set`: changes the limits of a run in progress, through a file in its run directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import say, say_json, shown_path
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import UsageError
from batchrunner.core.text import plain_number


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `set`."""
    parser.description = (
        "Change the limits of a run in progress. It picks up the new limits within two seconds "
        "and keeps them until it ends. A lower limit cancels nothing."
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="run directory, or its manifest")
    parser.add_argument(
        "limits",
        metavar="NAME=VALUE",
        nargs="+",
        help="concurrency=N or auto, downloads=N, submit_rate=N (per minute)",
    )
    shared.add_json(parser)
    parser.set_defaults(run=set_limits)


def set_limits(options: argparse.Namespace) -> int:
    """Write the limits to a file that the run in progress reads."""
    from batchrunner.engine.live_limits import read_limits, shown, write_limits  # noqa: PLC0415
    from batchrunner.ledger import is_locked  # noqa: PLC0415
    from batchrunner.manifest import checked_limits  # noqa: PLC0415

    directory = existing_run(options.directory)
    given = checked_limits(dict(_limit(text) for text in options.limits))
    if not is_locked(directory):
        values = ", ".join(f"{name}: {value}" for name, value in given.items())
        raise UsageError(
            f"no run in progress in {shown_path(directory)}",
            f"limits last for one run; for the next one, write `run: {{{values}}}` in the manifest",
        )
    try:
        limits = dict(read_limits(directory)) | dict(given)
    except UsageError:
        limits = dict(given)  # an invalid file is replaced
    write_limits(directory, limits)
    if options.json:
        say_json({"directory": str(directory), "limits": limits})
    else:
        told = ", ".join(f"{name} {shown(value)}" for name, value in limits.items())
        say(f"limits set for the run in {shown_path(directory)} until it ends: {told}")
    return 0


def _limit(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text} is not NAME=VALUE", "for example, concurrency=20")
    number = plain_number(value)
    if number is None:
        return name, value
    return name, int(number) if number.is_integer() else number
