"""Writes attempts to the ledger, including recovered and lost ones."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import NamedTuple

from batchrunner.core.model import AttemptId, RemoteId, TaskKey
from batchrunner.core.needs_unmet import NEED_FAILED, NEED_IN_DOUBT, NEED_PENDING, Unmet
from batchrunner.core.plan import version_at
from batchrunner.core.policy import RECOVERED, AttemptFacts, Move
from batchrunner.core.states import Event
from batchrunner.ledger.overruns import learn

_FACTS = tuple(field.name for field in fields(AttemptFacts))
_values = attrgetter(*_FACTS)
_CHARGE = frozenset({"tokens", "cost", "charged_usd"})


class RemoteIdTaken(Exception):
    """Another attempt has this remote ID; nothing was changed."""


def record_facts(db: sqlite3.Connection, attempt: AttemptId, facts: AttemptFacts) -> None:
    """Record new facts about an attempt.

    Raises:
        RemoteIdTaken: another attempt has the remote ID.
    """
    known = {name: value for name, value in zip(_FACTS, _values(facts), strict=True) if value is not None}
    if not known:
        return
    columns = ", ".join(f"{name} = ?" for name in known)  # the names are the dataclass's fields
    try:
        db.execute(f"UPDATE attempts SET {columns} WHERE id = ?", (*known.values(), attempt))
    except sqlite3.IntegrityError as error:
        if facts.remote_id is None or "attempts.remote_id" not in str(error):
            raise
        raise RemoteIdTaken(f"the gateway gave {facts.remote_id} to another submission, too") from error
    if not known.keys().isdisjoint(_CHARGE):
        learn(db, attempt)


def record_denial(db: sqlite3.Connection, model: str, move: Move) -> None:
    """Record a refusal of a model as the error of all its pending tasks."""
    db.execute(
        "UPDATE tasks SET error_code = ?, error_message = ? WHERE state = 'pending' "
        "AND position IS NOT NULL AND json_extract(request, '$.model') = ?",
        (move.error_code, move.error_message, model),
    )


def record_unmet(db: sqlite3.Connection, waiting: Iterable[Unmet]) -> None:
    """Record why pending tasks wait for others, in place of what was recorded before."""
    db.execute(
        "UPDATE tasks SET error_code = '', error_message = '' WHERE state = 'pending' "
        "AND error_code IN (?, ?, ?)",
        (NEED_FAILED, NEED_PENDING, NEED_IN_DOUBT),
    )
    db.executemany(
        "UPDATE tasks SET error_code = ?, error_message = ? WHERE key = ? AND state = 'pending'",
        ((one.code, one.message, one.key) for one in waiting),
    )


def unused_seed(db: sqlite3.Connection, draw: Callable[[int], int]) -> int:
    """The first seed of `draw(0)`, `draw(1)`, … that no attempt uses."""
    for salt in itertools.count():
        seed = draw(salt)
        if not list(db.execute("SELECT 1 FROM attempts WHERE seed = ? LIMIT 1", (seed,))):
            return seed
    raise AssertionError("there is always a further salt")


class Intent(NamedTuple):
    """The columns of an attempt that is about to be submitted."""

    number: int
    seed: int | None
    submitted_at: float
    """Unix seconds."""
    process: str
    account: str
    worst_tokens: int | None
    least_tokens: int
    worst_cost: float | None
    worst_currency: str


def enter_intent(db: sqlite3.Connection, key: TaskKey, intent: Intent) -> AttemptId:
    """Add an attempt that is about to be submitted."""
    columns, values = ", ".join(Intent._fields), ", ".join("?" * len(intent))
    ((attempt,),) = db.execute(
        f"INSERT INTO attempts (task, file_name, {columns}) SELECT key, file_name, {values} FROM tasks "
        "WHERE key = ? RETURNING id",
        (*intent, key),
    )
    return AttemptId(attempt)


@dataclass(frozen=True, slots=True)
class PaidAttempt:
    """A paid attempt that was missing from the ledger."""

    number: int
    seed: int | None
    remote_id: RemoteId
    submitted_at: float | None
    """Unix seconds, by the gateway's clock if it reports the time."""
    accepted_at: float | None = None
    """The acceptance time, if known separately."""
    file_name: str = ""
    """Where its video is; empty if under the task's current file name."""
    former: bool = False
    """Whether it made an earlier version of the video, under a name that is not known."""
    facts: AttemptFacts = field(default_factory=AttemptFacts)
    account: str = ""
    """The name of the account that it was found with."""


def enter(db: sqlite3.Connection, key: TaskKey, paid: PaidAttempt, now: float) -> AttemptId:
    """Add an attempt that was made without this ledger."""
    if paid.file_name:
        ((own,),) = db.execute("SELECT file_name FROM tasks WHERE key = ?", (key,))
        set_name = "UPDATE tasks SET file_name = ?, version = ? WHERE key = ?"
        db.execute(set_name, (paid.file_name, version_at(paid.file_name, own), key))
    at = now if paid.submitted_at is None else min(paid.submitted_at, now)
    ((attempt,),) = db.execute(
        "INSERT INTO attempts (task, number, seed, file_name, submitted_at, outcome, accepted_at, account) "
        "SELECT key, ?, ?, iif(?, '', file_name), ?, ?, ?, ? FROM tasks WHERE key = ? RETURNING id",
        (paid.number, paid.seed, paid.former, at, RECOVERED, paid.accepted_at or at, paid.account, key),
    )
    record_facts(db, AttemptId(attempt), replace(paid.facts, remote_id=paid.remote_id))
    db.execute("UPDATE tasks SET attempts = max(attempts, ?) WHERE key = ?", (paid.number, key))
    return AttemptId(attempt)


@dataclass(frozen=True, slots=True)
class LostAttempt:
    """A submission recorded only in run.log, whose outcome is unknown."""

    number: int
    seed: int | None
    submitted_at: float
    """Unix seconds."""
    account: str = ""
    """The name of its account, according to run.log."""


def enter_lost(db: sqlite3.Connection, key: TaskKey, lost: LostAttempt) -> AttemptId:
    """Add a submission whose answer and ledger entry were both lost."""
    ((attempt,),) = db.execute(
        "INSERT INTO attempts (task, number, seed, file_name, submitted_at, outcome, account) "
        "SELECT key, ?, ?, file_name, ?, ?, ? FROM tasks WHERE key = ? RETURNING id",
        (lost.number, lost.seed, lost.submitted_at, Event.UNKNOWN, lost.account, key),
    )
    db.execute("UPDATE tasks SET attempts = max(attempts, ?) WHERE key = ?", (lost.number, key))
    return AttemptId(attempt)
