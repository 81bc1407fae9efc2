"""Other run directories near a manifest: has one of them already paid for what a new one would?

They are only read. What results.csv and run.log say counts beside the ledger: that may be gone or old.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from batchrunner.core.file_names import LEDGER_NAME, LOG_NAME, RESULTS_NAME
from batchrunner.core.identity import SIMULATOR, paid_again
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.replicas import recognised
from batchrunner.core.states import TaskState
from batchrunner.ledger import Unreadable, glance

_SIGNS = frozenset({"accepted", "adopted", "unknown", "collected"})
"""Events after which a task is paid for, or may be."""
_PAID = frozenset(TaskState) - {TaskState.PENDING, TaskState.FAILED}
"""States of a task that is paid for, or may be."""


_MARKS = (LEDGER_NAME, RESULTS_NAME, LOG_NAME)
"""Each of these makes a folder a run directory, or what is left of one."""


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
        return [path for path in folder.iterdir() if any((path / name).exists() for name in _MARKS)]
    except OSError:
        return []


def _known(directory: Path, simulated: bool) -> Neighbour | None:
    gateway, fault = "", ""
    paid = Counter[TaskKey]()
    try:
        if not (directory / LEDGER_NAME).exists():
            fault = "it is gone"
        elif seen := glance(directory):
            gateway, paid = seen.gateway, seen.paid
        else:
            return None
    except Unreadable as error:
        fault = str(error)
    is_simulated = gateway == SIMULATOR if gateway else (directory / SIMULATOR).is_dir()
    if is_simulated is not simulated:
        return None
    traces = _traces(directory, is_all_there_is=bool(fault))
    if fault and not traces and not (directory / LEDGER_NAME).exists():
        return None  # a folder that happens to hold a results.csv
    return Neighbour(directory, paid | traces, fault)


def _traces(directory: Path, is_all_there_is: bool) -> Counter[TaskKey]:
    """What a run directory has paid for, or may have, as far as its other files tell.

    Beside a ledger that can be read, which knows what was given back, only what they end with counts.
    """
    keys: set[str] = set()
    with (
        suppress(OSError, csv.Error),
        (directory / RESULTS_NAME).open(encoding="utf-8-sig", errors="replace", newline="") as file,
    ):
        keys |= {
            row.get("fingerprint") or ""
            for row in csv.DictReader(file)
            if row.get("state") in _PAID or (is_all_there_is and row.get("remote_id"))
        }
    last: dict[str, str] = {}
    with suppress(OSError), (directory / LOG_NAME).open(encoding="utf-8", errors="replace") as file:
        for key, event, state in filter(None, map(_event, file)):
            last[key] = state
            if is_all_there_is and event in _SIGNS:
                keys.add(key)
    keys |= {key for key, state in last.items() if state in _PAID}
    return Counter(TaskKey(key) for key in keys - {""})


def _event(line: str) -> tuple[str, str, str] | None:
    """Task, event and new state of a line of run.log; None where it tells of no task."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not entry.get("key"):
        return None
    return str(entry["key"]), str(entry.get("event")), str(entry.get("to_state"))
