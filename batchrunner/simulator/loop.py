"""The gateway's refresh loop: it alone brings news of the upstream into what a poll shows.

It sleeps, then asks after every unfinished task, oldest first, with a pause after each; so a round is the
longer the more tasks there are. It is not a task of its own: each request lets it catch up with the clock,
so that a restarted simulator finds everything as it was.
"""

from collections.abc import Iterator

from batchrunner.simulator.life import ObservedLife, Timings


class RefreshLoop:
    """Visits the tasks it was given, in the order in which they came."""

    def __init__(self, started_at: float, pace: Timings) -> None:
        self._started_at = started_at
        self._pace = pace
        self._unfinished: list[ObservedLife] = []
        self._now = started_at
        self._steps = self._run()
        self._due = next(self._steps)

    def add(self, task: ObservedLife) -> None:
        """Take in a task, which came after all others; the next round will find it."""
        self._unfinished.append(task)

    def advance(self, now: float) -> None:
        """Do all that the loop would have done by Unix time `now`."""
        self._now = now
        while self._due <= now:
            self._due = next(self._steps)

    def _run(self) -> Iterator[float]:
        """Yields when the next step is due; resumed, it takes it."""
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
        """How many rounds from `slept_from` on have certainly found nobody: an idle night costs nothing."""
        news = next((task.life.created_at for task in self._unfinished), self._now)
        return int((min(news, self._now) - slept_from) / self._pace.refresh)
