"""Events that the ledger sends to its observers."""

from __future__ import annotations

import logging
import sqlite3
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
    account: str = ""
    """The name of the attempt's account; empty if the command has only one."""


Observer = Callable[[LedgerEvent], None]

LOGGER = logging.getLogger(__name__)

_INSERT = (
    "INSERT INTO events (at, task, attempt, event, from_state, to_state, code, message) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class Outbox:
    """The events of a transaction: written with it at its end, and told once it is on disk."""

    def __init__(self) -> None:
        self._events: list[LedgerEvent] = []
        self._observers: list[Observer] = []

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every event from now on."""
        self._observers.append(observer)

    def add(self, event: LedgerEvent) -> None:
        """Add an event."""
        self._events.append(event)

    def __len__(self) -> int:
        return len(self._events)

    def cut(self, length: int) -> None:
        """Keep only the first `length` events: the others were rolled back."""
        del self._events[length:]

    def write(self, db: sqlite3.Connection) -> None:
        """Insert the events, within the transaction."""
        db.executemany(_INSERT, map(_written, self._events))

    def tell(self) -> None:
        """Call the observers with the events, and forget them."""
        events, self._events = self._events, []
        for event in events:
            for observer in self._observers:
                try:
                    observer(event)
                except Exception:
                    # The event is on disk; a failing display must not stop the writer.
                    LOGGER.exception("an observer failed on %s", event)


def _written(event: LedgerEvent) -> tuple[object, ...]:
    places = (event.event.value, event.from_state.value, event.to_state.value)
    return (event.at, event.key, event.attempt, *places, event.code, event.message)
