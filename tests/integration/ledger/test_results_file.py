"""results.csv on disk: written whole or not at all, and only where something has changed."""

import asyncio
import csv
import errno
import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass

import pytest

import batchrunner.output.results_file as results_module
from batchrunner.clock import Clock
from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.ledger import Ledger, ResultRow
from batchrunner.output.results import header, line
from batchrunner.output.results_file import Results, put_in_place
from batchrunner.output.results_version import made


@pytest.fixture
def tasks(in_ledger, filled):
    """The rows of three tasks of a ledger."""
    filled("a", "b", "c")
    return in_ledger(lambda ledger: ledger.read_results(lambda source: list(source.all())))


def as_csv(tasks):
    """What results.csv holds of them."""
    return "".join([header([]), *(line(task, []) for task in tasks)]).encode()


@dataclass
class Rows:
    """A state of a ledger with these rows."""

    rows: list[ResultRow]
    planned_only = True
    for_excel = False
    newest_change = 0
    run = "night"

    def labels(self):
        return []

    def all(self):
        return iter(self.rows)


def put(in_ledger, directory, tasks):
    """Let a file of these tasks take the place of the old one."""
    return in_ledger(lambda ledger: put_in_place(ledger, directory, made(directory, Rows(tasks)), ledger))


def listing(directory):
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("ledger"))


def test_the_file_is_what_the_ledger_says(tmp_path, in_ledger, tasks):
    """The whole content is under its name, and nothing is left beside it."""
    path = tmp_path / RESULTS_NAME
    put(in_ledger, tmp_path, tasks)
    assert path.read_bytes() == as_csv(tasks)
    assert listing(tmp_path) == [RESULTS_NAME]


def test_an_unchanged_file_is_not_written(tmp_path, in_ledger, tasks):
    """The same rows again touch neither the file nor its time; other rows replace it."""
    path = tmp_path / RESULTS_NAME
    put(in_ledger, tmp_path, tasks)
    os.utime(path, (1, 1))
    before = path.stat()
    put(in_ledger, tmp_path, tasks)
    assert (path.stat().st_mtime, path.stat().st_ino) == (1, before.st_ino)
    put(in_ledger, tmp_path, tasks[:1])
    assert path.read_bytes() == as_csv(tasks[:1])


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path, in_ledger, tasks, monkeypatch, call):
    """When the new one can't be written the old one is still there, whole, and no part of the new one is."""
    put(in_ledger, tmp_path, tasks[:1])

    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(StorageError, match=RESULTS_NAME) as refused:
        put(in_ledger, tmp_path, tasks)
    monkeypatch.undo()
    assert refused.value.hint
    assert (tmp_path / RESULTS_NAME).read_bytes() == as_csv(tasks[:1])
    assert listing(tmp_path) == [RESULTS_NAME]


def test_the_new_file_is_durable_before_it_takes_the_name(tmp_path, in_ledger, tasks, monkeypatch):
    """Its bytes are on disk before it replaces the old one."""
    order, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("replace"), replace(*paths)))
    put(in_ledger, tmp_path, tasks)
    assert order[:3] == ["fsync", "fsync", "replace"]


def test_during_a_run_the_file_follows_the_ledger(tmp_path, in_ledger, filled, plan):
    """Each change is in the file after a while; tasks that are no longer wanted are not."""
    filled("a", "b")
    path = tmp_path / RESULTS_NAME

    async def story(ledger):
        results = Results(ledger, ledger, tmp_path, Clock(0.0001))
        keeping = asyncio.create_task(results.keep_fresh())
        results.outdated()
        while not path.exists():  # noqa: ASYNC110 the file is what counts
            await asyncio.sleep(0.001)
        await ledger.reconcile(plan("b", "c"), frozenset())
        results.outdated()
        while b"\r\nc," not in path.read_bytes():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    in_ledger(story)
    with path.open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["b", "c"]


@pytest.mark.parametrize(("rows", "waits_first"), [(19_999, False), (20_000, True)])
def test_only_a_large_run_submits_before_the_first_writing(tmp_path, in_ledger, filled, rows, waits_first):
    """A disk that can't be written to ends a small run before more is paid for."""
    filled("a")
    path = tmp_path / RESULTS_NAME

    class Paused(Exception):
        pass

    class Pausing(Clock):
        async def sleep(self, seconds):
            raise Paused

    async def story(ledger):
        results = Results(ledger, ledger, tmp_path, Pausing())
        results.outdated()
        with pytest.raises(Paused):
            await results.keep_fresh(rows)

    in_ledger(story)
    assert path.exists() is not waits_first


