"""Nights in a window, over both daylight-saving changes, started every hour; the gateway's book is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from batchrunner.core.model import OnDoubt, StopMode
from batchrunner.core.states import TaskState
from tests.integration.machine.fates import ACCEPTED, Fate, Life, refused
from tests.integration.machine.test_machine import Nights
from tests.integration.machine.virtual import EPOCH

HOUR = 3600.0
GENERATION = 1500.0
TASKS = 34
"""More than one night makes at one at a time, and fewer than two."""


def utc(month: int, day: int, hour: int, minute: int = 0) -> float:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC).timestamp()


class Change(NamedTuple):
    """Two nights of 22:00-07:00 in Berlin, in Unix seconds; clocks change in the first."""

    opens: float
    closes: float
    opens_again: float
    closes_again: float
    told: str
    """When it opens again, as the summary says it."""


SPRING = Change(
    utc(3, 27, 21), utc(3, 28, 5), utc(3, 28, 20), utc(3, 29, 5), "2027-03-28 22:00 Europe/Berlin"
)
AUTUMN = Change(
    utc(10, 30, 20), utc(10, 31, 6), utc(10, 31, 21), utc(11, 1, 6), "2027-10-31 22:00 Europe/Berlin"
)
CHANGES = pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["8 hours", "10 hours"])


@pytest.fixture
def night() -> Iterator[Nights]:
    """The machine; at its end, everything must be settled."""
    machine = Nights()
    yield machine
    machine.teardown()


def begin(night: Nights, stop: StopMode, tasks: int = TASKS, **settings: object) -> None:
    night.begin(
        tasks=[(f"prompt {number}", f"id-{number:02}") for number in range(tasks)],
        on_doubt=OnDoubt.KEEP,
        seed=0,
        concurrency=1,
        max_in_doubt=4,
        max_attempts=1,
        draw_seed=True,
        canary=False,  # this gateway has one small video for every request
        timezone="Europe/Berlin",
        stop=stop,
        **settings,
    )
    night.world.lives.extend([Life("success", GENERATION)] * tasks)


def change_settings(night: Nights, **settings: object) -> None:
    night.settings = night.promises._settings = replace(night.settings, **settings)  # type: ignore[arg-type]


def pass_to(night: Nights, at: float) -> None:
    """Let time pass until then (Unix seconds), whoever ends meanwhile."""
    while night.world.now() < at:
        night.loop.pass_until(at - EPOCH)


def cron(night: Nights, first: float, until: float) -> None:
    """Start it at `first` and every hour after that, unless it is running; return at `until`."""
    pass_to(night, first)
    while night.world.now() < until:
        if not night.is_running():
            night.start()
        pass_to(night, min(until, night.world.now() + HOUR))


def posted(night: Nights) -> list[float]:
    """When each charged POST left, in order (Unix seconds)."""
    return sorted(charge.at - 0.2 for charge in night.world.charges.values())


def states(night: Nights) -> Counter[str]:
    return Counter(row["state"] for row in night.promises.rows("SELECT state FROM tasks"))


def check_all_made_within(night: Nights, change: Change) -> None:
    """Every task is done, was charged once, and submitted in one of the two windows, used to their ends."""
    times = posted(night)
    assert states(night) == {"done": TASKS}
    assert len({charge.key for charge in night.world.charges.values()}) == len(times) == TASKS
    first = [at for at in times if at < change.opens_again]
    assert all(change.opens <= at < change.closes for at in first)
    assert all(change.opens_again <= at < change.closes_again for at in times[len(first) :])
    assert change.closes - first[-1] <= GENERATION + 120
    assert len(first) >= (change.closes - change.opens) // (GENERATION + 120)


@CHANGES
def test_a_night_that_drains(night: Nights, change: Change) -> None:
    """At the end of the window what is in flight is collected; the exit is 75, and says when it goes on."""
    begin(night, StopMode.DRAIN, window="22:00-07:00")
    cron(night, change.opens - 10 * HOUR, change.opens)
    assert posted(night) == []
    assert {int(ended.exit_code) for ended in night.ended} == {75}, "it does not wait for hours"
    cron(night, change.opens, change.closes + 1)
    assert (night.is_running(), states(night)["generating"]) == (True, 1)
    pass_to(night, change.closes + GENERATION + 120)
    assert not night.is_running()
    assert set(states(night)) == {"done", "pending"}
    ended = night.ended[-1]
    assert ended.exit_code == 75
    assert ended.stop
    assert ended.stop.why == "outside the window 22:00-07:00 (Europe/Berlin)"
    assert change.told in ended.stop.hint
    cron(night, change.opens_again, change.closes_again)
    check_all_made_within(night, change)
    assert night.ended[-1].exit_code == 0


@CHANGES
def test_a_night_that_detaches(night: Nights, change: Change) -> None:
    """At the end of the window the run ends at once; what generates is collected by a start in the day."""
    begin(night, StopMode.DETACH, window="22:00-07:00")
    cron(night, change.opens, change.closes + 1)
    assert not night.is_running()
    assert states(night)["generating"] == 1
    ended = night.ended[-1]
    assert ended.exit_code == 75
    assert ended.stop
    assert change.told in ended.stop.hint
    night.start()
    pass_to(night, change.closes + 30)
    assert not night.is_running(), "a start outside the window polls what generates once, and ends"
    assert (night.ended[-1].exit_code, states(night)["generating"]) == (75, 1)
    pass_to(night, change.closes + GENERATION)
    done = states(night)["done"]
    night.start()
    pass_to(night, change.closes + GENERATION + 60)
    assert not night.is_running()
    assert (night.ended[-1].exit_code, states(night)["done"], states(night)["generating"]) == (
        75,
        done + 1,
        0,
    )
    cron(night, change.opens_again, change.closes_again)
    check_all_made_within(night, change)
    assert night.ended[-1].exit_code == 0


@pytest.mark.parametrize("stop", StopMode)
def test_an_answer_on_its_way_when_the_window_closes_is_awaited(night: Nights, stop: StopMode) -> None:
    """A POST that left in time is nobody's doubt: its answer is recorded, and the video is made once."""
    begin(night, stop, tasks=2, window="22:00-07:00")
    pass_to(night, SPRING.closes - 10)
    night.world.fates.append(Fate("slow", charged=True, shows_id=True, seconds=40))
    night.start()
    pass_to(night, SPRING.closes + 60)
    assert states(night) == {"generating": 1, "pending": 1}
    cron(night, SPRING.closes + 2 * HOUR, SPRING.closes_again)
    assert (states(night), len(night.world.charges)) == ({"done": 2}, 2)


