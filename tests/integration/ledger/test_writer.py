"""One writer, many changes in one commit, and what happens when the disk refuses."""

import asyncio
import sqlite3
import threading

import pytest

import batchrunner.ledger.ledger as ledger_module
from batchrunner.core.errors import StorageError
from batchrunner.core.policy import Move
from batchrunner.core.states import Event, TaskState, TransitionRefused
from batchrunner.ledger import Ledger
from batchrunner.ledger.database import pragma
from batchrunner.ledger.writer import BATCH
from tests.harness.sql_hook import hook_connections, hook_statements

MANY = 200


@pytest.fixture
def commits(monkeypatch):
    """The commits that SQLite was asked for, one entry each."""
    seen = []

    def counting(_, sql):
        if sql == "COMMIT":
            seen.append(sql)
        return sql

    hook_statements(monkeypatch, counting)
    return seen


def test_many_changes_share_few_commits(in_ledger, filled, on_disk, commits):
    """200 claims at once are on disk after a handful of commits, each before its own await returns."""
    keys = filled(*(f"task-{number}" for number in range(MANY)))
    commits.clear()

    async def story(ledger):
        watching = sqlite3.connect(on_disk.path, isolation_level=None)

        async def claim(number, key):
            attempt = await ledger.claim(key, number, None)
            seen = watching.execute("SELECT seed FROM attempts WHERE id = ?", (attempt.id,)).fetchall()
            assert seen == [(number,)]

        await asyncio.gather(*(claim(number, key) for number, key in enumerate(keys)))
        watching.close()

    in_ledger(story)
    assert 1 <= len(commits) <= 5
    assert on_disk.one("SELECT count(*) FROM tasks WHERE state = 'submitting'") == MANY


def test_a_change_waits_for_its_own_commit(in_ledger, filled, monkeypatch):
    """An await does not return while the commit that holds its change is still on its way to the disk."""
    (key,) = filled("a")
    reached, go_on = threading.Event(), threading.Event()

    def held(_, sql):
        if sql == "COMMIT":
            reached.set()
            assert go_on.wait(60)
        return sql

    hook_statements(monkeypatch, held)

    async def story(ledger):
        claim = asyncio.create_task(ledger.claim(key, 1, None))
        await asyncio.to_thread(reached.wait, 60)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not claim.done()
        go_on.set()
        assert (await claim).number == 1

    in_ledger(story)


def test_a_refused_change_does_not_doom_its_batch(in_ledger, filled, on_disk, commits):
    """Of changes in one commit, those that the table refuses fail alone."""
    keys = filled(*(f"task-{number}" for number in range(20)))
    commits.clear()
    wrong = Move(Event.SUCCEEDED, TaskState.COLLECTING)

    async def story(ledger):
        changes = [
            ledger.claim(key, number, None) if number % 2 else ledger.move(key, wrong)
            for number, key in enumerate(keys)
        ]
        return await asyncio.gather(*changes, return_exceptions=True)

    results = in_ledger(story)
    assert [isinstance(result, TransitionRefused) for result in results] == [
        number % 2 == 0 for number in range(20)
    ]
    assert len(commits) == 1
    assert on_disk.one("SELECT count(*) FROM tasks WHERE state = 'submitting'") == 10
    assert on_disk.one("SELECT count(*) FROM events") == on_disk.one("SELECT count(*) FROM attempts") == 10


def test_a_change_of_a_cancelled_caller_is_still_written(in_ledger, filled, on_disk):
    """Whoever no longer waits, what the gateway did is recorded."""
    keys = filled("a", "b")
    heard = []

    async def story(ledger):
        ledger.observe(lambda event: heard.append(event.key))
        claims = [asyncio.create_task(ledger.claim(key, number, None)) for number, key in enumerate(keys)]
        await asyncio.sleep(0)  # both are queued
        claims[0].cancel()
        results = await asyncio.gather(*claims, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)

    in_ledger(story)
    assert on_disk.states() == {"a": "submitting", "b": "submitting"}
    assert heard == keys


def test_queued_changes_are_written_before_the_ledger_closes(in_ledger, filled, on_disk):
    """Leaving the ledger with changes under way writes them first."""
    keys = filled(*(f"task-{number}" for number in range(50)))
    claims = []

    async def story(ledger):
        claims.extend(asyncio.create_task(ledger.claim(key, n, None)) for n, key in enumerate(keys))
        await asyncio.sleep(0)

    in_ledger(story)
    assert on_disk.one("SELECT count(*) FROM tasks WHERE state = 'submitting'") == 50


