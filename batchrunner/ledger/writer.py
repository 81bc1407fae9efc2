"""The single writer: takes changes from a queue and commits many at once.

A caller's await returns only when its own change is on disk. If the caller is cancelled, its change stays
in the queue: what the gateway did is recorded in any case.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from batchrunner.core.errors import StorageError
from batchrunner.ledger.database import Database
from batchrunner.ledger.events import Outbox

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]
"""Runs in the connection's thread; a second time if another change of its batch fails."""

BATCH = 256
"""Maximum number of changes in one commit."""


_Result = tuple[object, Exception | None]


@dataclass(slots=True)
class _Queued:
    change: Change[Any]
    done: asyncio.Future[Any]


class Writer:
    """The only user of the read-write connection. `serve` must run for `apply` to return."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox
        self._queue: asyncio.Queue[_Queued | None] = asyncio.Queue()
        self._broken: StorageError | None = None

    async def apply(self, change: Change[T]) -> T:
        """Run `change` in a transaction and return its result once that is on disk.

        An exception from `change` rolls back that change alone.

        Raises:
            StorageError: the commit failed, and so will every later one.
        """
        if self._broken:
            raise self._broken
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Queued(change, done))
        return await done

    def close(self) -> None:
        """Make `serve` return after the queued changes."""
        self._queue.put_nowait(None)

    async def serve(self) -> None:
        """Commit queued changes until closed."""
        try:
            while batch := await self._next_batch():
                await self._commit(batch)
        finally:
            # No caller may wait for a stopped writer.
            self._broken = self._broken or StorageError("the ledger is closed")
            while not self._queue.empty():
                if queued := self._queue.get_nowait():
                    _settle(queued.done, None, self._broken)

    async def _next_batch(self) -> list[_Queued]:
        """Wait for a change and return those queued, up to `BATCH`; empty at the end."""
        batch: list[_Queued] = []
        await asyncio.sleep(0)  # those whose change was just committed may queue the next one
        queued = await self._queue.get()
        while queued is not None:
            batch.append(queued)
            if len(batch) == BATCH or self._queue.empty():
                return batch
            queued = self._queue.get_nowait()
        self._queue.put_nowait(None)  # the end comes after this batch
        return batch

    async def _commit(self, batch: list[_Queued]) -> None:
        try:
            if self._broken:
                raise self._broken
            changes = [queued.change for queued in batch]
            results = await self._db.on_thread(partial(_committed, changes=changes, outbox=self._outbox))
        except (sqlite3.Error, StorageError) as error:
            # After a failed commit or fsync, the state on disk is unknown: write nothing more.
            self._broken = self._broken or _storage_error(error)
            for queued in batch:
                _settle(queued.done, None, self._broken)
            return
        self._outbox.tell()
        for queued, (result, failure) in zip(batch, results, strict=True):
            _settle(queued.done, result, failure)


def _committed(db: sqlite3.Connection, changes: Sequence[Change[Any]], outbox: Outbox) -> list[_Result]:
    """Run changes in one transaction; return each result, or the error that rolled back that change."""
    try:
        with _transaction(db, outbox):
            return [(change(db), None) for change in changes]
    except sqlite3.OperationalError:
        raise  # a disk error fails the whole batch
    except Exception:
        # A savepoint for each change would slow down all those that don't fail.
        with _transaction(db, outbox):
            return [_carried_out(db, change, outbox) for change in changes]


@contextmanager
def _transaction(db: sqlite3.Connection, outbox: Outbox) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        outbox.write(db)
        db.execute("COMMIT")
    except BaseException:
        outbox.cut(0)
        with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
            if db.in_transaction:
                db.execute("ROLLBACK")
        raise


def _carried_out(db: sqlite3.Connection, change: Change[Any], outbox: Outbox) -> _Result:
    before = len(outbox)
    db.execute("SAVEPOINT one")
    try:
        result, failure = change(db), None
    except sqlite3.OperationalError:
        raise
    except Exception as error:
        outbox.cut(before)
        db.execute("ROLLBACK TO one")
        result, failure = None, error
    db.execute("RELEASE one")
    return result, failure


async def to_its_end(serving: asyncio.Task[None]) -> None:
    """Wait for the writer even if cancelled meanwhile: the queue holds what the gateway did.

    A shield alone is not enough: the cancelled caller would go on and close the connection.
    """
    cancelled: asyncio.CancelledError | None = None
    while not serving.done():
        try:
            await asyncio.wait({serving})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled
    await serving


def _settle(done: asyncio.Future[Any], result: object, failure: Exception | None) -> None:
    if done.done():  # its caller was cancelled
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(result)


def _storage_error(error: Exception) -> StorageError:
    return StorageError(
        f"the ledger can't be written: {error}",
        "free disk space or fix the disk, then run the same command again; it goes on where it was",
    )
