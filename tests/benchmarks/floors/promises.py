"""What a run promises, in the plainest way: durable changes, and videos that are whole, playable and synced.

That is a floor, too: an SQLite file in a thread of its own, with what waits in one commit; and PyAV, which
decodes the first and the last key frame of each video.
"""

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from transitions import STATES as ALL_STATES
from transitions import change, opened

STATES = ALL_STATES[1:]
"""The states that a task enters, one after the other."""


class Changes:
    """Makes changes durable, those that wait together."""

    def __init__(self, path: Path, tasks: int) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._keys = [f"{number:064x}" for number in range(tasks)]
        self._db = self._thread.submit(opened, path, self._keys).result()
        self._waiting: list[tuple[int, str, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def durable(self, number: int, state: str) -> None:
        """Bring a task into a state; returns once that is on disk."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((number, state, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        await done

    async def _commit(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, batch)
            for _, _, done in batch:
                done.set_result(None)
        self._committing = None

    def _write(self, batch: list[tuple[int, str, asyncio.Future[None]]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for number, state, _ in batch:
            before = ALL_STATES[ALL_STATES.index(state) - 1]
            change(self._db, self._keys[number], before, state)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._thread.submit(self._db.close).result()
        self._thread.shutdown()


def keep(final: Path, content: bytes) -> str:
    """Write a video, verify and sync it, and give it its name; return its SHA-256."""
    part = final.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        check(part)
        os.fsync(file.fileno())
    part.rename(final)
    folder = os.open(final.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return hashlib.sha256(content).hexdigest()


def check(path: Path) -> None:
    """Decode the first and the last key frame."""
    import av  # noqa: PLC0415  the bare loop needs none of it

    with av.open(str(path), format="mp4") as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        last = max(sample.timestamp for sample in stream.index_entries if sample.is_keyframe)
        first = next(container.decode(stream))
        if last > (first.pts or 0):
            container.seek(last, stream=stream)
            next(container.decode(stream))
