"""The ledger's file: how it is opened, and which files are refused."""

import asyncio
import os
import sqlite3
import stat
import threading

import pytest

from batchrunner.core.errors import BatchrunnerError, StorageError, UsageError
from batchrunner.ledger import LEDGER_NAME, Ledger, LedgerReader
from batchrunner.ledger.database import APPLICATION_ID, SCHEMA_VERSION, open_for_writing, pragma
from tests.harness.sql_hook import hook_statements


def open_and_close(directory):
    async def go():
        async with Ledger.open(directory):
            pass

    asyncio.run(go())


def read(directory):
    async def go():
        async with LedgerReader.open_existing(directory) as reader:
            return await reader.tasks()

    return asyncio.run(go())


def change(path, *statements):
    """Do something to the file that the program would not do."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def test_the_pragmas_that_durability_depends_on_are_set(tmp_path):
    """WAL, synchronous FULL and foreign keys are in force on the writer's connection."""

    async def go():
        db = await open_for_writing(tmp_path / LEDGER_NAME)
        try:
            names = ("journal_mode", "synchronous", "foreign_keys", "application_id", "user_version")
            return await db.on_thread(lambda db: [pragma(db, name) for name in names])
        finally:
            await db.close()

    expected = ["wal", 2, 1, APPLICATION_ID, SCHEMA_VERSION]
    assert asyncio.run(go()) == expected
    assert asyncio.run(go()) == expected  # and again, when the file is there


