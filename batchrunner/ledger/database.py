"""Opens the SQLite file; the only module that sets pragmas."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.request import fingerprint
from batchrunner.core.text import command
from batchrunner.ledger.changes import CREATE_CHANGES
from batchrunner.ledger.simulator_state import simulator_state
from batchrunner.ledger.spending import ADD_COMMITTED, ADD_PLACEHOLDERS, CREATE_SPENDING, DROP_COMMITTED

T = TypeVar("T")
APPLICATION_ID = 0x62726C31
"""`brl1`: marks an SQLite file as a ledger."""
SCHEMA_VERSION = 7
MIGRATIONS = {
    1: ("ALTER TABLE attempts ADD COLUMN looked_up TEXT",),
    2: (
        "INSERT INTO meta VALUES ('run_id', lower(hex(randomblob(16))))",
        "INSERT INTO meta VALUES ('results', 'null')",  # the hash of results.csv is unknown
        "ALTER TABLE attempts ADD COLUMN content_dead_at REAL",
        "ALTER TABLE attempts ADD COLUMN link_dead_at REAL",
        "ALTER TABLE attempts ADD COLUMN file_state TEXT",
        "ALTER TABLE attempts ADD COLUMN file_seen TEXT",
        "ALTER TABLE tasks RENAME COLUMN refunded TO refused",
        "ALTER TABLE attempts ADD COLUMN candidates TEXT",
        "ALTER TABLE attempts ADD COLUMN process TEXT",
    ),
    3: (
        "ALTER TABLE tasks ADD COLUMN first TEXT",
        "UPDATE tasks SET first = nullif(fingerprint_of(request), key)",
        "CREATE INDEX tasks_by_position ON tasks (position)",
        CREATE_CHANGES,
    ),
    4: (
        "DROP INDEX events_by_task",
        "CREATE INDEX events_by_attempt ON events (attempt)",
        "ALTER TABLE attempts ADD COLUMN worst_tokens INTEGER",
        "ALTER TABLE attempts ADD COLUMN worst_cost REAL",
        *ADD_PLACEHOLDERS,
    ),
    5: (
        *DROP_COMMITTED,
        "ALTER TABLE attempts ADD COLUMN hold INTEGER",
        "ALTER TABLE attempts ADD COLUMN quota INTEGER",
        "ALTER TABLE attempts ADD COLUMN charged_usd REAL",
        "ALTER TABLE attempts ADD COLUMN worst_currency TEXT",
        "ALTER TABLE attempts ADD COLUMN least_tokens INTEGER",
        "UPDATE attempts SET worst_currency = currency WHERE tokens IS NOT NULL AND cost IS NOT NULL",
        *ADD_COMMITTED,
        CREATE_SPENDING,
    ),
    6: ("ALTER TABLE attempts ADD COLUMN account TEXT NOT NULL DEFAULT ''",),
}
"""The statements that upgrade a ledger from each older version to the next."""


MANIFEST = "MANIFEST"
"""Placeholder in a command for a manifest whose path is unknown."""

LONGEST_PATH = 504
"""Bytes in the longest ledger path that SQLite can open; it adds files with longer names beside it."""


def check_path(path: Path) -> None:
    """Check that SQLite can open a ledger at this path.

    Raises:
        UsageError: the path is too long.
    """
    length = len(os.fsencode(os.path.realpath(path)))
    if length > LONGEST_PATH:
        inside = len(path.name) + 1
        raise UsageError(
            f"the path of the run directory has {length - inside} bytes; "
            f"SQLite takes up to {LONGEST_PATH - inside}",
            "choose a shorter path with -o DIR",
        )


class Database(aiosqlite.Connection):
    """A connection that runs whole functions in its thread, with one round trip each."""

    def __init__(self, name: str | Path, **options: Any) -> None:
        super().__init__(lambda: sqlite3.connect(name, isolation_level=None, **options), iter_chunk_size=64)

    async def on_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the connection, in the connection's thread, and return its result."""
        # Not named `run`: in older versions of aiosqlite, connections are threads, which have a `run`.
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]  # the only way in
        return result


async def open_for_writing(path: Path) -> Database:
    """Open the ledger, creating it if missing; every required pragma is read back.

    Raises:
        UsageError: the file is not a ledger, is damaged, or is from a newer version.
        StorageError: the file can't be written.
    """
    check_path(path)
    try:
        path.touch(mode=0o600)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        db = await _connected(Database(path))
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"can't open {path}: {error}", "check its owner and permissions") from error
    async with _closed_on_error(db, path):
        await db.on_thread(partial(_prepare, path=path))
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    # Change nothing in a file until it is known to be ours.
    if is_new := not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
        _check_unclaimed(db, path)
    else:
        _check_ours(db, path, MIGRATIONS.keys())
        _check_whole(db)
    _set_up(db, path)
    if is_new:
        schema = files("batchrunner.ledger").joinpath("tables.sql").read_text(encoding="utf-8")
        db.executescript(
            f"BEGIN IMMEDIATE;\n{schema}\n{CREATE_CHANGES}\n"
            f"{';'.join(ADD_COMMITTED)};\n{CREATE_SPENDING}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
        )
    else:
        _migrate(db)
    db.row_factory = sqlite3.Row


