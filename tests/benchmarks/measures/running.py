"""What one task costs in a whole run, against a gateway that answers at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks.figures import Figure, Measure, at_most, at_most_times
from tests.benchmarks.manifests import batch_of
from tests.benchmarks.processes import Used, best, interleaved
from tests.benchmarks.stage import Stage

SLOTS = 50
SCALE = 0.0005
SCENARIO = {"generation_seconds": 1, "generation_sigma": 0}
TINY = 6


def per_task(stage: Stage) -> Iterator[Figure]:
    """2,000 tasks in 50 slots, against a bare loop that makes the same calls."""
    tasks = stage.size(2_000, TINY)

    def floor(*ledger: Path) -> Used:
        with stage.simulator(SCALE, **SCENARIO) as gateway:
            return stage.floor("batch_loop", gateway.url, tasks, SLOTS, SCALE, stage.place("videos"), *ledger)

    before, taken = interleaved(1, floor, lambda: whole_run(stage, tasks))
    floored = before if stage.short else best([before, floor()])
    promised = floor(stage.place("promised.sqlite"))
    cpu, floor_cpu, promised_cpu = (1000 * used.cpu / tasks for used in (taken, floored, promised))
    what = "one task of 2,000 in 50 slots, gateway without latency"
    yield Figure("task.cpu", f"{what}: CPU", cpu, "ms", floor_cpu, at_most_times(3))
    what_else = "the same, against a loop that also verifies, syncs and records, in the plainest way: CPU"
    note = f"that loop needs {promised_cpu / floor_cpu:.2f} times the CPU of the bare one"
    yield Figure("task.promises", what_else, cpu, "ms", promised_cpu, note=note)
    yield Figure(
        "task.wall",
        "2,000 tasks in 50 slots, gateway without latency: wall",
        taken.wall,
        "s",
        floored.wall,
        at_most_times(2.5),
    )
    (ledger,) = stage.folder.glob("batch-*/batch.run/ledger.sqlite")
    yield Figure("task.ledger", "ledger on disk, of one task", ledger.stat().st_size / tasks / 1000, "kB")


def as_it_grows(stage: Stage, sizes: tuple[int, ...]) -> Iterator[Figure]:
    """CPU per task at several sizes; what every run needs, however small, is subtracted."""
    start, first = whole_run(stage, 1).cpu, None
    for number, size in enumerate(sizes):
        tasks = stage.size(size, TINY + number)
        used = whole_run(stage, tasks)
        cost = 1000 * max(used.cpu - start, 0.0) / (tasks - 1)
        goal = None if first is None else at_most_times(1.15)
        what = f"CPU per task in a run of {size:,}"
        yield Figure(
            f"grows.{size}.cpu", what, cost, "ms", first, goal, curve="run, ms CPU per task", size=size
        )
        yield Figure(
            f"grows.{size}.memory",
            f"peak memory of a run of {size:,}",
            used.memory,
            "MB",
            goal=at_most(250),
            curve="run, MB",
            size=size,
        )
        first = first or cost


def whole_run(stage: Stage, tasks: int) -> Used:
    """A run of so many tasks, to its end."""
    batch = batch_of(stage, tasks, concurrency=SLOTS, submit_rate=60_000, downloads=16)
    with stage.simulator(SCALE, **SCENARIO) as gateway:
        at = ("--base-url", gateway.url, "--time-scale", SCALE)
        return stage.batchrunner("run", batch.manifest, *at, "-q").ended()


MEASURES = (
    Measure("per_task", "CPU and wall of one task", per_task),
    Measure("grows", "cost per task at 1,000 and 10,000", partial(as_it_grows, sizes=(1_000, 10_000))),
    Measure(
        "grows_100k",
        "the same, and 100,000; takes long",
        partial(as_it_grows, sizes=(1_000, 10_000, 100_000)),
        by_default=False,
    ),
)
