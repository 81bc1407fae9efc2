"""New versions of results.csv and metadata.jsonl: only changed lines are made again.

The files are the same as if all lines were.
"""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

import batchrunner.output.results_version as version_module
from batchrunner.clock import Clock
from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import METADATA_NAME, RESULTS_NAME
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.ledger import LEDGER_NAME, Ledger, LedgerReader
from batchrunner.output.results_file import Results, update
from batchrunner.output.run_dataset import CONFIG
from batchrunner.version import __version__
from tests.harness.plans import wanted_task

IDS = tuple("abcdef")
TABLES = ("tasks", "attempts")
KEYS = {"tasks": {"key", "attempt"}, "attempts": {"id", "task"}}
"""Columns that connect the two tables, and change with others only."""


@pytest.fixture
def lines(monkeypatch):
    """The IDs of the lines that were made, in order."""
    made, line = [], version_module.line
    monkeypatch.setattr(
        version_module, "line", lambda row, *given: (made.append(row.id), line(row, *given))[1]
    )
    return made


@pytest.fixture
def run(tmp_path):
    """Runs a story with a ledger, a reader, and a results.csv that is kept up to date."""

    def go(story):
        async def opened():
            async with Ledger.open(tmp_path) as ledger, LedgerReader.open_existing(tmp_path) as reader:
                return await story(ledger, Results(reader, ledger, tmp_path, Clock()))

        return asyncio.run(opened())

    return go


async def all_finished(ledger):
    """Let every task of a ledger be done."""
    for number, task in enumerate(await ledger.tasks()):
        attempt = await ledger.claim(task.key, number, None)
        facts = AttemptFacts(remote_id=f"task_{number}", file_state="", tokens=7, cost=0.5)
        await ledger.move(task.key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=facts), attempt.id)
        await ledger.move(task.key, Move(Event.SUCCEEDED, TaskState.COLLECTING))
        await ledger.move(task.key, Move(Event.COLLECTED, TaskState.DONE))


async def anew(ledger, directory):
    """What is in the files, and what would be if all of it were made again."""
    paths = (directory / RESULTS_NAME, directory / METADATA_NAME)

    def content():
        return b"".join(path.read_bytes() for path in paths if path.exists())

    kept = content()
    for path in paths:
        path.unlink(missing_ok=True)
    await update(ledger, directory)
    return kept, content()


def columns():
    """Every column of the two tables."""
    with closing(sqlite3.connect(":memory:")) as db:
        schema = version_module.Path(version_module.__file__).parents[1] / "ledger" / "tables.sql"
        db.executescript(schema.read_text())
        return [
            (table, name, kind)
            for table in TABLES
            for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")
            if name not in KEYS[table]
        ]


OTHER_VALUES = {
    "state": "'failed'",
    "labels": """'{"new": "label"}'""",
    "inputs": """'["b.png"]'""",
    "warnings": """'["careful"]'""",
    "request": """'{"model": "slow", "prompt": "other"}'""",
    "file_state": "'missing'",
}
BY_KIND = {"INTEGER": "77", "REAL": "77.25", "TEXT": "'=other'"}


@pytest.mark.parametrize(("table", "name", "kind"), columns())
def test_no_changed_column_is_missed(tmp_path, filled, run, table, name, kind):
    """Whatever changes in the ledger, and whoever changes it, the file shows it at the next writing."""
    filled(*IDS)

    async def story(ledger, results):
        await all_finished(ledger)
        await results.write()
        with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db, db:
            db.execute(f"UPDATE {table} SET {name} = {OTHER_VALUES.get(name, BY_KIND[kind])} WHERE rowid = 3")
        await results.write()
        return await anew(ledger, tmp_path)

    kept, made = run(story)
    assert kept == made


def test_only_changed_lines_are_made_again(tmp_path, filled, run, lines):
    """A change costs its own line; none costs nothing."""
    keys = filled(*IDS)

    async def story(ledger, results):
        await results.write()
        await ledger.claim(keys[1], 7, None)
        await ledger.claim(keys[4], 8, None)
        lines.clear()
        await results.write()
        await results.write()
        return list(lines), await anew(ledger, tmp_path)

    made, (kept, whole) = run(story)
    assert made == ["b", "e"]
    assert kept == whole


def test_a_change_during_the_writing_is_in_the_next(tmp_path, filled, run, monkeypatch):
    """What happens between reading and recording is not taken for written."""
    keys = filled(*IDS)

    async def story(ledger, results):
        note = Ledger.note_results

        async def late(self, *written):
            await self.claim(keys[2], 9, None)
            monkeypatch.setattr(Ledger, "note_results", note)
            await note(self, *written)

        monkeypatch.setattr(Ledger, "note_results", late)
        await results.write()
        before = (tmp_path / RESULTS_NAME).read_bytes()
        await results.write()
        return before, await anew(ledger, tmp_path)

    before, (kept, whole) = run(story)
    assert before != kept
    assert kept == whole


