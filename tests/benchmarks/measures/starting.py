"""How long a person waits for the first words."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.benchmarks.figures import Figure, Measure, at_most
from tests.benchmarks.manifests import batch_of
from tests.benchmarks.processes import Used, interleaved
from tests.benchmarks.stage import Stage


def show_help(stage: Stage) -> Iterator[Figure]:
    """`--help`, against the interpreter alone."""
    taken, floor = interleaved(
        stage.times(10), lambda: stage.batchrunner("--help").ended(), lambda: bare_interpreter(stage)
    )
    yield Figure("start.help", "`--help`", 1000 * taken.wall, "ms", 1000 * floor.wall, at_most(100))


def first_line(stage: Stage) -> Iterator[Figure]:
    """The first line of `run --simulate`."""
    waits = []
    for _ in range(stage.times(3)):
        batch = batch_of(stage, 1)
        run = stage.batchrunner("run", batch.manifest, "--simulate", "--time-scale", 0.01)
        run.waits_for(lambda run=run: "\n" in run.said, interval=0.002)  # type: ignore[misc]
        waits.append(run.age)
        run.stop()
    floor = bare_interpreter(stage).wall
    yield Figure("start.first_line", "first line of `run --simulate`", min(waits), "s", floor, at_most(1))


def bare_interpreter(stage: Stage) -> Used:
    """The interpreter, doing nothing."""
    return stage.start(sys.executable, "-c", "pass").ended()


MEASURES = (
    Measure("help", "`--help`", show_help),
    Measure("first_line", "first line of `run --simulate`", first_line),
)
