"""Tasks that need what others make, by the letters of their prompts, and what must hold for them."""

from __future__ import annotations

import base64
import json
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from batchrunner.core.errors import ExitCode
from batchrunner.core.model import Part, TaskOutput
from batchrunner.core.needs import Need, needs_in
from batchrunner.core.needs_unmet import NEED_FAILED, NEED_IN_DOUBT, NEED_PENDING, blocked
from batchrunner.core.policy import UNSENDABLE
from batchrunner.core.references import is_reference, reference
from batchrunner.core.rules.inputs import located
from batchrunner.core.states import TaskState
from batchrunner.core.task_outputs import with_outputs
from batchrunner.manifest.plan_links import Link
from batchrunner.manifest.plan_store import PlanStore
from batchrunner.media import last_frame
from batchrunner.output.summary import Summary
from tests.harness.plans import wanted_task
from tests.integration.machine.gateway import LINKS, picture_of, video_of

FOLLOWS = "fgvw"
"""First letters of prompts whose tasks go on with those before them: by a last frame, by a video, by both."""
LENGTHS = {"d": -1, "e": 9}
"""Seconds, by the first letter of the prompt; 5 for the others, and -1 lets the model choose."""
CANNOT_BE_HAD = frozenset({"failed", "uncollected"})
UNFINISHED = frozenset({"pending", "submitting", "generating", "collecting"})
_WAITING = (NEED_FAILED, NEED_IN_DOUBT, NEED_PENDING)
SAID_OTHERWISE = frozenset({ExitCode.ACCOUNT, ExitCode.STORAGE, ExitCode.USAGE})
Entries = Sequence[tuple[str, str]]
"""Prompt and ID of each task."""


def planned(tasks: Entries) -> PlanStore:
    """The plan of these tasks; those that need others are completed after them, as a manifest's are."""
    store, needs = PlanStore(), dict(_needs(tasks))
    for position, (prompt, name) in enumerate(tasks):
        request = _request(prompt, [tasks[on][1] for on in needs.get(position, ())])
        store.add(wanted_task(request, id=name), is_open=position in needs)
    store.finish()
    levels: dict[int, list[int]] = defaultdict(list)
    level_of: dict[int, int] = {}
    for position, each in needs.items():
        level_of[position] = 1 + max(level_of.get(on, 0) for on in each)
        levels[level_of[position]].append(position)
    at = {name: position for position, (_, name) in enumerate(tasks)}
    links = {position: list(_references(store, position, at)) for position in needs}
    if needs:
        store.need({position: [link for _, link in each] for position, each in links.items()})
    for _, positions in sorted(levels.items()):
        contents = {}
        for position in positions:
            outputs = {
                path: TaskOutput(store[on].key, part, f"task:{tasks[on][1]}/{part}")
                for path, (on, part) in links[position]
            }
            content = store[position].content
            contents[position] = content._replace(form=with_outputs(content.form, outputs))
        store.complete(contents)
    return store


def _needs(tasks: Entries) -> Iterator[tuple[int, list[int]]]:
    """The positions that a task needs: equal prompts in a row are a family, and go on with the one before."""
    before, position = range(0), 0
    for prompt, group in groupby(tasks, key=lambda task: task[0]):
        family = range(position, position + len(list(group)))
        position = family.stop
        for number, one in enumerate(family):
            if before and prompt[0] in FOLLOWS:
                yield one, [before[number % len(before)], *([0] if prompt[0] == "w" else [])]
        before = family