@pytest.mark.parametrize(
    "ids", [("f", "e", "d", "c", "b", "a"), ("a", "b"), ("x", *IDS), (*IDS, "x"), ("a", "c", "y")]
)
def test_another_plan_makes_all_lines_anew(tmp_path, filled, run, plan, ids):
    """Rows that moved, came or went are where they belong."""
    filled(*IDS)

    async def story(ledger, results):
        await results.write()
        await ledger.reconcile(plan(*ids), frozenset())
        await results.write()
        return await anew(ledger, tmp_path)

    kept, whole = run(story)
    assert kept == whole
    assert [line.split(b",")[0].decode() for line in kept.splitlines()[1:]] == list(ids)


def test_a_new_label_is_a_new_column(tmp_path, run, plan):
    """Where only a label changed, the header has it."""

    def labelled(**labels):
        return plan(wanted_task({"model": "fast", "prompt": "a"}, id="a", labels=json.dumps(labels)))

    async def story(ledger, results):
        await ledger.reconcile(labelled(), frozenset())
        await results.write()
        await ledger.reconcile(labelled(kind="cat"), frozenset())
        await results.write()
        return await anew(ledger, tmp_path)

    kept, whole = run(story)
    assert kept == whole
    assert b"label.kind" in kept


@pytest.mark.parametrize("how", ["edited", "cut", "longer", "removed"])
@pytest.mark.parametrize("name", [RESULTS_NAME, METADATA_NAME])
def test_lines_are_not_copied_from_a_file_that_is_not_ours(tmp_path, filled, run, lines, name, how):
    """Somebody else's file is not the source of a single line."""
    keys = filled(*IDS)
    path = tmp_path / name

    async def story(ledger, results):
        await all_finished(ledger)
        await results.write()
        ours = path.read_bytes()
        theirs = {"edited": ours.replace(b"fast", b"FAST"), "cut": ours[:-9], "longer": ours + b"x"}
        path.unlink() if how == "removed" else path.write_bytes(theirs[how])
        await ledger.note_file(keys[5], "ab")
        lines.clear()
        await results.write()
        assert lines[-6:] == list(IDS)
        return await anew(ledger, tmp_path)

    kept, whole = run(story)
    assert kept == whole
    assert not list(tmp_path.glob(".*.part"))


def test_a_failed_writing_is_made_up_for(tmp_path, filled, run, monkeypatch):
    """A version that never took its place is no source of lines, and its changes are not lost."""
    keys = filled(*IDS)

    async def story(ledger, results):
        await results.write()
        await ledger.claim(keys[0], 7, None)
        with monkeypatch.context() as patches:
            patches.setattr("os.replace", lambda *paths: (_ for _ in ()).throw(OSError(28, "full")))
            with pytest.raises(StorageError):
                await results.write()
        await ledger.claim(keys[1], 8, None)
        await results.write()
        return await anew(ledger, tmp_path)

    kept, whole = run(story)
    assert kept == whole


# --- the next start -----------------------------------------------------------------------------------


def written_again(run, lines):
    """How many lines a writing in another process makes."""
    lines.clear()
    run(lambda ledger, results: results.write())
    return len(lines)


@pytest.fixture
def finished(filled, run):
    """A ledger whose tasks are done and in results.csv."""
    filled(*IDS)

    async def story(ledger, results):
        await all_finished(ledger)
        await results.write()

    run(story)


def test_a_file_that_is_up_to_date_is_not_made_again(finished, run, lines, plan):
    """The next start makes no line, and neither does the same plan."""
    assert written_again(run, lines) == 0
    run(lambda ledger, results: ledger.reconcile(plan(*IDS), frozenset()))
    assert written_again(run, lines) == 0


OUTDATED = {
    "other places": "UPDATE tasks SET position = position + 1",
    "a change": "UPDATE attempts SET tokens = 8 WHERE id = 2",
    "another version of the program": "UPDATE meta SET value = '0.0' WHERE name = 'results_form'",
    "other columns of the same version": f"UPDATE meta SET value = '{__version__} ' || coalesce((SELECT "
    "json_extract(value, '$.name') FROM meta WHERE name = 'settings'), '') WHERE name = 'results_form'",
    "an earlier ledger": "DELETE FROM meta WHERE name = 'results_form'",
    "another hash": "UPDATE meta SET value = json_array('ab') WHERE name = 'results'",
    "other metadata": "UPDATE meta SET value = json_array('ab') WHERE name = 'metadata'",
    "a ledger from before there were metadata": "DELETE FROM meta WHERE name = 'metadata'",
    "another name of the run": "UPDATE meta SET value = '{\"name\": \"x\"}' WHERE name = 'settings'",
}


