"""Finds tasks that other run directories near a manifest have already paid for.

They are only read. Besides the ledger, results.csv and run.log count too: the ledger may be gone or old.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.core.file_names import LEDGER_NAME, LOG_NAME, RESULTS_NAME
from batchrunner.core.identity import SIMULATOR, paid_again, wanted_again
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.needs_unmet import blocked
from batchrunner.core.planned_tasks import PlannedTasks
from batchrunner.core.replicas import recognised
from batchrunner.core.states import TaskState
from batchrunner.core.text import allow_long_cells
from batchrunner.ledger import Unreadable, begun, glance, simulator_state
from batchrunner.storage import log_files

_SIGNS = frozenset({"accepted", "adopted", "unknown", "collected"})
"""Events after which a task is paid for, or may be."""
_PAID = frozenset(TaskState) - {TaskState.PENDING, TaskState.FAILED}
"""States of a task that is paid for, or may be."""


_MARKS = (LEDGER_NAME, RESULTS_NAME, LOG_NAME)
"""Each of these files marks a folder as a run directory, or the remains of one."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another run directory and the tasks it has paid for."""

    directory: Path
    paid: Counter[TaskKey]
    fault: str = ""
    """Why its ledger can't be read; empty if it can."""


@dataclass(frozen=True, slots=True)
class PaidElsewhere:
    """Tasks that a run would pay for although other run directories have, or may have, paid for them."""

    directory: Path
    """The run directory with most of these tasks."""
    tasks: int
    fault: str = ""
    """Why its ledger can't be read; empty if it can."""
    others: int = 0
    """How many other run directories have some of them."""


def neighbours(folders: Iterable[Path], own: Iterable[Path], simulated: bool) -> list[Neighbour]:
    """The run directories in these folders except `own`: those of simulated runs, or of real ones."""
    ours = {path.resolve() for path in own}
    found: dict[Path, Neighbour] = {}
    for folder in dict.fromkeys(folders):
        for path in sorted(_children(folder)):
            if path.resolve() not in ours and path.resolve() not in found:
                known = _known(path, simulated)
                if known:
                    found[path.resolve()] = known
    return list(found.values())


def paid_elsewhere(tasks: Iterable[PlannedTask], near: Sequence[Neighbour]) -> PaidElsewhere | None:
    """Which of these tasks a neighbour has paid for; None if none."""
    wanted = wanted_again(tasks, frozenset().union(*(one.paid for one in near)))
    numbers = [(paid_again(wanted, one.paid), one) for one in near]
    holding = [(number, one) for number, one in numbers if number]
    if not holding:
        return None
    # Prefer a readable ledger: the user can resume there.
    number, best = max(holding, key=lambda pair: (not pair[1].fault, pair[0]))
    return PaidElsewhere(best.directory, number, best.fault, len(holding) - 1)


@dataclass(frozen=True, slots=True)
class Submissions:
    """Which tasks of a plan a run would submit, as far as is known."""

    over: frozenset[TaskKey] = frozenset()
    """Tasks of the ledger that are not pending."""
    keys: Mapping[int, TaskKey] = field(default_factory=dict)
    """The keys that replicas have in the ledger, by position."""
    none: bool = False
    """Whether nothing is submitted: the run will report a problem with its ledger."""

    def key(self, position: int, key: TaskKey) -> TaskKey:
        """A planned task's key in the ledger."""
        return self.keys.get(position, key)

    def __call__(self, position: int, key: TaskKey) -> bool:
        """Whether the task at this position, with this key, would be submitted."""
        return not self.none and self.keys.get(position, key) not in self.over


def submitted_by(
    tasks: PlannedTasks, directory: Path, selected: frozenset[TaskKey] | None = None
) -> Submissions:
    """The tasks of a plan that a run of those in `selected`, None for all, would submit in this directory."""
    if not (directory / LEDGER_NAME).exists():
        return Submissions(blocked(tasks.needs(), {}, selected))
    repeated = tasks.repeated()
    try:
        seen = begun(directory, repeated)
    except Unreadable:
        return Submissions(none=True)
    if not seen:
        return Submissions(blocked(tasks.needs(), {}, selected))
    group = tasks.of_requests(repeated | {one.first for one in seen.replicas})
    states = {key: TaskState.FAILED if key in seen.failed else TaskState.DONE for key in seen.over}
    return Submissions(seen.over | blocked(tasks.needs(), states, selected), recognised(group, seen.replicas))


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
            fault = "it is missing"
        elif seen := glance(directory):
            gateway, paid = seen.gateway, seen.paid
        else:
            return None
    except Unreadable as error:
        fault = str(error)
    is_simulated = gateway == SIMULATOR if gateway else simulator_state(directory).is_dir()
    if is_simulated is not simulated:
        return None
    traces = _traces(directory, is_all_there_is=bool(fault))
    if fault and not traces and not (directory / LEDGER_NAME).exists():
        return None  # just a folder that contains a results.csv
    return Neighbour(directory, paid | traces, fault)


def _traces(directory: Path, is_all_there_is: bool) -> Counter[TaskKey]:
    """The tasks that a run directory has, or may have, paid for according to its other files.

    A readable ledger knows about refunds, so next to one only the final states in these files count.
    """
    keys: set[str] = set()
    with (
        suppress(OSError, csv.Error),
        (directory / RESULTS_NAME).open(encoding="utf-8-sig", errors="replace", newline="") as file,
    ):
        allow_long_cells()  # or a long label would hide what was paid for
        keys |= {
            row.get("fingerprint") or ""
            for row in csv.DictReader(file)
            if row.get("state") in _PAID or (is_all_there_is and row.get("remote_id"))
        }
    last: dict[str, str] = {}
    for key, event, state in filter(None, map(_event, log_files.lines(directory / LOG_NAME))):
        last[key] = state
        if is_all_there_is and event in _SIGNS:
            keys.add(key)
    keys |= {key for key, state in last.items() if state in _PAID}
    return Counter(TaskKey(key) for key in keys - {""})


def _event(line: bytes) -> tuple[str, str, str] | None:
    """Task, event and new state of a line of run.log; None if the line is not about a task."""
    try:
        entry = json.loads(line.decode("utf-8", "replace"))
    except ValueError:
        return None
    if not isinstance(entry, dict) or not entry.get("key"):
        return None
    return str(entry["key"]), str(entry.get("event")), str(entry.get("to_state"))
