"""`plan.py ROWS DATABASE`: parse every row, hash its request, insert it into SQLite; no check, no objects."""

import csv
import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

AT_ONCE = 10_000


def main(rows: Path, database: Path) -> None:
    """Plan the rows of a table as cheaply as possible."""
    with sqlite3.connect(database, isolation_level=None) as db, rows.open(encoding="utf-8") as file:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -100000")  # kB; else the index is read again and again
        db.execute("CREATE TABLE tasks (key TEXT PRIMARY KEY, position INTEGER, id TEXT, request TEXT)")
        read = map(json.loads, file) if rows.suffix == ".jsonl" else csv.DictReader(file)
        tasks = planned(read)
        while some := list(islice(tasks, AT_ONCE)):
            db.execute("BEGIN")
            db.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?)", some)
            db.execute("COMMIT")


def planned(rows: Iterator[dict[str, str]]) -> Iterator[tuple[str, int, str, str]]:
    """Each row as a task: key, position, ID and request."""
    metadata = {"resolution": "480p", "ratio": "16:9", "duration": 4}
    for position, row in enumerate(rows):
        request = {"metadata": metadata, "model": "dreamina-seedance-2-0-fast", "prompt": row["prompt"]}
        text = json.dumps(request)
        yield hashlib.sha256(text.encode()).hexdigest(), position, row["id"], text


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
