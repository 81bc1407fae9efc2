"""What the figures say about ten and a hundred times more: which resource ends first, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.benchmarks.figures import Figure
from tests.benchmarks.table import with_unit

SLOTS = (10, 100, 1_000)
JOB = 100
"""Seconds that a job holds its slot, of which it generates for 90."""
VIDEO = 5
"""Usual MB of a video of 5 s in 720p."""
CHANGES = 8
"""Durable changes of the ledger per task: four transitions, and what is noted between them."""
REFRESH, IN_LINE = 15, 1
"""Seconds that a recorded gateway sleeps between two rounds, and takes for each unfinished task in one."""
DAY = 86_400
SMALL = 2.1
"""MB of the videos that `download.small` measures."""
NEEDED = (
    "in_flight.cpu",
    "in_flight.rate",
    "in_flight.memory",
    "task.ledger",
    "ledger.rate",
    "download.small",
)


def lines(figures: Mapping[str, Figure]) -> Iterator[str]:
    """A table over numbers of slots, and the conclusions from it; nothing while figures are missing."""
    if not all(name in figures for name in NEEDED):
        return
    cores, ended, memory, ledger, rate, downloads = (figures[name].value for name in NEEDED)
    most = {
        "the CPU, one core": ended / cores,
        "the ledger": rate / CHANGES,
        "the downloads": downloads * SMALL / VIDEO,
    }
    yield f"A job holds its slot for {JOB} s; a video has {VIDEO} MB; a task makes {CHANGES} durable changes."
    yield ""
    yield "| | " + " | ".join(f"{slots:,} slots" for slots in SLOTS) + " |"
    yield "|---" * (len(SLOTS) + 1) + "|"
    per_second = [slots / JOB for slots in SLOTS]
    yield _row("tasks a day", [each * DAY for each in per_second], "")
    yield _row("100,000 tasks", [100_000 / each / DAY for each in per_second], "days")
    for name, limit in most.items():
        yield _row(name, [100 * each / limit for each in per_second], "%")
    yield _row("bandwidth", [each * VIDEO for each in per_second], "MB/s")
    yield _row("disk, videos", [each * VIDEO * DAY / 1000 for each in per_second], "GB a day")
    yield _row("disk, ledger", [each * ledger * DAY / 1e6 for each in per_second], "GB a day")
    rounds = [REFRESH + slots * IN_LINE for slots in SLOTS]
    yield _row("a round of the gateway's queue", [float(seconds) for seconds in rounds], "s")
    yield ""
    yield from _conclusions(most, memory, rounds)


def _conclusions(most: Mapping[str, float], memory: float, rounds: list[int]) -> Iterator[str]:
    first = min(most, key=lambda name: most[name])
    yield (
        "At 10 slots, nothing of ours bounds a run: the slots do. Ten times more is bound by the gateway's "
        f"queue, which comes to each of 100 tasks once in {rounds[1]} s, longer than a job takes: an end is "
        f"seen {rounds[1] / 2:.0f} s late on average. A hundred times more waits {rounds[2] / 60:.0f} min "
        f"for a round, unless the work is spread over several gateways. 1,000 slots need "
        f"{with_unit(memory, 'MB')} of memory here. Of one machine, the first limit is {first}, at "
        f"{with_unit(most[first], 'tasks')} a second, which are {with_unit(most[first] * JOB, 'slots')}. "
        "Beyond that, a second machine with a manifest and a ledger of its own needs nothing from the first."
    )


def _row(name: str, values: list[float], unit: str) -> str:
    return f"| {name} | {' | '.join(with_unit(value, unit) for value in values)} |"
