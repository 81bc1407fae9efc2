"""When a log that shows nothing of a doubt proves that it was not charged."""

from typing import Any

import pytest

from batchrunner.core.doubts.adoption import NEWEST_ROWS, Unowned, UsageRow
from batchrunner.core.doubts.metering import Beyond
from batchrunner.core.doubts.silence import Witness, why_unproven
from batchrunner.core.model import AttemptId, TaskKey

SENT = 1_700_000_000.0
LATEST = 3600.0
FAST = "dreamina-seedance-2-0-fast"
DOUBT = Unowned(AttemptId(5), TaskKey("1-a"), "bee", True, FAST, 42, 4, "480p", SENT, process="p1")


def witness(number: int = 6, **given: Any) -> Witness:
    """A submission that was accepted after the doubt."""
    usual: dict[str, Any] = {"process": "p1", "request_id": f"r-{number}", "accepted_at": SENT + 10}
    return Witness(AttemptId(number), **usual | given)


def row(number: int, **given: Any) -> UsageRow:
    """The row of a submission."""
    usual: dict[str, Any] = {"at": SENT + 10, "remote_id": None, "is_submission": True}
    return UsageRow(**{"model": FAST, "request_id": f"r-{number}"} | usual | given)


def test_a_log_that_shows_every_later_acceptance_proves_it() -> None:
    """Also what was submitted before and accepted after it; one more or less of others is nothing."""
    assert why_unproven(DOUBT, [row(6)], [witness()], LATEST), "a key whose used quota was never read"
    assert why_unproven(DOUBT, [row(6)], [witness()], LATEST, Beyond()) == ""
    assert why_unproven(DOUBT, [row(6), row(4), row(99)], [witness(4), witness()], LATEST, Beyond()) == ""


@pytest.mark.parametrize(
    "other",
    [
        {"process": "p2"},
        {"process": ""},
        {"accepted_at": SENT - 1},
        {"accepted_at": SENT + LATEST + 1},
        {"request_id": ""},
        {"number": 4},
    ],
    ids=str,
)
def test_only_acceptances_of_this_process_vouch_for_the_log(other: dict[str, Any]) -> None:
    """Another process may have another key; outside the window, or sent before, it shows nothing of then."""
    assert why_unproven(DOUBT, [row(6), row(4), row(0, request_id="")], [witness(**other)], LATEST, Beyond())


def test_a_log_that_lacks_one_of_our_submissions_proves_nothing() -> None:
    """One that is there does not help: it was switched off and on, or it is another key's."""
    assert "lacks 1 submission" in why_unproven(DOUBT, [row(6)], [witness(), witness(7)], LATEST, Beyond())
    assert "lacks 1 submission" in why_unproven(DOUBT, [row(6)], [witness(), witness(4)], LATEST, Beyond())
    settled = row(6, is_submission=False)
    assert why_unproven(DOUBT, [settled], [witness()], LATEST, Beyond()), "a settlement is no submission"


def test_a_log_that_does_not_reach_back_proves_nothing() -> None:
    """It holds the newest rows alone."""
    assert why_unproven(DOUBT, [row(6)] * NEWEST_ROWS, [witness()], LATEST, Beyond())


def test_a_doubt_of_an_older_ledger_has_no_process() -> None:
    """Nobody knows with which key it was sent."""
    older = Unowned(AttemptId(5), TaskKey("1-a"), "bee", True, FAST, 42, 4, "480p", SENT)
    assert why_unproven(older, [row(6)], [witness(process="")], LATEST, Beyond())


def test_a_log_that_lacks_a_charge_proves_nothing() -> None:
    """The gateway died with a submission in it and kept its hold: it may be this one's."""
    assert "1,234 quota units" in why_unproven(DOUBT, [row(6)], [witness()], LATEST, Beyond(1234, 1234))
    for unsure in (Beyond(possible=1), Beyond(is_known=False)):
        assert why_unproven(DOUBT, [row(6)], [witness()], LATEST, unsure)
