"""What lies in a run directory: results.csv, run.log, the ledger, the videos, and whether they are true."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.harness.media import whole_picture, whole_video

Row = dict[str, str]
UNFINISHED = {"pending", "submitting", "generating", "collecting"}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_rows(directory: Path) -> list[Row]:
    """The rows of results.csv."""
    with (directory / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def log_lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a run.log; none if there is no such file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def exit_code_of(rows: Sequence[Mapping[str, str]]) -> int:
    """The exit code that the rows stand for; what waits for a person is not unfinished."""
    states = {row["state"] for row in rows}
    if "in_doubt" in states:
        return 3
    if any(row["state"] in UNFINISHED and row["error_code"] != "need_failed" for row in rows):
        return 75
    return 1 if states - {"done"} else 0


def part_files(directory: Path) -> list[Path]:
    """Half-written files, other than those of the directory's own simulator."""
    return [path for path in directory.rglob("*.part") if directory / ".simulator" not in path.parents]


def damaged_files(directory: Path) -> list[str]:
    """The videos and pictures under a final name that are not whole, each with what is wrong."""
    faults = []
    for path in directory.glob("videos/*"):
        if not path.name.startswith("."):
            fault = whole_video(path) if path.suffix == ".mp4" else whole_picture(path)
            faults += [f"{path.name} has a final name, but {fault}"] if fault else []
    return faults


def false_rows(
    directory: Path, rows: Sequence[Row], charges: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Row, str]]:
    """Each row, with what the charge book or the disk shows to be false in it; empty if it is true."""
    booked = {charge["remote_id"]: charge for charge in charges}
    for row in rows:
        charge = booked.get(row["remote_id"])
        if row["remote_id"] and not charge:
            yield row, f"the charge book has no {row['remote_id']}"
        elif charge and (row["prompt"], row["seed"]) != (charge["prompt"], str(charge["seed"])):
            yield row, f"the charge book has {charge}"
        elif charge and row["tokens"] not in ("", "0", str(charge["tokens"])):
            yield row, f"the charge book has {charge['tokens']} tokens"
        else:
            yield row, _false_file(directory, row)


def _false_file(directory: Path, row: Row) -> str:
    """What a row says wrongly about its video."""
    if row["state"] != "done":
        return "it names a file before it is done" if row["file_name"] else ""
    path = directory / row["file_name"]
    if not row["remote_id"] or not row["tokens"]:
        return "it is done without a remote id or tokens"
    if not path.is_file():
        return "it is done, but there is no file"
    same = (path.stat().st_size, sha256_of(path)) == (int(row["bytes"]), row["sha256"])
    return "" if same else "its file has another size or checksum"


def ledger_fault(directory: Path) -> str:
    """What SQLite finds wrong with the ledger; asked of a copy, so that opening it repairs nothing."""
    if not (directory / "ledger.sqlite").exists():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        for path in directory.glob("ledger.sqlite*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "ledger.sqlite")) as db:
            answer = db.execute("PRAGMA integrity_check").fetchall()
    return "" if answer == [("ok",)] else f"integrity_check says {answer}"


def lose_ledger(directory: Path) -> None:
    """Delete the ledger; everything else stays."""
    for path in directory.glob("ledger.sqlite*"):
        path.unlink()


def update_ledger(directory: Path, change: str, *values: Any) -> None:
    """Change the ledger with an UPDATE statement, given without its first word."""
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as ledger, ledger:
        ledger.execute(f"UPDATE {change}", values)


def let_hours_pass(directory: Path) -> None:
    """Make the ledger say that everything was submitted hours ago, at the simulator's pace."""
    update_ledger(directory, "attempts SET submitted_at = submitted_at - 10, accepted_at = accepted_at - 10")


def files_with(text: str, folder: Path) -> list[Path]:
    """The files anywhere below a folder that contain this text."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]
