"""Other run directories near a manifest: has one of them already paid for what a new one would?

They are only read. One whose ledger can't be read is judged by what its results.csv and run.log say.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrunner.core.identity import SIMULATOR, paid_again
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.replicas import recognised
from batchrunner.core.states import TaskState
from batchrunner.ledger import LEDGER_NAME, Unreadable, glance
from batchrunner.output.results import RESULTS_NAME
from batchrunner.output.run_log import LOG_NAME

_SIGNS = frozenset({"accepted", "adopted", "unknown", "collected"})
"""Events after which a task is paid for, or may be."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another run directory, and what it has paid for."""

    directory: Path
    paid: Counter[TaskKey]
    fault: str = ""
    """Why its ledger can't be read; empty where it can."""


@dataclass(frozen=True, slots=True)
class PaidElsewhere:
    """What a run would pay for although other run directories have it, or may have it."""

    directory: Path
    """The one that has most of it."""
    tasks: int
    fault: str = ""
    """Why that one's ledger can't be read; empty where it can."""
    others: int = 0
    """How many further run directories have some of it."""


def neighbours(folders: Iterable[Path], own: Path, simulated: bool) -> list[Neighbour]:
    """The run directories in these folders, without `own`: of simulated runs, or of real ones."""
    found: dict[Path, Neighbour] = {}
    for folder in dict.fromkeys(folders):
        for path in sorted(_children(folder)):
            if path.resolve() != own.resolve() and path.resolve() not in found:
                known = _known(path, simulated)
                if known:
                    found[path.resolve()] = known
    return list(found.values())


def paid_elsewhere(tasks: Sequence[PlannedTask], near: Iterable[Neighbour]) -> PaidElsewhere | None:
    """What of these tasks was paid for in a neighbour; None where nothing was."""
    numbers = [(paid_again(tasks, one.paid), one) for one in near]
    holding = [(number, one) for number, one in numbers if number]
    if not holding:
        return None
    # A ledger that can be read is where a person can go on.
    number, best = max(holding, key=lambda pair: (not pair[1].fault, pair[0]))
    return PaidElsewhere(best.directory, number, best.fault, len(holding) - 1)


def unpaid(tasks: Sequence[PlannedTask], directory: Path) -> Sequence[PlannedTask]:
    """Those of a plan's tasks that a run would submit in an existing run directory, as far as is known."""
    try:
        seen = glance(directory)
    except Unreadable:
        return ()  # the run says what is wrong, and submits nothing
    known = seen.tasks if seen else ()
    over = {task.key for task in known if task.state is not TaskState.PENDING}
    return [task for task in recognised(tasks, known) if task.key not in over]


def _children(folder: Path) -> list[Path]:
    try:
        return [path.parent for path in folder.glob(f"*/{LEDGER_NAME}")]
    except OSError:
        return []


def _known(directory: Path, simulated: bool) -> Neighbour | None:
    try:
        seen = glance(directory)
    except Unreadable as error:
        if ((directory / SIMULATOR).is_dir()) is not simulated:
            return None
        return Neighbour(directory, _traces(directory), str(error))
    if seen is None or (seen.gateway == SIMULATOR) is not simulated:
        return None
    return Neighbour(directory, seen.paid)


def _traces(directory: Path) -> Counter[TaskKey]:
    """What a run directory has paid for, as far as its other files tell."""
    keys: set[str] = set()
    try:
        with (directory / RESULTS_NAME).open(encoding="utf-8-sig", errors="replace", newline="") as file:
            keys |= {
                row.get("fingerprint") or ""
                for row in csv.DictReader(file)
                if row.get("remote_id") or row.get("state") == "in_doubt"
            }
    except (OSError, csv.Error):
        pass  # run.log may know
    try:
        with (directory / LOG_NAME).open(encoding="utf-8", errors="replace") as file:
            keys |= {key for line in file if (key := _charged_in(line))}
    except OSError:
        pass
    return Counter(TaskKey(key) for key in keys)


def _charged_in(line: str) -> str:
    """The key of a task that a line of run.log shows to be paid for, or perhaps paid for."""
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    told = entry if isinstance(entry, dict) else {}
    return str(told.get("key", "")) if told.get("event") in _SIGNS else ""
