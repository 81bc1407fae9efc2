"""Events that the ledger sends to its observers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchrunner.core.model import AttemptId, RemoteId, TaskKey
from batchrunner.core.states import Event, TaskState


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """A change to a task, published once it is on disk."""

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
    """Whether the task is still in the manifest."""
    seed: int | None = None
    """The attempt's seed."""
    remote_id: RemoteId | None = None


Observer = Callable[[LedgerEvent], None]

INSERT_EVENT = (
    "INSERT INTO events (at, task, attempt, event, from_state, to_state, code, message) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def written(told: LedgerEvent) -> tuple[object, ...]:
    """An event as parameters for `INSERT_EVENT`."""
    places = (told.event, told.from_state, told.to_state)
    return (told.at, told.key, told.attempt, *places, told.code, told.message)
