"""The promises, asked of the simulator's charge book and the disk: never of the tool's own ledger."""

from __future__ import annotations

from tests.harness import run_directory
from tests.harness.commands import Ended
from tests.harness.gateway import KEY
from tests.harness.run_directory import Row, exit_code_of
from tests.torture import needs
from tests.torture.budgets import over, room_left
from tests.torture.case_folder import CaseFolder


class Broken(Exception):
    """A promise was not kept; the text says which, and where."""


class Promises:
    """Checks a case against the promises, and counts the checks."""

    def __init__(self, desk: CaseFolder) -> None:
        self._desk, self.checked = desk, 0
        self.lost = 0
        """How many doubts a person declared lost: they hold their part of the budget."""
        self._printed = ""

    def hold(self, kept: object, what: str) -> None:
        """One promise."""
        self.checked += 1
        if not kept:
            raise Broken(what)

    def after_kill(self, ended: Ended) -> None:
        """Right after a SIGKILL, before anything else is done."""
        self._printed += ended.output
        self.final_names()
        self.one_charge_each()
        self.goes_on_with_what_is_done()
        self.within_budget()
        self.ledger_whole()
        self.key_nowhere(ended)

    def after_end(self, ended: Ended, *codes: int) -> None:
        """Right after a run that ended by itself; `codes` may stand in place of what the rows say."""
        self._printed += ended.output
        rows = self._desk.rows()
        self.no_crash(ended)
        expected = codes or (exit_code_of(rows),)
        self.hold(ended.code in expected, f"exit {ended.code}, not {expected}: {ended.output}")
        self.final_names()
        self.one_charge_each()
        self.goes_on_with_what_is_done()
        self.within_budget()
        self.every_charge_accounted()
        self.rows_true(rows)
        self.reasons_given(rows)
        self.key_nowhere(ended)
        if ended.code not in codes:
            self.no_part_files()

    def no_crash(self, ended: Ended) -> None:
        """Whatever happens, the command explains it in words."""
        self.hold(not ended.crash, f"a crash: {ended.crash}")

    def final_names(self) -> None:
        """Nothing unfinished has a final name."""
        damaged = run_directory.damaged_files(self._desk.directory)
        self.hold(not damaged, "; ".join(damaged))
        if (self._desk.directory / "results.csv").exists():
            names = [row["id"] for row in self._desk.rows()]
            self.hold(names == list(self._desk.tasks), f"results.csv has the rows {names}")

    def one_charge_each(self) -> None:
        """No task is charged twice."""
        for task in self._desk.tasks:
            charges = self._desk.gateway.charges(task)
            self.hold(len(charges) <= 1, f"{task} was charged {len(charges)} times")

    def goes_on_with_what_is_done(self) -> None:
        """Whatever was sent for a task that needs others is from their finished videos."""
        for task in self._desk.tasks:
            for charge in self._desk.gateway.charges(task):
                fault = needs.fault(self._desk, task, charge)
                self.hold(not fault, fault)

    def reasons_given(self, rows: list[Row]) -> None:
        """A task that waits for others says so, and no other task does."""
        states = {row["id"]: row["state"] for row in rows}
        for row in rows:
            undone = [one for one, _ in needs.of(self._desk.tasks[row["id"]]) if states[one] != "done"]
            waits = row["state"] == "pending" and bool(undone)
            self.hold(row["error_code"].startswith("need_") is waits, f"waiting for {undone}: {row}")

    def within_budget(self) -> None:
        """What is charged never exceeds the budget."""
        fault = over(self._desk.budget, self._desk.gateway.charges())
        self.hold(not fault, fault)

    def budget_used_up(self) -> None:
        """A run that ended for its budget could not have taken one more task."""
        fault = room_left(self._desk.budget, self._desk.gateway.charges(), self._desk.rows(), self.lost)
        self.hold(not fault, fault)

    def every_charge_accounted(self, all_answered: bool = False) -> None:
        """Every charge has its row, or a task in doubt with its seed, or a line that named it.

        Where every submission was answered, doubt is not enough: the answer said what was charged.
        """
        rows = {row["id"]: row for row in self._desk.rows()}
        for charge in self._desk.gateway.charges():
            task = charge["prompt"].partition(" ")[0]
            row = rows.get(task, {})
            doubted = row.get("state") == "in_doubt" and row["seed"] == str(charge["seed"])
            named = charge["remote_id"] in self._printed
            kept = (doubted and not all_answered) or named or row.get("remote_id") == charge["remote_id"]
            self.hold(kept, f"the charge {charge['remote_id']} of {task} is in no row: {row}")

    def rows_true(self, rows: list[Row]) -> None:
        """What each row says is borne out by the charge book and the disk."""
        charges = self._desk.gateway.charges()
        for row, fault in run_directory.false_rows(self._desk.directory, rows, charges):
            self.hold(not fault, f"{fault}: {row}")

    def no_part_files(self) -> None:
        """A run that ended in an orderly way leaves nothing half-written."""
        left = [path.name for path in run_directory.part_files(self._desk.directory)]
        self.hold(not left, f"left over: {left}")

    def key_nowhere(self, ended: Ended) -> None:
        """The key is in no file and in nothing that was printed."""
        self.hold(KEY not in ended.output, "the key was printed")
        found = run_directory.files_with(KEY, self._desk.folder)
        self.hold(not found, f"the key is in {found}")

    def ledger_whole(self) -> None:
        """SQLite finds nothing wrong with the ledger."""
        fault = run_directory.ledger_fault(self._desk.directory)
        self.hold(not fault, fault)

    def at_the_end(self) -> None:
        """All is done: one charge and one video each, as served; and there is nothing more to do."""
        desk = self._desk
        for row in desk.rows():
            (charge,) = desk.gateway.charges(row["id"]) or [{"remote_id": ""}]
            self.hold(row["state"] == "done" and row["remote_id"] == charge["remote_id"], f"the end is {row}")
            asked = desk.tasks[row["id"]].get("metadata", {}).get("return_last_frame")
            self.hold(bool(row["last_frame_file"]) or not asked, f"the last frame is missing: {row}")
        requests = desk.gateway.requests()
        again = desk.run()
        self.after_end(again, 0)
        self.hold(desk.gateway.requests() == requests, "a finished run made requests")
        for row in desk.rows():
            video = (desk.directory / row["file_name"]).read_bytes()
            self.hold(video == desk.gateway.video(row["remote_id"]), f"{row['id']} is not what was served")
        results = desk.directory / "results.csv"
        before = results.read_bytes()
        results.unlink()
        anew = desk.do("results", desk.directory.name)
        self.hold(anew.code == 0 and results.read_bytes() == before, f"results.csv is another: {anew.output}")
        self.no_part_files()
