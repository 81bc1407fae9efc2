"""Has the shards of a dataset made by a cluster, through a child process; the rest is made here.

Only a whole shard is taken from a worker. If one can't use a video, the shard is made here: this machine
alone decides that a video is not what it should be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from batchrunner.core.text import count
from batchrunner.engine.cluster_child import CHILD, PATIENCE, STARTS, ClusterChild
from batchrunner.engine.cluster_messages import TRY_WITHIN
from batchrunner.engine.shard_messages import LeftShard, ShardSetup, read_answer, shard_request
from batchrunner.output.export.samples import MadeShard, MakesShards, Sample

OUT_AT_ONCE = 32
"""Shards that the cluster makes at the same time: the rows of all of them are in memory."""
SLOWEST = 2_000_000
"""Bytes a second that a worker should at least write; one that is slower is taken to hang."""


class RemoteShards:
    """Makes shards on a cluster; used like `ShardsHere`."""

    at_once = OUT_AT_ONCE

    def __init__(
        self,
        here: MakesShards,
        setup: ShardSetup,
        notice: Callable[[str], None],
        command: Sequence[str] = CHILD,
        starts: Sequence[float] = STARTS,
        patience: float = PATIENCE,
    ) -> None:
        self._here, self._folder, self._notice = here, Path(setup.folder), notice
        self._child = ClusterChild[LeftShard](
            self._folder,
            lambda probe: replace(setup, probe=probe).line(),
            read_answer,
            notice,
            command,
            starts,
            patience,
        )
        self._tried = self._made = 0

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Keep a child running as long as the context; the folder of the set must be open."""
        async with self._child.running():
            yield
        if self._tried:
            tried = count(self._tried, "try", "tries")
            self._notice(f"{count(self._made, 'shard')} made on the cluster in {tried}")

    async def make(self, split: str, samples: Sequence[Sample]) -> MadeShard:
        """As `MakesShards.make`."""
        seconds = TRY_WITHIN + sum(sample.file.size for sample in samples) / SLOWEST
        request = shard_request(split, samples)
        self._tried += self._child.is_running
        answer = await self._child.ask(request, "the cluster can't make a shard", seconds)
        if isinstance(answer, LeftShard) and self._is_there(answer):
            self._made += 1
            return MadeShard(self._folder / answer.part, answer.size, answer.sha256, {})
        return await self._here.make(split, samples)

    def _is_there(self, left: LeftShard) -> bool:
        """Whether a shard is there as the worker described it."""
        path = self._folder / left.part
        try:
            return left.is_named_as_a_part and not path.is_symlink() and path.stat().st_size == left.size
        except OSError:
            return False
