"""`transitions.py FILE TASKS TOGETHER`: the four changes of each task in plain SQL, grouped into commits.

Prints how many changes a second are durable.
"""

import sqlite3
import sys
import time
from itertools import pairwise
from pathlib import Path

STATES = ("pending", "submitting", "generating", "collecting", "done")
TABLES = """
CREATE TABLE tasks (key TEXT PRIMARY KEY, state TEXT, attempt INTEGER, attempts INTEGER DEFAULT 0);
CREATE INDEX tasks_by_state ON tasks (state);
CREATE TABLE attempts (id INTEGER PRIMARY KEY, task TEXT, number INTEGER, seed INTEGER, at REAL,
                       remote_id TEXT UNIQUE, facts TEXT, UNIQUE (task, number));
CREATE INDEX attempts_by_seed ON attempts (seed);
CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL, task TEXT, event TEXT, before TEXT, after TEXT);
CREATE INDEX events_by_task ON events (task, id);
"""


def main(path: Path, tasks: int, together: int) -> float:
    """Take all tasks to their end, `together` in each commit; return the changes per second."""
    keys = [f"{number:064x}" for number in range(tasks)]
    db = opened(path, keys)
    began = time.perf_counter()
    for start in range(0, tasks, together):
        for before, after in pairwise(STATES):
            db.execute("BEGIN IMMEDIATE")
            for key in keys[start : start + together]:
                change(db, key, before, after)
            db.execute("COMMIT")
    return tasks * (len(STATES) - 1) / (time.perf_counter() - began)


def opened(path: Path, keys: list[str]) -> sqlite3.Connection:
    """A new file with these tasks, pending."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {TABLES}")
    db.execute("BEGIN")
    db.executemany("INSERT INTO tasks (key, state) VALUES (?, 'pending')", [(key,) for key in keys])
    db.execute("COMMIT")
    return db


def change(db: sqlite3.Connection, key: str, before: str, after: str) -> None:
    """One transition, with what is recorded about the attempt, and its event."""
    now = time.time()
    if after == "submitting":
        db.execute("INSERT INTO attempts (task, number, seed, at) VALUES (?, 1, ?, ?)", (key, hash(key), now))
        db.execute("UPDATE tasks SET attempts = attempts + 1 WHERE key = ?", (key,))
    else:
        remote_id = f"task_{key}"
        db.execute("UPDATE attempts SET remote_id = ?, facts = ? WHERE task = ?", (remote_id, after, key))
    db.execute("UPDATE tasks SET state = ? WHERE key = ? AND state = ?", (after, key, before))
    insert = "INSERT INTO events (at, task, event, before, after) VALUES (?, ?, ?, ?, ?)"
    db.execute(insert, (now, key, after, before, after))


if __name__ == "__main__":
    sys.stdout.write(str(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