def _request(prompt: str, needed: Sequence[str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resolution": "480p", "ratio": "16:9"}
    metadata["duration"] = LENGTHS.get(prompt[0], 5)
    if prompt == "s":
        metadata["seed"] = 7
    model = "dreamina-seedance-2-0" if prompt == "c" else "dreamina-seedance-2-0-fast"
    request: dict[str, Any] = {"model": model, "prompt": prompt, "metadata": metadata}
    if not needed:
        return request
    picture = {"url": f"task:{needed[0]}/last_frame"}
    video = {"type": "video_url", "role": "reference_video", "video_url": {"url": f"task:{needed[-1]}/video"}}
    if prompt[0] == "v":
        metadata["content"] = [video]
    elif prompt[0] == "w":
        metadata["content"] = [{"type": "image_url", "role": "reference_image", "image_url": picture}, video]
    else:
        request["image"] = picture["url"]
    return request


def _references(store: PlanStore, position: int, at: Mapping[str, int]) -> Iterator[tuple[Any, Link]]:
    request: Any = store[position].request
    for path, kind, value in located(request, request["metadata"]):
        if is_reference(value) and (found := reference(str(value), kind)):
            yield path, Link(at[found.id], Part(found.part))


class Continuity:
    """What chains promise, asked of the file on disk and of what was sent."""

    def __init__(self, directory: Path, rows: Callable[..., list[sqlite3.Row]]) -> None:
        self._directory, self._rows = directory, rows
        self.cut: set[str] = set()
        """Pictures that somebody damaged."""

    def fault(self, request: str, body: Mapping[str, Any]) -> str:
        """Why this body may not leave now for a task with this request; empty if it may."""
        sent = list(_media(body))
        needs = needs_in(json.loads(request))
        if len(sent) != len(needs):
            return f"{len(sent)} inputs were sent of {len(needs)}"
        for need in needs:
            (needed,) = self._rows(
                "SELECT t.id, t.state, a.remote_id, a.last_frame_file FROM tasks t "
                "LEFT JOIN attempts a ON a.id = t.attempt WHERE t.key = ?",
                need.task,
            )
            if needed["state"] != "done":
                return f"it needs {needed['id']}, which is {needed['state']}"
            if self._made(need, needed) not in sent:
                return f"it was not sent the {need.part} of {needed['id']}, {needed['remote_id']}"
        return ""

    def _made(self, need: Need, needed: sqlite3.Row) -> str:
        """What stands for a need in a request: of the newest version of the task that is needed."""
        remote_id, kept = needed["remote_id"], needed["last_frame_file"]
        if need.part is not Part.LAST_FRAME:
            return f"{LINKS}{remote_id}"
        if kept and kept not in self.cut:
            return _data_uri("jpeg", (self._directory / kept).read_bytes())
        return _data_uri("png", _last_frame())

    def pictures(self) -> Iterator[str]:
        """Each picture that is not that of its task's newest video."""
        query = "SELECT a.remote_id, a.last_frame_file FROM tasks t JOIN attempts a ON a.id = t.attempt "
        for remote_id, name in self._rows(query + "WHERE t.state = 'done' AND a.last_frame_file <> ''"):
            path = self._directory / name
            if name not in self.cut and (not path.exists() or path.read_bytes() != picture_of(remote_id)):
                yield f"{name} is not the last frame of {remote_id}"

    def waits_for(self) -> dict[str, set[str]]:
        """The planned pending tasks that need what isn't done, each with the states at the chain's ends."""
        state, needs = {}, {}
        for row in self._rows("SELECT key, state, request, position FROM tasks"):
            state[row["key"]] = row["state"]
            if row["state"] == "pending" and row["position"] is not None:
                needs[row["key"]] = [need.task for need in needs_in(json.loads(row["request"]))]

        def ends(key: str) -> set[str]:
            undone = [one for one in needs.get(key, ()) if state[one] != "done"]
            return {end for one in undone for end in ends(one) or {state[one]}}

        return {key: found for key in needs if (found := ends(key))}

    def failed_for_nothing(self, key: str, touched: Collection[str]) -> Iterator[str]:
        """A task that just failed, unsent: not for a video that a person has lost or changed."""
        query = "SELECT id, error_message FROM tasks WHERE key = ? AND state = 'failed' AND error_code = ?"
        for name, why in self._rows(query, key, UNSENDABLE):
            if not any(f"needs {file}," in why for file in touched):
                yield f"{name} failed: {why}"

    def given_up_too_early(self) -> Iterator[str]:
        """Each task that is said to wait for a person while what it needs may still be done."""
        query = "SELECT key, id FROM tasks WHERE error_code = ? AND position IS NOT NULL"
        if said := self._rows(query, NEED_FAILED):
            waits = self.waits_for()
            for key, name in said:
                if not waits.get(key, set()) & CANNOT_BE_HAD:
                    yield f"{name} is said to wait for a person, and waits for {waits.get(key)}"

    def after_end(self, summary: Summary, selected: frozenset[str] | None) -> Iterator[str]:
        """What is wrong once a run has ended: a task that waits without its reason, or the exit code."""
        waits = self.waits_for()
        planned_tasks = self._rows("SELECT key, id, state, error_code FROM tasks WHERE position IS NOT NULL")
        for task in planned_tasks:
            found, code = waits.get(task["key"]), task["error_code"]
            if expected(found or set()) != (code if code in _WAITING else ""):
                yield f"{task['id']} is {task['state']} with {code!r}, and waits for {found}"
        if summary.signal or (summary.stop and summary.stop.exit_code in SAID_OTHERWISE):
            return
        chosen = [task for task in planned_tasks if selected is None or task["id"] in selected]
        code = _exit_code(summary, chosen, self._blocked(selected))
        if summary.exit_code != code:
            yield f"exit {summary.exit_code:d}, not {code}: {[tuple(task) for task in chosen]}"

    def _blocked(self, selected: frozenset[str] | None) -> frozenset[str]:
        """The pending tasks that a run of these tasks never submits: what they need failed or is left out."""
        state, needs, chosen = {}, {}, set()
        for row in self._rows("SELECT key, id, state, request FROM tasks WHERE position IS NOT NULL"):
            state[row["key"]] = TaskState(row["state"])
            needs[row["key"]] = [need.task for need in needs_in(json.loads(row["request"]))]
            chosen |= {row["key"]} if selected is None or row["id"] in selected else set()
        return frozenset(blocked(needs, state, chosen))


def expected(ends: Collection[str]) -> str:
    """The code of a task that waits for others, by the states at the ends of its chains."""
    if CANNOT_BE_HAD & set(ends):
        return NEED_FAILED
    return NEED_IN_DOUBT if "in_doubt" in ends else NEED_PENDING if ends else ""


def _exit_code(summary: Summary, tasks: Sequence[sqlite3.Row], stuck: Collection[str]) -> int:
    """What `output/summary.py` says: no signal, and nothing wrong with account, disk or manifest."""
    states = {task["state"] for task in tasks}
    if "in_doubt" in states:
        return 3
    if summary.stop and summary.stop.exit_code == ExitCode.FAILED:
        return 1
    if any(task["state"] in UNFINISHED and task["key"] not in stuck for task in tasks):
        return 75
    return 1 if states - {"done"} or summary.missing else 0


def _media(value: Any) -> Iterator[str]:
    """The pictures and links in a body."""
    if isinstance(value, str) and value.startswith(("data:", LINKS)):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _media(one)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@cache
def _last_frame() -> bytes:
    """Of any video: all of them show the same."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(video_of(""))
        file.flush()
        return last_frame(Path(file.name))
