"""One case from its name to its end. A name holds all that is needed to play the case again."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.fork_server import ForkServer
from tests.harness.gateway import SimulatedGateway
from tests.harness.object_storage import serving_files, variables
from tests.harness.run_directory import exit_code_of
from tests.torture.budgets import budget_of
from tests.torture.case_folder import CaseFolder
from tests.torture.moments import by_chance, scenario_of, signalled, tasks_of
from tests.torture.person import Person
from tests.torture.points import FAILING, OURS, TARGETS, error_points, kill_points
from tests.torture.promises import Promises
from tests.torture.situations import SITUATIONS
from tests.torture.tracing import Moment, failed_at, killed_at, recorded

BY_CHANCE = ("chance", "signal")
KILLING = ("kill/", "chance/")
"""How the names of cases begin in which the blows are SIGKILLs."""
STORAGE = 5
"""The exit code of a run that the disk has ended."""


@dataclass
class Outcome:
    """What came of a case."""

    name: str
    hits: int = 0
    """SIGKILLs, or other signals, or calls that were made to fail."""
    endings: list[int] = field(default_factory=list)
    checked: int = 0
    wrong: str = ""
    """Which promise was not kept, or what else went wrong."""
    folder: Path | None = None
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        """The first words of the name: `kill/fresh`, `error/fresh`, `chance` or `signal`."""
        what, *words = self.name.split("/")
        return what if what in BY_CHANCE else f"{what}/{words[0]}"

    @property
    def kills(self) -> int:
        """How many SIGKILLs have hit."""
        return self.hits if self.name.startswith(KILLING) else 0


class Stage:
    """Where cases are played, each in a folder of its own."""

    def __init__(self, home: Path, fork_server: ForkServer) -> None:
        self.home, self._fork_server = home, fork_server

    def play(self, name: str) -> Outcome:
        """Play a case; whatever goes wrong stands in the outcome."""
        outcome, began = Outcome(name), time.monotonic()
        folder = self.home / name.replace("/", "-")
        try:
            folder.mkdir()
            self._play(folder, outcome)
        except Exception as error:
            outcome.wrong = f"{type(error).__name__}: {error}"
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        outcome.folder, outcome.seconds = folder, time.monotonic() - began
        return outcome

    def points(self, kind: str) -> list[str]:
        """The names of all cases of a kind that kills or fails at system calls, in the order of the run."""
        what, situation = kind.split("/")
        folder = self.home / f"record-{what}-{situation}"
        folder.mkdir()
        with (
            self._gateway(folder, SITUATIONS[situation].scenario) as gateway,
            self._storage(situation) as storage,
        ):
            tasks = SITUATIONS[situation].tasks
            desk = CaseFolder(folder, self._fork_server, gateway, tasks, storage=storage)
            arguments = SITUATIONS[situation].prepare(desk)
            calls, _ = recorded(desk, arguments, list(TARGETS) if what == "kill" else FAILING)
        return (kill_points if what == "kill" else error_points)(situation, calls)

    def _gateway(self, folder: Path, scenario: Mapping[str, Any]) -> SimulatedGateway:
        return SimulatedGateway(folder / "gateway", self._fork_server).start(**scenario)

    @contextmanager
    def _storage(self, situation: str) -> Iterator[dict[str, str]]:
        """The variables of a storage in which the folder of each case is a bucket; none if not needed."""
        if not SITUATIONS[situation].is_stored:
            yield {}
            return
        with serving_files(self.home) as url:
            yield variables(url)

    def _play(self, folder: Path, outcome: Outcome) -> None:
        what, *words = outcome.name.split("/")
        scenario = scenario_of(int(words[0])) if what in BY_CHANCE else SITUATIONS[words[0]].scenario
        storing = nullcontext[dict[str, str]]({}) if what in BY_CHANCE else self._storage(words[0])
        with self._gateway(folder, scenario) as gateway, storing as storage:
            tasks = tasks_of(int(words[0])) if what in BY_CHANCE else SITUATIONS[words[0]].tasks
            budget = budget_of(int(words[0]), tasks) if what in BY_CHANCE else {}
            desk = CaseFolder(folder, self._fork_server, gateway, tasks, budget, storage)
            person = Person(desk, Promises(desk))
            try:
                outcome.hits = _KINDS[what](person, words)
                person.sees_it_through()
            finally:
                outcome.endings, outcome.checked = person.endings, person.promises.checked


def _kill(person: Person, words: Sequence[str]) -> int:
    """SIGKILL before or after one system call."""
    situation, call, place, side = words
    number, rank = map(int, place.split("."))
    arguments = SITUATIONS[situation].prepare(person.desk)
    moment = Moment(call, TARGETS[call], number, rank, after=side == "after")
    hit, ended = killed_at(person.desk, arguments, moment)
    person.promises.after_kill(ended)
    return int(hit)


def _error(person: Person, words: Sequence[str]) -> int:
    """One system call fails, or from then on all; the run may end for it, but not forget anything."""
    situation, call, number, error, how = words
    desk, promises = person.desk, person.promises
    arguments = SITUATIONS[situation].prepare(desk)
    failed, ended = failed_at(desk, arguments, call, int(number), error, from_then_on=how == "on")
    promises.after_kill(ended)
    in_order = all(re.search(OURS, text) for text in failed)  # else a file of Python's own was not opened
    if in_order:
        promises.no_crash(ended)
        expected = (STORAGE, exit_code_of(desk.rows()))
        promises.hold(ended.code in expected, f"exit {ended.code}, not {expected}: {ended.output}")
    person.has_results_written()
    promises.every_charge_accounted(all_answered=in_order)
    person.does_what_was_said(ended)
    return len(failed)


_KINDS: Mapping[str, Callable[[Person, Sequence[str]], int]] = {
    "kill": _kill,
    "error": _error,
    "chance": by_chance,
    "signal": signalled,
}
