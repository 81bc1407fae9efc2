"""Selects the tasks of a plan that a run may submit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from batchrunner.core.errors import UsageError

if TYPE_CHECKING:
    from batchrunner.core.model import PlannedTask, TaskKey


def select(
    tasks: Iterable[PlannedTask], only: Sequence[str] = (), limit: int | None = None
) -> frozenset[TaskKey] | None:
    """The keys of the first `limit` tasks, in plan order, that match `only`; None for all.

    Each entry of `only` is an ID or `label=value`. The selection depends on the plan alone, so the same
    command always selects the same tasks.

    Raises:
        UsageError: an entry of `only` matches no task.
    """
    if not only and limit is None:
        return None
    chosen: list[TaskKey] = []
    unmatched = dict.fromkeys(only)
    for task in tasks:
        meant = [name for name in only if _is_meant(task, name)]
        for name in meant:
            unmatched.pop(name, None)
        if (meant or not only) and (limit is None or len(chosen) < limit):
            chosen.append(task.key)
    for name in unmatched:
        known = dict.fromkeys(task.id for task in tasks)
        known |= dict.fromkeys(f"{label}={text}" for task in tasks for label, text in task.labels.items())
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "use an ID, or a label as label=value"
        raise UsageError(f"--only {name} matches no task of the manifest", hint)
    return frozenset(chosen)


def _is_meant(task: PlannedTask, name: str) -> bool:
    label, equals, text = name.partition("=")
    return task.id == name or bool(equals and task.labels.get(label) == text)
