"""The videos that a request is made from: other tasks whose picture or video is one of its inputs.

Where another request has an input's URL, a planned one has a `TaskOutput`, and a stored one
`{"task": KEY, "part": "last_frame" or "video"}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from batchrunner.core.estimate import LENGTH
from batchrunner.core.model import Part, Request, RequestValue, TaskKey, TaskOutput
from batchrunner.core.rules.inputs import ValuePath, located


class Need(NamedTuple):
    """An input that another task makes."""

    path: ValuePath
    """Its place in the request."""
    task: TaskKey
    """The fingerprint of the task that makes it."""
    part: Part
    """Which part of that task's result it is."""


def needs_in(request: Request) -> tuple[Need, ...]:
    """What a normalised request needs of other tasks, in the order of its inputs."""
    metadata = request.get("metadata")
    inputs = located(request, metadata if isinstance(metadata, Mapping) else {})
    return tuple(need for path, _, value in inputs if (need := _need(path, value)))


def beginnings(requests: Iterable[tuple[TaskKey, Request]]) -> dict[TaskKey, TaskKey]:
    """For every other task of a chain, the one at its beginning.

    Chains that a task brings together, since it needs tasks of several, are one: of their beginnings, that
    with the lowest key counts.
    """
    needs = {key: [need.task for need in found] for key, request in requests if (found := needs_in(request))}
    leads_to: dict[TaskKey, TaskKey] = {}

    def begins(key: TaskKey) -> TaskKey:
        path = [key]
        while (before := leads_to.get(path[-1])) is not None:
            path.append(before)
        leads_to.update(dict.fromkeys(path[:-1], path[-1]))
        return path[-1]

    for key, each in needs.items():
        ends = {begins(one) for one in (key, *each)}
        # What needs nothing is a beginning, and stays one if it can.
        first = min(ends, key=lambda one: (one in needs, one))
        leads_to.update(dict.fromkeys(ends - {first}, first))
    return {key: begins(key) for key in list(leads_to)}


def with_lengths(request: Any, lengths: Mapping[TaskKey, int]) -> Any:
    """A stored request with the seconds of each video that it needs, where `lengths` has them.

    In a planned one, they replace those that the plan knows, where they are more.
    """
    if isinstance(request, TaskOutput):
        known = lengths.get(request.task, 0) if request.part is Part.VIDEO else 0
        return replace(request, seconds=max(request.seconds, known)) if request.seconds else request
    if isinstance(request, list):
        return [with_lengths(item, lengths) for item in request]
    if not isinstance(request, dict):
        return request
    need = _need((), request)
    if need and need.part is Part.VIDEO and need.task in lengths:
        return {**request, LENGTH: lengths[need.task]}
    return {name: with_lengths(value, lengths) for name, value in request.items()}


def _need(path: ValuePath, value: RequestValue) -> Need | None:
    """What an input needs; None if it is a URL or a local file."""
    if isinstance(value, TaskOutput):
        return Need(path, value.task, value.part)
    if not isinstance(value, Mapping):
        return None
    task, part = value.get("task"), value.get("part")
    if not isinstance(task, str) or part not in list(Part):
        return None
    return Need(path, TaskKey(task), Part(str(part)))
