"""`python -m tests.benchmarks.beyond`: who needs what if Ray collects, and what 5,000 slots need.

Takes the measures that it is computed from, so that all figures are of one machine, and writes `beyond.md`.
Needs the extra `ray`, and versitygw (see .ci/run).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks import kept, table
from tests.benchmarks.__main__ import BY_NAME, said, taken
from tests.benchmarks.bounds import CHANGES, DAY, IN_LINE, JOB, REFRESH, VIDEO
from tests.benchmarks.figures import Figure
from tests.benchmarks.table import with_unit

PAGE = Path(__file__).parent / "beyond.md"
MEASURES = ("cluster", "in_flight", "per_task", "transitions")
SLOTS = 5_000
ROWS = {"this machine alone": "cluster.0", "Ray, one worker": "cluster.1", "Ray, two workers": "cluster.2"}
COLUMNS = {
    "videos a second": "rate",
    "CPU of the deciding process a video": "cpu",
    "its memory": "memory",
    "CPU of all processes a video": "all_cpu",
}
GIGABIT = 125
"""MB a second."""
REQUESTS = 3
"""To the storage, for each video: a look, the PUT, and a look."""


def main() -> None:
    """Measure, and write the page."""
    figures, run = [], kept.begun(short=False)
    with tempfile.TemporaryDirectory(prefix="beyond-") as home:
        for name in MEASURES:
            figures += taken(BY_NAME[name], Path(home), short=False, pictures=Path(home) / "pictures")
            said([f"{name} is measured"])
    text = ["# Beyond one machine", "", *_text(run), "", *lines({one.name: one for one in figures}), ""]
    goals = table.markdown([one for one in figures if one.name.startswith("cluster.")])
    PAGE.write_text("\n".join([*text, *goals]).rstrip() + "\n", encoding="utf-8")


def _text(run: kept.BenchmarkRun) -> Iterator[str]:
    yield f"Made by `python -m tests.benchmarks.beyond`: {run.machine}; {run.at[:10]}, commit {run.commit}."
    yield ""
    yield (
        "Videos of 5 MB, downloaded, verified, and stored in S3. Gateway, storage, Ray and the deciding "
        "process share the cores of this one machine, so a second worker adds little here: what matters is "
        "that the deciding process needs no more CPU and memory with more workers."
    )


def lines(figures: Mapping[str, Figure]) -> Iterator[str]:
    """A table without and with workers, and a paragraph about 5,000 slots."""
    yield f"| | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for title, name in ROWS.items():
        cells = (figures[f"{name}.{column}"] for column in COLUMNS.values())
        yield f"| {title} | {' | '.join(with_unit(one.value, one.unit) for one in cells)} |"
    yield ""
    yield " ".join(_at_many_slots({name: figure.value for name, figure in figures.items()}))


def _at_many_slots(value: Mapping[str, float]) -> Iterator[str]:
    """What 5,000 slots need, and what breaks first."""
    rate = SLOTS / JOB
    traffic = rate * VIDEO
    cpu, alone = value["cluster.task.cpu"] / 1000, value["in_flight.cpu"] / value["in_flight.rate"]
    workers = (value["cluster.2.all_cpu"] - value["cluster.2.cpu"]) / 1000
    memory, changes = value["in_flight.memory"] * SLOTS / 1000, rate * CHANGES
    yield (
        f"**{SLOTS:,} slots** are {with_unit(rate, 'tasks')} a second. If Ray collects, the deciding process "
        f"needs {with_unit(1000 * cpu, 'ms')} of CPU a task, {with_unit(cpu * rate, 'cores')} in all "
        f"({with_unit(alone * rate, 'cores')} if it collects, even with videos of 1 MB); at most "
        f"{with_unit(memory, 'MB')} of memory, if all that it holds with 1,000 slots grows along; and "
        f"{with_unit(changes, 'durable changes')} a second, "
        f"{with_unit(100 * changes / value['ledger.rate'], '%')} of what its ledger takes, which grows by "
        f"{with_unit(rate * value['task.ledger'] * DAY / 1e6, 'GB')} a day."
    )
    yield (
        f"The network carries {with_unit(traffic, 'MB/s')}, {with_unit(traffic / GIGABIT, 'Gbit/s')}, to the "
        "workers, and as much from them to the storage; nothing of it passes the deciding process. Workers, "
        "with gateway and storage, which are included here, need "
        f"{with_unit(rate * workers, 'cores')} like these. The storage takes "
        f"{with_unit(REQUESTS * rate, 'requests')} a second, and "
        f"{with_unit(traffic * DAY / 1e6, 'TB')} a day."
    )
    limits = {
        "one core of the deciding process": 1 / cpu,
        "its ledger": value["ledger.rate"] / CHANGES,
        "10 Gbit/s to the workers": 10 * GIGABIT / VIDEO,
    }
    ascending = sorted(limits, key=limits.__getitem__)
    order = ", ".join(f"{name} ({with_unit(limits[name] * JOB, 'slots')})" for name in ascending)
    yield (
        f"The gateway's queue breaks first: a round over {SLOTS:,} unfinished tasks takes "
        f"{with_unit((REFRESH + SLOTS * IN_LINE) / 60, 'min')}, so that the work must be spread over several "
        f"gateways. What ends next is, in this order, {order}. Beyond that, a second process with manifests "
        "and a ledger of its own needs nothing from the first."
    )


if __name__ == "__main__":
    main()
