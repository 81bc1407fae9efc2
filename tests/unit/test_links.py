"""When a source of a finished video is known to be dead, and what becomes of a task without its video."""

import pytest

from batchrunner.core.links import LINK_EXPIRED, LINKS_LIVE, Dead, VideoSource, is_dead
from batchrunner.core.outcome import Receipt
from batchrunner.core.policy import after_no_video
from batchrunner.core.states import Event, TaskState

OLD, YOUNG = LINKS_LIVE + 1, LINKS_LIVE
UPSTREAM = "Upstream service returned status"

ANSWERS = [
    (VideoSource.LINK, Receipt(403), True),
    (VideoSource.LINK, Receipt(404), True),
    (VideoSource.LINK, Receipt(410), True),
    (VideoSource.LINK, Receipt(500), False),
    (VideoSource.LINK, Receipt(502, message=f"{UPSTREAM} 403"), False),
    (VideoSource.LINK, Receipt(200, code="no_video"), False),
    (VideoSource.LINK, Receipt(code="no_answer"), False),
    (VideoSource.CONTENT, Receipt(404, message="Task not found"), True),
    (VideoSource.CONTENT, Receipt(410, code="artifact_gone"), True),
    (VideoSource.CONTENT, Receipt(502, message=f"{UPSTREAM} 403"), True),
    (VideoSource.CONTENT, Receipt(502, message=f"{UPSTREAM} 404"), True),
    (VideoSource.CONTENT, Receipt(502, code="artifact_upstream_auth_failed"), True),
    (VideoSource.CONTENT, Receipt(502, message=f"{UPSTREAM} 500"), False),
    (VideoSource.CONTENT, Receipt(502, message="Failed to fetch video content"), False),
    (VideoSource.CONTENT, Receipt(403, message="request blocked"), False),
    (VideoSource.CONTENT, Receipt(401), False),
    (VideoSource.CONTENT, Receipt(400, message="Task is not completed yet"), False),
]


@pytest.mark.parametrize(("source", "receipt", "dead"), ANSWERS)
def test_only_an_answer_that_says_so_after_its_time_makes_a_source_dead(source, receipt, dead):
    """Within the promised day nothing does; after it, what may still pass does not either."""
    assert is_dead(source, receipt, OLD) is dead
    assert is_dead(source, receipt, YOUNG) is False


LAST = Receipt(502, message="Failed to fetch video content")


@pytest.mark.parametrize(
    ("has_link", "dead", "code"),
    [
        (True, Dead(), "http_502"),
        (True, Dead(content_at=1.0), "http_502"),
        (True, Dead(link_at=1.0), "http_502"),
        (True, Dead(1.0, 2.0), LINK_EXPIRED),
        (False, Dead(content_at=1.0), LINK_EXPIRED),
        (False, Dead(), "http_502"),
    ],
)
def test_a_video_that_no_source_has_any_more_is_called_expired(has_link, dead, code):
    """With its remote id and what is left to do; what is known of the sources is recorded."""
    move = after_no_video("task_A", has_link, LAST, dead)
    assert (move.event, move.to, move.error_code) == (Event.UNCOLLECTABLE, TaskState.UNCOLLECTED, code)
    assert (move.facts.content_dead_at, move.facts.link_dead_at) == (dead.content_at, dead.link_at)
    assert ("task_A" in move.error_message) == (code == LINK_EXPIRED)
    assert LAST.message in move.error_message


def test_a_hint_about_an_expired_video_never_leads_to_paying():
    """It names the remote id and what is free."""
    words = after_no_video("task_A", True, LAST, Dead(1.0, 1.0)).error_message
    assert "free" in words
    assert "retry" not in words
