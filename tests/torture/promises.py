"""The promises, asked of the simulator's charge book and the disk: never of the tool's own ledger."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.harness.media import whole_picture, whole_video
from tests.torture.desk import Desk, Ended, Row
from tests.torture.gateway import KEY

UNFINISHED = {"pending", "submitting", "generating", "collecting"}


class Broken(Exception):
    """A promise was not kept; the text says which, and where."""


def code_of(rows: list[Row]) -> int:
    """The exit code that the rows of results.csv stand for."""
    states = {row["state"] for row in rows}
    if "in_doubt" in states:
        return 3
    if states & UNFINISHED:
        return 75
    return 1 if states & {"failed", "uncollected"} else 0


class Promises:
    """Holds a desk against the promises, and counts how often it has."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self.checked = desk, 0
        self._said = ""

    def hold(self, kept: object, what: str) -> None:
        """One promise."""
        self.checked += 1
        if not kept:
            raise Broken(what)

    def after_kill(self, ended: Ended) -> None:
        """Right after a SIGKILL, before anything else is done."""
        self._said += ended.said
        self.final_names()
        self.one_charge_each()
        self.ledger_whole()
        self.key_nowhere(ended)

    def after_end(self, ended: Ended, *codes: int) -> None:
        """Right after a run that ended by itself; `codes` may stand in place of what the rows say."""
        self._said += ended.said
        rows = self._desk.rows()
        self.no_traceback(ended)
        expected = codes or (code_of(rows),)
        self.hold(ended.code in expected, f"exit {ended.code}, not {expected}: {ended.said}")
        self.final_names()
        self.one_charge_each()
        self.every_charge_accounted()
        self.rows_true(rows)
        self.key_nowhere(ended)
        if ended.code not in codes:
            self.no_part_files()

    def no_traceback(self, ended: Ended) -> None:
        """Whatever happens is told in words."""
        _, traceback, text = ended.stderr.partition("Traceback")
        self.hold(not traceback, f"a traceback: {text}")

    def final_names(self) -> None:
        """Nothing unfinished bears a final name."""
        for path in self._desk.directory.glob("videos/*"):
            if not path.name.startswith("."):
                wrong = whole_video(path) if path.suffix == ".mp4" else whole_picture(path)
                self.hold(not wrong, f"{path.name} bears a final name, but {wrong}")
        if (self._desk.directory / "results.csv").exists():
            names = [row["id"] for row in self._desk.rows()]
            self.hold(names == list(self._desk.tasks), f"results.csv has the rows {names}")

    def one_charge_each(self) -> None:
        """No task is charged twice."""
        for task in self._desk.tasks:
            charges = self._desk.gateway.charges_of(task)
            self.hold(len(charges) <= 1, f"{task} was charged {len(charges)} times")

    def every_charge_accounted(self, all_answered: bool = False) -> None:
        """Every charge has its row, or a task in doubt with its seed, or a line that named it.

        Where every submission was answered, doubt is not enough: the answer said what was charged.
        """
        rows = {row["id"]: row for row in self._desk.rows()}
        for charge in self._desk.gateway.charges():
            task = charge["prompt"].partition(" ")[0]
            row = rows.get(task, {})
            doubted = row.get("state") == "in_doubt" and row["seed"] == str(charge["seed"])
            named = charge["remote_id"] in self._said
            kept = (doubted and not all_answered) or named or row.get("remote_id") == charge["remote_id"]
            self.hold(kept, f"the charge {charge['remote_id']} of {task} is in no row: {row}")

    def rows_true(self, rows: list[Row]) -> None:
        """What a row says of files and seeds is so."""
        known = {charge["remote_id"]: charge for charge in self._desk.gateway.charges()}
        for row in rows:
            if row["remote_id"]:
                charge = known.get(row["remote_id"], {})
                self.hold(
                    str(charge.get("seed")) == row["seed"], f"the book knows {charge} for the row {row}"
                )
            if row["state"] != "done":
                self.hold(not row["file_name"], f"a file is named before it is done: {row}")
                continue
            path = self._desk.directory / row["file_name"]
            self.hold(path.is_file(), f"{row['file_name']} is done, and there is no file")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.hold(digest == row["sha256"], f"{row['file_name']} is not the file of its row")

    def no_part_files(self) -> None:
        """A run that ended in order leaves nothing half-way."""
        left = [path.name for path in self._desk.directory.rglob("*.part")]
        self.hold(not left, f"left over: {left}")

    def key_nowhere(self, ended: Ended) -> None:
        """The key stands in no file and nothing that was said."""
        self.hold(KEY not in ended.said, "the key was printed")
        for path in self._desk.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.hold(KEY.encode() not in path.read_bytes(), f"the key stands in {path.name}")

    def ledger_whole(self) -> None:
        """SQLite finds nothing wrong with the ledger; asked of a copy, so that nothing is mended."""
        if not (self._desk.directory / "ledger.sqlite").exists():
            return
        with tempfile.TemporaryDirectory() as folder:
            for path in self._desk.directory.glob("ledger.sqlite*"):
                shutil.copy(path, folder)
            with closing(sqlite3.connect(Path(folder) / "ledger.sqlite")) as db:
                said = db.execute("PRAGMA integrity_check").fetchall()
        self.hold(said == [("ok",)], f"integrity_check says {said}")

    def at_the_end(self) -> None:
        """All is done: one charge and one video each, as served; and there is nothing more to do."""
        desk = self._desk
        for row in desk.rows():
            (charge,) = desk.gateway.charges_of(row["id"]) or [{"remote_id": ""}]
            self.hold(row["state"] == "done" and row["remote_id"] == charge["remote_id"], f"the end is {row}")
            asked = desk.tasks[row["id"]].get("metadata", {})
            self.hold(bool(row["last_frame_file"]) or not asked, f"the last frame is missing: {row}")
        requests = desk.gateway.requests()
        again = desk.run()
        self.after_end(again, 0)
        self.hold(desk.gateway.requests() == requests, "a finished run made requests")
        for row in desk.rows():
            video = (desk.directory / row["file_name"]).read_bytes()
            self.hold(video == desk.gateway.served(row["remote_id"]), f"{row['id']} is not what was served")
        results = desk.directory / "results.csv"
        before = results.read_bytes()
        results.unlink()
        anew = desk.do("results", desk.directory.name)
        self.hold(anew.code == 0 and results.read_bytes() == before, f"results.csv is another: {anew.said}")
        self.no_part_files()
