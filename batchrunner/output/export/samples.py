"""Makes one shard from the videos chosen for it.

The same videos make the same bytes, wherever that is done: here, or by a worker of a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from batchrunner.output.export.localising import Localise
from batchrunner.output.export.videos import Unusable, VideoFile
from batchrunner.storage.files import part_of


@dataclass(frozen=True, slots=True)
class Sample:
    """A video of a shard with its row."""

    name: str
    """Its name in the set, without an ending."""
    file: VideoFile
    row: Mapping[str, object]
    """Its values in the columns of every dataset."""
    labels: Mapping[str, str]


class OpenShard(Protocol):
    """A shard that is being written, under a temporary name."""

    def add(self, sample: Sample) -> None:
        """Add a video that is on this machine.

        Raises:
            Unusable: it is not the video that was verified; the shard is as before.
        """

    def close(self) -> tuple[int, str]:
        """Complete the shard, durably; return its size in bytes, and its SHA-256."""


class ShardFormat(NamedTuple):
    """A format whose files are shards."""

    suffix: str
    open: Callable[[Path], OpenShard]
    """Creates a shard."""
    size: Callable[[Sample], int]
    """About how many bytes of a shard a video takes. No file is looked at."""
    header: Callable[[], str]
    """Lines for the header of the card, about what the columns are."""
    library: str = ""
    """What writes the files, with its version: another one may write other bytes."""


@dataclass(frozen=True, slots=True)
class MadeShard:
    """A complete shard under a temporary name, in the folder of its set."""

    part: Path
    size: int
    sha256: str
    unusable: Mapping[int, Unusable]
    """By their numbers, samples that are not in it."""


class MakesShards(Protocol):
    """Makes shards: here, or on a cluster."""

    at_once: int
    """How many to make at the same time."""

    def working(self) -> AbstractAsyncContextManager[object]:
        """What must be entered before shards are made, while the folder of the set is open."""

    async def make(self, split: str, samples: Sequence[Sample]) -> MadeShard:
        """Make a shard of a split.

        Raises:
            StorageError: a bucket can't be read.
            OSError: the shard can't be written.
        """


class ShardsHere:
    """Makes shards on this machine, one after the other."""

    at_once = 1

    def __init__(self, folder: Path, form: ShardFormat, localise: Localise) -> None:
        self._folder, self._form, self._localise = folder, form, localise
        self._turn = asyncio.Lock()

    def working(self) -> AbstractAsyncContextManager[object]:
        """Nothing is needed."""
        return nullcontext()

    async def make(self, split: str, samples: Sequence[Sample]) -> MadeShard:
        """As `MakesShards.make`."""
        part, unusable = part_of(self._folder / split), dict[int, Unusable]()
        async with self._turn:  # they share the memory for copying
            try:
                shard = self._form.open(part)
                for number, sample in enumerate(samples):
                    try:
                        async with self._localise(sample.file) as file:
                            shard.add(replace(sample, file=file))
                    except Unusable as error:
                        unusable[number] = error
                    await asyncio.sleep(0)  # Ctrl-C is noticed here
                return MadeShard(part, *shard.close(), unusable)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
