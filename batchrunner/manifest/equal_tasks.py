"""Finds tasks of a plan that have the same ID, or the same request."""

from __future__ import annotations

from batchrunner.core.problems import Severity
from batchrunner.manifest.entries import Origin
from batchrunner.manifest.origins import Origins
from batchrunner.manifest.plan_store import PlanStore
from batchrunner.manifest.reporting import Report


def refuse_equal_ids(tasks: PlanStore, origins: Origins, report: Report) -> None:
    """Report IDs that several tasks have."""
    first: dict[str, Origin] = {}
    for task_id, position in tasks.with_equal_ids():
        one = origins.of(position)
        if (before := first.setdefault(task_id, one)) is not one:
            place, earlier = one.place("id"), before.place("id")
            message = f"duplicate id `{task_id}`; first used at {earlier}"
            hint = "the video is named after it: give each task a unique id"
            if max(one.repetition, before.repetition) > 1:
                hint = "the video is named after it; `repeat` adds -2, -3 and so on: use other ids"
            elif place == earlier:
                message = f"duplicate id `{task_id}`: two entries use it"
                hint = "the video is named after it: set a different `id` in one of the entries"
            elif one.entry.multiples.name_tasks and not one.entry.has_id:
                hint = 'the video is named after the file: set `id: "${name}"`, or rename one of them'
            report.add(place, message, hint, path=("id",))


def warn_of_equal_requests(tasks: PlanStore, origins: Origins, report: Report) -> None:
    """Warn about duplicate requests, which are paid for twice, unless `repeat` asks for them."""
    for task in tasks.replicas():
        one = origins.of(task.position)
        earlier = tasks.find(task.first)
        if one.repetition > 1 or earlier is None:
            continue
        place, other = one.place("prompt"), earlier.source
        if other == task.source:  # two entries use the same row
            other = f"that of the entry in line {origins.of(earlier.position).entry.node.line}"
        message = f"same request as {other}: both will be made and paid for"
        if one.entry.multiples.matrix or (one.entry.multiples.table is not None and not place.row):
            message = f"{task.source}: {message}"  # the place is ambiguous
        hint = "delete one of them if one video is enough; if two are intended, use `repeat: 2`"
        report.add(place, message, hint, Severity.WARNING)
