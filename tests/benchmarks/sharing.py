"""`python -m tests.benchmarks.sharing`: what several runs, and several accounts, make of the slots.

Drawn, and as tables, in `sharing.md`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from batchrunner.clock import Pace
from batchrunner.core.model import AUTO
from batchrunner.core.poll_schedule import most_polls_per_second
from batchrunner.core.states import TaskState
from batchrunner.engine.job import Job
from batchrunner.engine.together import Together
from batchrunner.output.summary import Summary
from tests.benchmarks.shared_upstream import Entry, Periods, Upstream, account, at, average, job, play
from tests.integration.machine.night import FAST_DISK
from tests.integration.machine.virtual import VirtualClock, VirtualLoop

HERE = Path(__file__).parent
PAGE, PICTURES = HERE / "sharing.md", HERE / "pictures-sharing"
STEP = 5
"""Seconds between two points of a curve."""
SLOTS = 12
WEIGHTS = {"one": 1, "two": 2, "three": 3}
TASKS = 96
"""Of each of the three runs."""
ACCOUNTS, TASKS_OF_TWO = ("north", "south"), 120
REVOKED_AT = 600.0
RUNS, CAPACITY, TASKS_OF_EACH, SEEDS = ("first", "second"), 10, 150, 8
BUSY_GOAL, SHARE_GOAL = 95.0, 1 / 3


@dataclass(frozen=True, slots=True)
class Story:
    """What became of runs that were played to their ends."""

    entries: Sequence[Entry]
    """The gateway's book."""
    summaries: Sequence[Summary]

    def held(self, name: str = "") -> Periods:
        """When a run or an account held slots; by default, all of them."""
        return [entry.held for entry in self.entries if name in ("", entry.run, entry.account)]

    def generated(self, name: str = "") -> Periods:
        """When its videos were generated."""
        return [entry.generated for entry in self.entries if name in ("", entry.run, entry.account)]

    def last_accepted(self, name: str) -> float:
        """When its last task was accepted."""
        return max(since for since, _ in self.held(name))

    @property
    def end(self) -> float:
        """When the last slot was free."""
        return max(until for _, until in self.held())


def by_weight(tasks: int = TASKS) -> Story:
    """Three manifests of one command, on 12 slots."""

    def jobs(folder: Path, upstream: Upstream) -> list[Job]:
        clock = VirtualClock(upstream.loop)
        together = Together(clock, Pace(clock, most_polls_per_second(SLOTS)))
        return [
            replace(job(folder, name, tasks, concurrency=SLOTS, weight=weight), together=together)
            for name, weight in WEIGHTS.items()
        ]

    return _story(jobs, Upstream(VirtualLoop()))


