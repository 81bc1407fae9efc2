"""The tasks of a plan, on disk: a plan of a million tasks needs no more memory than a small one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from batchrunner.core.content import Content, RequestForm, request_of_form
from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.model import PlannedTask, Request, TaskKey
from batchrunner.core.plan import WantedTask, as_replica, key_and_id, renamed
from batchrunner.core.request import hashed
from batchrunner.core.task_outputs import with_keys
from batchrunner.manifest import plan_links
from batchrunner.manifest.plan_links import Link
from batchrunner.manifest.temporary import AT_ONCE, temporary_database, temporary_files

_TABLES = f"""
{plan_links.TABLE}
CREATE TABLE forms (number INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE tasks (
    position INTEGER PRIMARY KEY,
    key      TEXT,
    first    TEXT,     -- of a request that several tasks have: the key of the first of them
    replica  INTEGER,
    id       TEXT,
    is_given INTEGER,  -- whether the user has given the ID
    form     INTEGER,
    prompt   TEXT,
    seed     INTEGER,
    labels   TEXT,
    source   TEXT,
    is_open  INTEGER   -- whether its key is provisional: what it needs of other tasks isn't known yet
);
"""
_COLUMNS = "position, key, coalesce(first, key), replica, id, form, prompt, seed, labels, source"
_DIGESTED = (
    "SELECT json_group_array(json_array(key, first, replica, id, form, prompt, seed, labels, source)) "
    "FROM tasks WHERE position BETWEEN ? AND ?"
)
_COMPLETE = (
    "UPDATE tasks SET (key, first, replica, id, form, is_open) = (?, ?, ?, ?, ?, 0) WHERE position = ?"
)
_SEVERAL = "SELECT key FROM tasks WHERE NOT is_open GROUP BY key HAVING count(*) > 1"
_EQUAL_IDS = (
    "SELECT id, position FROM tasks WHERE is_given AND id IN "
    "(SELECT id FROM tasks WHERE is_given GROUP BY id HAVING count(*) > 1) ORDER BY position"
)
_FORMS_KEPT = 256
"""How many forms are kept in memory: the tasks of an entry mostly share one."""


class PlanStore:
    """The tasks of a plan; see `core.planned_tasks.PlannedTasks`."""

    def __init__(self) -> None:
        self._length = 0
        self._new: list[tuple[object, ...]] = []
        self._forms: dict[int, tuple[int, RequestForm]] = {}
        """The number of each form used last, by its identity, which it keeps while it is here."""
        self._restored = lru_cache(_FORMS_KEPT)(self._restore)
        with temporary_files():
            self._db = temporary_database(self)
            self._db.executescript(_TABLES)

    @classmethod
    def of(cls, wanted: Iterable[WantedTask]) -> PlanStore:
        """The plan of these tasks."""
        store = cls()
        for task in wanted:
            store.add(task)
        store.finish()
        return store

    def add(self, wanted: WantedTask, is_open: bool = False) -> None:
        """Add a task at the end; one that `is_open` needs others, and is completed once they are known."""
        key, task_id = key_and_id(wanted)
        form, prompt, seed = wanted.content
        rest = (self._number_of(form), prompt, seed, wanted.labels_text, wanted.source, is_open)
        self._append((self._length, key, None, 1, task_id, bool(wanted.id), *rest))

    def add_broken(self, task_id: str) -> None:
        """Add a task that has errors, of which only the ID is known; empty if it has none."""
        unknown = (None,) * 6
        self._append((self._length, None, None, 1, task_id, bool(task_id), *unknown))

    def _append(self, row: tuple[object, ...]) -> None:
        self._new.append(row)
        self._length += 1
        if len(self._new) >= AT_ONCE:
            self._write()

    def with_equal_ids(self) -> list[tuple[str, int]]:
        """ID and position of each task whose ID was given to another task, too."""
        self._write()
        with temporary_files():
            return self._db.execute(_EQUAL_IDS).fetchall()

    def given_ids(self) -> Iterator[tuple[str, int]]:
        """The IDs that the user gave, each with the position of its task."""
        self._write()
        with temporary_files():
            yield from self._db.execute("SELECT id, position FROM tasks WHERE is_given ORDER BY position")

    def finish(self) -> None:
        """Number identical requests, once all tasks are added; `complete` does it for tasks that are open."""
        self._write()
        with temporary_files():
            self._db.execute("CREATE INDEX tasks_by_key ON tasks (key, is_open)")  # all that _SEVERAL needs
            several = self._db.execute(_SEVERAL).fetchall()
            for (first,) in several:
                equal = list(self._select("WHERE key = ? AND NOT is_open", first))
                for replica, task in enumerate(equal, start=1):
                    new = as_replica(task, replica)
                    self._db.execute(
                        "UPDATE tasks SET key = ?, first = ?, id = ?, replica = ? WHERE position = ?",
                        (new.key, first, new.id, replica, task.position),
                    )
            self._db.execute("CREATE INDEX tasks_by_first ON tasks (first) WHERE first IS NOT NULL")

    def need(self, needs: Mapping[int, Sequence[Link]]) -> None:
        """Enter what the tasks at these positions need of others."""
        with temporary_files():
            plan_links.enter(self._db, needs)

    def complete(self, contents: Mapping[int, Content]) -> None:
        """Give the tasks at these positions their final content, and number identical requests among them.

        No other task may have the same content.
        """
        texts = {position: contents[position].canonical for position in sorted(contents)}
        several, replicas = Counter(texts.values()), Counter[str]()
        number_of = lru_cache(_FORMS_KEPT)(self._add_form)
        with temporary_files():
            for position, text in texts.items():
                replicas[text] += 1
                before, key = self[position], hashed(text, replicas[text])
                first = hashed(text) if several[text] > 1 else None
                form, name = number_of(contents[position].form.to_text()), renamed(before.id, before.key, key)
                self._db.execute(_COMPLETE, (key, first, replicas[text], name, form, position))

    def forget_former(self) -> None:
        """Remove what tasks had before they were completed."""
        with temporary_files():
            self._db.execute("DELETE FROM forms WHERE number NOT IN (SELECT form FROM tasks)")

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[PlannedTask]:
        return self._select("ORDER BY position")

    def __getitem__(self, position: int) -> PlannedTask:
        if not -self._length <= position < self._length:
            raise IndexError(position)
        return next(self._select("WHERE position = ?", position % self._length))

    def find(self, key: TaskKey) -> PlannedTask | None:
        """The task with this key, if there is one."""
        return next(self._select("WHERE key = ?", key), None)

    def keys(self) -> Iterator[tuple[int, TaskKey]]:
        """The position and the key of every task."""
        with temporary_files():
            yield from self._db.execute("SELECT position, key FROM tasks ORDER BY position")

    def digest(self) -> str:
        """A hash of all tasks and their order."""
        hashed = hashlib.sha256()
        with temporary_files():
            forms = self._db.execute("SELECT text FROM forms ORDER BY number")
            # Many at once, as text made by SQLite: faster than a row at a time.
            tasks = (
                self._db.execute(_DIGESTED, (start, start + AT_ONCE - 1)).fetchone()
                for start in range(0, self._length, AT_ONCE)
            )
            for (text,) in chain(forms, tasks):
                hashed.update(text.encode() + b"\n")
        return hashed.hexdigest()

    def kinds(self) -> dict[TaskKey, Kind]:
        """The kind of every task."""
        with temporary_files():
            forms = self._db.execute("SELECT number, text FROM forms")
            of_form = {number: kind_of(json.loads(text)) for number, text in forms}
            tasks = self._db.execute("SELECT key, form FROM tasks")
            return {TaskKey(key): of_form[form] for key, form in tasks}

    def counted(
        self, is_meant: Callable[[int, TaskKey], bool] | None = None
    ) -> Iterator[tuple[Request, int]]:
        """Every distinct request as in `requests`, with how many tasks have it.

        With `is_meant`, only the tasks count for whose position and key it is true.
        """
        with temporary_files():
            if is_meant is None:
                numbers = dict(self._db.execute("SELECT form, count(*) FROM tasks GROUP BY form"))
            else:
                tasks = self._db.execute("SELECT position, key, form FROM tasks")
                numbers = Counter(form for position, key, form in tasks if is_meant(position, key))
            for number, text in self._db.execute("SELECT number, text FROM forms ORDER BY number"):
                if number in numbers:
                    yield request_of_form(text), numbers[number]

    def requests(self) -> Iterator[Request]:
        """Every distinct request, without its prompt and seed."""
        with temporary_files():
            for (text,) in self._db.execute("SELECT text FROM forms"):
                yield RequestForm.from_text(text).request(None, None)

    def repeated(self) -> frozenset[TaskKey]:
        """The requests that are in the plan more than once, by the key of their first task."""
        with temporary_files():
            rows = self._db.execute("SELECT DISTINCT first FROM tasks WHERE first IS NOT NULL")
            return frozenset(TaskKey(first) for (first,) in rows)

    def of_requests(self, firsts: Iterable[TaskKey]) -> list[PlannedTask]:
        """The tasks with these requests, in plan order."""
        where = f"WHERE first = ?1 UNION ALL SELECT {_COLUMNS} FROM tasks WHERE key = ?1 AND first IS NULL"
        tasks = [task for first in firsts for task in self._select(where, first)]
        return sorted(tasks, key=lambda task: task.position)

    def replicas(self) -> Iterator[PlannedTask]:
        """Every task whose request is that of an earlier task, in plan order."""
        return self._select("WHERE replica > 1 ORDER BY position")

    def needs(self) -> dict[TaskKey, set[TaskKey]]:
        """The tasks that need others, each with those that it needs."""
        with temporary_files():
            return plan_links.needed_by(self._db)

    def frames_needed(self) -> frozenset[TaskKey]:
        """The tasks whose last frame is needed."""
        with temporary_files():
            return plan_links.frames_needed(self._db)

    def assign(self, keys: Mapping[int, TaskKey]) -> bool:
        """Give the tasks at these positions other keys, and with them those that need them.

        A generated ID changes with its key. Returns whether there are any that need them.
        """
        changed = [(key, self[position]) for position, key in keys.items()]
        with temporary_files():
            self._db.executemany(
                "UPDATE tasks SET key = ?, first = ?, id = ? WHERE position = ?",
                [(key, one.first, renamed(one.id, one.key, key), one.position) for key, one in changed],
            )
            return self._carry_on({one.position: (one.key, key) for key, one in changed})

    def _carry_on(self, changed: Mapping[int, tuple[TaskKey, TaskKey]]) -> bool:
        """Complete the tasks that need these again, and so on; for each, the key before and the new one."""
        is_needed = False
        while positions := plan_links.dependants(self._db, changed):
            is_needed = True
            keys, before = dict(changed.values()), {position: self[position] for position in positions}
            self.complete({at: with_keys(one.content, keys) for at, one in before.items()})
            changed = {position: (one.key, self[position].key) for position, one in before.items()}
        self.forget_former()
        return is_needed

    def _select(self, where: str, *values: object) -> Iterator[PlannedTask]:
        with temporary_files():
            for row in self._db.execute(f"SELECT {_COLUMNS} FROM tasks {where}", values):
                yield self._task(row)

    def _task(self, row: tuple[Any, ...]) -> PlannedTask:
        position, key, first, replica, task_id, form, prompt, seed, labels, source = row
        content = Content(self._restored(form), prompt, seed)
        return PlannedTask(position, key, task_id, content, labels, source, replica, first)

    def _number_of(self, form: RequestForm) -> int:
        known = self._forms.get(id(form))
        if known is not None:
            return known[0]
        if len(self._forms) >= _FORMS_KEPT:
            self._forms.clear()
        number = self._add_form(form.to_text())
        self._forms[id(form)] = (number, form)
        return number

    def _add_form(self, text: str) -> int:
        with temporary_files():
            return int(self._db.execute("INSERT INTO forms (text) VALUES (?)", (text,)).lastrowid or 0)

    def _restore(self, number: int) -> RequestForm:
        with temporary_files():
            ((text,),) = self._db.execute("SELECT text FROM forms WHERE number = ?", (number,)).fetchall()
        return RequestForm.from_text(text)

    def _write(self) -> None:
        if self._new:
            with temporary_files():
                self._db.executemany(f"INSERT INTO tasks VALUES ({', '.join('?' * 12)})", self._new)
            self._new.clear()