def test_a_writing_that_was_given_up_is_awaited_by_the_next(tmp_path, in_ledger, filled, monkeypatch):
    """Cancelled, a writing goes on in its thread; the next begins after it, so the newest stands last."""
    filled("a")
    order, slow = [], threading.Event()

    def writing(path, part, keep):
        number = len(order)
        order.append(f"{number} begins")
        slow.wait(0.2 if number == 0 else 0)
        order.append(f"{number} ends")

    monkeypatch.setattr(results_module, "_replaced", writing)

    async def story(ledger):
        results = Results(ledger, ledger, tmp_path, Clock())
        first = asyncio.create_task(results.write())
        while not order:  # noqa: ASYNC110 a fake in a thread that tells nobody
            await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.wait({first})
        await results.write()

    in_ledger(story)
    assert order == ["0 begins", "0 ends", "2 begins", "2 ends"]


# --- a file that somebody else changed ----------------------------------------------------------------


def copies(directory):
    return sorted(path.name for path in directory.glob("results.csv.*"))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_the_rename_leaves_nothing_that_looks_like_somebody_elses(
    tmp_path, in_ledger, tasks, monkeypatch, moment
):
    """The hash is noted before the rename, beside that of the old file: either file is known for ours."""
    put(in_ledger, tmp_path, tasks[:1])
    replace = os.replace

    def dying(source, target):
        if moment == "after":
            replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        put(in_ledger, tmp_path, tasks[:2])
    monkeypatch.undo()
    assert put(in_ledger, tmp_path, tasks) == ""
    assert copies(tmp_path) == []


def test_a_changed_file_is_kept_with_its_time_and_only_once(tmp_path, in_ledger, tasks, monkeypatch):
    """Killed after the copy was made, the next writing finds it and makes no second one."""
    put(in_ledger, tmp_path, tasks[:1])
    path = tmp_path / RESULTS_NAME
    path.write_bytes(b"edited")
    os.utime(path, (1000, 1000))

    def dying(*paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            put(in_ledger, tmp_path, tasks)
    assert path.read_bytes() == b"edited"
    assert "results.csv.bak" in put(in_ledger, tmp_path, tasks)
    assert copies(tmp_path) == ["results.csv.bak"]
    kept = tmp_path / "results.csv.bak"
    assert (kept.read_bytes(), kept.stat().st_mtime) == (b"edited", 1000)
    assert path.read_bytes() == as_csv(tasks)


def test_a_copy_that_can_not_be_made_keeps_the_file(tmp_path, in_ledger, tasks, monkeypatch):
    """On a full disk what somebody wrote stays where it is, and no half copy is left."""
    put(in_ledger, tmp_path, tasks[:1])
    (tmp_path / RESULTS_NAME).write_bytes(b"edited")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("batchrunner.output.results_backup.os.fsync", full)
    with pytest.raises(StorageError, match=RESULTS_NAME):
        put(in_ledger, tmp_path, tasks)
    monkeypatch.undo()
    assert (tmp_path / RESULTS_NAME).read_bytes() == b"edited"
    assert copies(tmp_path) == []


def test_a_file_that_is_there_before_the_first_writing_is_kept(tmp_path, in_ledger, tasks):
    """A new ledger has written nothing yet: what is there may be all that is left of an earlier one."""
    (tmp_path / RESULTS_NAME).write_bytes(b"of an earlier ledger")
    put(in_ledger, tmp_path, tasks)
    assert copies(tmp_path) == ["results.csv.bak"]


def test_a_file_of_an_earlier_version_is_ours(tmp_path, in_ledger, tasks):
    """It noted no hash: an update makes no copies."""
    put(in_ledger, tmp_path, tasks[:1])
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = 'null' WHERE name = 'results'")
    put(in_ledger, tmp_path, tasks)
    assert copies(tmp_path) == []
    (tmp_path / RESULTS_NAME).write_bytes(b"edited")
    put(in_ledger, tmp_path, tasks)
    assert copies(tmp_path) == ["results.csv.bak"]


def test_results_are_written_even_if_the_ledger_can_not_be(tmp_path, in_ledger, tasks, monkeypatch):
    """What happened in the night is told all the same."""

    async def refused(self, *written):
        raise StorageError("no")

    monkeypatch.setattr(Ledger, "note_results", refused)
    put(in_ledger, tmp_path, tasks)
    assert (tmp_path / RESULTS_NAME).read_bytes() == as_csv(tasks)
