"""Runs several jobs at once, in one process that decides for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from batchrunner.engine.job import Job
from batchrunner.engine.session import run
from batchrunner.engine.shutdown import handle_signals
from batchrunner.engine.together import Together
from batchrunner.output.summary import Summary


async def run_all(jobs: Sequence[Job], together: Together) -> list[Summary | BaseException]:
    """Run jobs that share `together`; return the summary of each, or the error that ended it.

    An error in one doesn't stop the others; a signal stops all.
    """

    def restore_terminal() -> None:
        for job in jobs:
            job.display.close()

    with handle_signals(together.stops, restore_terminal, jobs[0].display.notice):
        return await asyncio.gather(*map(run, jobs), return_exceptions=True)
