"""Failed generations show no seed: which doubt is one of them, and what else a doubt may be."""

from typing import Any

import pytest

from batchrunner.core.doubts.adoption import CLOCKS_DIFFER, Sighting, Unowned, UsageRow
from batchrunner.core.doubts.failures import failures, named
from batchrunner.core.model import AttemptId, RemoteId, TaskKey

SENT = 1_700_000_000.0
LATEST = 3600.0
FAST = "dreamina-seedance-2-0-fast"
A = RemoteId("task_A")


def doubt(number: int = 1, **given: Any) -> Unowned:
    """A submission in doubt."""
    usual: dict[str, Any] = {
        "key": TaskKey(f"1-{number}"),
        "id": f"t{number}",
        "is_doubt": True,
        "model": FAST,
    }
    usual |= {"seed": 42, "duration": 4, "resolution": "480p", "submitted_at": SENT}
    return Unowned(**{"attempt": AttemptId(number)} | usual | given)


def failed(remote_id: str = A, **given: Any) -> Sighting:
    """A task that failed a moment after the doubt was submitted; it shows no seed."""
    usual: dict[str, Any] = {"model": FAST, "seed": None, "duration": None, "resolution": None}
    usual |= {"submitted_at": SENT + 1, "succeeded": False, "status": "FAILURE"}
    return Sighting(**{"remote_id": RemoteId(remote_id)} | usual | given)


def charge(**given: Any) -> UsageRow:
    """The row of a submission that nobody accounts for."""
    usual: dict[str, Any] = {
        "at": SENT + 1,
        "model": FAST,
        "request_id": "r",
        "remote_id": None,
        "quota": 700,
    }
    return UsageRow(**usual | {"is_submission": True} | given)


def refund(remote_id: str = A, quota: int = 700) -> UsageRow:
    """The row of its refund."""
    return UsageRow(SENT + 90, FAST, "r-2", RemoteId(remote_id), False, quota, is_refund=True)


def found(*unowned: Unowned, seen: Any = None, rows: Any = None) -> Any:
    """Which doubts are found."""
    rows = [charge(), refund()] if rows is None else rows
    return failures(unowned, [failed()] if seen is None else seen, rows, frozenset(), (), LATEST)


def test_one_failure_with_its_charge_and_refund_settles_the_doubt() -> None:
    """Exactly one id can be meant, with or without a seed of ours, and where the row names the task."""
    assert found(doubt()) == {1: A}
    assert found(doubt(seed=None)) == {1: A}
    assert found(doubt(), rows=[charge(remote_id=A), refund()]) == {1: A}


@pytest.mark.parametrize(
    "given",
    [
        {"rows": [charge()]},
        {"rows": [refund()]},
        {"rows": [charge(), charge(request_id="r-3"), refund()]},
        {"rows": [charge(quota=701), refund()]},
        {"rows": [charge(), refund(), refund()]},
        {"rows": [charge(at=SENT + 100), refund()]},
        {"rows": [charge(remote_id=RemoteId("task_B")), refund()]},
        {"seen": [failed(), failed("task_B")]},
        {"seen": [failed(), failed("task_B", succeeded=None)]},
        {"seen": [failed(succeeded=True)]},
        {"seen": [failed(succeeded=None)]},
        {"seen": [failed(seed=43)]},
        {"seen": [failed(model="another")]},
        {"seen": [failed(submitted_at=None)]},
        {"seen": [failed(submitted_at=SENT - CLOCKS_DIFFER - 1)]},
        {"seen": []},
    ],
    ids=str,
)
def test_an_ambiguous_or_missing_row_leaves_it_in_doubt(given: dict[str, Any]) -> None:
    """No refund, another charge, another quota, another task beside it, one that did not fail or differs."""
    assert found(doubt(), **given) == {}


@pytest.mark.parametrize("is_doubt", [True, False])
def test_a_second_possible_submission_leaves_it_in_doubt(is_doubt: bool) -> None:
    """Another doubt, or a submission in the air or declared lost, may be its owner."""
    assert found(doubt(), doubt(2, seed=7, is_doubt=is_doubt)) == {}
    assert found(doubt(), doubt(2, model="another")) == {1: A}


def test_candidates_are_listed_oldest_first() -> None:
    """With time, model and status; what could not be looked at is named by its row."""
    unseen = {RemoteId("task_C"): charge(at=SENT + 5), RemoteId("task_D"): charge(model="another")}
    late = failed("task_B", submitted_at=SENT + 9, succeeded=None, status="IN_PROGRESS")
    told = named(doubt(), [late, failed(), failed("task_E", seed=43)], unseen, LATEST)
    assert [(one.remote_id, one.status) for one in told] == [
        (A, "FAILURE"),
        ("task_C", ""),
        ("task_B", "IN_PROGRESS"),
    ]
