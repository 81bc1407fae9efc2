"""How busy an account's slots are when the run has to find out how many there are. In virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.benchmarks.figures import Figure, Goal, Measure, at_least, at_most
from tests.benchmarks.stage import Stage
from tests.harness.account import GENERATION, Account, Auto, Loop, Player, mean

SLOTS, TASKS, SEEDS = 10, 150, 8
CHANGES = ((0.0, 7), (1200.0, 20), (2400.0, 2), (3600.0, 10))
END = 4800.0
FOLLOWED = 3 * GENERATION
"""Seconds after which a changed capacity is in use."""
SPREADS = {"fixed": 0.0, "lognormal": 0.25}
GOALS = {"fixed": 98.0, "lognormal": 97.0}
LOOPS = (5, 15, 20)


def slot_use(player: Callable[[int], Player], sigma: float, seeds: int = SEEDS) -> tuple[float, float]:
    """The share of the account's slots that are busy, in per cent, and the polls of a task."""
    nights = [
        Account(player(seed), SLOTS, tasks=TASKS, sigma=sigma, seed=seed).play() for seed in range(seeds)
    ]
    use = mean([night.busy(*night.full_time()) for night in nights])
    return 100 * use, mean([night.polls() for night in nights])


def after_each_change(night: Account) -> Iterator[tuple[int, float]]:
    """The capacity, and how busy its slots were once three generations had passed, in per cent."""
    ends = [since for since, _ in CHANGES[1:]] + [END]
    for (since, size), end in zip(CHANGES, ends, strict=True):
        yield size, 100 * night.busy(since + FOLLOWED, end)


def throughput(sigma: float, seed: int) -> tuple[int, int]:
    """How many have ended with a changing capacity: with ours, and with more queued than can start."""
    ours, oracle = (
        Account(player, CHANGES, until=END, sigma=sigma, seed=seed).play()
        for player in (Auto(seed), Loop(5, 64))
    )
    return ours.ended(END), oracle.ended(END)


def account_slots(stage: Stage) -> Iterator[Figure]:
    """Ours with its goals, and the usual loops beside it."""
    seeds = stage.size(SEEDS, 1)
    for kind, sigma in SPREADS.items():
        use, polls = slot_use(Auto, sigma, seeds)
        what, name = f"account's slots found and used, jobs of 90 s {kind}", f"account.{kind}"
        yield Figure(name, what, use, "%", goal=at_least(GOALS[kind]))
        yield Figure(f"{name}.polls", f"{what}: polls a task", polls, "", goal=at_most(10))
        for seconds in LOOPS:
            use, polls = slot_use(lambda _, every=seconds: Loop(every, SLOTS), sigma, seeds)  # type: ignore[misc]
            note = f"{polls:.1f} polls a task"
            yield Figure(f"{name}.loop{seconds}", f"a loop of {seconds} s, jobs {kind}", use, "%", note=note)
        night = Account(Auto(1), CHANGES, until=END, sigma=sigma).play()
        for size, busy in after_each_change(night):
            followed = f"capacity {size} after 3 generations, jobs {kind}"
            yield Figure(f"{name}.to{size}", followed, busy, "%", goal=Goal(95.0, at_least=True))
        ended, most = throughput(sigma, 1)
        yield Figure(f"{name}.ended", f"changing capacity, jobs {kind}: tasks ended", ended, "", floor=most)


MEASURES = (Measure("account", "an account's slots, found and kept full", account_slots),)
