"""Which doubts `on_doubt: resubmit` submits again."""

from typing import Any

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.doubts.resubmission import resubmission
from batchrunner.core.model import AttemptId, TaskKey

KEY, OTHER = TaskKey("1-a"), TaskKey("1-b")


def doubt(number: int = 5, key: TaskKey = KEY, **given: Any) -> Unowned:
    """A submission in doubt."""
    return Unowned(AttemptId(number), key, "bee", True, "m", 42, 4, "480p", 0.0, **given)


def test_a_doubt_proven_not_charged_is_submitted_again() -> None:
    """And nothing else: the other one is kept, and said so."""
    decided = resubmission([doubt(), doubt(6, OTHER)], {AttemptId(5)}, {KEY, OTHER}, 3)
    assert decided.again == {KEY}
    assert [one.key for one in decided.kept] == [OTHER]


def test_a_task_that_this_run_may_not_submit_is_left_alone() -> None:
    """Neither submitted nor spoken of: `--only` or `--limit` left it out."""
    decided = resubmission([doubt()], {AttemptId(5)}, {OTHER}, 3)
    assert (decided.again, decided.kept) == (frozenset(), ())


def test_no_more_than_max_attempts_are_risked() -> None:
    """Each attempt in doubt may have been charged."""
    assert resubmission([doubt(paid_attempts=2)], {AttemptId(5)}, {KEY}, 3).again == {KEY}
    assert resubmission([doubt(paid_attempts=3)], {AttemptId(5)}, {KEY}, 3).again == frozenset()
