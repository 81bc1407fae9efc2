"""Changes task states: transition table, update, event. The only module that does."""

from __future__ import annotations

import json
import sqlite3

from batchrunner.core.errors import UsageError
from batchrunner.core.model import AttemptId, TaskKey
from batchrunner.core.policy import Move
from batchrunner.core.states import Event, TaskState, check_transition
from batchrunner.ledger.attempts import record_facts
from batchrunner.ledger.events import LedgerEvent

_SELECT = (
    "SELECT t.id, t.position, t.state, coalesce(?1, t.attempt), t.refused, t.warnings, a.seed, a.remote_id, "
    "coalesce(a.account, '') "
    "FROM tasks t LEFT JOIN attempts a ON a.id = coalesce(?1, t.attempt) WHERE t.key = ?2"
)
_UPDATE = (
    "UPDATE tasks SET state = ?, attempt = ?, attempts = attempts + ?, error_code = ?, error_message = ?, "
    "not_before = ?, refused = ?, warnings = ? WHERE key = ? AND state = ?"
)


def carry_out(
    db: sqlite3.Connection, key: TaskKey, move: Move, attempt: AttemptId | None, now: float
) -> LedgerEvent:
    """Apply a move to a task and record its facts about the attempt, within a transaction.

    `now` is in Unix seconds. Returns the event, which the caller must write.

    Raises:
        TransitionRefused: the transition is not allowed.
        RemoteIdTaken: another attempt has the remote ID.
    """
    row = db.execute(_SELECT, (attempt, key)).fetchone()
    if row is None:
        raise UsageError(f"the ledger has no task {key}")
    task_id, position, state, attempt, refused_before, warnings, seed, remote_id, account = row
    before = TaskState(state)
    check_transition(before, move.event, move.to)
    starts_anew = move.event in (Event.RETRIED, Event.ACCEPTED)
    refused = 0 if starts_anew else refused_before + int(move.refused)
    is_claim = move.event is Event.CLAIMED
    if is_claim:
        warnings = "[]"
    elif move.warnings:
        # A video that is downloaded again still differs from its request: keep the earlier ones.
        both = dict.fromkeys([*json.loads(warnings), *move.warnings])
        warnings = json.dumps(list(both), ensure_ascii=False)
    # A done task has no error, even if another download of it failed: that is in the event.
    said = ("", "") if move.to is TaskState.DONE else (move.error_code, move.error_message)
    new = (move.to.value, attempt, is_claim, *said, move.not_before, refused, warnings)
    changed = db.execute(_UPDATE, (*new, key, state))
    if changed.rowcount != 1:
        raise AssertionError("a second writer moved this task: the lock does not hold")
    if attempt is not None:
        record_facts(db, attempt, move.facts)
    if move.forget_remote_id:
        db.execute("UPDATE attempts SET remote_id = NULL, accepted_at = NULL WHERE id = ?", (attempt,))
    return LedgerEvent(
        at=now,
        key=key,
        id=task_id,
        attempt=attempt,
        event=move.event,
        from_state=before,
        to_state=move.to,
        code=move.error_code,
        message=move.error_message,
        planned=position is not None,
        seed=seed,
        remote_id=move.facts.remote_id or remote_id,
        account=account,
    )
