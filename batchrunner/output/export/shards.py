"""A set in shards: files of many videos each, which are never written again; a grown set has more of them.

Which videos make a shard is decided before any of them is read, so that shards can be made elsewhere, several
at once. They are added to the set in the order in which they were begun.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from batchrunner.output.export.card import Card, write_card
from batchrunner.output.export.folder import SetFile, SetFolder, SetRow
from batchrunner.output.export.format import SetOptions
from batchrunner.output.export.rows import Clip
from batchrunner.output.export.samples import MadeShard, MakesShards, Sample, ShardFormat
from batchrunner.output.export.videos import check_there

INDEX = "index.json"
MOST_ROWS = 20_000
"""In any shard: its rows are kept in memory until it is complete."""


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """When a shard is full."""

    size: int
    """Bytes; a shard with a single video may be larger."""
    count: int | None = None
    """Videos."""


@dataclass(slots=True)
class _Chosen:
    """The videos for the next shard of a split."""

    samples: list[Sample] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Begun:
    """A shard that is being made."""

    split: str
    samples: list[Sample]
    making: asyncio.Task[MadeShard]


class ShardWriter:
    """Writes shards named `SPLIT-NUMBER`, and an index of them."""

    def __init__(
        self, options: SetOptions, limits: ShardLimits, form: ShardFormat, maker: MakesShards
    ) -> None:
        self._options, self._limits, self._form, self._maker = options, limits, form, maker
        self._folder = SetFolder(options.path, options.recorded)
        self._next: dict[str, _Chosen] = {}
        self._begun: deque[_Begun] = deque()
        self._numbers: Counter[str] = Counter()
        self._unusable: dict[str, tuple[Path, str]] = {}
        self.hashes, self.notices = self._folder.hashes, self._folder.notices

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Lock and prepare the folder."""
        with self._folder.opened():
            self._numbers.update(file.split for file in self._folder.files())
            async with self._maker.working():
                try:
                    yield
                finally:
                    left = [begun.making for begun in self._begun]
                    for making in left:
                        making.cancel()
                    await asyncio.gather(*left, return_exceptions=True)

    async def add(self, clip: Clip) -> None:
        """Choose a video for its split's next shard.

        Raises:
            Unusable: there is no such file.
            StorageError: a bucket can't be read, which has videos of a shard that is full now.
        """
        check_there(clip.file)
        split, sample = self._options.split_of(clip), Sample(clip.name, clip.file, clip.row(), clip.labels)
        size = self._form.size(sample)
        if self._is_full(split, size):
            await self._begin(split)
        chosen = self._next.setdefault(split, _Chosen())
        chosen.samples.append(sample)
        chosen.size += size

    async def settle(self) -> Mapping[str, tuple[Path, str]]:
        """Complete all shards; return, by fingerprint, the videos that are in none, and why."""
        for split in list(self._next):
            await self._begin(split)
        while self._begun:
            await self._commit_first()
        found, self._unusable = self._unusable, {}
        return found

    def finish(self) -> int:
        """Write index and card; return the number of videos."""
        self._folder.remove_parts()
        card = Card(self._options.path.name)
        shards = sorted(self._folder.files(), key=lambda shard: shard.name)
        for row in self._folder.rows():
            card.count(row)
        with self._folder.replacing(INDEX) as file:
            json.dump({"shards": list(map(asdict, shards))}, file, indent=1)
            file.write("\n")
        patterns = {split: f"{split}-*{self._form.suffix}" for split in sorted(self._numbers)}
        write_card(self._folder, card, patterns, info=self._form.header())
        return card.videos

    def _is_full(self, split: str, size: int) -> bool:
        """Whether a split's next shard has no room for so many bytes."""
        chosen = self._next.get(split)
        if chosen is None:
            return False
        most = min(self._limits.count or MOST_ROWS, MOST_ROWS)
        return chosen.size + size > self._limits.size or len(chosen.samples) >= most

    async def _begin(self, split: str) -> None:
        """Have a shard made; wait for the first one, if there are enough of them."""
        samples = self._next.pop(split).samples
        making = asyncio.create_task(self._maker.make(split, samples), name=f"shard of {split}")
        self._begun.append(_Begun(split, samples, making))
        while self._begun and (len(self._begun) >= self._maker.at_once or self._begun[0].making.done()):
            await self._commit_first()

    async def _commit_first(self) -> None:
        """Add the shard that was begun first to the set."""
        begun = self._begun[0]
        made = await begun.making
        self._begun.popleft()
        for number, error in made.unusable.items():
            sample = begun.samples[number]
            self._unusable[str(sample.row["fingerprint"])] = sample.file.path, str(error)
        split, name = begun.split, f"{begun.split}-{self._numbers[begun.split]:06}{self._form.suffix}"
        rows = [
            SetRow(split, name, sample.row, sample.labels)
            for number, sample in enumerate(begun.samples)
            if number not in made.unusable
        ]
        if not rows:  # none of its videos could be used
            made.part.unlink()
            return
        made.part.rename(self._folder.part(name))
        self._folder.commit([SetFile(name, split, len(rows), made.size, made.sha256)], rows)
        self._numbers[split] += 1
