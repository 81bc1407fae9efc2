"""Reads what results.csv is made from: one consistent state of the ledger."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from batchrunner.core.file_names import METADATA_NAME, RESULTS_NAME
from batchrunner.core.model import TaskKey
from batchrunner.core.needs import beginnings
from batchrunner.ledger import aggregates, changes


class ResultRow(NamedTuple):
    """What a row of results.csv is made from. Times are Unix seconds; None means unknown.

    Made for speed, as there may be a million: JSON stays as text where most rows have none.
    """

    key: str = ""
    position: int | None = None
    id: str = ""
    state: str = ""
    file_name: str = ""
    inputs: str = "[]"
    """JSON list."""
    labels: str = "{}"
    """JSON object."""
    error_code: str = ""
    error_message: str = ""
    warnings: str = "[]"
    """JSON list."""
    attempts: int = 0
    prompt: str | None = None
    model: str | None = None
    requested_duration: int | None = None
    requested_resolution: str | None = None
    requested_ratio: str | None = None
    remote_id: str | None = None
    seed: int | None = None
    tokens: int | None = None
    cost: float | None = None
    currency: str | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    size: int | None = None
    sha256: str | None = None
    last_frame_file: str | None = None
    submitted_at: float | None = None
    finished_at: float | None = None
    collected_at: float | None = None
    generation_seconds: float | None = None
    looked_up: str | None = None
    file_state: str | None = None
    account: str | None = None
    links_dead: int = 0
    parameters: str = "{}"
    """JSON object: the request without its prompt, local files as hashes; only of tasks that are done."""


class NamedTask(NamedTuple):
    """What a user may call a task."""

    key: TaskKey
    id: str
    labels_text: str
    """JSON object."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The user's own columns."""
        labels: dict[str, str] = json.loads(self.labels_text)
        return labels


class FinishedVideo(NamedTuple):
    """A task, in most cases with a finished video, for an export."""

    number: int
    """Tasks are numbered in the order in which they entered the ledger."""
    first: str
    """The fingerprint of its request; replicas have the same."""
    seen: str
    """Size and modification time of the file when its hash was last known to be right; empty if not known."""
    row: ResultRow


EXCEL = "results_excel"
"""The fact about a run directory that its results.csv is for Excel; empty if not."""
WRITTEN = {RESULTS_NAME: "results", METADATA_NAME: "metadata"}
"""The facts that hold the hashes (SHA-256) which these files may have if they are unedited."""
AT_ONCE = 500
"""Rows fetched together."""
_REQUEST = {
    "prompt": "$.prompt",
    "model": "$.model",
    "requested_duration": "$.metadata.duration",
    "requested_resolution": "$.metadata.resolution",
    "requested_ratio": "$.metadata.ratio",
}
_COLUMNS = ResultRow._fields
_BEFORE = FinishedVideo._fields.index("row")
_OF_THE_TASK = _COLUMNS[: _COLUMNS.index("prompt")]
_OF_THE_ATTEMPT = _COLUMNS[_COLUMNS.index("remote_id") : _COLUMNS.index("links_dead")]
_LINKS_DEAD = (
    "a.content_dead_at IS NOT NULL AND (coalesce(a.result_url, '') = '' OR a.link_dead_at IS NOT NULL)"
)
_VALUES = (
    *(f"t.{name}" for name in _OF_THE_TASK),
    *(f"json_extract(t.request, '{path}')" for path in _REQUEST.values()),
    *(f"a.{name}" for name in _OF_THE_ATTEMPT),
    _LINKS_DEAD,
    "CASE t.state WHEN 'done' THEN json_remove(t.request, '$.prompt') ELSE '{}' END",
)
_SELECT = f"SELECT {', '.join(_VALUES)} FROM tasks t LEFT JOIN attempts a ON a.id = t.attempt"
_ALL = f"{_SELECT} ORDER BY t.position IS NULL, t.position, t.rowid"
_PLANNED = f"{_SELECT} WHERE t.position IS NOT NULL ORDER BY t.position"
_VIDEOS = (
    "SELECT t.rowid, coalesce(t.first, t.key), "
    "CASE WHEN coalesce(a.file_state, '') IN ('', 'missing') THEN coalesce(a.file_seen, '') ELSE '' END, "
    f"{', '.join(_VALUES)} "
    "FROM tasks t LEFT JOIN attempts a ON a.id = t.attempt "
)
_FINISHED = (
    f"{_VIDEOS} WHERE t.state = 'done' AND t.rowid > ? AND (t.position IS NOT NULL OR NOT ?) "
    "ORDER BY t.rowid LIMIT ?"
)
_OF_TASKS = f"{_VIDEOS} WHERE t.key IN (SELECT value FROM json_each(?))"
_FIRST_DONE = (
    # When a recovered one was done first is not known: soon after its generation had ended.
    "SELECT t.key, coalesce(CASE a.outcome WHEN 'recovered' THEN a.finished_at END, "
    "(SELECT min(e.at) FROM events e WHERE e.attempt = t.attempt AND e.to_state = 'done'), a.collected_at) "
    "FROM tasks t JOIN attempts a ON a.id = t.attempt WHERE t.key IN (SELECT value FROM json_each(?))"
)
_WITH_NEEDS = (
    "SELECT key, position IS NOT NULL OR (state = 'done' AND NOT ?), request FROM tasks "
    "WHERE instr(request, '\"part\"') ORDER BY rowid"
)
_CHANGED = (
    f"{_SELECT} WHERE t.key IN (SELECT task FROM changes) AND t.position IS NOT NULL ORDER BY t.position"
)
_PART = f"{_SELECT} WHERE t.position > ? ORDER BY t.position LIMIT ?"


