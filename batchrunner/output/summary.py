"""A run's summary and exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.core.errors import ExitCode
from batchrunner.core.file_names import RESULTS_NAME, VIDEOS
from batchrunner.core.states import TaskState
from batchrunner.core.submission.decision import Stop
from batchrunner.core.summary import UNFINISHED, PriceSeen, Spent


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run."""

    directory: Path
    """The run directory."""
    counts: Mapping[TaskState, int]
    """Planned tasks by state."""
    blocked: Mapping[str, int] = field(default_factory=dict)
    """Why pending ones can't go on until the user does something, and how many for each reason."""
    stop: Stop | None = None
    """What stopped submission for good, if anything."""
    signal: int = 0
    """The signal that ended the run, or 0."""
    storage: str = ""
    """What could not be written, if anything."""
    spent: Spent = field(default_factory=Spent)
    """On all attempts in the ledger."""
    prices: tuple[PriceSeen, ...] = ()
    """The gateway's own prices, as far as it shows them."""
    own_prices: frozenset[str] = frozenset()
    """The models whose price the manifest gives."""
    accounts: Mapping[str, Mapping[TaskState, int]] = field(default_factory=dict)
    """The tasks of each account by state; empty if accounts have no names."""
    idle: bool = False
    """There was nothing to do; no request was made."""
    missing: int = 0
    """Files of finished videos that were to be downloaded again but could not be."""
    mistaken: bool = False
    """The user's input is wrong: what was paid for was collected, and nothing was submitted."""
    notices: tuple[str, ...] = ()
    """What the user was to know before it began, such as which tasks it paid for again."""
    videos_url: str = ""
    """Where the videos are stored; empty for the run directory."""
    tasks: Sequence[Mapping[str, object]] = ()
    """The rows of results.csv, where whoever started the run wants them."""

    @property
    def videos(self) -> Path:
        """The folder of the videos, unless they are stored at `videos_url`."""
        return self.directory / VIDEOS

    @property
    def results(self) -> Path:
        """The table with one row for each task: results.csv."""
        return self.directory / RESULTS_NAME

    @property
    def blocked_tasks(self) -> int:
        """How many tasks can't go on."""
        return sum(self.blocked.values())

    @property
    def unfinished(self) -> bool:
        """Whether another run would go on with tasks, without a decision of the user."""
        return sum(self.counts.get(state, 0) for state in UNFINISHED) > self.blocked_tasks

    @property
    def exit_code(self) -> int:
        """The first of these that applies: stopped by a signal (128 + its number), 5 storage, 2 mistaken,
        4 account, 2 an outdated ledger, 3 in doubt, 75 unfinished, 1 failed, uncollected, blocked, 0 done.

        A mistake takes precedence over how far collecting got: until it is fixed, the same command submits
        nothing.

        After a stop because of rejections, the remaining tasks need the user (1), not another run (75).
        """
        if self.signal:
            return 128 + self.signal
        if self.storage or (self.stop and self.stop.exit_code == ExitCode.STORAGE):
            return ExitCode.STORAGE
        if self.mistaken:
            return ExitCode.USAGE
        if self.stop and self.stop.exit_code == ExitCode.ACCOUNT:
            return ExitCode.ACCOUNT
        if self.stop and self.stop.exit_code == ExitCode.USAGE:
            return ExitCode.USAGE
        if self.counts.get(TaskState.IN_DOUBT):
            return ExitCode.IN_DOUBT
        if self.stop and self.stop.exit_code == ExitCode.FAILED:
            return ExitCode.FAILED
        if self.unfinished:
            return ExitCode.UNFINISHED
        ended_badly = self.counts.get(TaskState.FAILED) or self.counts.get(TaskState.UNCOLLECTED)
        # What a blocked task needs may have failed outside of the run's selection.
        if ended_badly or self.blocked or self.missing:
            return ExitCode.FAILED
        return ExitCode.DONE
