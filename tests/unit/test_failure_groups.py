"""Failures by cause: what a person reads never leads to paying twice unawares."""

import pytest

from batchrunner.core.failure_groups import Remedy, Trouble, groups
from batchrunner.core.states import TaskState

FAILED, DOUBT, UNCOLLECTED = TaskState.FAILED, TaskState.IN_DOUBT, TaskState.UNCOLLECTED


def test_equal_causes_are_one_group_and_the_largest_is_first():
    found = groups(
        [
            Trouble("1-a", "a", FAILED, "X", "first"),
            Trouble("1-b", "b", FAILED, "Y", ""),
            Trouble("1-c", "c", FAILED, "Y", ""),
        ]
    )
    assert [(group.code, group.ids, group.message) for group in found] == [
        ("Y", ("b", "c"), ""),
        ("X", ("a",), "first"),
    ]


@pytest.mark.parametrize(
    ("state", "code", "paid", "remedy"),
    [
        (FAILED, "OutputVideoSensitiveContentDetected.PolicyViolation", False, Remedy.RETRY),
        (FAILED, "InternalServiceError", False, Remedy.RETRY),
        (FAILED, "something_new", False, Remedy.RETRY),
        (FAILED, "InputTextSensitiveContentDetected", False, Remedy.NONE),
        (FAILED, "InvalidParameter.Duration", False, Remedy.NONE),
        (FAILED, "task_not_exist", True, Remedy.COLLECT),
        (FAILED, "upstream_expired", True, Remedy.COLLECT),
        (FAILED, "generation_failed", True, Remedy.COLLECT),
        (FAILED, "InternalServiceError", True, Remedy.COLLECT),
        (DOUBT, "timeout", False, Remedy.RESOLVE),
        (DOUBT, "InternalServiceError", False, Remedy.RESOLVE),
        (UNCOLLECTED, "no_answer", False, Remedy.COLLECT),
        (UNCOLLECTED, "link_expired", False, Remedy.NONE),
        (UNCOLLECTED, "name_taken", False, Remedy.COLLECT),
    ],
)
def test_remedy_never_pays_for_what_may_be_paid(state, code, paid, remedy):
    """`retry` is offered only where nothing was charged; free commands come first."""
    (group,) = groups([Trouble("1-a", "a", state, code, "", paid)])
    assert group.cause.remedy is remedy
    assert group.cause.meaning.endswith(".")
    assert group.cause.advice.endswith(".")


def test_paid_and_refunded_tasks_with_one_code_are_two_groups():
    found = groups(
        [
            Trouble("1-a", "a", FAILED, "generation_failed", "", True),
            Trouble("1-b", "b", FAILED, "generation_failed", ""),
        ]
    )
    assert {group.cause.remedy for group in found} == {Remedy.COLLECT, Remedy.RETRY}


def test_a_link_that_has_expired_means_two_things():
    """A video that can not be downloaded any more, and a need that must be made anew."""
    lost, stale = groups(
        [
            Trouble("1-a", "a", UNCOLLECTED, "link_expired", ""),
            Trouble("1-b", "b", FAILED, "link_expired", ""),
        ]
    )
    assert "operator" in lost.cause.advice
    assert "pays for it again" in stale.cause.advice
