"""What a person does after a run was ended: the same command again, and a word for each task in doubt."""

from __future__ import annotations

import re
import time

from tests.harness.commands import Ended
from tests.torture.case_folder import CaseFolder
from tests.torture.promises import Promises

RESUMES = 8
"""So often the same command is given, before the case counts as one that never ends."""
LATE = 0.4
"""Seconds after which no charge comes any more in any scenario, so that a person can be sure."""
UNFINISHED = 75
_FOR_BUDGET = "raise budget."
_RECOVERY = re.compile(r"batchrunner resolve DIR (\S+) --adopt (task_\w+)")


class Person:
    """Sees a case through to its end."""

    def __init__(self, desk: CaseFolder, promises: Promises) -> None:
        self.desk, self.promises = desk, promises
        self.endings: list[int] = []
        """The exit codes of the resumes."""

    def sees_it_through(self) -> None:
        """Resume until all is done, settle every doubt on the way, and hold the end against the promises."""
        for _ in range(RESUMES):
            ended = self.desk.run()
            self.endings.append(ended.code)
            self.promises.after_end(ended)
            if ended.code == 0:
                self.promises.at_the_end()
                return
            if ended.code == UNFINISHED and _FOR_BUDGET in ended.output:
                self.promises.budget_used_up()
                self.desk.lift_budget()
            self.settles_doubts()
        left = [(row["id"], row["state"], row["error_message"]) for row in self.desk.rows()]
        self.promises.hold(False, f"not done after {RESUMES} resumes: {left}")

    def settles_doubts(self) -> None:
        """Look every task in doubt up in the charge book, by its seed."""
        time.sleep(LATE)
        for row in self.desk.rows():
            if row["state"] != "in_doubt":
                continue
            verdict = self.desk.verdict(row)
            self.promises.lost += "--lost" in verdict
            ended = self.desk.do("resolve", self.desk.directory.name, row["id"], *verdict)
            self.promises.hold(ended.code == 0, f"resolve {row['id']} {verdict}: {ended.output}")

    def has_results_written(self) -> None:
        """After an error of the disk, which is mended now: bring results.csv up to date."""
        if self.desk.gateway.charges():
            anew = self.desk.do("results", self.desk.directory.name)
            self.promises.hold(anew.code == 0, f"after the disk was mended: {anew.output}")

    def does_what_was_said(self, ended: Ended) -> None:
        """Do what each recovery line says: adopt the answer that could not be written down."""
        for task, remote_id in dict.fromkeys(_RECOVERY.findall(ended.output)):
            known = [charge["remote_id"] for charge in self.desk.gateway.charges(task)]
            self.promises.hold(
                remote_id in known, f"{remote_id} was printed for {task}; the book has {known}"
            )
            adopted = self.desk.do("resolve", self.desk.directory.name, task, "--adopt", remote_id)
            # The answer may have reached the disk after all, though nobody was told so.
            there = [row for row in self.desk.rows() if row["remote_id"] == remote_id]
            self.promises.hold(adopted.code == 0 or there, f"the recovery line: {adopted.output}")
