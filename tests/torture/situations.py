"""Run directories in each interesting state, and the command that is tormented there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.harness.processes import until
from tests.torture.case_folder import CHAIN, TASKS, CaseFolder
from tests.torture.promises import Broken
from tests.torture.tracing import Moment, killed_at

Arguments = list[str]
UNANSWERED = {"on": "submit", "do": "hang_after_accept", "prompt": "bee*", "times": 1}
SLOW = {"on": "download", "do": "slow", "seconds": 1000, "first": 3}
A_VIDEO_IS_RENAMED = Moment("rename", r"\.mp4", number=0, rank=1, after=True)


def _fresh(desk: CaseFolder) -> Arguments:
    """Nothing is there yet."""
    return desk.run_arguments()


def _submitting(desk: CaseFolder) -> Arguments:
    """Two were accepted, one was charged and not answered."""
    run = desk.start_run().reached(2, "accepted")
    until(lambda: desk.gateway.charges("bee"), "the charge")
    run.killed()
    return desk.run_arguments()


def _in_doubt(desk: CaseFolder) -> Arguments:
    """The others are done, one is in doubt, and a person is about to adopt it."""
    _submitting(desk)
    desk.run()
    return ["resolve", desk.directory.name, "bee", "--adopt", desk.gateway.charges("bee")[0]["remote_id"]]


def _generating(desk: CaseFolder) -> Arguments:
    """All were accepted."""
    return _killed_when_all(desk, "accepted")


def _collecting(desk: CaseFolder) -> Arguments:
    """All have been generated, and their downloads were cut short by the kill."""
    return _killed_when_all(desk, "succeeded")


def _renamed(desk: CaseFolder) -> Arguments:
    """A video has its final name, and the ledger does not know it yet."""
    hit, _ = killed_at(desk, desk.run_arguments(), A_VIDEO_IS_RENAMED)
    if not hit:
        raise Broken("no video was renamed")
    return desk.run_arguments()


def _killed_when_all(desk: CaseFolder, event: str) -> Arguments:
    desk.start_run().reached(len(desk.tasks), event).killed()
    return desk.run_arguments()


@dataclass(frozen=True)
class Situation:
    """How a run directory stands when the torment begins."""

    prepare: Callable[[CaseFolder], Arguments]
    """Bring it about; the command that comes next."""
    scenario: Mapping[str, Any] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: TASKS)
    is_stored: bool = False
    """Whether the videos go to a bucket."""


SITUATIONS: Mapping[str, Situation] = {
    "fresh": Situation(_fresh),
    "submitting": Situation(_submitting, {"faults": [UNANSWERED]}),
    # Without a usage log, in which a run could look the doubt up by itself.
    "in_doubt": Situation(_in_doubt, {"faults": [UNANSWERED], "usage_log": False}),
    "generating": Situation(_generating, {"generation_seconds": 150}),
    "collecting": Situation(_collecting, {"faults": [SLOW]}),
    "renamed": Situation(_renamed),
    "chain": Situation(_fresh, tasks=CHAIN),
    "stored": Situation(_fresh, is_stored=True),
}
