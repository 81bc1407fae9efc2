"""The gate for kinds of tasks of which no video has been seen yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from batchrunner.core.errors import ExitCode
from batchrunner.core.kinds import Kind
from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import Accepted, SubmitOutcome, Unknown
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Situation, Stop
from batchrunner.core.submission.gate import Gate

FROM = 20
"""With so many tasks of a kind in the plan, the first ones are canaries."""
MOST_OUT = 2
"""How many canaries of a kind may be out at once."""
NAMED = 3
"""How many kinds the reason for a stop names."""


class CanaryGate(Gate):
    """Lets at most two tasks of a watched kind be out until one has come back as requested.

    One is out from its submission until its video is verified. If it is not what was requested, no more tasks
    of the kind are submitted in this run. One that failed makes room for another; one in doubt,
    or paid for and not downloaded, does not.
    """

    def __init__(self) -> None:
        self._watched: set[Kind] = set()
        self._proven: set[Kind] = set()
        self._out: dict[TaskKey, Kind] = {}
        self._counts: dict[Kind, int] = {}
        self._uncollected: dict[Kind, int] = {}
        self._wrong: dict[Kind, str] = {}
        """What came instead of what was requested."""
        self._told: set[Kind] = set()

    def watch(self, planned: Mapping[Kind, int]) -> None:
        """Watch the kinds of which the plan has many tasks, unless one has come back."""
        many = {kind for kind, number in planned.items() if number >= FROM}
        self._watched |= many - self._proven

    def news(self) -> list[str]:
        """What stopped each kind, once."""
        fresh = [kind for kind in self._wrong if kind in self._watched and kind not in self._told]
        self._told.update(fresh)
        return [f"no more tasks of this kind are submitted ({kind}): {self._wrong[kind]}" for kind in fresh]

    def proved(self, kind: Kind) -> None:
        """A video of this kind came back as requested, in this run or an earlier one."""
        self._proven.add(kind)
        self._watched.discard(kind)

    def is_proven(self, kind: Kind) -> bool:
        """Whether a video of this kind has come back as requested."""
        return kind in self._proven

    def wrong(self, kind: Kind, what: str) -> None:
        """A video of this kind came back, and differs from its request."""
        self._wrong.setdefault(kind, what)

    def overdue(self, key: TaskKey) -> bool:
        """This task has not come back by its deadline; return whether others have waited for it."""
        is_canary = self._out.get(key) in self._watched
        self.back(key)
        return is_canary

    def out(self, key: TaskKey, kind: Kind) -> None:
        """This task is out, from this run or an earlier one."""
        if key not in self._out and kind not in self._proven:
            self._out[key] = kind
            self._counts[kind] = self._counts.get(kind, 0) + 1

    def back(self, key: TaskKey) -> None:
        """This task is not out any more."""
        if kind := self._out.pop(key, None):
            self._counts[kind] -= 1

    def uncollected(self, key: TaskKey, what: str) -> None:
        """The video of this task can't be had: it stays out, and a second one stops the kind."""
        if (kind := self._out.get(key)) is None:
            return
        self._uncollected[kind] = self._uncollected.get(kind, 0) + 1
        if self._uncollected[kind] >= MOST_OUT:
            self.wrong(kind, what)

    def submitted(self, task: Waiting, probe: bool) -> None:
        self.out(task.key, task.kind)

    def withdrawn(self, task: Waiting) -> None:
        self.back(task.key)

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, Accepted | Unknown):  # what may have been accepted may be charged
            self.out(task.key, task.kind)
        else:
            self.back(task.key)

    def allows(self, kind: Kind, now: float) -> bool:
        if kind not in self._watched:
            return True
        return not self.is_stopped(kind) and self._counts.get(kind, 0) < MOST_OUT

    def reason(self, kind: Kind, now: float) -> str:
        if self.allows(kind, now):
            return ""
        if self.is_stopped(kind):
            return f"{kind}: stopped, because a video differs from its request: {self._wrong[kind]}"
        return f"waiting for the first video of {kind}"

    def is_stopped(self, kind: Kind) -> bool:
        """Whether no more tasks of this kind are submitted in this run."""
        return kind in self._watched and kind in self._wrong

    def stopped(self, kinds: Collection[Kind]) -> Stop | None:
        """The stop if no task of these kinds, the only ones left, may be submitted any more."""
        wrong = [self._wrong[kind] for kind in sorted(kinds) if self.is_stopped(kind)]
        if not wrong or len(wrong) < len(kinds):
            return None
        more = f"; and {len(wrong) - NAMED} more kinds" if len(wrong) > NAMED else ""
        return Stop(
            f"the first videos are not what was requested: {'; '.join(wrong[:NAMED])}{more}",
            "change the request or ask the gateway's operator; the next run submits up to two tasks of each "
            "kind to check again; `canary: false` under `run` accepts such videos",
            ExitCode.FAILED,
        )
