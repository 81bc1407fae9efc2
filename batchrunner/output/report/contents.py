"""What the report shows, as JSON values."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchrunner.core.failure_groups import FailureGroup, Trouble, groups
from batchrunner.core.films import chains, continued
from batchrunner.core.model import TaskKey
from batchrunner.core.needs import needs_in
from batchrunner.core.policy import may_be_paid_for
from batchrunner.core.redaction import redacted, redacted_url, redacted_values
from batchrunner.core.states import TaskState
from batchrunner.core.text import iso, printable
from batchrunner.ledger.gallery import Gallery, ShownTask, Take
from batchrunner.output.report.charts import charts
from batchrunner.output.report.pictures import Pictures, hashes_in
from batchrunner.storage.object_videos import ObjectVideos

ATTENTION = frozenset({TaskState.FAILED, TaskState.IN_DOUBT, TaskState.UNCOLLECTED})
_NOT_PARAMETERS = frozenset({"content", "callback_url"})
"""Parts of `metadata` that the page shows elsewhere, or that hold addresses."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the page shows."""

    tasks: Sequence[Mapping[str, object]]
    troubles: Sequence[FailureGroup]
    charts: Mapping[str, object]
    videos: int
    """The number of all versions, those of other runs too."""
    films: Sequence[TaskKey]
    """The last shots of films."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The videos of a run in a bucket."""

    place: ObjectVideos
    seen: Mapping[str, str]
    """The names of the objects that are there, with their size in front."""


@dataclass(frozen=True, slots=True)
class OtherRun:
    """Another run's videos, which are shown beside."""

    directory: Path
    run_id: str
    takes: Mapping[str, Sequence[Take]]
    """By fingerprint."""
    by_id: Mapping[str, str]
    """Fingerprints by ID: in another run, a task with the same ID may have another prompt."""
    stored: Stored | None = None
    """Where its videos are, if not in the run directory."""

    @classmethod
    def of(cls, gallery: Gallery, directory: Path, run_id: str, stored: Stored | None = None) -> OtherRun:
        """Those of a ledger."""
        by_id = {task.id: task.key for task in gallery.tasks}
        return cls(directory, run_id, _by_task(gallery.takes), by_id, stored)

    def takes_of(self, task: ShownTask) -> Sequence[Take]:
        """Its videos of the same request, or else of the task with the same ID."""
        return self.takes.get(task.key) or self.takes.get(self.by_id.get(task.id, ""), ())


def contents(
    gallery: Gallery,
    directory: Path,
    run_id: str,
    pictures: Pictures,
    others: Sequence[OtherRun] = (),
    *,
    now: float,
    stored: Stored | None = None,
) -> Contents:
    """What the page shows; `pictures` notes those that are missing. `now` is in Unix seconds.

    `stored` is where the run's videos are, if not in its directory.
    """
    found = _by_task(gallery.takes)
    tasks, troubles, videos = [], [], 0
    for task in gallery.tasks:
        seen = [
            _take(take, directory, directory, run_id, pictures, stored) for take in found.get(task.key, ())
        ]
        for other in others:
            seen += [
                _take(take, directory, other.directory, other.run_id, pictures, other.stored)
                for take in other.takes_of(task)
            ]
        tasks.append(_task(task, seen, pictures))
        videos += len(seen)
        if task.state in ATTENTION:
            troubles.append(_trouble(task))
    return Contents(tasks, groups(troubles), charts(gallery.stays, now), videos, _films(gallery.tasks))


def _films(tasks: Sequence[ShownTask]) -> list[TaskKey]:
    """The last shot of each film that an export would make of these tasks."""
    requests = {TaskKey(task.key): json.loads(task.request) for task in tasks if '"part"' in task.request}
    links = {key: before for key, request in requests.items() if (before := continued(request))}
    stays = [task for task in tasks if task.position is not None or task.state == TaskState.DONE]
    wanted = frozenset(TaskKey(task.key) for task in stays)
    return [keys[-1] for keys in chains(links, wanted)]


def _by_task(takes: Iterable[Take]) -> dict[str, list[Take]]:
    found: dict[str, list[Take]] = {}
    for take in takes:
        found.setdefault(take.task, []).append(take)
    return found


