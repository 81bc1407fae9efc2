"""Changes task states: transition table, update, event. The only module that does."""

from __future__ import annotations

import json
import sqlite3

from batchrunner.core.errors import UsageError
from batchrunner.core.model import AttemptId, TaskKey
from batchrunner.core.policy import Move
from batchrunner.core.states import Event, TaskState, check_transition
from batchrunner.ledger.attempts import record_facts, sent
from batchrunner.ledger.events import LedgerEvent


def carry_out(
    db: sqlite3.Connection, key: TaskKey, move: Move, attempt: AttemptId | None, now: float
) -> LedgerEvent:
    """Apply a move to a task and record its facts about the attempt, within a transaction.

    `now` is in Unix seconds. Returns the event, which the caller must write.

    Raises:
        TransitionRefused: the transition is not allowed.
        RemoteIdTaken: another attempt has the remote ID.
    """
    rows = list(
        db.execute("SELECT id, position, state, attempt, refused, warnings FROM tasks WHERE key = ?", (key,))
    )
    if not rows:
        raise UsageError(f"the ledger has no task {key}")
    before, attempt = TaskState(rows[0]["state"]), attempt or rows[0]["attempt"]
    check_transition(before, move.event, move.to)
    starts_anew = move.event in (Event.RETRIED, Event.ACCEPTED)
    refused = 0 if starts_anew else rows[0]["refused"] + int(move.refused)
    # A video that is downloaded again still differs from its request: keep the warnings.
    warnings = list(dict.fromkeys([*json.loads(rows[0]["warnings"]), *move.warnings]))
    # A done task has no error, even if another download of it failed: that is in the event.
    said = ("", "") if move.to is TaskState.DONE else (move.error_code, move.error_message)
    changed = db.execute(
        "UPDATE tasks SET state = ?, attempt = ?, error_code = ?, error_message = ?, not_before = ?, "
        "refused = ?, warnings = ? WHERE key = ? AND state = ?",
        (
            *(move.to, attempt, *said, move.not_before),
            *(refused, json.dumps(warnings, ensure_ascii=False), key, before),
        ),
    )
    if changed.rowcount != 1:
        raise AssertionError("a second writer moved this task: the lock does not hold")
    if attempt is not None:
        record_facts(db, attempt, move.facts)
    seed, remote_id = sent(db, attempt)
    if move.forget_remote_id:
        db.execute("UPDATE attempts SET remote_id = NULL, accepted_at = NULL WHERE id = ?", (attempt,))
    return LedgerEvent(
        at=now,
        key=key,
        id=rows[0]["id"],
        attempt=attempt,
        event=move.event,
        from_state=before,
        to_state=move.to,
        code=move.error_code,
        message=move.error_message,
        planned=rows[0]["position"] is not None,
        seed=seed,
        remote_id=remote_id,
    )