async def open_for_reading(path: Path) -> Database:
    """Open an existing ledger read-only.

    Raises:
        UsageError: the file is missing, not a ledger, or from another version.
    """
    check_path(path)
    if not path.exists():
        raise UsageError(
            f"{path.parent} has no ledger", "pass the run directory of an earlier `batchrunner run`"
        )
    try:
        db = await _connected(Database(f"{path.resolve().as_uri()}?mode=ro", uri=True))
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    async with _closed_on_error(db, path):
        await db.on_thread(partial(_prepare_for_reading, path=path))
    return db


async def _connected(db: Database) -> Database:
    """Connect. Who cancels that waits for it, since its thread must not outlive the event loop."""

    async def connect() -> Database:
        await db
        return db

    connecting = asyncio.create_task(connect())
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        await (await connecting).close()
        raise


def _prepare_for_reading(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA busy_timeout = 10000")
    _check_ours(db, path)
    db.row_factory = sqlite3.Row


@asynccontextmanager
async def _closed_on_error(db: Database, path: Path) -> AsyncIterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        await db.close()
        raise unusable(path, error) from error
    except BaseException:
        await db.close()
        raise


def _set_up(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA busy_timeout = 10000")
    # 16 MB: keys are hashes, so adding many tasks writes all over their index.
    db.execute("PRAGMA cache_size = -16384")
    db.execute("PRAGMA journal_mode = WAL")
    # With NORMAL, a power cut may lose the last commits: a lost intent is a task paid for twice.
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for name, value in expected.items():
        if pragma(db, name) != value:
            raise StorageError(
                f"SQLite refuses {name}={value} for {path}",
                "use a local disk; move a run directory that was used there as a whole, and name it with -o",
            )


def _check_unclaimed(db: sqlite3.Connection, path: Path) -> None:
    """Check that a file without tables (new, or left by a killed first start) has no other application ID."""
    if pragma(db, "application_id") not in (0, APPLICATION_ID):
        raise _not_ours(path)


def _check_ours(db: sqlite3.Connection, path: Path, older: Collection[int] = ()) -> None:
    if pragma(db, "application_id") != APPLICATION_ID:
        raise _not_ours(path)
    version = pragma(db, "user_version")
    if version == SCHEMA_VERSION or version in older:
        return
    hint = "use the version of batchrunner that made it, or a newer one"
    if version in MIGRATIONS:
        hint = f"`{command('results', path.parent)}` upgrades it"
    raise UsageError(f"{path} has ledger version {version}; this program supports {SCHEMA_VERSION}", hint)


def _migrate(db: sqlite3.Connection) -> None:
    """Upgrade an older ledger, in one transaction."""
    version = pragma(db, "user_version")
    steps = [
        step for since in sorted(MIGRATIONS) if since >= cast(int, version) for step in MIGRATIONS[since]
    ]
    if steps:
        db.create_function("fingerprint_of", 1, lambda text: fingerprint(json.loads(text)))
        changes = ";\n".join(steps)
        db.executescript(f"BEGIN IMMEDIATE;\n{changes};\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")


def _check_whole(db: sqlite3.Connection) -> None:
    said = pragma(db, "quick_check(1)")
    if said != "ok":
        raise sqlite3.DatabaseError(said)


def _not_ours(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not a batchrunner ledger",
        "if this was a run directory, restore its ledger from a backup: a run elsewhere would pay again",
    )


def pragma(db: sqlite3.Connection, name: str) -> object:
    """The value of a pragma."""
    rows = list(db.execute(f"PRAGMA {name}"))
    return rows[0][0]


def recover_command(directory: Path, manifest: str = MANIFEST) -> str:
    """The command that rebuilds a run directory's ledger; `manifest` must be quoted for the shell."""
    simulate = " --simulate" if simulator_state(directory).is_dir() else ""
    return f"batchrunner recover {manifest} -o {shlex.quote(str(directory))}{simulate}"


def unusable(path: Path, error: sqlite3.Error) -> UsageError | StorageError:
    """Convert an SQLite error to one of ours."""
    if isinstance(error, sqlite3.OperationalError):
        return StorageError(f"can't use {path}: {error}", "check the disk, its free space and permissions")
    return UsageError(
        f"{path} is damaged or not a ledger: {error}",
        f"move {path.name} aside, but keep it; then `{recover_command(path.parent)}` rebuilds it, "
        "free of charge, from what the gateway and the run directory still know",
    )