@pytest.mark.parametrize("change", OUTDATED.values(), ids=OUTDATED)
def test_a_file_that_may_be_outdated_is_made_again(tmp_path, finished, run, lines, change):
    """A change by anybody, another program or another file: all lines are made, once."""
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db, db:
        db.execute(change)
    assert written_again(run, lines) == len(IDS)
    assert written_again(run, lines) == 0


def test_a_file_with_other_rows_is_made_again(tmp_path, finished, run, lines):
    """What `results --all` wrote is not what a run writes."""
    run(lambda ledger, results: update(ledger, tmp_path, planned_only=False))
    assert written_again(run, lines) == len(IDS)


def test_all_rows_are_made_each_time(tmp_path, finished, run):
    """What `results --all` wrote says nothing about the next: not its rows, and not its form."""
    path = tmp_path / RESULTS_NAME
    ours = path.read_bytes()
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db, db:
        db.execute("UPDATE tasks SET position = NULL WHERE id = ?", (IDS[-1],))
    for excel, mark in ((None, b""), (True, b"\xef\xbb\xbf"), (None, b"\xef\xbb\xbf"), (False, b"")):
        written = run(lambda ledger, results, given=excel: update(ledger, tmp_path, False, given))
        assert written == (len(IDS), "")
        assert path.read_bytes() == mark + ours


def test_what_a_kill_left_out_is_made_up_for(tmp_path, finished, run):
    """The file that says what to load, also if results.csv needs no writing."""
    config = tmp_path / CONFIG
    ours = config.read_bytes()
    for left in (b"", ours.replace(b"metadata.jsonl ", b"metadata.jsonl 0")):
        for write in (
            lambda ledger, results: update(ledger, tmp_path),
            lambda ledger, results: results.write(),
        ):
            config.write_bytes(left)
            run(write)
            assert config.read_bytes() == ours


@pytest.mark.parametrize("file", [RESULTS_NAME, METADATA_NAME])
def test_results_makes_no_file_again_that_is_as_it_should_be(tmp_path, finished, run, file):
    """It stays in place; one that was edited or removed is replaced."""
    path = tmp_path / file
    ours, inode = path.read_bytes(), path.stat().st_ino
    assert run(lambda ledger, results: update(ledger, tmp_path)) == (len(IDS), "")
    assert path.stat().st_ino == inode
    path.unlink()
    run(lambda ledger, results: update(ledger, tmp_path))
    assert path.read_bytes() == ours
    path.write_bytes(ours.replace(b"t", b"u", 1))
    rows, notice = run(lambda ledger, results: update(ledger, tmp_path))
    assert (path.read_bytes(), rows) == (ours, len(IDS))
    assert f"{file} was edited" in notice


def test_the_choice_of_excel_is_remembered(tmp_path, finished, run, lines):
    """The file need not be made again, and a change keeps the mark; until the choice is taken back."""
    ours = (tmp_path / RESULTS_NAME).read_bytes()
    run(lambda ledger, results: update(ledger, tmp_path, excel=True))
    assert written_again(run, lines) == 0
    run(lambda ledger, results: update(ledger, tmp_path))
    assert (tmp_path / RESULTS_NAME).read_bytes() == b"\xef\xbb\xbf" + ours
    run(lambda ledger, results: update(ledger, tmp_path, excel=False))
    assert (tmp_path / RESULTS_NAME).read_bytes() == ours


def test_a_file_made_for_excel_differs_only_in_its_byte_order_mark(tmp_path, finished, run):
    """Only Excel is given one."""
    ours = (tmp_path / RESULTS_NAME).read_bytes()
    run(lambda ledger, results: update(ledger, tmp_path, excel=True))
    assert (tmp_path / RESULTS_NAME).read_bytes() == b"\xef\xbb\xbf" + ours


def test_a_crash_before_the_rename_leaves_a_file_that_is_made_again(
    tmp_path, finished, run, lines, monkeypatch
):
    """The hash that was recorded is not that of the file in place."""

    def dying(*paths):
        raise KeyboardInterrupt

    async def story(ledger, results):
        await ledger.note_file((await ledger.tasks())[0].key, "ab")
        monkeypatch.setattr("os.replace", dying)
        await results.write()

    with pytest.raises(KeyboardInterrupt):
        run(story)
    monkeypatch.undo()
    run(lambda ledger, results: results.write())
    assert b",ab," in (tmp_path / RESULTS_NAME).read_bytes()
