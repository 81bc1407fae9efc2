"""Read access to the ledger, during a run and from outside."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.doubts.restored import Wanted
from batchrunner.core.file_names import LEDGER_NAME, RESULTS_NAME
from batchrunner.core.identity import Address, judged_address
from batchrunner.core.kinds import Kind
from batchrunner.core.model import Plan, Pricing, RemoteId, TaskKey
from batchrunner.core.replicas import Known
from batchrunner.core.states import TaskState
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.summary import PriceSeen, Spent
from batchrunner.ledger import aggregates, belonging
from batchrunner.ledger.aggregates import NOT_KNOWN
from batchrunner.ledger.database import Database, open_for_reading, unusable
from batchrunner.ledger.records import Binding, FinishedFile, Standing, TaskEvent, TaskRecord
from batchrunner.ledger.result_rows import WRITTEN, ResultRows
from batchrunner.ledger.rows import FIND, SELECT_TASK, record_of, settings_of, unowned_of, wanted_tasks

T = TypeVar("T")
_PAID = (
    "SELECT count(*) FROM attempts p WHERE p.task = t.key AND p.file_name = t.file_name "
    f"AND (p.remote_id IS NOT NULL OR p.outcome IN {NOT_KNOWN})"
)
"""How many attempts at a video's newest version may have been accepted."""


