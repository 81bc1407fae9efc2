"""Finds the videos to make again according to a verdicts.csv. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from batchrunner.core.errors import UsageError
from batchrunner.core.plan import folded, version_of
from batchrunner.core.problems import Problem
from batchrunner.core.text import count, shortened
from batchrunner.core.verdicts import Verdict, VideoVerdict, parsed, problem, refusal
from batchrunner.ledger import LedgerReader, TaskRecord
from batchrunner.ledger.history import file_names
from batchrunner.operations.overrides import WANTED_AGAIN, can_be_downloaded

_LONGEST = 60
"""Columns of a name in a message."""
_HINT = "make a new report, and save the verdicts again; or delete the row"


class Reason(StrEnum):
    """Why a rejected video is not made again."""

    NEWER_VERSION = "newer_version"
    ALREADY_REQUESTED = "already_requested"
    """A newer version is pending, in flight, or failed."""
    UNFINISHED = "unfinished"
    DOWNLOADABLE = "downloadable"
    """It is not collected yet, and can be, free of charge."""
    NOT_IN_MANIFEST = "not_in_manifest"
    """No run would submit it."""


_WORDS = {
    Reason.NEWER_VERSION: "with a newer version",
    Reason.ALREADY_REQUESTED: "with a new version already requested",
    Reason.UNFINISHED: "not finished",
    Reason.DOWNLOADABLE: "not downloaded yet (`batchrunner collect` is free)",
    Reason.NOT_IN_MANIFEST: "no longer in the manifest",
}


@dataclass(frozen=True, slots=True)
class SkippedVideo:
    """A rejected video that is not made again."""

    verdict: VideoVerdict
    reason: Reason


@dataclass(frozen=True, slots=True)
class Rejects:
    """What a verdicts.csv asks for in one run directory."""

    tasks: list[TaskRecord]
    """The tasks to make again, each once, in file order."""
    skipped: list[SkippedVideo]
    other_runs: int
    """How many rows are about other runs."""

    def skipped_in_words(self) -> str:
        """How many videos are skipped, and why; empty if none is."""
        numbers = Counter(one.reason for one in self.skipped)
        parts = [f"{numbers[reason]:,} {words}" for reason, words in _WORDS.items() if numbers[reason]]
        if self.other_runs:
            parts.append(f"{count(self.other_runs, 'row')} of other runs")
        return ", ".join(parts)


def read_verdicts(path: Path) -> tuple[VideoVerdict, ...]:
    """The rows of a verdicts.csv.

    Raises:
        UsageError: the file can't be read.
        ManifestError: it can't be used; all problems are named with their lines.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"can't read {path}: {error.strerror}", "pass the CSV file that was saved from the report"
        ) from error
    return parsed(data, str(path))


async def find_rejects(
    ledger: LedgerReader, verdicts: Sequence[VideoVerdict], file: str, now: float
) -> Rejects:
    """The rejected videos of this run, by what is to be done with them; `now` in Unix seconds.

    A verdict is about one version of a video. It asks for nothing once the task has, or is to have, another
    version: however often the same file is given, it pays for one new version of each video.

    Raises:
        UsageError: every row is about another run.
        ManifestError: a rejected video is not in the ledger.
    """
    run = await ledger.run_id()
    ours = [one for one in verdicts if one.run == run]
    if verdicts and not ours:
        raise UsageError(
            f"no row of {file} is about the run in {ledger.directory}",
            "pass the run directory that the report was made from",
        )
    rejected = {(one.fingerprint, one.file_name): one for one in ours if one.verdict is Verdict.REJECT}
    known, names = await ledger.standing(), await ledger.ask_history(file_names)
    problems: list[Problem] = []
    found = Rejects([], [], len(verdicts) - len(ours))
    for one in rejected.values():
        task = await ledger.task(one.fingerprint) if one.fingerprint in known else None
        if task is None or not await _is_version(ledger, task, one.file_name, names):
            problems.append(problem(file, one.line, _unknown(one, task), _HINT))
        elif reason := _reason_to_skip(task, one, now):
            found.skipped.append(SkippedVideo(one, reason))
        else:
            found.tasks.append(task)
    if problems:
        raise refusal(problems)
    return found


def unrecorded_versions(
    tasks: Iterable[TaskRecord], on_disk: frozenset[str], names: frozenset[str]
) -> list[TaskRecord]:
    """The tasks of which a newer version seems to lie in the run directory that the ledger doesn't know.

    `on_disk` are the paths of the videos, `folded`, and `names` all paths that the ledger knows.
    """
    newest: dict[str, int] = {}
    for name in on_disk - set(map(folded, names)):
        base, number = version_of(name)
        newest[base] = max(number, newest.get(base, 0))
    own = ((task, *version_of(folded(task.file_name))) for task in tasks)
    return [task for task, base, number in own if newest.get(base, 0) > number]


async def _is_version(ledger: LedgerReader, task: TaskRecord, file_name: str, names: frozenset[str]) -> bool:
    """Whether this is, or was, the name of the task's video; a rebuilt ledger knows only the newest one."""
    if task.file_name == file_name:
        return True
    if file_name not in names:
        (base, number), (own_base, own_number) = version_of(file_name), version_of(task.file_name)
        return base == own_base and number < own_number
    return any(attempt["file_name"] == file_name for attempt in await ledger.attempts(task.key))


def _unknown(verdict: VideoVerdict, task: TaskRecord | None) -> str:
    """What is wrong with a row whose video is not in the ledger."""
    if task is None:
        fingerprint = shortened(verdict.fingerprint, _LONGEST)
        return f"no task of this run has the fingerprint {fingerprint} ({shortened(verdict.id, _LONGEST)})"
    name = shortened(verdict.file_name, _LONGEST)
    return f"{name} is not a video of the task {shortened(task.id, _LONGEST)}"


def _reason_to_skip(task: TaskRecord, verdict: VideoVerdict, now: float) -> Reason | None:
    """Why a rejected video is not made again; None if it is."""
    is_finished = task.state in WANTED_AGAIN
    if task.file_name != verdict.file_name:
        return Reason.NEWER_VERSION if is_finished else Reason.ALREADY_REQUESTED
    if not is_finished:
        return Reason.UNFINISHED
    if task.position is None:
        return Reason.NOT_IN_MANIFEST
    return Reason.DOWNLOADABLE if can_be_downloaded(task, now) else None
