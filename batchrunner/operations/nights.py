"""Finds the run directories of a pattern such as `nightly/{date}`, one for each night."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from batchrunner.core.file_names import DATE, LEDGER_NAME, LOG_NAME, RESULTS_NAME, RUN_ID_NAME, VIDEOS
from batchrunner.core.identity import SIMULATOR, paid_again, wanted_again
from batchrunner.core.model import Plan
from batchrunner.ledger import Outline, Unreadable, glance, outline, simulator_state

_WRITTEN = r"\d{4}-\d\d-\d\d"


class NightState(Enum):
    """How far the run in a directory has got."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"
    LOST = "lost"
    """Its ledger is missing or can't be read, so that nobody knows."""


@dataclass(frozen=True, slots=True)
class Night:
    """One run directory of a pattern."""

    directory: Path
    progress: NightState
    outline: Outline | None
    """What its ledger says; None if it is lost."""
    simulated: bool

    def is_of(self, plan: Plan) -> bool:
        """Whether it belongs to this manifest: by its name, or because it has paid for its tasks."""
        if self.outline is None or self.outline.manifest in ("", plan.name):
            return True
        try:
            seen = glance(self.directory)
        except Unreadable:
            return True
        return bool(seen and paid_again(wanted_again(plan.tasks, seen.paid), seen.paid))


def of_date(pattern: Path, date: str) -> Path:
    """The run directory of one night; `date` in the form 2026-11-28."""
    return Path(str(pattern).replace(DATE, date))


def directories(pattern: Path) -> list[Path]:
    """The existing folders of a pattern, newest date first."""
    found = dict(_matching(Path(pattern.anchor), list(pattern.relative_to(pattern.anchor).parts), ""))
    return [found[date] for date in sorted(found, reverse=True)]


def nights(pattern: Path) -> Iterator[Night]:
    """The runs of a pattern, newest date first."""
    for directory in directories(pattern):
        if night := _night(directory):
            yield night


def newest_unfinished(pattern: Path, plan: Plan | None, simulated: bool) -> Path | None:
    """The newest unfinished run of a manifest, or of any; None if there is none.

    A run without a readable ledger counts unless a later one is known: what it has paid for would be paid
    for again elsewhere.
    """
    is_latest = True
    for night in nights(pattern):
        if night.simulated is not simulated or (plan and not night.is_of(plan)):
            continue
        if night.progress is NightState.UNFINISHED or (is_latest and night.progress is NightState.LOST):
            return night.directory
        is_latest = is_latest and night.progress is NightState.LOST
    return None


def _night(directory: Path) -> Night | None:
    """The run in a directory; None if there was none yet."""
    ledger, seen, is_lost = directory / LEDGER_NAME, None, False
    if ledger.exists() and ledger.stat().st_size:
        try:
            seen = outline(directory)
        except Unreadable:
            is_lost = True
    else:
        traces = (directory / RESULTS_NAME, directory / LOG_NAME, directory / VIDEOS / RUN_ID_NAME)
        is_lost = any(path.exists() for path in traces)
    if not seen and not is_lost:
        return None
    gateway = seen.gateway if seen else ""
    simulated = gateway == SIMULATOR if gateway else simulator_state(directory).is_dir()
    if not seen:
        return Night(directory, NightState.LOST, None, simulated)
    progress = NightState.UNFINISHED if seen.unfinished else NightState.FINISHED
    return Night(directory, progress, seen, simulated)


def _matching(folder: Path, parts: list[str], date: str) -> Iterator[tuple[str, Path]]:
    """Each date for which the rest of a pattern exists below `folder`, with its folder."""
    if not parts:
        if folder.is_dir() and date:
            yield date, folder
        return
    part, rest = parts[0], parts[1:]
    if DATE not in part or date:
        yield from _matching(folder / part.replace(DATE, date), rest, date)
        return
    first, *others = (re.escape(text) for text in part.split(DATE))  # every date must be the same
    wanted = re.compile(rf"{first}(?P<date>{_WRITTEN}){'(?P=date)'.join(others)}", re.ASCII)
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return
    for name in names:
        if found := wanted.fullmatch(name):
            yield from _matching(folder / name, rest, found["date"])
