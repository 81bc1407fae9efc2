"""Runs a command of batchrunner and notes the longest time for which its event loop was silent.

`python heartbeat.py REPORT ARGUMENT…`. Every event loop of the process gets a heartbeat before it runs; the
program itself knows nothing of it. A second process does nothing but beat, for what the machine alone does.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

INTERVAL = 0.005
"""Seconds between two beats."""


class Heartbeat:
    """Beats on a loop, and keeps the longest silence."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds by which a beat came too late."""
        self.working = 0.0
        """CPU seconds that the loop's own thread used meanwhile."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat while the loop runs."""
        loop.call_later(INTERVAL, self._beat, loop, time.perf_counter(), time.thread_time())

    def _beat(self, loop: asyncio.AbstractEventLoop, before: float, worked: float) -> None:
        now = time.perf_counter()
        if now - before - INTERVAL > self.longest:
            self.longest, self.working = now - before - INTERVAL, time.thread_time() - worked
        self.start(loop)


def watch(heartbeat: Heartbeat) -> None:
    """Let every event loop of this process beat from its start."""
    original = asyncio.BaseEventLoop.run_forever

    def run_forever(self: asyncio.BaseEventLoop) -> None:
        heartbeat.start(self)
        original(self)

    asyncio.BaseEventLoop.run_forever = run_forever  # type: ignore[method-assign]


def beat_alone() -> None:
    """Beat until stdin closes, then print the longest silence."""
    heartbeat = Heartbeat()

    async def wait() -> None:
        heartbeat.start(asyncio.get_running_loop())
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()

    asyncio.run(wait())
    sys.stdout.write(str(heartbeat.longest))


def main() -> int:
    """Run the command and write the report; returns the command's exit code."""
    from batchrunner.cli.main import main as batchrunner  # noqa: PLC0415  the other process needs none of it

    report, *arguments = sys.argv[1:]
    machine = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    heartbeat = Heartbeat()
    watch(heartbeat)
    code = batchrunner(arguments)
    told = {"longest": heartbeat.longest, "working": heartbeat.working}
    told["machine"] = float(machine.communicate()[0])
    Path(report).write_text(json.dumps(told), encoding="utf-8")
    return code


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(main())
    beat_alone()
