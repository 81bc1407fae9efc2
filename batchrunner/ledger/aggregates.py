"""Aggregate queries over all tasks, run in the connection's thread."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from batchrunner.core.estimate import REFERENCE_CURRENCY
from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.model import TaskKey
from batchrunner.core.needs_unmet import NEED_FAILED
from batchrunner.core.replicas import Known
from batchrunner.core.states import TaskState
from batchrunner.core.summary import PriceSeen, Spent
from batchrunner.ledger.need_lengths import estimable

_SAMPLE = 3000
"""At most this many attempts are looked at for generation times."""
_SAMPLED_TIMES = (
    "WITH RECURSIVE sample (id) AS "
    "(SELECT :newest UNION ALL SELECT id - :step FROM sample WHERE id > :step) "
    "SELECT t.request, a.generation_seconds FROM sample s CROSS JOIN attempts a ON a.id = s.id "
    "JOIN tasks t ON t.key = a.task WHERE a.generation_seconds IS NOT NULL AND a.tokens > 0"
)

NOT_KNOWN = "('unknown', 'lost', 'adopted', 'named')"
"""Outcomes of attempts without a remote ID that may have been accepted."""


_BY_STATE = "SELECT state, count(*) AS number FROM tasks GROUP BY state"
# Both parts are answered by an index alone: much faster than to look at the position of each task.
_PLANNED_BY_STATE = (
    f"SELECT state, sum(number) FROM ({_BY_STATE} UNION ALL "
    "SELECT state, -count(*) FROM tasks WHERE position IS NULL GROUP BY state) GROUP BY state"
)


def counts(db: sqlite3.Connection, planned_only: bool) -> dict[TaskState, int]:
    """The number of tasks in each state, including 0."""
    found = dict(db.execute(_PLANNED_BY_STATE if planned_only else _BY_STATE))
    return {state: found.get(state, 0) for state in TaskState}


def blocked_tasks(db: sqlite3.Connection, among: frozenset[TaskKey] | None = None) -> Counter[str]:
    """Why planned tasks are pending that need one that has failed, and how many; see `reader.counts`."""
    query = (
        "SELECT key, error_message FROM tasks WHERE state = 'pending' AND error_code = ? "
        "AND position IS NOT NULL"
    )
    rows = db.execute(query, (NEED_FAILED,))
    return Counter(why for key, why in rows if among is None or key in among)


def labels(db: sqlite3.Connection, planned_only: bool) -> list[str]:
    """The names of all labels, in order of first appearance."""
    where = "labels <> '{}'" + (" AND position IS NOT NULL" if planned_only else "")
    query = f"SELECT labels FROM tasks WHERE {where} ORDER BY position IS NULL, position, rowid"
    texts = dict.fromkeys(text for (text,) in db.execute(query))
    return list(dict.fromkeys(name for text in texts for name in json.loads(text)))


MAY_BE_CHARGED = (
    "SELECT 1 FROM attempts a WHERE a.task = t.key AND a.tokens IS NOT 0 "
    "AND (a.remote_id IS NOT NULL OR a.outcome IS NULL OR a.outcome IN ('unknown', 'lost', 'adopted'))"
)
"""Attempts at the task `t` that the gateway accepted or may have accepted, and did not refund."""


def known(db: sqlite3.Connection, firsts: frozenset[TaskKey]) -> list[Known]:
    """The tasks with these requests, or with one that several tasks have, in the order added."""
    several = {first for (first,) in db.execute("SELECT first FROM tasks WHERE first IS NOT NULL")}
    if not (asked := firsts | several):
        return []
    rows = db.execute(
        f"SELECT key, id, state, coalesce(first, key), EXISTS ({MAY_BE_CHARGED}) FROM tasks t ORDER BY rowid"
    )
    return [Known(row[0], row[1], TaskState(row[2]), row[3], bool(row[4])) for row in rows if row[3] in asked]


def spent(db: sqlite3.Connection) -> Spent:
    """The total cost of all attempts, as far as known."""
    # One query: the table is large, and is read as a whole.
    found = db.execute(
        "SELECT coalesce(currency, ''), total(tokens) FILTER (WHERE tokens > 0), "
        "sum(cost) FILTER (WHERE tokens IS NOT 0), count(*) FILTER (WHERE tokens IS NULL AND cost IS NULL "
        f"AND (remote_id IS NOT NULL OR outcome IS NULL OR outcome IN {NOT_KNOWN})), "
        "total(worst_tokens) FILTER (WHERE tokens > 0), "
        "count(*) FILTER (WHERE tokens > 0 AND worst_tokens IS NULL), "
        "sum(worst_cost) FILTER (WHERE tokens > 0), count(*) FILTER (WHERE tokens > 0 "
        "AND (worst_cost IS NULL OR worst_currency IS NOT currency)), "
        "count(*) FILTER (WHERE tokens > 0 AND cost IS NULL) FROM attempts GROUP BY 1"
    ).fetchall()
    is_estimated = any(row[1] for row in found) and not any(row[5] for row in found)
    return Spent(
        tokens=int(sum(row[1] for row in found)),
        cost={row[0]: round(row[2], 6) for row in found if row[0] and row[2] is not None},
        unknown=sum(row[3] for row in found),
        unpriced=sum(row[8] for row in found),
        estimated_tokens=int(sum(row[4] for row in found)) if is_estimated else None,
        estimated_cost={row[0]: round(row[6], 6) for row in found if row[0] and row[6] and not row[7]},
    )


def prices_seen(db: sqlite3.Connection) -> list[PriceSeen]:
    """What the gateway charged beside each price that was expected; only where both are in USD."""
    rows = db.execute(
        "SELECT coalesce(json_extract(t.request, '$.model'), ''), "
        "coalesce(json_extract(t.request, '$.metadata.resolution'), ''), "
        "sum(a.charged_usd) * 1e6 / sum(a.tokens), "
        "round(a.worst_cost * 1e6 / a.worst_tokens, 4) AS expected, "
        "instr(t.request, '\"video_url\"') > 0 AS with_video "
        "FROM attempts a JOIN tasks t ON t.key = a.task WHERE a.charged_usd IS NOT NULL AND a.tokens > 0 "
        "AND a.worst_tokens > 0 AND a.worst_cost IS NOT NULL AND a.worst_currency = ? "
        "GROUP BY 1, 2, expected, with_video ORDER BY 1, 2, expected, with_video",
        (REFERENCE_CURRENCY,),
    )
    return [PriceSeen(*row) for row in rows]


def pending_requests(db: sqlite3.Connection, among: frozenset[TaskKey] | None) -> Counter[str]:
    """How many planned tasks, or how many of these, have yet to be submitted, by request.

    A request is JSON, without prompt and seed, with the lengths of the videos that it needs.
    """
    query = (
        "SELECT key, json_remove(request, '$.prompt', '$.metadata.seed') FROM tasks "
        "WHERE state = 'pending' AND position IS NOT NULL"
    )
    found = Counter(request for key, request in db.execute(query) if among is None or key in among)
    return Counter({_with_lengths(db, request): number for request, number in found.items()})


def _with_lengths(db: sqlite3.Connection, request: str) -> str:
    return json.dumps(estimable(db, request)) if '"task":' in request else request


def generation_times(db: sqlite3.Connection) -> list[tuple[Kind, float]]:
    """How long finished generations took, in nominal seconds, each with its kind.

    Of many attempts, an even sample: all would take long to read, and the newest are often of one kind.
    """
    ((newest,),) = db.execute("SELECT coalesce(max(id), 0) FROM attempts")
    found = db.execute(_SAMPLED_TIMES, {"newest": newest, "step": newest // _SAMPLE + 1})
    return [(kind_of(json.loads(request)), seconds) for request, seconds in found]
