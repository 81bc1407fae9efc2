"""The page about shared slots in short: each story can be played, and the book says who had what."""

from __future__ import annotations

from collections import Counter

from batchrunner.core.errors import ExitCode
from batchrunner.core.states import TaskState
from tests.benchmarks import sharing


def test_runs_with_weights_are_played_to_their_ends() -> None:
    """Each task of the three runs is charged once, and a run with a larger weight holds more slots."""
    story = sharing.by_weight(tasks=24)
    assert Counter(entry.run for entry in story.entries) == dict.fromkeys(sharing.WEIGHTS, 24)
    assert {summary.exit_code for summary in story.summaries} == {ExitCode.DONE}
    one, two, three = sharing.shares(story).values()
    assert one < two < three


def test_revoked_account_takes_nothing_more() -> None:
    """After one key is refused, the other account takes the rest; each task is charged once."""
    story = sharing.one_revoked(tasks=40, revoked_at=100.0)
    (summary,) = story.summaries
    revoked = story.held("south")
    assert 0 < len(revoked) < len(story.held("north"))
    assert max(since for since, _ in revoked) < 100.0
    assert len({entry.charge.body["prompt"] for entry in story.entries}) == len(story.entries) == 40
    assert summary.counts[TaskState.DONE] + summary.counts[TaskState.GENERATING] == 40
    assert summary.exit_code is ExitCode.ACCOUNT


def test_two_processes_on_one_account_both_go_on() -> None:
    """Each finds slots, and ends with all of its tasks done; no more are generated at once than there are."""
    story = sharing.two_processes(tasks=20)
    assert [summary.counts[TaskState.DONE] for summary in story.summaries] == [20, 20]
    busy, first, second = sharing.of_two(story)
    assert min(first, second) > 0
    assert busy <= 100