@pytest.mark.parametrize("ignored", ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"])
def test_a_pragma_that_does_not_take_is_refused(tmp_path, monkeypatch, ignored):
    """Where SQLite does not do as told (a network disk, an odd build), the ledger is not opened."""
    # SQLite's own defaults would do for one of them.
    instead = "PRAGMA synchronous = NORMAL" if "synchronous" in ignored else "SELECT 1"
    hook_statements(monkeypatch, lambda _, sql: instead if sql == f"PRAGMA {ignored}" else sql)
    with pytest.raises(StorageError, match=ignored.split()[0]):
        open_and_close(tmp_path)


def test_nobody_else_may_read_the_file(tmp_path):
    """The ledger holds prompts and links: its files have mode 0600, whatever the umask allows."""
    before = os.umask(0)
    try:

        async def go():
            async with Ledger.open(tmp_path) as ledger:
                await ledger.bind("https://gateway.example")
                return {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

        modes = asyncio.run(go())
    finally:
        os.umask(before)
    assert LEDGER_NAME in modes
    assert set(modes.values()) == {0o600}


def test_the_schema_checks_its_values(tmp_path, on_disk):
    """Tables are STRICT, and a state that is none can't be stored."""
    open_and_close(tmp_path)
    assert on_disk.one(
        "SELECT min(strict) FROM pragma_table_list WHERE name IN ('tasks','attempts','events')"
    )
    with pytest.raises(sqlite3.IntegrityError):
        change(
            on_disk.path,
            "INSERT INTO tasks (key, id, file_name, source, request, inputs, labels, state) "
            "VALUES ('1-a', 'a', 'a', '', '{}', '[]', '{}', 'paid')",
        )


OTHER_FILES = {
    "a text": b"id,state\n" * 400,
    "noise": bytes(range(256)) * 64,
    "a short text": b"x" * 600,
    "a ledger's beginning": b"SQLite format 3\x00" + b"\x00" * 40,
}


@pytest.mark.parametrize("content", OTHER_FILES.values(), ids=OTHER_FILES)
@pytest.mark.parametrize("use", [open_and_close, read], ids=["write", "read"])
def test_a_file_that_is_no_ledger_is_refused_by_name(tmp_path, content, use):
    """Anything else under the ledger's name is refused with its path, and left as it is."""
    path = tmp_path / LEDGER_NAME
    path.write_bytes(content)
    with pytest.raises(UsageError, match=LEDGER_NAME) as refused:
        use(tmp_path)
    assert refused.value.hint
    assert path.read_bytes() == content


@pytest.mark.parametrize("use", [open_and_close, read], ids=["write", "read"])
def test_another_programs_database_is_refused(tmp_path, use):
    """A SQLite file without our application id is somebody else's: refused, and not changed in a bit."""
    path = tmp_path / LEDGER_NAME
    change(path, "CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="not a batchrunner ledger"):
        use(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("use", [open_and_close, read], ids=["write", "read"])
def test_a_newer_version_is_refused(tmp_path, use):
    """A ledger of a later program is not touched: both versions are named."""
    open_and_close(tmp_path)
    change(tmp_path / LEDGER_NAME, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(UsageError, match=f"version {SCHEMA_VERSION + 1}.*{SCHEMA_VERSION}"):
        use(tmp_path)


def at_work(directory):
    """What every run does first."""

    async def go():
        async with Ledger.open(directory) as ledger:
            await ledger.recover()
            await ledger.tasks()

    asyncio.run(go())


@pytest.fixture
def one_file(tmp_path, filled):
    """A ledger with 200 tasks, all of it in its one file."""
    filled(*(f"task-{number}" for number in range(200)))
    path = tmp_path / LEDGER_NAME
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode = DELETE")
    return path


@pytest.mark.parametrize("use", [at_work, read], ids=["write", "read"])
def test_a_damaged_ledger_is_refused_by_name(tmp_path, one_file, use):
    """A ledger whose tables can't be read ends the command with its name and a hint, not a traceback."""
    size = one_file.stat().st_size
    with one_file.open("r+b") as file:
        file.seek(4096)  # the first page, with the ids, stays whole
        file.write(b"\xa5" * (size - 4096))
    with pytest.raises(BatchrunnerError, match=LEDGER_NAME) as refused:
        use(tmp_path)
    assert refused.value.hint


@pytest.mark.parametrize("use", [at_work, read], ids=["write", "read"])
def test_a_ledger_cut_short_is_refused_by_name(tmp_path, one_file, use):
    """A file that lost its end is refused in the same way."""
    os.truncate(one_file, 4096 * 3)
    with pytest.raises(BatchrunnerError, match=LEDGER_NAME) as refused:
        use(tmp_path)
    assert refused.value.hint


def test_there_is_nothing_to_read_where_nothing_ran(tmp_path):
    """Reading a folder without a ledger is the user's mistake, and makes none."""
    with pytest.raises(UsageError, match="has no ledger"):
        read(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_written_is_a_storage_error(tmp_path):
    """Where no file can be made the error is the disk's, exit 5."""
    with pytest.raises(StorageError, match=LEDGER_NAME):
        open_and_close(tmp_path / "missing")


def test_a_reader_can_not_write(tmp_path):
    """What only reads has no way to change the ledger."""
    open_and_close(tmp_path)

    async def go():
        async with LedgerReader.open_existing(tmp_path) as reader:
            await reader._db.execute("DELETE FROM tasks")

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        asyncio.run(go())


def test_a_first_start_that_was_killed_leaves_a_folder_that_can_be_used(tmp_path):
    """Killed after the file was made and before its tables were, the same command starts anew."""
    change(tmp_path / LEDGER_NAME, "PRAGMA journal_mode = WAL")  # as far as the first start came
    open_and_close(tmp_path)
    assert read(tmp_path) == []


def test_a_file_made_and_not_yet_filled_is_no_obstacle(tmp_path):
    """An empty file is as good as none."""
    (tmp_path / LEDGER_NAME).touch()
    open_and_close(tmp_path)
    assert read(tmp_path) == []


def test_cancelling_while_it_is_opened_leaves_no_thread(tmp_path, monkeypatch):
    """The connection's thread reports before the event loop ends: later, nobody is there."""
    connect, may_go_on = sqlite3.connect, threading.Event()

    def slow(*args, **options):
        may_go_on.wait()
        return connect(*args, **options)

    async def go():
        opening = asyncio.create_task(open_for_writing(tmp_path / LEDGER_NAME))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.sleep(0)
        may_go_on.set()
        await opening

    before, raised = set(threading.enumerate()), []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    monkeypatch.setattr(sqlite3, "connect", slow)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(go())
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert not raised
