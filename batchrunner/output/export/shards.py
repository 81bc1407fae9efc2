"""A set in shards: files of many videos each, which are never written again; a grown set has more of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from batchrunner.output.export.card import Card, write_card
from batchrunner.output.export.folder import SetFile, SetFolder, SetRow
from batchrunner.output.export.format import SetOptions
from batchrunner.output.export.rows import Clip

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


class OpenShard(Protocol):
    """A shard that is being written, under its temporary name."""

    def size_with(self, clip: Clip) -> int:
        """About how many bytes it would have with another video."""

    def add(self, clip: Clip) -> None:
        """Add a video.

        Raises:
            Unusable: it is not the video that was verified; the shard is as before.
        """

    def close(self) -> tuple[int, str]:
        """Complete the shard, durably; return its size in bytes, and its SHA-256."""


class ShardFormat(NamedTuple):
    """A format whose files are shards."""

    suffix: str
    open: Callable[[Path], OpenShard]
    """Creates a shard; a file of that name, from a killed export, is replaced."""
    header: Callable[[], str]
    """Lines for the header of the card, about what the columns are."""


class ShardWriter:
    """Writes shards named `SPLIT-NUMBER`, and an index of them; each split has one shard open."""

    def __init__(self, options: SetOptions, limits: ShardLimits, form: ShardFormat) -> None:
        self._options, self._limits, self._form = options, limits, form
        self._folder = SetFolder(options.path, options.recorded)
        self._open: dict[str, OpenShard] = {}
        self._rows: dict[str, list[SetRow]] = {}
        self._numbers: Counter[str] = Counter()
        self.hashes, self.notices = self._folder.hashes, self._folder.notices

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lock and prepare the folder."""
        with self._folder.opened():
            self._numbers.update(file.split for file in self._folder.files())
            yield

    def add(self, clip: Clip) -> None:
        """Add a video to its split's shard.

        Raises:
            Unusable: it is not the video that was verified.
        """
        split = self._options.split_of(clip)
        if self._is_full(split, clip):
            self._close(split)
        if split not in self._open:
            self._open[split] = self._form.open(self._folder.part(self._name(split)))
            self._rows[split] = []
        self._open[split].add(clip)
        self._rows[split].append(SetRow(split, self._name(split), clip.row(), clip.labels))

    def finish(self) -> int:
        """Complete the open shards, and write index and card; return the number of videos."""
        for split in list(self._open):
            self._close(split)
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

    def _is_full(self, split: str, clip: Clip) -> bool:
        """Whether a split's open shard has no room for a video."""
        rows = self._rows.get(split)
        if not rows:
            return False
        is_large = self._open[split].size_with(clip) > self._limits.size
        return is_large or len(rows) >= min(self._limits.count or MOST_ROWS, MOST_ROWS)

    def _close(self, split: str) -> None:
        size, sha256 = self._open.pop(split).close()
        rows, name = self._rows.pop(split), self._name(split)
        if not rows:  # none of its videos could be used
            self._folder.part(name).unlink()
            return
        self._folder.commit([SetFile(name, split, len(rows), size, sha256)], rows)
        self._numbers[split] += 1

    def _name(self, split: str) -> str:
        return f"{split}-{self._numbers[split]:06}{self._form.suffix}"
