"""The ledger's history: how current it is, and which submissions it accounts for."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from batchrunner.core.doubts.restored import Accounted, Unanswered
from batchrunner.core.doubts.silence import Witness
from batchrunner.core.model import AttemptId, RemoteId, TaskKey
from batchrunner.core.needs import needs_in
from batchrunner.core.states import TaskState

LOOKED_AT = "looked_at"
"""Up to when (Unix seconds) the usage log was searched for attempts missing from the ledger."""
STRANGERS = "strangers"
"""What the gateway showed about this key's tasks that are missing from the ledger (JSON)."""
LOG_MARK = "log_mark"
"""Up to where run.log says nothing that the ledger doesn't have (JSON)."""
VOUCHED_AT = "vouched_at"
"""When the files newer than the ledger were last searched at the user's request."""


class LinkedTask(NamedTuple):
    """A task that another one needs, or that needs it."""

    key: TaskKey
    id: str
    state: TaskState
    in_manifest: bool


@dataclass(frozen=True, slots=True)
class History:
    """How current a ledger is. Times are Unix seconds."""

    run_id: str
    newest: float
    """The time of its last event; 0 if it has none."""
    looked_at: float | None
    vouched_at: float

    @property
    def since(self) -> float:
        """The time from which the usage log may show attempts missing from the ledger."""
        return self.newest if self.looked_at is None else min(self.newest or self.looked_at, self.looked_at)


def history(db: sqlite3.Connection) -> History:
    """Read how current the ledger is."""
    meta = {row[0]: row[1] for row in db.execute("SELECT name, value FROM meta")}
    ((newest,),) = db.execute("SELECT max(at) FROM events")
    looked_at = meta.get(LOOKED_AT)
    return History(
        run_id=meta["run_id"],
        newest=newest or 0.0,
        looked_at=float(looked_at) if looked_at else None,
        vouched_at=float(meta.get(VOUCHED_AT, 0.0)),
    )


def accounted(db: sqlite3.Connection, account: str | None = None) -> Accounted:
    """Which submissions in the usage log the ledger accounts for.

    With an account, only its own exchanges count; everything else may be in the log of any.
    """
    exchanges = db.execute(
        "SELECT request_id, submitted_at, remote_id IS NOT NULL FROM attempts "
        "WHERE request_id <> '' AND outcome IS NOT 'unknown' AND account = coalesce(?, account)",
        (account,),
    ).fetchall()
    ids = db.execute("SELECT remote_id FROM attempts WHERE remote_id IS NOT NULL")
    adopted = db.execute(
        "SELECT remote_id, accepted_at FROM attempts WHERE remote_id IS NOT NULL AND accepted_at IS NOT NULL "
        "AND outcome IN ('adopted', 'recovered') AND coalesce(request_id, '') = ''"
    )
    unanswered = db.execute(
        "SELECT json_extract(t.request, '$.model'), a.submitted_at, coalesce(a.request_id, ''), a.seed "
        "FROM attempts a JOIN tasks t ON t.key = a.task "
        "WHERE a.remote_id IS NULL AND a.outcome IN ('unknown', 'lost', 'adopted')"
    )
    return Accounted(
        remote_ids=frozenset(RemoteId(row[0]) for row in ids),
        request_ids=frozenset(row[0] for row in exchanges),
        accepted={row[0]: row[1] for row in exchanges if row[2]},
        adopted={RemoteId(row[0]): row[1] for row in adopted},
        unanswered=tuple(Unanswered(row[0] or "", row[1], row[2], row[3]) for row in unanswered),
    )


def claims(db: sqlite3.Connection, since: float) -> frozenset[tuple[str, int]]:
    """The claims from a second before `since` (Unix seconds): task key and time in milliseconds."""
    rows = db.execute("SELECT task, at FROM events WHERE event = 'claimed' AND at >= ?", (since - 1.0,))
    return frozenset((row[0], int(row[1] * 1000)) for row in rows)


def accepted_videos(db: sqlite3.Connection) -> dict[TaskKey, float]:
    """When the current video of each finished task was accepted (Unix seconds)."""
    rows = db.execute(
        "SELECT t.key, a.accepted_at FROM tasks t JOIN attempts a ON a.id = t.attempt "
        "WHERE t.state = 'done' AND a.accepted_at IS NOT NULL"
    )
    return {TaskKey(key): at for key, at in rows}


def doubts(db: sqlite3.Connection) -> dict[TaskKey, float]:
    """When each task's newest submission with an unknown outcome was made (Unix seconds), settled or not.

    One that was brought back from run.log stands for all claims of the task until then.
    """
    rows = db.execute(
        "SELECT task, max(submitted_at) FROM attempts WHERE outcome IN ('unknown', 'lost') GROUP BY task"
    )
    return {TaskKey(key): at for key, at in rows}


def file_names(db: sqlite3.Connection) -> frozenset[str]:
    """Every path ever assigned to a video."""
    cursor = db.cursor()
    cursor.row_factory = None  # plain tuples are faster
    rows = cursor.execute("SELECT file_name FROM tasks UNION ALL SELECT file_name FROM attempts")
    return frozenset(name for (name,) in rows)


def witnesses(db: sqlite3.Connection, account: str = "") -> list[Witness]:
    """The submissions with an account whose POST was answered with acceptance."""
    rows = db.execute(
        "SELECT id, coalesce(process, ''), coalesce(request_id, ''), accepted_at, remote_id FROM attempts "
        "WHERE outcome IN ('accepted', 'given_up') AND remote_id IS NOT NULL AND accepted_at IS NOT NULL "
        "AND account = ?",
        (account,),
    )
    return [Witness(AttemptId(row[0]), *row[1:]) for row in rows]