class ResultRows:
    """One state of the ledger; usable while `LedgerReader.read_results` lasts."""

    def __init__(self, db: sqlite3.Connection, planned_only: bool) -> None:
        self._db, self.planned_only = db, planned_only
        self.newest_change = changes.newest(db)
        """The number of the newest change; 0 if there was none since results.csv was written."""
        self.all_changed = changes.all_rows_changed(db)
        """Whether there are other rows or columns than in the results.csv last written."""
        names = (*WRITTEN.values(), "results_form", "settings", EXCEL)
        places = ", ".join("?" * len(names))
        meta = dict(db.execute(f"SELECT name, value FROM meta WHERE name IN ({places})", names))
        hashes = {file: json.loads(meta.get(name, "[]")) for file, name in WRITTEN.items()}
        self.written = {file: str(known[0]) for file, known in hashes.items() if known}
        """The hashes of the files last written, by name; empty for an empty file."""
        self.written_form = str(meta.get("results_form", ""))
        """What `Ledger.note_results` recorded about its form."""
        self.for_excel = bool(meta.get(EXCEL))
        """Whether the user wants results.csv in the form that Excel reads."""
        self.run = str(json.loads(meta.get("settings", "{}")).get("name", ""))
        """The name of the run."""

    def labels(self) -> list[str]:
        """The names of all labels, in order of first appearance."""
        return aggregates.labels(self._db, self.planned_only)

    def all(self) -> Iterator[ResultRow]:
        """All tasks in plan order, those no longer planned last."""
        return self._rows(_PLANNED if self.planned_only else _ALL)

    def part(self, after: int, most: int) -> list[ResultRow]:
        """At most so many planned tasks in order, from the first one after a position."""
        return list(map(ResultRow._make, self._db.execute(_PART, (after, most))))

    def number(self) -> int:
        """How many tasks the plan has."""
        return int(self._db.execute("SELECT count(*) FROM tasks WHERE position IS NOT NULL").fetchone()[0])

    def changed(self) -> Iterator[ResultRow]:
        """The planned tasks that changed since results.csv was written, in plan order."""
        return self._rows(_CHANGED)

    def finished(self, after: int, most: int) -> list[FinishedVideo]:
        """The next `most` tasks that are done, after the one with this number."""
        found = self._db.cursor()
        found.row_factory = None
        rows = found.execute(_FINISHED, (after, self.planned_only, most)).fetchall()
        return [FinishedVideo._make([*row[:_BEFORE], ResultRow._make(row[_BEFORE:])]) for row in rows]

    def of_tasks(self, keys: Collection[TaskKey]) -> dict[TaskKey, FinishedVideo]:
        """The newest videos of these tasks, which may be in any state, by key."""
        found = self._db.cursor()
        found.row_factory = None
        rows = found.execute(_OF_TASKS, (json.dumps(list(keys)),)).fetchall()
        videos = (FinishedVideo._make([*row[:_BEFORE], ResultRow._make(row[_BEFORE:])]) for row in rows)
        return {TaskKey(video.row.key): video for video in videos}

    def first_done(self, keys: Collection[TaskKey]) -> dict[TaskKey, float | None]:
        """When these tasks' newest attempts were done for the first time, in Unix seconds."""
        return {TaskKey(key): at for key, at in self._db.execute(_FIRST_DONE, (json.dumps(list(keys)),))}

    def with_needs(self) -> list[tuple[TaskKey, bool, Mapping[str, Any]]]:
        """Tasks that may need others: key, whether it is wanted, and request, in the order added."""
        rows = self._db.execute(_WITH_NEEDS, (self.planned_only,))
        return [(TaskKey(key), bool(is_wanted), json.loads(request)) for key, is_wanted, request in rows]

    def beginnings(self) -> dict[TaskKey, str]:
        """For tasks that need others, the fingerprint of the request at the beginning of their chain."""
        found = beginnings((key, request) for key, _, request in self.with_needs())
        query = "SELECT key, coalesce(first, key) FROM tasks WHERE key IN (SELECT value FROM json_each(?))"
        firsts = dict(self._db.execute(query, (json.dumps(list(set(found.values()))),)))
        return {key: firsts.get(beginning, beginning) for key, beginning in found.items()}

    def named(self) -> list[NamedTask]:
        """What a user may call the tasks, of any state, in the order in which they entered the ledger."""
        found = self._db.cursor()
        found.row_factory = None
        where = "WHERE position IS NOT NULL" if self.planned_only else ""
        rows = found.execute(f"SELECT key, id, labels FROM tasks {where} ORDER BY rowid")
        return list(map(NamedTask._make, rows))

    def _rows(self, query: str) -> Iterator[ResultRow]:
        cursor = self._db.cursor()
        cursor.row_factory = None
        cursor.execute(query)
        # Many at once: a quarter faster, as SQLite and Python take turns less often.
        while rows := cursor.fetchmany(AT_ONCE):
            yield from map(ResultRow._make, rows)