def test_a_window_that_opens_while_a_run_drains_is_used(night: Nights) -> None:
    """A start by day that still waits for a video at 22:00 goes on submitting then."""
    begin(night, StopMode.DRAIN, tasks=3, window="22:00-07:00")
    change_settings(night, task_deadline=24 * HOUR)
    pass_to(night, SPRING.closes - 100)
    night.start()
    pass_to(night, SPRING.closes - 50)
    night.ctrl_c(1)
    assert not night.is_running()
    (charge,) = night.world.charges.values()
    charge.life = Life("success", SPRING.opens_again + 60 - charge.at)
    pass_to(night, SPRING.opens_again - 900)
    night.promises.close()
    night.start()
    pass_to(night, SPRING.opens_again)
    assert (len(night.world.charges), night.is_running()) == (1, True)
    pass_to(night, SPRING.opens_again + 3 * HOUR)
    assert (night.is_running(), states(night)) == (False, {"done": 3})
    assert [int(ended.exit_code) for ended in night.ended] == [130, 0]


@pytest.mark.parametrize(
    ("deadline", "hours"),
    [("2h", 2.0), ("06:00", 7.0), ("2027-03-28 06:00", 7.0), ("2027-03-28T06:00+02:00", 7.0)],
)
@pytest.mark.parametrize("stop", StopMode)
def test_nothing_is_submitted_after_the_deadline(
    night: Nights, stop: StopMode, deadline: str, hours: float
) -> None:
    """A duration counts from the start; a time of day is the next one, whatever the clocks do in between."""
    begin(night, stop, deadline=deadline)
    pass_to(night, SPRING.opens)
    night.start()
    ends = SPRING.opens + hours * HOUR
    pass_to(night, ends + 1)
    assert ends - GENERATION - 120 < posted(night)[-1] < ends
    assert night.is_running() is (stop is StopMode.DRAIN)
    pass_to(night, ends + GENERATION + 120)
    assert not night.is_running()
    assert night.ended[-1].exit_code == 75
    assert night.ended[-1].stop
    assert "deadline" in night.ended[-1].stop.why
    made = len(night.world.charges)
    assert states(night)["pending"] == TASKS - made
    change_settings(night, deadline="99h")
    night.start()
    pass_to(night, ends + 24 * HOUR)
    assert (states(night), len(night.world.charges)) == ({"done": TASKS}, TASKS)


def test_retry_after_with_an_empty_body_pauses_the_account(night: Nights) -> None:
    """One 429 with `Retry-After: 1200` and nothing leaves for 20 minutes, of any task; polls go on."""
    begin(night, StopMode.DRAIN, tasks=3)
    change_settings(night, concurrency=3, submit_rate=20.0)
    night.world.lives.appendleft(Life("success", 600))
    pass_to(night, SPRING.opens)
    night.world.fates.extend([ACCEPTED, refused("429", 429, b"", 1200.0)])
    night.start()
    pass_to(night, SPRING.opens + 4 * HOUR)
    first, *others = posted(night)
    assert first < SPRING.opens + 60
    assert [at - first >= 1200 for at in others] == [True, True]
    assert others[0] - first < 1230
    assert states(night) == {"done": 3}


def test_the_state_of_a_task_whose_permit_came_too_late_is_pending(night: Nights) -> None:
    """The window closes between a run's first question and its first POST, which doesn't leave."""
    begin(night, StopMode.DRAIN, tasks=1, window="22:00-07:00")
    pass_to(night, SPRING.closes - 0.06)  # the first question of a run takes 0.05 s
    night.start()
    pass_to(night, SPRING.closes + 600)
    assert not night.is_running()
    assert (posted(night), night.promises.in_state(TaskState.IN_DOUBT)) == ([], [])
    assert [int(ended.exit_code) for ended in night.ended] == [75]
    cron(night, SPRING.opens_again, SPRING.opens_again + 2 * HOUR)
    assert states(night) == {"done": 1}
