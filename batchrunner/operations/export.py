"""Chooses the finished videos of run directories, and adds them to a dataset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.core.errors import ExitCode, UsageError
from batchrunner.core.model import TaskKey
from batchrunner.core.selection import select
from batchrunner.core.verdicts import Verdict
from batchrunner.ledger import LedgerReader, NamedTask
from batchrunner.operations.verdicts import read_verdicts
from batchrunner.output.export.format import SetWriter
from batchrunner.output.export.rows import Clip, clip_of
from batchrunner.output.export.videos import Unusable

AT_ONCE = 500
"""Rows read together. No read lasts longer: it would keep a run from tidying up its ledger."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which finished videos go into a set."""

    keys: frozenset[TaskKey] | None
    """The fingerprints of their tasks; None for all."""
    planned_only: bool
    """Whether to leave out tasks no longer in the manifest."""
    rejected: frozenset[tuple[str, str, str]] = frozenset()
    """Videos that a person has rejected: the ID of their run, fingerprint and file name."""


@dataclass(slots=True)
class Exported:
    """What an export did."""

    videos: int = 0
    """In the set, with those of earlier exports."""
    added: int = 0
    duplicates: int = 0
    """Videos of a request that an earlier run directory has, too."""
    remade: int = 0
    """Videos that were made again after they were exported; the set keeps the earlier ones."""
    rejected: int = 0
    """Videos that were left out because a person has rejected them."""
    rejected_since: int = 0
    """Rejected videos that are in the set from an earlier export."""
    skipped: dict[str, tuple[Path, str]] = field(default_factory=dict)
    """By fingerprint, the videos that are not what the ledger says, and why."""

    @property
    def exit_code(self) -> ExitCode:
        """1 if a video that should be in the set is not."""
        return ExitCode.FAILED if self.skipped else ExitCode.DONE


async def choose(
    directories: Sequence[Path], where: Sequence[str], planned_only: bool, verdicts: Path | None = None
) -> Choice:
    """The choice of tasks that match an entry of `where`, as `--only` does, or of all if it is empty.

    Videos that were rejected according to the file `verdicts` are left out.

    Raises:
        UsageError: a ledger or the verdicts can't be used, or an entry matches no task.
    """
    rows = read_verdicts(verdicts) if verdicts else ()
    runs: set[str] = set()
    tasks: dict[str, NamedTask] = {}
    for directory in directories:
        async with LedgerReader.open_existing(directory) as ledger:
            named = await ledger.read_results(lambda rows: rows.named(), planned_only) if where else []
            tasks = {task.key: task for task in named} | tasks
            runs.add(await ledger.run_id())
    if rows and runs.isdisjoint(row.run for row in rows):
        raise UsageError(
            f"no row of {verdicts} is about these runs", "pass the run directories that were judged"
        )
    keys = select(list(tasks.values()), where, option="--where", place="of these runs")
    rejected = (row for row in rows if row.verdict is Verdict.REJECT)
    return Choice(
        keys, planned_only, frozenset((row.run, row.fingerprint, row.file_name) for row in rejected)
    )


async def export(directories: Sequence[Path], choice: Choice, writer: SetWriter) -> Exported:
    """Add the chosen videos to the set of `writer`, which is open.

    Raises:
        StorageError: the disk returned an error, or a bucket can't be read.
    """
    done = Exported()
    seen: set[str] = set()  # one directory alone has no duplicates, and there may be a million videos
    remember: Callable[[str], None] = seen.add if len(directories) > 1 else lambda key: None
    async with aclosing(_clips(directories, choice)) as clips:
        async for clip in clips:
            key = clip.fingerprint
            if clip.version in choice.rejected:
                done.rejected += 1
                done.rejected_since += writer.hashes.get(key) == clip.file.sha256
            elif key in seen:
                done.duplicates += 1
            elif key in writer.hashes:
                remember(key)
                done.remade += writer.hashes[key] != clip.file.sha256
            elif await _is_added(clip, writer, done):
                remember(key)
    await _replace_unusable(directories, choice, writer, done)
    done.videos = writer.finish()
    return done


async def _is_added(clip: Clip, writer: SetWriter, done: Exported) -> bool:
    """Add a video; return whether it seems to be usable."""
    key = clip.fingerprint
    try:
        await writer.add(clip)
    except Unusable as error:
        done.skipped.setdefault(key, (clip.file.path, str(error)))
        return False
    await asyncio.sleep(0)  # Ctrl-C is noticed here
    done.skipped.pop(key, None)  # another run directory has it
    done.added += 1
    return True


async def _replace_unusable(
    directories: Sequence[Path], choice: Choice, writer: SetWriter, done: Exported
) -> None:
    """Complete the set; videos that turn out to be unusable are taken from other run directories."""
    tried = set[Path]()
    while unusable := await writer.settle():
        done.added -= len(unusable)
        tried |= {path for path, _ in unusable.values()}
        for key, found in unusable.items():
            done.skipped.setdefault(key, found)
        if len(directories) == 1:
            return
        async with aclosing(_clips(directories, choice)) as clips:
            async for clip in clips:
                is_wanted = clip.fingerprint in unusable and clip.fingerprint in done.skipped
                if is_wanted and clip.file.path not in tried and clip.version not in choice.rejected:
                    done.duplicates -= await _is_added(clip, writer, done)


async def labels_of(directories: Sequence[Path], planned_only: bool) -> list[str]:
    """The names of all labels, in order of first appearance."""
    names: dict[str, None] = {}
    for directory in directories:
        async with LedgerReader.open_existing(directory) as ledger:
            names |= dict.fromkeys(await ledger.read_results(lambda rows: rows.labels(), planned_only))
    return list(names)


async def _clips(directories: Sequence[Path], choice: Choice) -> AsyncGenerator[Clip, None]:
    """The chosen videos that are done, in the order in which their tasks entered the ledgers."""
    for directory in directories:
        async with LedgerReader.open_existing(directory) as ledger:
            binding, run_id = await ledger.binding(), await ledger.run_id()
            number, place = 0, directory.absolute()
            begins = await ledger.read_results(lambda rows: rows.beginnings(), choice.planned_only)
            while videos := await ledger.read_results(
                lambda rows, after=number: rows.finished(after, AT_ONCE),  # type: ignore[misc]
                choice.planned_only,
            ):
                number = videos[-1].number
                for video in videos:
                    if choice.keys is None or video.row.key in choice.keys:
                        # A chain isn't divided: each shot shows the last frame of the one before.
                        begin = begins.get(TaskKey(video.row.key), video.first)
                        first = video._replace(first=begin)
                        yield clip_of(first, place, binding.videos, binding.name, run_id)
