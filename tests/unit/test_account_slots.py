"""The account's slots, kept full without knowing how many there are: the decisions against the simulator."""

import json
import math
from dataclasses import asdict
from typing import Any

import pytest

from batchrunner.core.model import AUTO, Ahead, RunSettings, TaskKey
from batchrunner.core.outcome import InProgress
from batchrunner.core.submission.capacity import CANNOT_TELL, Capacity
from batchrunner.ledger.rows import settings_of
from batchrunner.manifest.settings import run_settings
from tests.harness.account import Account, Auto, Loop, mean

RUNNING, QUEUED = InProgress("IN_PROGRESS", "running", ""), InProgress("QUEUED", "queued", "")
GENERATION = 90.0
STEPS = ((0.0, 7), (1200.0, 20), (2400.0, 2), (3600.0, 10))


def key(number: int) -> TaskKey:
    return TaskKey(f"1-{number}")


def seeing(running: int, queued: int = 0, now: float = 0.0, **settings: Any) -> Capacity:
    """A controller to which polls have shown so many running and queued for half a minute."""
    capacity = Capacity(RunSettings(concurrency=AUTO, **settings))
    for moment in (now, now + 30.0):
        for number in range(running + queued):
            capacity.saw(key(number), RUNNING if number < running else QUEUED, moment)
    return capacity


# --- the whole of it, in virtual time -----------------------------------------------------------------------


@pytest.mark.parametrize(("sigma", "goal"), [(0.0, 0.98), (0.25, 0.97)])
def test_ten_slots_are_busy_nearly_all_the_time(sigma: float, goal: float) -> None:
    """Between the tenth start and the tenth last end, with few polls, and with two queued at most."""
    nights = [Account(Auto(seed), 10, tasks=150, sigma=sigma, seed=seed).play() for seed in range(1, 7)]
    assert mean([night.busy(*night.full_time()) for night in nights]) >= goal
    assert max(night.polls() for night in nights) <= 10
    queued = [night.queued(moment) for night in nights for moment in range(0, 1400, 5)]
    assert sum(number > 2 for number in queued) <= 0.01 * len(queued)
    assert max(queued) <= 3


@pytest.mark.parametrize("sigma", [0.0, 0.25])
def test_a_changing_capacity_is_followed_within_three_generations(sigma: float) -> None:
    """7 → 20 → 2 → 10: the slots are full again, and what is queued is what `ahead` allows."""
    night = Account(Auto(2), STEPS, until=4800.0, sigma=sigma).play()
    ends = [since for since, _ in STEPS[1:]] + [4800.0]
    for (since, size), end in zip(STEPS, ends, strict=True):
        followed = since + 3 * GENERATION
        assert night.busy(followed, end) >= 0.96, size
        allowed = math.ceil(0.2 * size)
        later = [night.queued(moment) for moment in range(int(since + 5 * GENERATION), int(end), 5)]
        assert max(later) <= allowed + 2
        assert mean(later) <= allowed


def test_fixed_loops_use_the_slots_less() -> None:
    """A script with ten at once, asking each every 5, 15 or 20 s, polls more, or leaves slots idle."""
    ours = Account(Auto(), 10, tasks=100, sigma=0.25).play()
    for seconds in (5, 15, 20):
        theirs = Account(Loop(seconds, 10), 10, tasks=100, sigma=0.25).play()
        assert theirs.busy(*theirs.full_time()) < ours.busy(*ours.full_time()) - 0.05
        assert theirs.polls() > ours.polls() or seconds > 5


@pytest.mark.parametrize(("word", "busy"), [("IN_PROGRESS", 0.97), ("QUEUED", 0.95)])
def test_with_one_word_for_all_it_grows_only_while_more_finish(word: str, busy: float) -> None:
    """A gateway that calls all of it in progress, or queued: ten run, and at most 20 are ever in flight."""
    player = Auto()
    night = Account(player, 10, until=6000.0, unfinished=word).play()
    assert night.busy(1500, 6000) >= busy
    assert max(night.in_flight(moment) for moment in range(0, 6000, 10)) <= 20
    assert player.capacity.news() == CANNOT_TELL
    assert player.capacity.news() == ""


def test_a_refusing_account_is_a_ceiling() -> None:
    """Seven slots, four that queue, and the next is refused: its slots are full, and refusals are few."""
    night = Account(Auto(ahead=Ahead(8)), 7, until=4000.0, queue_limit=4).play()
    assert night.busy(600, 4000) >= 0.97
    assert len(night.refusals) <= 30


def test_ahead_keeps_a_fixed_number_busy() -> None:
    """`concurrency: 10, ahead: 2`: twelve in flight, never more."""
    night = Account(Auto(concurrency=10, ahead=Ahead(2)), 10, tasks=120).play()
    assert max(night.in_flight(moment) for moment in range(1200)) == 12
    assert night.busy(200, 1000) >= 0.93


