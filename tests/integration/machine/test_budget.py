"""Nights with a budget in tokens, in virtual time: never exceeded, and used as far as one more task goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from batchrunner.core.model import OnDoubt
from batchrunner.core.states import TaskState
from tests.integration.machine import fates
from tests.integration.machine.chains import LENGTHS
from tests.integration.machine.gateway import tokens_of
from tests.integration.machine.night import MOMENTS
from tests.integration.machine.test_machine import Nights

LONGEST = 15
"""Seconds of a video whose length the model chooses, at worst."""
BACK = [name for name, life in fates.LIVES.items() if life.ending == "refunded"]
PASSING = [fate.name for fate in (fates.ACCEPTED, fates.SLOW, *fates.UNCLEAR, *fates.PASSING)]
steps = st.one_of(
    st.tuples(st.just("submissions"), st.lists(st.sampled_from(PASSING), min_size=1, max_size=4)),
    st.tuples(st.just("lives"), st.lists(st.sampled_from(["quick", "slow", *BACK]), min_size=1, max_size=3)),
    st.tuples(st.just("passes"), st.sampled_from((1.0, 30.0, 350.0, 4000.0))),
    st.tuples(st.just("crash"), st.tuples(st.sampled_from((*MOMENTS, "")), st.integers(0, 40))),
    st.tuples(st.just("ctrl_c"), st.sampled_from((0.0, 1.0, 200.0))),
)
Step = tuple[str, object]


def worst_of(prompt: str) -> int:
    """The most tokens that a task can be charged."""
    seconds = LENGTHS.get(prompt[0], 5)
    return tokens_of(seconds if seconds > 0 else LONGEST)


@contextmanager
def night(tasks: str, tokens: int, concurrency: int, seed: int) -> Iterator[Nights]:
    """A night with a task for each letter; at its end, without the budget, all of them are made."""
    machine = Nights()
    named = [(f"{letter} {number}", f"id-{number}") for number, letter in enumerate(tasks)]
    more = {"concurrency": concurrency, "max_in_doubt": 4, "max_attempts": 2, "draw_seed": True}
    machine.begin(named, OnDoubt.KEEP, seed, None, tokens, **more)
    try:
        yield machine
    finally:
        machine.teardown()


def play(machine: Nights, step: Step) -> None:
    """One step of the night."""
    match step:
        case "submissions", list(coming):
            machine.submissions_will(coming=coming)
        case "lives", list(coming):
            machine.tasks_will(coming=coming)
        case "passes", float(seconds):
            machine.time_passes(seconds=seconds)
        case "crash", (str(moment), int(steps_)):
            machine.crash(moment=moment, steps=steps_)
        case "ctrl_c", float(seconds) if machine.is_running():
            machine.ctrl_c(seconds=seconds)
    machine.promises_are_kept()


def runs_to_its_end(machine: Nights) -> None:
    """Without faults, the same command until it has nothing left to wait for."""
    machine.world.calm()
    for _ in range(3):
        machine.keep_running()
        machine.loop.pass_until(machine.loop.time() + 30_000)
        machine.promises_are_kept()
        assert not machine.is_running()


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(
    tasks=st.text("abcde", min_size=2, max_size=8),
    share=st.floats(0.1, 1.0),
    concurrency=st.integers(1, 4),
    seed=st.integers(0, 99),
    story=st.lists(steps, max_size=6),
)
@example("aaaaa", 0.5, 2, 0, [])
@example("ddddd", 0.4, 3, 0, [("lives", ["failed", "quick"]), ("crash", ("polled", 3))])
def test_a_run_that_its_budget_ends_has_used_it_up(
    tasks: str, share: float, concurrency: int, seed: int, story: Sequence[Step]
) -> None:
    """Whatever happened before: the charge book is within the budget, and within one task of it."""
    tokens = max(int(share * sum(map(worst_of, tasks))), *map(worst_of, tasks))
    with night(tasks, tokens, concurrency, seed) as machine:
        for step in story:
            play(machine, step)
        runs_to_its_end(machine)
        pending, stop = machine.promises.in_state(TaskState.PENDING), machine.ended[-1].stop
        assert bool(pending) == (stop is not None and "raise budget.tokens" in stop.hint)
        doubts = machine.promises.in_state(TaskState.IN_DOUBT)
        event(f"{'ended by the budget' if pending else 'all made'}{' with doubts' if doubts else ''}")
        if not pending or doubts:
            return
        now = machine.world.now()
        standing = sum(one.tokens for one in machine.world.charges.values() if one.stands(now))
        prompts = {f"id-{number}": letter for number, letter in enumerate(tasks)}
        left = [prompts[task.id] for task in machine.planned() if task.state is TaskState.PENDING]
        assert standing <= tokens < standing + max(map(worst_of, left))
