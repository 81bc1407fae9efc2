"""Run directories with a date: `-o 'nightly/{date}'`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.console import shown_path, talk
from batchrunner.core.errors import UsageError
from batchrunner.core.file_names import DATE

if TYPE_CHECKING:
    from batchrunner.core.model import Plan


def choose_night(options: argparse.Namespace, plan: Plan | None) -> None:
    """If `-o` is a pattern, replace it by the run directory to use, and say which one that is.

    Without a `plan` (the manifest is broken), it is an existing one of any manifest.

    Raises:
        UsageError: the time zone can't be found.
    """
    if options.output is None or DATE not in str(options.output):
        return
    from batchrunner.manifest import night_of  # noqa: PLC0415
    from batchrunner.operations.nights import directories, newest_unfinished, of_date  # noqa: PLC0415

    pattern = options.output
    unfinished = newest_unfinished(pattern, plan, options.simulate)
    if plan:
        options.output = unfinished or of_date(pattern, night_of(plan.settings, time.time()))
    else:
        options.output = unfinished or next(iter(directories(pattern)), pattern)
    options.pattern = pattern
    if plan and not getattr(options, "quiet", False):
        goes_on = "resuming the unfinished run in" if unfinished else "run directory"
        talk(f"{goes_on} {shown_path(options.output)}")


def latest(pattern: Path) -> Path:
    """The newest unfinished run of a pattern, or else the newest.

    Raises:
        UsageError: it has no run.
    """
    from batchrunner.operations.nights import NightState, nights  # noqa: PLC0415

    found = list(nights(pattern))
    if not found:
        raise _none(pattern)
    chosen = next((night for night in found if night.progress is NightState.UNFINISHED), found[0])
    talk(f"using {shown_path(chosen.directory)}")
    return chosen.directory


def to_collect(pattern: Path) -> list[Path]:
    """The runs of a pattern in which something is left to collect, oldest first; or else the newest.

    Raises:
        UsageError: it has no run.
    """
    from batchrunner.operations.nights import nights  # noqa: PLC0415

    found = list(nights(pattern))
    if not found:
        raise _none(pattern)
    # Without a readable ledger, collecting says what to do.
    waiting = [one for one in found if one.outline is None or one.outline.to_collect]
    return [one.directory for one in reversed(waiting or found[:1])]


def _none(pattern: Path) -> UsageError:
    return UsageError(f"there is no run directory {pattern} for any date", "pass the pattern of `run -o`")
