"""Shots as their films see them, and which were made from an earlier version of another one."""

from __future__ import annotations

from itertools import chain

from batchrunner.core.films import Shot, is_older
from batchrunner.core.model import TaskKey
from batchrunner.core.needs import needs_in
from batchrunner.core.states import TaskState
from batchrunner.ledger import FinishedVideo, LedgerReader, ResultRows


def shot_of(video: FinishedVideo, first_done: float | None) -> Shot:
    """A task's newest attempt as a shot; `first_done` in Unix seconds."""
    row = video.row
    return Shot(TaskKey(row.key), row.id, row.state, row.error_code, row.submitted_at, first_done)


async def outdated(ledger: LedgerReader) -> list[str]:
    """The IDs of planned tasks whose videos were made from an earlier version of what they need."""
    return await ledger.read_results(_outdated)


def _outdated(rows: ResultRows) -> list[str]:
    found = rows.with_needs()
    needs = {key: [need.task for need in needs_in(request)] for key, planned, request in found if planned}
    videos = rows.of_tasks(frozenset(chain(needs, *needs.values())))
    first_done = rows.first_done(videos.keys())
    shots = {key: shot_of(video, first_done.get(key)) for key, video in videos.items()}
    done = {key: shot for key, shot in shots.items() if shot.state == TaskState.DONE}
    return [
        done[key].id
        for key, each in needs.items()
        if key in done and any(is_older(done[key], done[need]) for need in each if need in done)
    ]