def one_revoked(tasks: int = TASKS_OF_TWO, revoked_at: float = REVOKED_AT) -> Story:
    """One manifest on two accounts with 6 slots each, of which one is refused from a moment on."""
    upstream = Upstream(VirtualLoop())
    upstream.revoked[ACCOUNTS[1]] = revoked_at
    keys = [account(name, SLOTS // 2) for name in ACCOUNTS]
    return _story(lambda folder, _: [job(folder, "night", tasks, *keys)], upstream)


def two_processes(tasks: int = TASKS_OF_EACH, seed: int = 1) -> Story:
    """Two processes that know nothing of each other, with one account's capacity to find."""

    def jobs(folder: Path, _: Upstream) -> list[Job]:
        return [job(folder, name, tasks, concurrency=AUTO) for name in RUNS]

    return _story(jobs, Upstream(VirtualLoop(), CAPACITY, seed), seed)


def _story(jobs: Callable[[Path, Upstream], Sequence[Job]], upstream: Upstream, seed: int = 1) -> Story:
    fast = FAST_DISK if FAST_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="sharing-", dir=fast) as folder:
        summaries = play(upstream, lambda: jobs(Path(folder), upstream), seed)
    return Story(list(upstream.book.values()), summaries)


# --- figures ----------------------------------------------------------------------------------------------


def shares(story: Story) -> dict[str, float]:
    """The slots of each run, on average while all three have tasks to submit."""
    since, until = _full_since(story, SLOTS), min(map(story.last_accepted, WEIGHTS))
    return {name: average(story.held(name), since, until) for name in WEIGHTS}


def busy_by_weight(story: Story) -> float:
    """The share of the slots that are held while any of the three has tasks to submit, in per cent."""
    until = max(map(story.last_accepted, WEIGHTS))
    return 100 * average(story.held(), _full_since(story, SLOTS), until) / SLOTS


def of_two(story: Story) -> tuple[float, float, float]:
    """How busy the capacity is while both have tasks to submit, in per cent, and the slots of each."""
    since, until = _full_since(story, CAPACITY), min(map(story.last_accepted, RUNS))
    first, second = (average(story.generated(name), since, until) for name in RUNS)
    return 100 * (first + second) / CAPACITY, first, second


def _full_since(story: Story, slots: int) -> float:
    """When as many were accepted as there are slots."""
    return sorted(since for since, _ in story.held())[slots - 1]


# --- the page ---------------------------------------------------------------------------------------------


def main() -> None:
    """Play all, and write the page and its pictures."""
    weighted, revoked, pair = by_weight(), one_revoked(), two_processes()
    names = {name: f"weight {weight}" for name, weight in WEIGHTS.items()}
    draw("weights", weighted.held, weighted.end, names, SLOTS)
    draw("accounts", revoked.held, revoked.end, {name: name for name in ACCOUNTS}, SLOTS, REVOKED_AT)
    draw("processes", pair.generated, pair.end, {name: f"{name} process" for name in RUNS}, CAPACITY)
    parts = [_text(), _weights(weighted), _accounts(revoked), _processes(pair)]
    PAGE.write_text("\n\n".join("\n".join(lines) for lines in parts) + "\n", encoding="utf-8")


def draw(
    file: str,
    periods: Callable[[str], Periods],
    end: float,
    names: Mapping[str, str],
    slots: int,
    mark: float | None = None,
) -> None:
    """Slots over time: of each of the names, and of all; with a line at a moment."""
    import matplotlib as mpl  # noqa: PLC0415  only those who draw need it
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "batchrunner"
    picture = Picture(figsize=(9, 3.2), layout="constrained")
    axes = picture.add_subplot()
    moments = range(0, math.ceil(end) + STEP, STEP)
    for name, title in {"": "all", **names}.items():
        color, found = (None if name else "black"), periods(name)
        axes.step(moments, [at(found, moment) for moment in moments], label=title, color=color, lw=1)
    axes.axhline(slots, color="grey", lw=0.8, ls=":")
    if mark is not None:
        axes.axvline(mark, color="red", lw=0.8, ls="--", label="key revoked")
    axes.set(xlabel="seconds", ylabel="slots", ylim=(0, slots + 3))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(ncols=5, loc="upper right")
    PICTURES.mkdir(exist_ok=True)
    picture.savefig(PICTURES / f"{file}.svg", metadata={"Date": None})


def _text() -> list[str]:
    return [
        "# Slots that are shared",
        "",
        "Made by `python -m tests.benchmarks.sharing`: the real program, from its lock to its summary, in "
        "virtual time. The gateway's loop looks every 15 s; generations take 90 s, spread lognormally (0.25)."
        " All slots are counted in the gateway's own book, never in a ledger of ours.",
    ]


def _weights(story: Story) -> list[str]:
    found, total = shares(story), sum(WEIGHTS.values())
    rows = [
        "## Three manifests of one command, by weight",
        "",
        f"`batchrunner run one.yaml two.yaml three.yaml`, {TASKS} tasks each, `concurrency: {SLOTS}`. A slot "
        "is held from the acceptance of a task until a poll shows its end.",
        "",
        *_picture("weights", "slots over time, by weight"),
        "",
        "While all three have tasks to submit:",
        "",
        "| weight | slots, mean | goal | last accepted at | charges |",
        "|---|---|---|---|---|",
    ]
    for name, weight in WEIGHTS.items():
        last, charges = story.last_accepted(name), len(story.held(name))
        goal = SLOTS * weight / total
        rows.append(f"| {weight} | {found[name]:.2f} | {goal:.0f} | {last:.0f} s | {charges} |")
    busy = busy_by_weight(story)
    return [*rows, "", f"Together {busy:.1f} % of the slots are held until the last task is accepted."]


def _accounts(story: Story) -> list[str]:
    (summary,) = story.summaries
    since, later = _full_since(story, SLOTS), REVOKED_AT + 240
    rows = [
        "## Two accounts, one revoked midway",
        "",
        f"One manifest of {TASKS_OF_TWO} tasks; two accounts with `concurrency: {SLOTS // 2}`. From "
        f"{REVOKED_AT:.0f} s on, the gateway answers everything with the key of `{ACCOUNTS[1]}` by 401. What "
        "it was generating goes on to its end there, and holds slots until then.",
        "",
        *_picture("accounts", "slots over time, by account"),
        "",
        f"| account | slots until {REVOKED_AT:.0f} s, mean | slots after {later:.0f} s, mean | charges |",
        "|---|---|---|---|",
    ]
    for name in ACCOUNTS:
        held, last = story.held(name), story.last_accepted(ACCOUNTS[0])
        means = (average(held, since, REVOKED_AT), average(held, later, last))
        rows.append(f"| {name} | {means[0]:.2f} | {means[1]:.2f} | {len(held)} |")
    done, left = summary.counts[TaskState.DONE], summary.counts[TaskState.GENERATING]
    prompts = {str(entry.charge.body["prompt"]) for entry in story.entries}
    return [
        *rows,
        "",
        f"{len(story.entries)} charges for {len(prompts)} tasks: none was paid twice. {done} are done; "
        f"{left} were in flight on the revoked account, and can be collected once its key is valid again. "
        f"The run exits with {summary.exit_code:d}.",
    ]


def _processes(story: Story) -> list[str]:
    rows = [
        "## Two processes on one account",
        "",
        f"Two runs with `concurrency: auto` and {TASKS_OF_EACH} tasks each, which know nothing of each "
        f"other; the account generates {CAPACITY} at once, and queues the rest. Slots that generate, seed 1:",
        "",
        *_picture("processes", "generating over time, by process"),
        "",
        f"From the {CAPACITY}th acceptance until one of them has submitted its last task; goals: together at "
        f"least {BUSY_GOAL:.0f} % busy, the smaller at least a third of the larger.",
        "",
        "| seed | together busy | first | second | smaller of larger | goals met |",
        "|---|---|---|---|---|---|",
    ]
    for seed in range(1, SEEDS + 1):
        busy, *slots = of_two(story if seed == 1 else two_processes(seed=seed))
        share = min(slots) / max(slots)
        met = "yes" if busy >= BUSY_GOAL and share >= SHARE_GOAL else "NO"
        rows.append(
            f"| {seed} | {busy:.1f} % | {slots[0]:.2f} | {slots[1]:.2f} | {100 * share:.0f} % | {met} |"
        )
    return rows


def _picture(file: str, what: str) -> list[str]:
    return [f"![{what}]({PICTURES.name}/{file}.svg)"]


if __name__ == "__main__":
    main()
