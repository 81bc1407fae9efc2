"""The gate for kinds of which no video has been seen yet."""

from __future__ import annotations

import pytest

from batchrunner.core.kinds import Kind
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.outcome import Accepted, Receipt, Rejected, SubmitOutcome, Unknown
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.canary import FROM, MOST_OUT, CanaryGate
from batchrunner.core.submission.decision import Situation

SHORT, LONG = Kind("fast", "5 s"), Kind("fast", "10 s")


def task(number: int, kind: Kind = SHORT) -> Waiting:
    return Waiting(number, TaskKey(f"1-{number}"), kind.model, 0, kind.shape)


def gate_watching(*kinds: Kind) -> CanaryGate:
    gate = CanaryGate()
    gate.watch(dict.fromkeys(kinds, FROM))
    return gate


def submit(gate: CanaryGate, number: int, kind: Kind = SHORT, outcome: SubmitOutcome | None = None) -> None:
    gate.submitted(task(number, kind), probe=False)
    gate.record(outcome or Accepted(RemoteId("task_1"), Receipt()), task(number, kind), Situation(0.0, 0, 0))


def test_two_are_out_until_one_has_come_back() -> None:
    """Then all others may follow, and other kinds never had to wait for them."""
    gate = gate_watching(SHORT)
    for number in range(MOST_OUT):
        assert gate.allows(SHORT, 0.0)
        submit(gate, number)
    assert not gate.allows(SHORT, 0.0)
    assert "waiting for the first video of fast, 5 s" in gate.reason(SHORT, 0.0)
    assert gate.allows(LONG, 0.0)
    gate.proved(SHORT)
    assert gate.allows(SHORT, 0.0)
    assert gate.reason(SHORT, 0.0) == ""


def test_few_tasks_of_a_kind_are_not_watched() -> None:
    """Nineteen of a kind, whatever else there is."""
    gate = CanaryGate()
    gate.watch({SHORT: FROM - 1, LONG: FROM})
    for number in range(MOST_OUT):
        submit(gate, number)
        submit(gate, 10 + number, LONG)
    assert gate.allows(SHORT, 0.0)
    assert not gate.allows(LONG, 0.0)


@pytest.mark.parametrize("what", ["failed", "rejected", "withdrawn", "overdue"])
def test_one_that_does_not_come_back_makes_room_for_another(what: str) -> None:
    """However it ended."""
    gate = gate_watching(SHORT)
    submit(gate, 0)
    match what:
        case "failed":
            submit(gate, 1)
            gate.back(task(1).key)
        case "rejected":
            submit(gate, 1, outcome=Rejected(Receipt()))
        case "withdrawn":
            gate.submitted(task(1), probe=True)
            gate.withdrawn(task(1))
        case "overdue":
            submit(gate, 1)
            assert gate.overdue(task(1).key)
            assert not gate.overdue(task(1).key)
    assert gate.allows(SHORT, 0.0)
    submit(gate, 2)
    assert not gate.allows(SHORT, 0.0)


def test_one_in_doubt_makes_no_room() -> None:
    """It may be charged, and may never be found."""
    gate = gate_watching(SHORT)
    for number in range(MOST_OUT):
        submit(gate, number, outcome=Unknown(Receipt()))
    assert not gate.allows(SHORT, 0.0)


def test_videos_that_cannot_be_had_stop_their_kind() -> None:
    """The first may be bad luck, and makes no room for another; the second is not."""
    gate = gate_watching(SHORT)
    submit(gate, 0)
    submit(gate, 1)
    gate.uncollected(task(0).key, "not downloaded: not_a_video (a)")
    assert not gate.is_stopped(SHORT)
    assert not gate.allows(SHORT, 0.0)
    gate.uncollected(task(1).key, "not downloaded: not_a_video (b)")
    assert gate.is_stopped(SHORT)


def test_those_of_an_earlier_run_count() -> None:
    """A run that is killed and started again has no more of them out."""
    gate = CanaryGate()
    for number in range(MOST_OUT):
        gate.out(task(number).key, SHORT)
    gate.watch({SHORT: FROM})
    assert not gate.allows(SHORT, 0.0)
    gate.back(task(0).key)
    assert gate.allows(SHORT, 0.0)


def test_a_video_that_differs_stops_its_kind() -> None:
    """Also if it is known before the kind is watched; the news come once, and another kind goes on."""
    gate = CanaryGate()
    gate.wrong(SHORT, "requested 5 s, got 4 s (a)")
    assert gate.news() == []
    gate.watch({SHORT: FROM, LONG: FROM})
    assert len(gate.news()) == 1
    assert gate.news() == []
    assert not gate.allows(SHORT, 0.0)
    assert gate.is_stopped(SHORT)
    assert gate.stopped({SHORT, LONG}) is None
    stop = gate.stopped({SHORT})
    assert stop
    assert "requested 5 s, got 4 s (a)" in stop.why
    assert stop.exit_code == 1


def test_a_proven_kind_is_not_watched() -> None:
    """It came back in an earlier run."""
    gate = CanaryGate()
    gate.proved(SHORT)
    gate.watch({SHORT: FROM})
    for number in range(MOST_OUT + 1):
        submit(gate, number)
    assert gate.allows(SHORT, 0.0)
