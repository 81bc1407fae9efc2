"""Finds the films of run directories: shots that continue each other, and has them joined."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from batchrunner.core.errors import ExitCode
from batchrunner.core.films import Shot, chains, continued, jumps, reason_not_made
from batchrunner.core.model import TaskKey
from batchrunner.core.plan import folded
from batchrunner.core.states import TaskState
from batchrunner.ledger import FinishedVideo, LedgerReader, ResultRows
from batchrunner.operations.export import Choice
from batchrunner.operations.shots import shot_of
from batchrunner.output.export.film import FilmWriter
from batchrunner.output.export.localising import Localise, localising
from batchrunner.output.export.rows import Clip, clip_of, plain_name
from batchrunner.output.export.videos import Unusable


@dataclass(frozen=True, slots=True)
class Jump:
    """A shot of a film that was made from an earlier version of the one before it."""

    film: str
    """The ID of the film's last shot."""
    shot: str
    after: str


@dataclass(slots=True)
class Filmed:
    """What an export of films did."""

    films: int = 0
    """In the folder, with those of earlier exports."""
    new: list[str] = field(default_factory=list)
    """The names of the files of those that were added."""
    duplicates: int = 0
    """Films that an earlier run directory has, too."""
    rejected: int = 0
    """Films with a shot that a person has rejected."""
    rejected_since: int = 0
    """Those of them that are in the folder from an earlier export."""
    jumps: list[Jump] = field(default_factory=list)
    """In the films that are in the folder."""
    skipped: dict[TaskKey, tuple[Path, str, str]] = field(default_factory=dict)
    """By the fingerprint of the last shot, films that could not be made: run directory, ID and reason."""

    @property
    def exit_code(self) -> ExitCode:
        """1 if a film could not be made."""
        return ExitCode.FAILED if self.skipped else ExitCode.DONE


@dataclass(frozen=True, slots=True)
class _Film:
    """The shots of a film, in order."""

    key: TaskKey
    """The fingerprint of the last one."""
    id: str
    shots: list[Shot]
    clips: list[Clip]
    reason: str
    """Why it can't be made; then, shots may be missing."""

    @property
    def name(self) -> str:
        """Its name, which other films may have, too."""
        return folded(plain_name(self.id))


async def make_films(directories: Sequence[Path], choice: Choice, writer: FilmWriter) -> Filmed:
    """Make the films whose last shot was chosen, in the folder of `writer`, which is open.

    Raises:
        StorageError: the disk returned an error.
    """
    done = Filmed()
    films = [(directory, film) for directory in directories for film in await _films(directory, choice)]
    names = Counter(name for name, _ in {(film.name, film.key) for _, film in films})
    seen: set[TaskKey] = set()
    with localising() as localise:
        for directory, film in films:
            if film.key in seen:
                done.duplicates += 1
            elif any(clip.version in choice.rejected for clip in film.clips):
                done.rejected += 1
                done.rejected_since += writer.has(film.clips)
            elif await _make(film, directory, localise, names[film.name] == 1, writer, done):
                seen.add(film.key)
                done.skipped.pop(film.key, None)  # another run directory has it
            await asyncio.sleep(0)  # Ctrl-C is noticed here
    done.films = writer.finish()
    return done


async def _make(
    film: _Film, directory: Path, localise: Localise, is_only: bool, writer: FilmWriter, done: Filmed
) -> bool:
    """Make a film unless it is there; return whether it is there now.

    `is_only` says whether no other film of this export would have the same name.
    """
    reason = film.reason
    if not reason and not writer.has(film.clips):
        try:
            async with AsyncExitStack() as stack:
                files = [await stack.enter_async_context(localise(clip.file)) for clip in film.clips]
                clips = [replace(clip, file=file) for clip, file in zip(film.clips, files, strict=True)]
                done.new.append(writer.add(clips, is_only))
        except Unusable as error:
            reason = str(error)
    if reason:
        done.skipped.setdefault(film.key, (directory, film.id, reason))
        return False
    done.jumps += [Jump(film.id, shot, before) for shot, before in jumps(film.shots)]
    return True


async def _films(directory: Path, choice: Choice) -> list[_Film]:
    """The chosen films of a run directory, as its ledger is now."""
    async with LedgerReader.open_existing(directory) as ledger:
        binding, run_id, place = await ledger.binding(), await ledger.run_id(), directory.absolute()

        def clip(video: FinishedVideo) -> Clip:
            return clip_of(video, place, binding.videos, binding.name, run_id)

        return await ledger.read_results(
            lambda rows: list(_read(rows, choice.keys, clip)), choice.planned_only
        )


def _read(
    rows: ResultRows, chosen: frozenset[TaskKey] | None, clip: Callable[[FinishedVideo], Clip]
) -> Iterator[_Film]:
    """The films whose last shot is one of those chosen, in the order in which these entered the ledger."""
    tasks = rows.with_needs()
    links = {key: before for key, _, request in tasks if (before := continued(request))}
    wanted = frozenset(key for key, is_wanted, _ in tasks if is_wanted)
    found = [keys for keys in chains(links, wanted) if chosen is None or keys[-1] in chosen]
    videos = rows.of_tasks(frozenset(chain.from_iterable(found)))
    first_done = rows.first_done(videos.keys())
    shots = {key: shot_of(video, first_done.get(key)) for key, video in videos.items()}
    for keys in found:
        reason, last = reason_not_made(keys, shots), shots[keys[-1]]
        is_there = [key for key in keys if key in videos]
        clips = [clip(videos[key]) for key in is_there if shots[key].state == TaskState.DONE]
        yield _Film(last.key, last.id, [shots[key] for key in is_there], clips, reason)