# --- its rules, one by one ----------------------------------------------------------------------------------


def test_it_starts_small() -> None:
    """Before anything is known, three are in flight."""
    assert Capacity(RunSettings(concurrency=AUTO)).limit(0.0) == 3


@pytest.mark.parametrize(("running", "limit"), [(2, 3), (5, 6), (6, 8), (10, 12), (20, 24), (100, 64)])
def test_as_many_as_run_and_a_fifth(running: int, limit: int) -> None:
    """Rounded up, at least one, and never above `max_concurrency`."""
    assert seeing(running).limit(30.0) == limit


def test_a_number_for_ahead() -> None:
    """`ahead: 5` is five; 0 is still one, or nothing could be learned."""
    assert seeing(10, ahead=Ahead(5)).limit(30.0) == 15
    assert seeing(10, ahead=Ahead(0)).limit(30.0) == 11


def test_a_fixed_number_stays() -> None:
    """Whatever polls show; plus `ahead`, which is 0 unless given."""
    capacity = Capacity(RunSettings(concurrency=8))
    for number in range(20):
        capacity.saw(key(number), RUNNING, 30.0)
    assert capacity.limit(30.0) == 8
    assert Capacity(RunSettings(concurrency=8, ahead=Ahead(percent=20))).limit(0.0) == 10


def test_an_end_with_nothing_queued_is_replaced_at_once() -> None:
    """Three of ten have ended: three and the two ahead may follow, for two minutes."""
    capacity = seeing(10)
    for number in range(3):
        capacity.left(key(number), 31.0, finished=True)
    assert capacity.limit(31.0) == 12
    capacity.saw(key(5), RUNNING, 200.0)
    assert capacity.limit(200.0) == 9


def test_an_end_while_others_are_queued_is_not() -> None:
    """The queue fills the slot if there is one; if not, the capacity has shrunk."""
    capacity = seeing(10, queued=2)
    for number in range(3):
        capacity.left(key(number), 31.0, finished=True)
    assert capacity.limit(31.0) <= 9


def test_a_task_past_its_deadline_makes_no_room() -> None:
    """It is polled without a slot, and may run for ever: others must not be queued for it."""
    capacity = seeing(10, queued=1)
    capacity.left(key(0), 31.0, finished=False)
    capacity.saw(key(0), RUNNING, 40.0)
    assert capacity.limit(40.0) == 11


def test_a_state_that_says_nothing_changes_nothing() -> None:
    """An error in place of the model's state: the task is where it was."""
    capacity = seeing(4)
    capacity.saw(key(1), InProgress("NOT_START", "", ""), 31.0)
    assert capacity.limit(31.0) == seeing(4).limit(31.0)


def test_429_is_a_ceiling_until_one_more_is_accepted() -> None:
    """Refused at 11: no more than that for two minutes; then one more is tried, and twice as long later."""
    capacity = seeing(10)
    assert capacity.limit(31.0) == 12
    capacity.refused(11, 31.0)
    assert [capacity.limit(now) for now in (31.0, 150.0, 151.0)] == [11, 11, 12]
    capacity.refused(11, 160.0)
    assert [capacity.limit(now) for now in (281.0, 400.0)] == [11, 12]
    capacity.accepted(11, 401.0)
    assert capacity.limit(402.0) == 12
    assert seeing(20).limit(31.0) == 24


def test_a_429_below_what_runs_is_no_ceiling() -> None:
    """Ten run, so ten are not too many, whatever was refused for another reason."""
    capacity = seeing(10)
    capacity.refused(3, 31.0)
    assert capacity.limit(31.0) == 10


def test_it_can_be_set_while_it_runs() -> None:
    """From auto to a number and back."""
    capacity = seeing(10)
    capacity.allow(4)
    assert capacity.limit(31.0) == 4
    capacity.allow(AUTO)
    assert capacity.limit(31.0) == 12


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"concurrency": "auto"}, RunSettings(concurrency=AUTO)),
        ({"concurrency": 9, "ahead": 2}, RunSettings(concurrency=9, ahead=Ahead(2))),
        (
            {"concurrency": "auto", "max_concurrency": 30, "ahead": "25%"},
            RunSettings(AUTO, 30, Ahead(percent=25)),
        ),
    ],
)
def test_settings_are_read_from_the_manifest_and_from_the_ledger(
    given: dict[str, Any], settings: RunSettings
) -> None:
    """As written, and as kept."""
    assert run_settings(given) == settings
    assert settings_of(json.loads(json.dumps(asdict(settings)))) == settings
