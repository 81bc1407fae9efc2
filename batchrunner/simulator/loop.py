"""The gateway's refresh loop: the only thing that updates the state shown to clients.

It sleeps, then polls every unfinished task, oldest first, with a pause after each, so a round takes longer
with more tasks. It is not an asyncio task: each request makes it catch up with the clock, so that a
restarted simulator reproduces the same state.
"""

from collections.abc import Iterator

from batchrunner.simulator.life import ObservedLife, Timings


class RefreshLoop:
    """Visits its tasks in the order in which they were accepted."""

    def __init__(self, started_at: float, pace: Timings) -> None:
        self._started_at = started_at
        self._pace = pace
        self._unfinished: list[ObservedLife] = []
        self._now = started_at
        self._steps = self._run()
        self._due = next(self._steps)

    def add(self, task: ObservedLife) -> None:
        """Add a task, newer than all others; the next round visits it."""
        self._unfinished.append(task)

    def advance(self, now: float) -> None:
        """Catch up with everything due by Unix time `now`."""
        self._now = now
        while self._due <= now:
            self._due = next(self._steps)

    def _run(self) -> Iterator[float]:
        """Yield the time of the next step; perform it when resumed."""
        slept_from, sleeps = self._started_at, 1
        while True:
            begun = slept_from + sleeps * self._pace.refresh
            yield begun
            self._unfinished = [task for task in self._unfinished if not task.phase.final]
            line = [task for task in self._unfinished if task.life.created_at < begun]
            for place, task in enumerate(line):
                yield begun + place * self._pace.line
                task.visit(begun + place * self._pace.line)
            if line:
                slept_from, sleeps = begun + len(line) * self._pace.line, 1
            else:
                sleeps = max(sleeps, self._empty_rounds(slept_from)) + 1

    def _empty_rounds(self, slept_from: float) -> int:
        """How many rounds from `slept_from` on can be skipped because there were no tasks."""
        news = next((task.life.created_at for task in self._unfinished), self._now)
        return int((min(news, self._now) - slept_from) / self._pace.refresh)
