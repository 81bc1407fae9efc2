"""The refresh loop: when the gateway learns of what has become of a task."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.simulator.life import Ending, Life, ObservedLife, Timings
from batchrunner.simulator.loop import RefreshLoop

PACE = Timings(refresh=15, line=1, timeout=86_400, link=86_400)
ALONE = replace(PACE, line=0)


def life(created_at: float, running_at: float, ended_at: float, ending: Ending = Ending.SUCCEEDED) -> Life:
    return Life(created_at, running_at, ended_at, ending)


def seen(*lives: Life, pace: Timings = ALONE, until: float = 1e6) -> list[list[tuple[float, str, str]]]:
    """All that the gateway shows of each life, its loop having begun at 0."""
    loop, tasks = RefreshLoop(0, pace), [ObservedLife(one, pace) for one in lives]
    for task in tasks:
        loop.add(task)
    loop.advance(until)
    return [[(phase.at, phase.status, phase.progress) for phase in task.phases] for task in tasks]


def test_upstream_changes_show_at_the_next_refresh() -> None:
    """What happens upstream is shown at the next full round, not when it happens."""
    assert seen(life(31, 50, 100)) == [
        [
            (31, "NOT_START", "0%"),
            (45, "QUEUED", "10%"),
            (60, "IN_PROGRESS", "50%"),
            (105, "SUCCESS", "100%"),
        ]
    ]


def test_a_short_task_is_never_seen_running() -> None:
    """A task that ends between two rounds goes straight to its end."""
    assert seen(life(31, 32, 44, Ending.FAILED)) == [[(31, "NOT_START", "0%"), (45, "FAILURE", "100%")]]


def test_a_round_takes_a_second_for_each_task_in_line() -> None:
    """As recorded: with 15 tasks a round takes 30 s, and each is seen a second after the one before."""
    shown = seen(*(life(10, 10, 40) for _ in range(15)), pace=PACE)
    assert [[at for at, _, _ in phases] for phases in shown] == [
        [10, 15 + place, 45 + place] for place in range(15)
    ]


def test_a_task_submitted_during_a_round_waits_for_the_next() -> None:
    """A round asks after the tasks that were there when it began."""
    first, late = seen(life(10, 10, 11), life(15.5, 15.5, 16), pace=PACE)
    assert (first[-1][0], late[-1][0]) == (15, 31)


def test_an_expired_task_stays_in_progress_until_the_gateway_gives_it_up() -> None:
    """Upstream's `expired` or `cancelled` is shown as 30% for a day, then as a failure."""
    for ending in (Ending.EXPIRED, Ending.CANCELLED):
        assert seen(life(1, 4, 100, ending))[0][1:] == [
            (15, "IN_PROGRESS", "50%"),
            (105, "IN_PROGRESS", "30%"),
            (86_415, "FAILURE", "100%"),
        ]


def test_a_task_given_up_keeps_the_last_upstream_state() -> None:
    """The failure is new; the state beside it is as old as the last question."""
    loop, task = RefreshLoop(0, ALONE), ObservedLife(life(1, 4, 100, Ending.CHANNEL_LOST), ALONE)
    loop.add(task)
    loop.advance(1000)
    assert (task.phase.status, task.phase.at) == ("FAILURE", 105)
    assert (task.phase.upstream, task.phase.asked_at) == ("running", 15)


def test_progress_may_go_backwards() -> None:
    """An error of the upstream's in the middle is shown as 30%, and the next round finds the task again."""
    assert seen(replace(life(1, 4, 100), flicker=True))[0][1:] == [
        (15, "IN_PROGRESS", "50%"),
        (30, "IN_PROGRESS", "30%"),
        (45, "IN_PROGRESS", "50%"),
        (105, "SUCCESS", "100%"),
    ]


@pytest.mark.parametrize("ending", list(Ending))
def test_every_life_comes_to_an_end(ending: Ending) -> None:
    """The last phase of every life is a final one, and no other is."""
    pace = Timings(0.3, 0.1, 500, 500)
    task = ObservedLife(life(1.1, 4.7, 77.7, ending), pace)
    loop = RefreshLoop(0, pace)
    loop.add(task)
    loop.advance(1000)
    assert [phase.final for phase in task.phases] == [False] * (len(task.phases) - 1) + [True]


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 50), st.floats(0, 100)), max_size=8),
    st.lists(st.floats(0, 900), max_size=30),
    st.sampled_from((0.0, 1.0, 0.7)),
)
def test_frequent_refreshes_show_the_same_as_one(
    drawn: list[tuple[float, float, float]], asked_at: list[float], pause: float
) -> None:
    """However often it catches up, and with idle hours skipped: so a restart finds everything as it was."""
    pace = replace(PACE, line=pause, timeout=300)
    lives = [life(at, at + queued, at + queued + takes) for at, queued, takes in sorted(drawn)]
    often, tasks = RefreshLoop(0, pace), [ObservedLife(one, pace) for one in lives]
    coming = list(zip(lives, tasks, strict=True))
    for moment in sorted([*asked_at, *(one.created_at for one in lives)]):
        often.advance(moment)
        while coming and coming[0][0].created_at <= moment:
            often.add(coming.pop(0)[1])
    often.advance(2000)
    assert [[(phase.at, phase.status, phase.progress) for phase in task.phases] for task in tasks] == seen(
        *lives, pace=pace, until=2000
    )


def test_the_refresh_loop_is_idle_without_tasks() -> None:
    """A simulator that was left alone for years skips them, rather than go through them for ever."""
    assert seen(life(1e9, 1e9, 1e9), pace=Timings(0.001, 0, 1, 1), until=1e9 + 1)[0][-1][1] == "SUCCESS"
