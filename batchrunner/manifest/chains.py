"""Links the tasks of a plan that need what others make, once all tasks are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice, pairwise
from typing import NamedTuple

from batchrunner.core.films import continuation
from batchrunner.core.model import Part, TaskOutput
from batchrunner.core.plan import id_part
from batchrunner.core.problems import Severity
from batchrunner.core.references import SCHEME, is_reference, reference, written_reference
from batchrunner.core.request import duration_of
from batchrunner.core.rules.inputs import located
from batchrunner.core.rules.limits import Limits
from batchrunner.core.task_outputs import with_outputs
from batchrunner.core.text import closest
from batchrunner.manifest.entries import Expanded
from batchrunner.manifest.film_shots import FilmShots
from batchrunner.manifest.nodes import Path
from batchrunner.manifest.origins import Origins
from batchrunner.manifest.plan_links import Link
from batchrunner.manifest.plan_store import PlanStore
from batchrunner.manifest.reporting import Report

_MOST_SUGGESTED = 1000
"""How many IDs are searched for one that is close to a wrong one: among all, it would take too long."""
_MOST_SHOWN = 6
"""Tasks of a circle that a message names."""


class _Written(NamedTuple):
    """A reference to another task, as the manifest has it."""

    path: Path
    id: str
    part: Part


_Pair = tuple[_Written, Link]


class ChainLinker:
    """The references in a plan's tasks: noted while it is expanded, linked at its end."""

    def __init__(self, tasks: PlanStore, origins: Origins, report: Report, limits: Limits) -> None:
        self._tasks, self._origins, self._report, self._limits = tasks, origins, report, limits
        self._films = FilmShots(limits)
        self._written: dict[int, tuple[_Written, ...]] = {}
        self._named: dict[str, int] = {}
        """The positions of the tasks that they name."""
        self._last: tuple[object, tuple[_Written, ...]] = None, ()
        """The request looked at last, which the tasks of an entry mostly share, and what was found in it."""

    def note(self, one: Expanded, position: int) -> bool:
        """Note the references in the task at this position of the plan; return whether it has any."""
        if one.request is not self._last[0]:
            self._last = one.request, tuple(_references(one))
        if self._last[1]:
            self._written[position] = self._last[1]
        return bool(self._last[1])

    def link(self) -> None:
        """Replace all references by the tasks that they mean, through the whole chain; report what is wrong.

        Unless there are errors, this completes the plan: the fingerprint of a task contains those of the
        tasks that it needs.
        """
        self._find_named()
        found = {
            position: [(one, need) for one in written if (need := self._need(position, one)) is not None]
            for position, written in self._written.items()
        }
        order = TopologicalSorter({at: [need.on for _, need in links] for at, links in found.items()})
        try:
            order.prepare()
        except CycleError as error:
            self._tell_circle(error.args[1][::-1], found)
        if self._report.has_errors or not found:
            return
        self._tasks.need({position: [need for _, need in links] for position, links in found.items()})
        while order.is_active():
            ready = order.get_ready()
            self._complete({position: found[position] for position in ready if position in found})
            order.done(*ready)
        self._tasks.forget_former()

    def _need(self, position: int, written: _Written) -> Link | None:
        """What a reference means; None, and a report, if it means nothing."""
        on = self._named.get(written.id, self._named.get(id_part(written.id)))
        if on is None:
            self._tell(position, written.path, *self._unknown(written.id))
            return None
        given, other = self._origins.of(position), self._origins.of(on)
        repeat = given.entry.multiples.repeat
        if repeat > 1 and other.entry.multiples.repeat > 1 and other.repetition == 1:
            if other.entry.multiples.repeat != repeat:
                message = (
                    f"`{written.id}` is made {other.entry.multiples.repeat} times, and this {repeat} times"
                )
                hint = f"use the same `repeat`, or name one of them: {SCHEME}:{written.id}-2/{written.part}"
                self._tell(position, written.path, message, hint)
            else:
                on += given.repetition - 1
        return Link(on, written.part)

    def _find_named(self) -> None:
        """Find the tasks that references name."""
        # The values of a matrix are made safe for file names where they are part of an id.
        names = {
            name for each in self._written.values() for one in each for name in (one.id, id_part(one.id))
        }
        if names:
            self._named = {task_id: at for task_id, at in self._tasks.given_ids() if task_id in names}

    def _unknown(self, task_id: str) -> tuple[str, str]:
        known = [name for name, _ in islice(self._tasks.given_ids(), _MOST_SUGGESTED)]
        near = closest(task_id, known)
        hint = f"did you mean `{near}`?" if near else "give it an `id`; it must be in the same manifest"
        return f"no task has the id `{task_id}`", hint

    def _tell_circle(self, positions: list[int], found: Mapping[int, Sequence[_Pair]]) -> None:
        """Report tasks that need each other in a circle; the last of `positions` is the first again."""
        start = positions.index(min(positions))
        circle = [*positions[start:-1], *positions[: start + 1]]
        steps = [
            next(written for written, need in found[position] if need.on == on)
            for position, on in pairwise(circle)
        ]
        ids = [steps[-1].id, *(step.id for step in steps)]
        if len(ids) > _MOST_SHOWN:
            ids = [*ids[: _MOST_SHOWN - 2], "…", *ids[-2:]]
        message = f"a task can't need itself: {' needs '.join(ids)}"
        self._tell(circle[0], steps[0].path, message, "let the chain begin with a task that needs no other")

    def _complete(self, links: Mapping[int, Sequence[_Pair]]) -> None:
        """Complete tasks whose needs are complete."""
        contents = {}
        for position, each in links.items():
            self._check_length(position, each)
            content = self._tasks[position].content
            outputs = {
                written.path: TaskOutput(
                    needed.key,
                    need.part,
                    written_reference(needed.id, need.part),
                    duration_of(needed.request),
                )
                for written, need in each
                if (needed := self._tasks[need.on])
            }
            contents[position] = content._replace(form=with_outputs(content.form, outputs))
        self._tasks.complete(contents)
        for position, each in links.items():
            self._check_film(position, each)

    def _check_film(self, position: int, links: Sequence[_Pair]) -> None:
        """Warn, once for each chain, of shots that can't be joined to a film without encoding them."""
        task = self._tasks[position]
        need = continuation(task.request)
        if need is None:
            self._films.begin(position, task.id, task.request)
            return
        on = next(link.on for written, link in links if written.path == need.path)
        before = self._tasks[on]
        self._films.begin(on, before.id, before.request)
        if found := self._films.add(position, on, task.id, task.request):
            place = self._origins.of(position).place(*need.path)
            message = f"{found.before} and {found.after} can't be joined to a film"
            hint = "to export a film of the chain, give all its shots the same resolution, ratio and model"
            self._report.add(place, message, hint, Severity.WARNING, path=need.path)

    def _check_length(self, position: int, links: Sequence[_Pair]) -> None:
        """Report if the videos that a task needs are together longer than the model takes."""
        videos = [(written.path, need.on) for written, need in links if need.part is Part.VIDEO]
        seconds = sum(duration_of(self._tasks[on].request) for _, on in videos)
        most = self._limits.of(self._tasks[position].request).inputs.video_seconds
        if seconds > most:
            message = f"the videos that it needs last {seconds} seconds together; the limit is {most}"
            self._tell(position, videos[-1][0], message, "make them shorter, or use fewer of them")

    def _tell(self, position: int, path: Path, message: str, hint: str) -> None:
        self._report.add(self._origins.of(position).place(*path), message, hint, path=path)


def _references(one: Expanded) -> Iterable[_Written]:
    metadata = one.request.get("metadata")
    for path, kind, value in located(one.request, metadata if isinstance(metadata, dict) else {}):
        if isinstance(value, str) and is_reference(value) and (found := reference(value, kind)):
            yield _Written(path, found.id, found.part)