def _task(task: ShownTask, takes: Sequence[Mapping[str, object]], pictures: Pictures) -> dict[str, object]:
    request: dict[str, Any] = json.loads(task.request)
    metadata = request.get("metadata") or {}
    parameters = {name: value for name, value in metadata.items() if name not in _NOT_PARAMETERS}
    hashes = list(hashes_in(request))
    values: dict[str, object] = {
        "key": task.key,
        "id": task.id,
        "state": task.state,
        "prompt": request.get("prompt") or "",
        "model": request.get("model") or "",
        "parameters": redacted_values(parameters),
        "labels": json.loads(task.labels),
        "inputs": [_input(shown, hashes, pictures) for shown in json.loads(task.inputs)],
        "source": printable(task.source),
        "attempts": task.attempts,
        "code": printable(task.error_code),
        "message": _message(task),
        "warnings": [printable(redacted(text)) for text in json.loads(task.warnings)],
        "unplanned": task.position is None,
        "takes": takes,
        "previous": continued(request),
        "needs": list(dict.fromkeys(need.task for need in needs_in(request))),
    }
    return {name: value for name, value in values.items() if value or name in ("prompt", "takes")}


def _message(task: ShownTask) -> str:
    said = [task.error_message, task.looked_up if task.state == TaskState.IN_DOUBT else ""]
    return printable(redacted("; ".join(filter(None, said))))


def _input(shown: str, hashes: Sequence[str], pictures: Pictures) -> dict[str, str]:
    picture = pictures.of_input(shown, hashes) if hashes and "://" not in shown else ""
    return {"name": redacted_url(shown)} | ({"picture": picture} if picture else {})


def _trouble(task: ShownTask) -> Trouble:
    state = TaskState(task.state)
    paid = may_be_paid_for(state is TaskState.FAILED, task.remote_id, task.error_code, task.tokens)
    return Trouble(task.key, task.id, state, printable(task.error_code), _message(task), paid)


def _take(
    take: Take, directory: Path, home: Path, run_id: str, pictures: Pictures, stored: Stored | None
) -> dict[str, object]:
    """One video; `home` is the run directory that it is in, unless it is `stored` elsewhere."""
    video, is_there = home / take.file_name, False
    if stored:
        picture, problem = _object(take, stored, pictures)
    else:
        picture, problem, is_there = _file(take, video, pictures)
    values: dict[str, object] = {
        "file": take.file_name,
        "picture": picture,
        "problem": problem,
        "current": bool(take.is_current),
        "remote": printable(take.remote_id or ""),
        "seed": take.seed,
        "tokens": take.tokens,
        "cost": None if take.cost is None else round(take.cost, 6),
        "currency": take.currency,
        "duration": take.duration,
        "width": take.width,
        "height": take.height,
        "fps": take.fps,
        "bytes": take.size,
        "submitted": iso(take.submitted_at),
        "finished": iso(take.finished_at),
        "collected": iso(take.collected_at),
        "seconds": take.generation_seconds,
        "account": take.account,
    }
    if home != directory:
        values |= {"run": run_id, "runName": home.name}
    if is_there:
        values["url"] = quote(take.file_name) if home == directory else _relative_url(video, directory)
    return {name: value for name, value in values.items() if value not in (None, "", False)}


def _file(take: Take, video: Path, pictures: Pictures) -> tuple[str, str, bool]:
    """A video's picture, what is wrong with its file, and whether there is one."""
    picture, problem, is_there = "", "moved or deleted", False
    with suppress(OSError):
        found = video.stat()
        is_there = stat.S_ISREG(found.st_mode)  # to open a pipe would take for ever
        problem = "replaced by something that is no file"
        if is_there:
            picture = pictures.of_video(video, found, take.sha256, take.size)
            problem = "" if found.st_size == take.size else "changed after the download"
    return picture, problem, is_there


def _object(take: Take, stored: Stored, pictures: Pictures) -> tuple[str, str]:
    """A stored video's picture, and what is wrong with its object."""
    seen = stored.seen.get(take.file_name)
    if seen is None:
        return "", "moved or deleted"
    if not take.sha256 or int(seen.partition(" ")[0]) != take.size:
        return "", "changed after the download"
    return pictures.of_object(stored.place, take.file_name, take.sha256), ""


def _relative_url(video: Path, directory: Path) -> str:
    path = os.path.relpath(video.resolve(), directory.resolve())
    return quote(path.encode("utf-8", "surrogateescape"))