class LedgerReader:
    """Queries on an open ledger; no method changes anything."""

    def __init__(self, db: Database, path: Path) -> None:
        self._db, self._path = db, path

    @classmethod
    @asynccontextmanager
    async def open_existing(cls, directory: Path) -> AsyncIterator[Self]:
        """Open the ledger of a run directory read-only, even during a run.

        Raises:
            UsageError: it is missing or unusable.
        """
        path = directory / LEDGER_NAME
        db = await open_for_reading(path)
        try:
            yield cls(db, path)
        finally:
            await db.close()

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._path.parent

    async def binding(self) -> Binding:
        """What the run directory belongs to."""
        meta = {row["name"]: row["value"] for row in await self._rows("SELECT name, value FROM meta")}
        settings = json.loads(meta.get("settings", "{}"))
        return Binding(
            gateway=meta.get("gateway", ""),
            manifest=meta.get("manifest", ""),
            name=settings.get("name", ""),
            settings=settings_of(settings.get("run", {})),
            videos=meta.get("videos", ""),
            pricing=Pricing(**settings.get("pricing", {})),
            models=settings.get("models", ""),
            former_gateways=tuple(json.loads(meta.get("former_gateways", "[]"))),
        )

    async def check_manifest(self, plan: Plan) -> None:
        """Check that a run of this plan may continue here.

        Raises:
            UsageError: the run directory belongs to another manifest.
        """
        await self._ask(partial(belonging.shared_with, plan=plan))

    async def check_gateway(self, gateway: str) -> None:
        """Check that this may be an address of the ledger's gateway.

        Raises:
            UsageError: it can't be: one of them is simulated, the other is not.
        """
        if await self.address(gateway) is Address.OTHER:
            raise belonging.other_gateway((await self.binding()).gateway, gateway)

    async def address(self, gateway: str) -> Address:
        """How an address relates to this ledger's gateway."""
        binding = await self.binding()
        submitted = bool(await self._rows("SELECT 1 FROM attempts LIMIT 1"))
        return judged_address(gateway, binding.gateway, binding.former_gateways, submitted)

    async def newest_accepted(self, most: int) -> list[tuple[RemoteId, str]]:
        """The most recently accepted remote IDs, each with its task's model."""
        rows = await self._rows(
            "SELECT a.remote_id, t.request FROM attempts a JOIN tasks t ON t.key = a.task "
            f"WHERE a.remote_id IS NOT NULL ORDER BY a.accepted_at DESC, a.id DESC LIMIT {most:d}"
        )
        return [(RemoteId(row[0]), str(json.loads(row[1]).get("model", ""))) for row in rows]

    async def tasks(self, *states: TaskState) -> list[TaskRecord]:
        """Tasks in the given states, or all: in plan order, those no longer planned last."""
        where = f" WHERE t.state IN ({', '.join('?' * len(states))})" if states else ""
        order = " ORDER BY t.position IS NULL, t.position, t.rowid"
        return await self._ask(
            lambda db: [record_of(row) for row in db.execute(SELECT_TASK + where + order, states)]
        )

    async def pending(self, after: int, most: int) -> list[tuple[Waiting, float | None]]:
        """At most so many planned tasks to submit, from the first one after a position in the plan.

        Each has the earliest Unix time for it, if there is one.
        """
        query = (
            "SELECT not_before, position, key, coalesce(json_extract(request, '$.model'), ''), "
            "coalesce(json_extract(request, '$.prompt'), '') FROM tasks "
            "WHERE +state = 'pending' AND position > ? ORDER BY position LIMIT ?"
        )
        rows = await self._rows(query, (after, most))
        return [
            (Waiting(position, key, model, hash(prompt)), not_before)
            for not_before, position, key, model, prompt in rows
        ]

    async def pending_requests(self, among: frozenset[TaskKey] | None) -> Counter[str]:
        """How many tasks have yet to be submitted, by request; see `aggregates.pending_requests`."""
        return await self._ask(partial(aggregates.pending_requests, among=among))

    async def read_results(self, use: Callable[[ResultRows], T], planned_only: bool = True) -> T:
        """Run `use` on one state of the ledger, in the connection's thread."""

        def reading(db: sqlite3.Connection) -> T:
            db.execute("BEGIN")
            try:
                return use(ResultRows(db, planned_only))
            finally:
                db.execute("COMMIT")

        return await self._ask(reading)

    async def standing(self) -> dict[TaskKey, Standing]:
        """Where every task stands, in the order added."""
        query = "SELECT key, state, error_code, position IS NOT NULL FROM tasks ORDER BY rowid"
        return await self._ask(
            lambda db: {
                TaskKey(key): Standing(TaskState(state), code, bool(is_planned))
                for key, state, code, is_planned in db.execute(query)
            }
        )

    async def task(self, key: TaskKey) -> TaskRecord:
        """One task by its key, which must exist."""
        return record_of(next(iter(await self._rows(f"{SELECT_TASK} WHERE t.key = ?", (key,)))))

    async def find(self, text: str) -> list[TaskRecord]:
        """Tasks whose ID this is, or whose fingerprint or remote ID begins so; else those whose ID does."""
        for query in FIND:
            if rows := await self._rows(query, (text,)):
                return [record_of(row) for row in rows]
        return []

    async def counts(
        self, among: frozenset[TaskKey] | None = None, planned_only: bool = True
    ) -> dict[TaskState, int]:
        """The number of tasks in each state, including 0; with `among`, only these tasks count."""

        def counted(db: sqlite3.Connection) -> dict[TaskState, int]:
            if among is None:
                return aggregates.counts(db, planned_only)
            where = " WHERE position IS NOT NULL" if planned_only else ""
            rows = db.execute(f"SELECT key, state FROM tasks{where}")
            found = Counter(state for key, state in rows if key in among)
            return {state: found.get(state, 0) for state in TaskState}

        return await self._ask(counted)

    async def remote_ids(self) -> frozenset[RemoteId]:
        """Every remote ID in the ledger."""
        rows = await self._rows("SELECT remote_id FROM attempts WHERE remote_id IS NOT NULL")
        return frozenset(RemoteId(row[0]) for row in rows)

    async def known(self, firsts: frozenset[TaskKey]) -> list[Known]:
        """The tasks with these requests, or with one that several tasks have, in the order added."""
        return await self._ask(partial(aggregates.known, firsts=firsts))

    async def unowned(self) -> list[Unowned]:
        """Submissions without a remote ID that may have been accepted: in doubt, in flight, declared lost."""
        rows = await self._rows(
            "SELECT a.id, t.key, t.id AS name, t.state = 'in_doubt' AND t.attempt = a.id AS is_doubt, "
            f"t.request, a.seed, a.submitted_at, a.request_id, a.process, a.account, ({_PAID}) AS paid "
            "FROM attempts a JOIN tasks t ON t.key = a.task WHERE a.remote_id IS NULL "
            f"AND (a.outcome IS NULL OR a.outcome IN {NOT_KNOWN}) ORDER BY a.id"
        )
        return [unowned_of(row) for row in rows]

    async def paid_attempts(self, key: TaskKey) -> int:
        """How many attempts at a video's newest version were, or may have been, accepted."""
        return int((await self._rows(f"SELECT ({_PAID}) FROM tasks t WHERE t.key = ?", (key,)))[0][0])

    async def generation_times(self) -> list[tuple[Kind, float]]:
        """How long generations took, in nominal seconds, each with its kind; of many, a sample."""
        return await self._ask(aggregates.generation_times)

    async def spent(self) -> Spent:
        """The total cost of all attempts, as far as known."""
        return await self._ask(aggregates.spent)

    async def prices_seen(self) -> list[PriceSeen]:
        """The gateway's own prices; see `aggregates.prices_seen`."""
        return await self._ask(aggregates.prices_seen)

    async def read_finished_files(self, use: Callable[[Iterator[FinishedFile]], T]) -> T:
        """Run `use` on the files of finished videos, in the order added and in the connection's thread."""
        query = (
            "SELECT t.key, a.id, t.file_name, coalesce(a.size, 0), coalesce(a.sha256, ''), "
            "coalesce(a.collected_at, 0.0), coalesce(a.file_state, ''), coalesce(a.file_seen, '') "
            "FROM tasks t JOIN attempts a ON a.id = t.attempt WHERE t.state = 'done' ORDER BY t.rowid"
        )

        def reading(db: sqlite3.Connection) -> T:
            cursor = db.cursor()
            cursor.row_factory = None  # plain tuples are faster
            return use(map(FinishedFile._make, cursor.execute(query)))

        return await self._ask(reading)

    async def missing_files(self) -> int:
        """How many finished videos of the plan were moved or deleted."""
        query = (
            "SELECT count(*) FROM tasks t JOIN attempts a ON a.id = t.attempt "
            "WHERE t.state = 'done' AND t.position IS NOT NULL AND a.file_state = 'missing'"
        )
        return int((await self._rows(query))[0][0])

    async def results_written(self, name: str = RESULTS_NAME) -> frozenset[str] | None:
        """The hashes (SHA-256) that results.csv, or metadata.jsonl, may have if it is unedited.

        None if an older version has written it.
        """
        known = json.loads(await self.meta(WRITTEN[name]) or "[]")
        return None if known is None else frozenset(known)

    async def run_id(self) -> str:
        """The run directory's own ID, from which the seeds of its attempts are derived."""
        return await self.meta("run_id")

    async def meta(self, name: str) -> str:
        """A stored fact about the run directory itself; empty if there is none."""
        rows = await self._rows("SELECT value FROM meta WHERE name = ?", (name,))
        return next((str(row[0]) for row in rows), "")

    async def ask_history(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run one of the queries of this package."""
        return await self._ask(question)

    async def wanted(self, *states: TaskState, keys: Iterable[TaskKey] | None = None) -> list[Wanted]:
        """The planned tasks in these states, or of these keys only, as `core.doubts.restored` needs them.

        Without keys, they may be a million: read them only if something was found that may be theirs.
        """
        return await self._ask(partial(wanted_tasks, states=states, keys=keys))

    async def events(self, key: TaskKey) -> list[TaskEvent]:
        """A task's history, oldest first."""
        query = (
            "SELECT e.at, e.event, e.from_state, e.to_state, a.number, e.code, e.message FROM events e "
            "LEFT JOIN attempts a ON a.id = e.attempt WHERE e.attempt IN "
            "(SELECT id FROM attempts WHERE task = ?1) OR e.attempt IS NULL AND e.task = ?1 ORDER BY e.id"
        )
        return [TaskEvent(*row) for row in await self._rows(query, (key,))]

    async def attempts(self, key: TaskKey) -> Sequence[Mapping[str, Any]]:
        """Every attempt of a task with all its columns, oldest first."""
        query = "SELECT * FROM attempts WHERE task = ? ORDER BY number"
        return [dict(row) for row in await self._rows(query, (key,))]

    async def _rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        return await self._ask(lambda db: db.execute(query, values).fetchall())

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query in the connection's thread."""
        try:
            return await self._db.on_thread(question)
        except sqlite3.DatabaseError as error:
            raise unusable(self._path, error) from error
