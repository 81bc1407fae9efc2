"""Plans and checks of large manifests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.benchmarks.figures import Figure, Goal, Measure, at_most, at_most_times
from tests.benchmarks.manifests import batch_of, written_out
from tests.benchmarks.processes import Used, interleaved
from tests.benchmarks.stage import Stage

THOUSAND, MILLION = 1_000, 1_000_000
TIMES = {1_000: 3, 10_000: 3, 100_000: 2, MILLION: 1}
"""How often each size is planned."""
TINY = 20


def plan(
    stage: Stage, rows: int, kinds: tuple[str, ...], wall: Goal | None = None, memory: Goal | None = None
) -> Iterator[Figure]:
    """Plan a table of so many rows, in each of these formats."""
    for kind in kinds:
        taken, floor = planned(stage, stage.size(rows, TINY), kind, stage.times(TIMES[rows]))
        name, what = f"plan.{kind}.{rows}", f"plan of {rows:,} rows, {kind.upper()}"
        yield Figure(
            f"{name}.wall",
            f"{what}: wall",
            taken.wall,
            "s",
            floor.wall,
            wall,
            curve=f"plan of {kind.upper()} rows, s",
            size=rows,
        )
        yield Figure(
            f"{name}.memory",
            f"{what}: peak memory",
            taken.memory,
            "MB",
            floor.memory,
            memory,
            curve=f"plan of {kind.upper()} rows, MB",
            size=rows,
        )


def planned(stage: Stage, rows: int, kind: str, times: int) -> tuple[Used, Used]:
    """What a plan needs, and its floor: parse, hash, insert."""
    batch = batch_of(stage, rows, kind)

    def floor() -> Used:
        return stage.floor("plan", batch.table, stage.place("floor.sqlite"))

    taken, floored = interleaved(times, lambda: stage.batchrunner("plan", batch.manifest).ended(), floor)
    return taken, floored


def validate_yaml(stage: Stage) -> Iterator[Figure]:
    """Check 10,000 tasks that are written out."""
    manifest = written_out(stage, stage.size(10 * THOUSAND, TINY))
    taken, floor = interleaved(
        stage.times(2),
        lambda: stage.batchrunner("validate", manifest).ended(),
        lambda: stage.floor("load_yaml", manifest),
    )
    what = "validate 10,000 tasks written out in YAML: wall"
    yield Figure("validate.yaml.wall", what, taken.wall, "s", floor.wall, at_most_times(1.7))


MEASURES = (
    Measure("plan_1k", "plan of 1,000 rows, for the curve", partial(plan, rows=1_000, kinds=("jsonl",))),
    Measure("plan_10k", "plan of 10,000 rows, for the curve", partial(plan, rows=10_000, kinds=("jsonl",))),
    Measure(
        "plan_100k",
        "plan of 100,000 rows, CSV and JSONL",
        partial(plan, rows=100_000, kinds=("csv", "jsonl"), wall=at_most_times(4), memory=at_most(150)),
    ),
    Measure(
        "plan_1m",
        "plan of 1,000,000 rows",
        partial(plan, rows=MILLION, kinds=("jsonl",), wall=at_most(45), memory=at_most(250)),
    ),
    Measure("validate_yaml", "10,000 tasks written out in YAML", validate_yaml),
)