def test_an_error_in_the_run_does_not_lose_queued_changes(in_ledger, filled, on_disk):
    """Also when the run ends by an exception, what was queued reaches the disk."""
    (key,) = filled("a")
    claims = []

    async def story(ledger):
        claims.append(asyncio.create_task(ledger.claim(key, 1, None)))
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_ledger(story)
    assert on_disk.states() == {"a": "submitting"}


def test_cancelling_close_does_not_lose_queued_changes(tmp_path, filled, on_disk):
    """Ctrl-C while the ledger closes: what is queued is what the gateway did, and reaches the disk."""
    keys = filled(*(f"task-{number}" for number in range(2 * BATCH + 1)))  # while one batch is being written
    claims = []

    async def closing():
        async with Ledger.open(tmp_path) as ledger:
            claims.extend(asyncio.create_task(ledger.claim(key, n, None)) for n, key in enumerate(keys))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(closing())
    assert on_disk.one("SELECT count(*) FROM tasks WHERE state = 'submitting'") == len(keys)


def test_an_observer_that_fails_does_not_stop_the_writer(in_ledger, filled, on_disk):
    """A display that raises keeps neither this change nor the next from being written and told."""
    keys = filled("a", "b")

    def broken(event):
        raise ZeroDivisionError

    async def story(ledger):
        ledger.observe(broken)
        async with asyncio.timeout(5):
            for number, key in enumerate(keys):
                results = await asyncio.gather(ledger.claim(key, number, None), return_exceptions=True)
                assert not isinstance(results[0], asyncio.CancelledError)

    in_ledger(story)
    assert on_disk.states() == {"a": "submitting", "b": "submitting"}


# --- the disk refuses ---------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch, filled):
    """A ledger of 100 tasks whose file may not grow any more; returns the keys."""
    keys = filled(*(f"task-{number}" for number in range(100)))
    open_for_writing = ledger_module.open_for_writing

    async def cramped(path):
        db = await open_for_writing(path)
        await db.on_thread(lambda db: db.execute(f"PRAGMA max_page_count = {pragma(db, 'page_count')}"))
        return db

    monkeypatch.setattr(ledger_module, "open_for_writing", cramped)
    return keys


def large(key):
    return Move(Event.UNSENDABLE, TaskState.FAILED, error_message="x" * 100_000)


def test_a_full_disk_fails_everything_that_shared_the_commit(in_ledger, full_disk, on_disk):
    """When a commit can't be written, every change in it is a storage error, and none is half there."""
    before = on_disk.states()

    async def story(ledger):
        changes = [ledger.move(key, large(key)) for key in full_disk]
        return await asyncio.gather(*changes, return_exceptions=True)

    results = in_ledger(story)
    assert {type(result) for result in results} == {StorageError}
    assert "full" in str(results[0])
    assert results[0].hint
    assert on_disk.states() == before
    assert on_disk.one("SELECT count(*) FROM events") == 0


def test_after_a_failed_commit_nothing_more_is_written(in_ledger, full_disk, on_disk):
    """Nobody knows what the disk holds then: later changes are refused, and none is told to observers."""
    heard = []

    async def story(ledger):
        ledger.observe(heard.append)
        with pytest.raises(StorageError):
            await ledger.move(full_disk[0], large(full_disk[0]))
        for key in full_disk[1:4]:
            with pytest.raises(StorageError):
                await ledger.claim(key, 1, None)

    in_ledger(story)
    assert set(on_disk.states().values()) == {"pending"}
    assert heard == []


def test_the_next_start_goes_on_where_it_was(in_ledger, full_disk, filled, on_disk, monkeypatch):
    """Once there is room, the ledger is whole and takes changes again."""

    async def fails(ledger):
        with pytest.raises(StorageError):
            await ledger.move(full_disk[0], large(full_disk[0]))

    in_ledger(fails)
    monkeypatch.undo()
    in_ledger(lambda ledger: ledger.claim(full_disk[0], 1, None))
    assert on_disk.states()["task-0"] == "submitting"
    assert on_disk.one("PRAGMA integrity_check") == "ok"


def test_a_failed_fsync_is_a_storage_error(in_ledger, filled, monkeypatch):
    """An I/O error at the commit is told as the disk's, to everyone who shared it."""
    keys = filled("a", "b")
    hook_connections(monkeypatch)

    def failing(_, sql):
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return sql

    async def story(ledger: Ledger):
        hook_statements(monkeypatch, failing)
        claims = [ledger.claim(key, number, None) for number, key in enumerate(keys)]
        results = await asyncio.gather(*claims, return_exceptions=True)
        monkeypatch.undo()
        return results

    assert [type(result) for result in in_ledger(story)] == [StorageError, StorageError]
