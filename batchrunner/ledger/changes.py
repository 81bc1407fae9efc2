"""The log of changes since results.csv was written.

Triggers keep it: whatever changes a task or an attempt, and whoever does, no column can be forgotten.
"""

from __future__ import annotations

import sqlite3

CREATE_CHANGES = """
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    task   TEXT                 -- whose row is out of date; NULL: the rows or columns themselves are others
) STRICT;

CREATE TRIGGER task_removed AFTER DELETE ON tasks
BEGIN INSERT INTO changes (task) VALUES (NULL); END;

CREATE TRIGGER task_moved AFTER UPDATE OF position, labels ON tasks
WHEN NEW.position IS NOT OLD.position OR NEW.labels <> OLD.labels
BEGIN INSERT INTO changes (task) VALUES (NULL); END;

CREATE TRIGGER task_changed AFTER UPDATE ON tasks
BEGIN INSERT INTO changes (task) VALUES (NEW.key); END;

CREATE TRIGGER attempt_changed AFTER UPDATE ON attempts
BEGIN INSERT INTO changes (task) VALUES (NEW.task); END;
"""
"""A new attempt needs no trigger: it is shown once its task refers to it. For many new tasks, a trigger would
take longer than adding them: who adds tasks calls `note_other_rows`."""


def note_other_rows(db: sqlite3.Connection) -> None:
    """Note that tasks were added."""
    db.execute("INSERT INTO changes (task) VALUES (NULL)")


def newest(db: sqlite3.Connection) -> int:
    """The number of the newest change; 0 if results.csv is up to date."""
    ((number,),) = db.execute("SELECT coalesce(max(number), 0) FROM changes")
    return int(number)


def all_rows_changed(db: sqlite3.Connection) -> bool:
    """Whether tasks were added, moved or removed, or labels changed."""
    ((found,),) = db.execute("SELECT EXISTS (SELECT 1 FROM changes WHERE task IS NULL)")
    return bool(found)


def forget(db: sqlite3.Connection, until: int) -> None:
    """Remove the changes that a new results.csv shows: those up to number `until`."""
    db.execute("DELETE FROM changes WHERE number <= ?", (until,))