def needing(db: sqlite3.Connection) -> dict[TaskKey, frozenset[TaskKey]]:
    """The planned tasks that need others, each with those that it needs."""
    query = "SELECT key, request FROM tasks WHERE position IS NOT NULL AND instr(request, ?)"
    rows = db.execute(query, ('"task":',))
    found = (
        (TaskKey(key), frozenset(need.task for need in needs_in(json.loads(text)))) for key, text in rows
    )
    return {key: needs for key, needs in found if needs}


def neighbours(db: sqlite3.Connection, key: TaskKey) -> tuple[list[LinkedTask], list[LinkedTask]]:
    """The tasks that a task needs, and those that need it, in plan order, those no longer planned last."""
    columns = "key, id, state, position IS NOT NULL"
    order = "ORDER BY position IS NULL, position, rowid"
    ((request,),) = db.execute("SELECT request FROM tasks WHERE key = ?", (key,))
    keys = json.dumps([need.task for need in needs_in(json.loads(request))])
    needs = db.execute(
        f"SELECT {columns} FROM tasks WHERE key IN (SELECT value FROM json_each(?)) {order}", (keys,)
    )
    found = db.execute(f"SELECT {columns}, request FROM tasks WHERE instr(request, ?) {order}", (key,))
    following = (row[:-1] for row in found if key in {need.task for need in needs_in(json.loads(row[-1]))})
    return [_linked_task(*row) for row in needs], [_linked_task(*row) for row in following]


def names_of_tasks(db: sqlite3.Connection) -> dict[TaskKey, str]:
    """The ID of every task, by key."""
    return {TaskKey(key): name for key, name in db.execute("SELECT key, id FROM tasks")}


def request_ids(db: sqlite3.Connection) -> frozenset[str]:
    """The request IDs of all exchanges whose outcome is known."""
    rows = db.execute("SELECT request_id FROM attempts WHERE request_id <> '' AND outcome IS NOT 'unknown'")
    return frozenset(row[0] for row in rows)


def adopted_at(db: sqlite3.Connection) -> list[tuple[str, float]]:
    """Model and acceptance time (Unix seconds) of adopted or recovered attempts without a request ID."""
    rows = db.execute(
        "SELECT coalesce(json_extract(t.request, '$.model'), ''), a.accepted_at FROM attempts a "
        "JOIN tasks t ON t.key = a.task WHERE a.outcome IN ('adopted', 'recovered') "
        "AND a.remote_id IS NOT NULL AND coalesce(a.request_id, '') = '' AND a.accepted_at IS NOT NULL"
    )
    return [(row[0], row[1]) for row in rows]


def shows_settled(db: sqlite3.Connection) -> bool:
    """Whether the gateway has ever shown what it charged in the end, and not the hold alone."""
    return bool(db.execute("SELECT 1 FROM attempts WHERE charged_usd IS NOT NULL LIMIT 1").fetchall())


def _linked_task(key: str, name: str, state: str, in_manifest: int) -> LinkedTask:
    return LinkedTask(TaskKey(key), name, TaskState(state), bool(in_manifest))


def submitting(db: sqlite3.Connection, account: str) -> int:
    """How many submissions with an account have no answer yet."""
    query = (
        "SELECT count(*) FROM tasks t JOIN attempts a ON a.id = t.attempt "
        "WHERE t.state = 'submitting' AND a.account = ?"
    )
    return int(db.execute(query, (account,)).fetchone()[0])


def accounts(db: sqlite3.Connection) -> frozenset[str]:
    """The names of all accounts that anything was submitted with, as far as that is known."""
    query = "SELECT DISTINCT account FROM attempts WHERE account <> '' OR process IS NOT NULL"
    return frozenset(name for (name,) in db.execute(query))


def states_by_account(db: sqlite3.Connection, planned_only: bool) -> dict[str, Counter[TaskState]]:
    """How many tasks are in each state, by the account of their newest attempt, in order of first use."""
    found: dict[str, Counter[TaskState]] = {}
    rows = db.execute(
        "SELECT a.account, t.state, count(*) FROM tasks t JOIN attempts a ON a.id = t.attempt "
        "WHERE t.position IS NOT NULL OR NOT ? GROUP BY 1, 2 ORDER BY min(a.id)",
        (planned_only,),
    )
    for account, state, number in rows:
        found.setdefault(account, Counter())[TaskState(state)] = number
    return found


def named_accounts(db: sqlite3.Connection) -> dict[str, Counter[TaskState]]:
    """How many planned tasks of each account are in each state; empty if no account has a name."""
    found = states_by_account(db, planned_only=True)
    return found if any(found) else {}


def another_finished(db: sqlite3.Connection, key: TaskKey) -> tuple[TaskKey, RemoteId] | None:
    """Among the other tasks of its account, the one whose generation ended last; None if there is none."""
    rows = db.execute(
        "SELECT task, remote_id FROM attempts WHERE task <> ?1 AND remote_id IS NOT NULL AND account = "
        "(SELECT a.account FROM tasks t JOIN attempts a ON a.id = t.attempt WHERE t.key = ?1) "
        "AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1",
        (key,),
    )
    return next(((TaskKey(other), RemoteId(remote_id)) for other, remote_id in rows), None)


def models_in(db: sqlite3.Connection, states: Collection[TaskState]) -> frozenset[str]:
    """The models of the planned tasks in these states."""
    rows = db.execute(
        "SELECT DISTINCT coalesce(json_extract(request, '$.model'), '') FROM tasks "
        f"WHERE position IS NOT NULL AND state IN ({', '.join('?' * len(states))})",
        tuple(states),
    )
    return frozenset(str(model) for (model,) in rows)
