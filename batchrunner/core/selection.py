"""Selects the tasks of a plan that a run may submit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

from batchrunner.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchrunner.core.model import TaskKey

MOST_NAMED = 5


class Selectable(Protocol):
    """A task that a user can name."""

    @property
    def key(self) -> TaskKey: ...
    @property
    def id(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


def select(
    tasks: Iterable[Selectable],
    only: Sequence[str] = (),
    limit: int | None = None,
    option: str = "--only",
    place: str = "of the manifest",
) -> frozenset[TaskKey] | None:
    """The keys of the first `limit` tasks, in plan order, that match `only`; None for all.

    Each entry of `only` is an ID, the beginning of just one, or `label=value`. The selection depends on the
    plan alone, so the same command always selects the same tasks. Messages name the `option` with these
    entries, and the `place` of the tasks.

    Raises:
        UsageError: an entry of `only` matches no task, or begins several IDs.
    """
    if not only and limit is None:
        return None
    names = _whole(tasks, only, option, place)
    chosen: list[TaskKey] = []
    for task in tasks:
        if limit is not None and len(chosen) >= limit:
            break
        if not only or any(_is_meant(task, name) for name in names):
            chosen.append(task.key)
    return frozenset(chosen)


def _whole(tasks: Iterable[Selectable], only: Sequence[str], option: str, place: str) -> list[str]:
    """The entries of `only`, with whole IDs for beginnings."""
    begun: dict[str, list[str]] = {name: [] for name in only}
    matched = set()
    for task in tasks if only else ():
        for name, ids in begun.items():
            if name not in matched and _is_meant(task, name):
                matched.add(name)
            elif name and len(ids) <= MOST_NAMED and task.id.startswith(name):
                ids.append(task.id)
    return [
        name if name in matched else _the_one(tasks, name, ids, option, place) for name, ids in begun.items()
    ]


def _the_one(tasks: Iterable[Selectable], name: str, ids: Sequence[str], option: str, place: str) -> str:
    """The only ID that begins with `name`."""
    if not ids:
        known = dict.fromkeys(task.id for task in tasks)
        known |= dict.fromkeys(f"{label}={text}" for task in tasks for label, text in task.labels.items())
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "use an ID, or a label as label=value"
        raise UsageError(f"{option} {name} matches no task {place}", hint)
    if len(ids) > 1:
        more = ", …" if len(ids) > MOST_NAMED else ""
        named = ", ".join(ids[:MOST_NAMED])
        raise UsageError(f"{option} {name} begins the IDs of several tasks", f"which one: {named}{more}?")
    return ids[0]


def _is_meant(task: Selectable, name: str) -> bool:
    label, equals, text = name.partition("=")
    return task.id == name or bool(equals and task.labels.get(label) == text)
