"""The ledger's write operations. Every method is one transaction, durable when it returns."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from batchrunner.core.budget import Limit
from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.core.model import Attempt, AttemptId, Plan, TaskKey
from batchrunner.core.needs_unmet import Unmet
from batchrunner.core.policy import CLAIMED, INTERRUPTED, WANTED_AGAIN, AttemptFacts, Move
from batchrunner.ledger import attempts, belonging, changes, reconcile
from batchrunner.ledger.attempts import LostAttempt, PaidAttempt, unused_seed
from batchrunner.ledger.database import Database, open_for_writing
from batchrunner.ledger.events import Observer, Outbox
from batchrunner.ledger.moving import carry_out
from batchrunner.ledger.reader import LedgerReader
from batchrunner.ledger.result_rows import WRITTEN
from batchrunner.ledger.spending import WorstOf, check_budget, reserve, reserve_missing, stored, worst_case
from batchrunner.ledger.writer import Writer, to_its_end

DrawSeed = Callable[[str, TaskKey, int, int], int]
"""Draws a seed from the run ID, a task, an attempt number and a salt."""

_LEFT_SUBMITTING = "SELECT key, attempt FROM tasks WHERE state = 'submitting'"
# Attempts still without an outcome were released by an earlier version, which recorded none.
_NEVER_LEFT = "UPDATE attempts SET outcome = 'released' WHERE outcome IS NULL AND remote_id IS NULL"
_SET_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


class Ledger(LedgerReader):
    """The read-write ledger of a run; created by `Ledger.open`."""

    def __init__(self, db: Database, path: Path, now: Callable[[], float], worst_of: WorstOf | None) -> None:
        super().__init__(db, path)
        self._now, self._worst_of = now, worst_of
        self.process = secrets.token_hex(8)
        """Marks the submissions of this process in the ledger."""
        self._outbox = Outbox()
        self._writer = Writer(db, self._outbox)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, directory: Path, now: Callable[[], float] = time.time, worst_of: WorstOf | None = None
    ) -> AsyncIterator[Ledger]:
        """Open or create the ledger of a run directory whose lock the caller holds.

        `worst_of` estimates the most that an attempt can be charged; who submits nothing needs none.

        Raises:
            UsageError: the file is not a usable ledger.
            StorageError: it can't be written.
        """
        path = directory / LEDGER_NAME
        db = await open_for_writing(path)
        try:
            ledger = cls(db, path, now, worst_of)
            serving = asyncio.create_task(ledger._writer.serve(), name="ledger writer")
            try:
                yield ledger
            finally:
                ledger._writer.close()
                await to_its_end(serving)
        finally:
            await db.close()

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every event, after it is on disk."""
        self._outbox.observe(observer)

    async def bind(self, gateway: str, plan: Plan | None = None) -> str:
        """Bind the ledger to one gateway and one manifest, or check that it is bound to these.

        A manifest's name counts only if it was given explicitly, and paid tasks in common outweigh it.
        Returns the other name under which they were paid for; empty if the names agree.

        Raises:
            UsageError: it belongs to another gateway or manifest.
        """

        def change(db: sqlite3.Connection) -> str:
            belonging.bind_gateway(db, gateway)
            return belonging.bind_manifest(db, plan) if plan else ""

        return await self._writer.apply(change)

    async def bind_videos(self, url: str) -> str:
        """Bind the ledger to a place for its videos, or check that it is bound to it; return the place's URL.

        An empty URL stands for the place that it is bound to. What is returned is empty if that is the run
        directory.

        Raises:
            UsageError: its videos are elsewhere.
        """
        return await self._writer.apply(lambda db: belonging.bind_videos(db, url))

    async def name_account(self, account: str) -> None:
        """Give what was submitted with an account that had no name to this one."""
        await self._writer.apply(lambda db: belonging.name_account(db, account))

    async def moved_to(self, gateway: str) -> None:
        """Record a new address of the ledger's gateway; former ones are kept."""
        await self._writer.apply(lambda db: belonging.move_gateway(db, gateway))

    async def reconcile(self, plan: Plan, on_disk: frozenset[str]) -> int:
        """Update the tasks from the plan: add new ones, refresh position, ID and labels of the others.

        `on_disk` holds the folded names of the files in the video folder, which no new task may use.
        Returns how many tasks left the plan.
        """
        return await self._writer.apply(lambda db: reconcile.bring_in_line(db, plan, on_disk))

    async def give_free_names(self, on_disk: frozenset[str]) -> None:
        """See `reconcile.give_free_names`."""
        await self._writer.apply(partial(reconcile.give_free_names, on_disk=on_disk))

    async def recover(self) -> int:
        """Mark submissions that a crash left without an outcome as in doubt; return their number."""

        def change(db: sqlite3.Connection) -> int:
            rows = list(db.execute(_LEFT_SUBMITTING))
            for row in rows:
                self._move(db, TaskKey(row["key"]), INTERRUPTED, AttemptId(row["attempt"]))
            db.execute(_NEVER_LEFT)
            return len(rows)

        return await self._writer.apply(change)

    async def reserve_missing(self, currency: str) -> None:
        """Reserve the worst case of attempts that may be charged and have none in the prices' currency."""
        if self._worst_of:
            await self._writer.apply(partial(reserve_missing, worst_of=self._worst_of, currency=currency))

    async def claim(
        self,
        key: TaskKey,
        seed: int | None,
        draw: DrawSeed | None,
        limits: Sequence[Limit] = (),
        account: str = "",
    ) -> Attempt:
        """Record the intent to submit a pending task with an account, and draw a seed if the task has none.

        Seeds from `draw` that another attempt uses are skipped.
        When this returns, the intent is on disk, its worst case is reserved, and the POST may be sent.

        Raises:
            TransitionRefused: the task is not pending.
            OverBudget: the attempt could exceed one of `limits`.
        """

        def change(db: sqlite3.Connection) -> Attempt:
            worst = worst_case(db, key, self._worst_of)
            check_budget(db, limits, self.process, worst)
            ((refused, version, number, run_id),) = db.execute(
                "SELECT refused, version, attempts + 1, (SELECT value FROM meta WHERE name = 'run_id') "
                "FROM tasks WHERE key = ?",
                (key,),
            )
            # With the first version's seed, a new version would be the same video again.
            has_seed = seed is not None and version == 1
            chosen = unused_seed(db, partial(draw, run_id, key, number)) if draw and not has_seed else seed
            now = self._now()
            intent = attempts.Intent(number, chosen, now, self.process, account, *stored(worst))
            attempt = attempts.enter_intent(db, key, intent)
            self._move(db, key, CLAIMED, attempt)
            return Attempt(attempt, key, number, chosen, now, refused)

        return await self._writer.apply(change)

    async def want_again(self, keys: Sequence[TaskKey], on_disk: frozenset[str]) -> None:
        """Request another version of finished videos: their tasks become pending, old files keep their names.

        `on_disk` is as for `reconcile`.

        Raises:
            TransitionRefused: a task has no finished video yet; nothing was changed.
        """

        def change(db: sqlite3.Connection) -> None:
            for key in keys:
                self._move(db, key, WANTED_AGAIN, None)
            reconcile.name_next_versions(db, keys, on_disk)

        await self._writer.apply(change)

    async def move(self, key: TaskKey, move: Move, attempt: AttemptId | None = None) -> None:
        """Apply a move to a task and record its facts about the attempt.

        Raises:
            TransitionRefused: the transition is not allowed; nothing was changed.
            RemoteIdTaken: another attempt has the remote ID; nothing was changed.
        """

        def change(db: sqlite3.Connection) -> None:
            self._move(db, key, move, attempt)

        await self._writer.apply(change)

    async def move_all(self, moves: Sequence[tuple[TaskKey, Move]]) -> None:
        """Apply moves to many tasks, to all of them or to none.

        Raises:
            TransitionRefused: one of the transitions is not allowed; nothing was changed.
        """

        def change(db: sqlite3.Connection) -> None:
            for key, move in moves:
                self._move(db, key, move, None)

        await self._writer.apply(change)

    async def bring_back(self, key: TaskKey, found: Sequence[PaidAttempt], move: Move | None = None) -> None:
        """Add paid attempts of a task that were missing from this ledger; with a move, the first is current.

        Raises:
            TransitionRefused: the task is no longer pending, but is to be moved; nothing was changed.
            RemoteIdTaken: another attempt has one of the remote IDs; nothing was changed.
        """

        def change(db: sqlite3.Connection) -> None:
            ids = [attempts.enter(db, key, one, self._now()) for one in found]
            worst = worst_case(db, key, self._worst_of)
            for attempt in ids:
                reserve(db, attempt, worst)
            if move:
                self._move(db, key, move, ids[0])

        await self._writer.apply(change)

    async def doubt(self, key: TaskKey, lost: LostAttempt, move: Move) -> None:
        """Add a submission of a pending task that was missing from this ledger and whose outcome is unknown.

        Raises:
            TransitionRefused: the task is no longer pending; nothing was changed.
        """

        def change(db: sqlite3.Connection) -> None:
            attempt = attempts.enter_lost(db, key, lost)
            reserve(db, attempt, worst_case(db, key, self._worst_of))
            self._move(db, key, move, attempt)

        await self._writer.apply(change)

    async def set_meta(self, name: str, value: str) -> None:
        """Store a fact about the run directory itself."""
        await self._writer.apply(lambda db: db.execute(_SET_META, (name, value)))

    async def note_file(self, key: TaskKey, sha256: str) -> None:
        """Record the hash of a verified video before its rename, to recognise the file after a kill."""
        query = "UPDATE attempts SET sha256 = ? WHERE id = (SELECT attempt FROM tasks WHERE key = ?)"
        await self._writer.apply(lambda db: db.execute(query, (sha256, key)))

    async def note_results(self, written: Mapping[str, Sequence[str]], form: str, until: int) -> None:
        """Record the hashes (SHA-256) that results.csv and metadata.jsonl may have from now on.

        They are by file name, the new one first. `form` says how the new files were made, and `until` is the
        number of the newest change that they show: as long as no other follows, and the files have these
        hashes, they need not be made again.
        """

        def change(db: sqlite3.Connection) -> None:
            for name, hashes in written.items():
                db.execute(_SET_META, (WRITTEN[name], json.dumps(list(hashes))))
            db.execute(_SET_META, ("results_form", form))
            changes.forget(db, until)

        await self._writer.apply(change)

    async def note_denied(self, model: str, move: Move) -> None:
        """Record the gateway's refusal of a model as the error of its pending tasks; no state changes."""
        await self._writer.apply(lambda db: attempts.record_denial(db, model, move))

    async def note_unmet(self, waiting: Sequence[Unmet]) -> None:
        """Record why pending tasks wait for others; those that did before and are not named no longer do."""
        await self._writer.apply(lambda db: attempts.record_unmet(db, waiting))

    async def note(self, attempt: AttemptId, facts: AttemptFacts) -> None:
        """Record new facts about an attempt whose task doesn't change state."""
        await self._writer.apply(lambda db: attempts.record_facts(db, attempt, facts))

    def _move(self, db: sqlite3.Connection, key: TaskKey, move: Move, attempt: AttemptId | None) -> None:
        self._outbox.add(carry_out(db, key, move, attempt, self._now()))
