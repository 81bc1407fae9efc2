"""What the ledger tells whoever observes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchrunner.core.model import AttemptId, RemoteId, TaskKey
from batchrunner.core.states import Event, TaskState


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """Something that happened to a task, told after it is on disk."""

    at: float
    """Unix seconds."""
    key: TaskKey
    id: str
    attempt: AttemptId | None
    event: Event
    from_state: TaskState
    to_state: TaskState
    code: str
    message: str
    planned: bool
    """Whether the manifest still asks for the task."""
    seed: int | None = None
    """Of the attempt."""
    remote_id: RemoteId | None = None


Observer = Callable[[LedgerEvent], None]
