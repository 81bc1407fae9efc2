"""Which submission in doubt is which task of the gateway: evidence in, decisions out."""

from dataclasses import replace
from typing import Any

import pytest

from batchrunner.core.doubts.adoption import (
    CLOCKS_DIFFER,
    NEWEST_ROWS,
    Sighting,
    Unowned,
    UsageRow,
    adoptable,
    advice,
    candidates,
    matches,
    unexplained,
)
from batchrunner.core.model import AttemptId, RemoteId, TaskKey

SENT = 1_700_000_000.0
LATEST = 3600.0
FAST = "dreamina-seedance-2-0-fast"


def doubt(number: int = 1, **given: Any) -> Unowned:
    """A submission in doubt."""
    usual: dict[str, Any] = {
        "attempt": AttemptId(number),
        "key": TaskKey(f"1-{number:064}"),
        "id": f"t{number}",
        "is_doubt": True,
        "model": FAST,
        "seed": 42,
        "duration": 4,
        "resolution": "480p",
        "submitted_at": SENT,
    }
    return Unowned(**usual | given)


def seen(remote_id: str = "task_A", **given: Any) -> Sighting:
    """A task of the gateway that is `doubt` in everything."""
    usual: dict[str, Any] = {"model": FAST, "seed": 42, "duration": 4, "resolution": "480p"}
    return Sighting(**{"remote_id": RemoteId(remote_id), "submitted_at": SENT + 1} | usual | given)


def row(at: float = SENT + 1, remote_id: str = "", **given: Any) -> UsageRow:
    """A row of the log: a submission's, or (with a remote id) a settlement's."""
    found = RemoteId(remote_id) if remote_id else None
    usual: dict[str, Any] = {"model": FAST, "request_id": "r-other", "is_submission": not remote_id}
    return UsageRow(**{"at": at, "remote_id": found} | usual | given)


# --- matches ------------------------------------------------------------------------------------------


def test_a_task_that_agrees_in_everything_matches() -> None:
    """Seed, model, length, resolution and time agree."""
    assert matches(doubt(), seen(), LATEST)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 43},
        {"seed": None},
        {"model": "dreamina-seedance-2-0"},
        {"model": ""},
        {"duration": 5},
        {"duration": None},
        {"resolution": "720p"},
        {"resolution": None},
        {"submitted_at": SENT - CLOCKS_DIFFER - 1},
        {"submitted_at": SENT + LATEST + CLOCKS_DIFFER + 1},
        {"submitted_at": None},
    ],
    ids=str,
)
def test_a_single_differing_or_missing_field_rules_a_task_out(other: dict[str, Any]) -> None:
    """A task unlike the submission in a single field is not taken for it, nor one that hides the field."""
    assert not matches(doubt(), seen(**other), LATEST)


def test_without_a_seed_of_ours_nothing_matches() -> None:
    """With `draw_seed: false` there is nothing to know a submission by, whatever the gateway shows."""
    assert not matches(doubt(seed=None), seen(seed=None), LATEST)
    assert not matches(doubt(seed=None), seen(), LATEST)


@pytest.mark.parametrize("left_open", ["duration", "resolution"])
def test_fields_the_request_left_open_match_any_value(left_open: str) -> None:
    """Where the model was to choose, its choice says nothing."""
    assert matches(doubt(**{left_open: None}), seen(), LATEST)
    assert matches(doubt(**{left_open: None}), seen(**{left_open: None}), LATEST)


@pytest.mark.parametrize("late", [-CLOCKS_DIFFER, 0.0, LATEST, LATEST + CLOCKS_DIFFER])
def test_a_late_charge_and_a_clock_that_is_off_still_match(late: float) -> None:
    """The times may differ by a slow upstream and by clocks that are a minute apart, to the second."""
    assert matches(doubt(), seen(submitted_at=SENT + late), LATEST)


# --- candidates ---------------------------------------------------------------------------------------


def test_candidates_are_the_settled_tasks_that_are_not_ours_each_once() -> None:
    """Of all rows only ids that may be a doubt's are worth a poll: its model, its time, nobody's yet."""
    rows = [
        row(remote_id="task_A"),
        row(remote_id="task_A"),
        row(remote_id="task_ours"),
        row(remote_id="task_old", at=SENT - CLOCKS_DIFFER - 1),
        row(remote_id="task_model", model="another"),
        row(),
        row(remote_id="task_B", at=SENT + 90_000),
    ]
    assert candidates(rows, frozenset({RemoteId("task_ours")}), [doubt()]) == ["task_A", "task_B"]


def test_without_a_doubt_there_is_nothing_to_look_at() -> None:
    """No poll is made for nobody."""
    assert candidates([row(remote_id="task_A")], frozenset(), []) == []


def test_the_oldest_doubt_says_how_far_back_to_look() -> None:
    """A task before the second doubt may be the first one's."""
    doubts = [doubt(1, submitted_at=SENT - 500), doubt(2)]
    assert candidates([row(remote_id="task_A", at=SENT - 400)], frozenset(), doubts) == ["task_A"]


# --- adoptable ----------------------------------------------------------------------------------------


def test_one_doubt_and_one_task_that_fits_are_a_pair() -> None:
    """Other doubts and other tasks beside them change nothing."""
    doubts = [doubt(1), doubt(2, seed=7), doubt(3, seed=8)]
    tasks = [seen("task_A"), seen("task_B", seed=7), seen("task_C", seed=99)]
    assert adoptable(doubts, tasks, LATEST) == {1: "task_A", 2: "task_B"}


def test_two_doubts_that_fit_one_task_are_left_alone() -> None:
    """Nobody can say whose it is."""
    assert adoptable([doubt(1), doubt(2)], [seen()], LATEST) == {}


def test_two_tasks_that_fit_one_doubt_are_left_alone() -> None:
    """Nobody can say which it is."""
    assert adoptable([doubt()], [seen("task_A"), seen("task_B")], LATEST) == {}


def test_two_pairs_that_could_be_the_other_way_round_are_left_alone() -> None:
    """Twins in doubt and both charged: either may be either."""
    assert adoptable([doubt(1), doubt(2)], [seen("task_A"), seen("task_B")], LATEST) == {}


def replicas(*numbers: int, **given: Any) -> list[Unowned]:
    """Doubts of different tasks with one and the same request."""
    return [doubt(number, request="{}", **given) for number in numbers]


def test_equal_requests_with_as_many_tasks_get_one_each() -> None:
    """Whichever way round, each gets a video of what it asked for."""
    found = adoptable(replicas(1, 2), [seen("task_A"), seen("task_B")], LATEST)
    assert sorted(found) == [1, 2]
    assert sorted(found.values()) == ["task_A", "task_B"]


def test_equal_requests_are_left_alone_unless_the_tasks_are_theirs_alone() -> None:
    """One task too few or too many, a rival of another request, or one that is not in doubt."""
    two = [seen("task_A"), seen("task_B")]
    assert adoptable(replicas(1, 2), two[:1], LATEST) == {}
    assert adoptable(replicas(1, 2), [*two, seen("task_C")], LATEST) == {}
    assert adoptable([*replicas(1, 2), doubt(3, request="{1}")], two, LATEST) == {}
    assert adoptable([*replicas(1), *replicas(2, is_doubt=False)], two, LATEST) == {}
    assert adoptable([*replicas(1), *replicas(2, key=TaskKey(f"1-{1:064}"))], two, LATEST) == {}


@pytest.mark.parametrize("what", ["in the air", "declared lost"])
def test_a_competitor_that_is_not_in_doubt_competes_and_is_not_adopted(what: str) -> None:
    """A submission in the air, or one declared lost, may be the task's owner: the doubt doesn't get it."""
    competitor = doubt(2, is_doubt=False, id=what)
    assert adoptable([doubt(1), competitor], [seen()], LATEST) == {}
    assert adoptable([competitor], [seen()], LATEST) == {}
    assert adoptable([doubt(1), replace(competitor, seed=7)], [seen()], LATEST) == {1: "task_A"}


def test_an_ambiguous_pair_beside_a_clear_one_takes_nothing_from_it() -> None:
    """What is clear is adopted although something else is not."""
    doubts = [doubt(1), doubt(2), doubt(3, seed=7)]
    assert adoptable(doubts, [seen("task_A"), seen("task_B", seed=7)], LATEST) == {3: "task_B"}


def test_a_chain_of_fits_is_left_alone() -> None:
    """A task that fits two doubts is nobody's, though one of them has another task that fits it as well."""
    first, second = doubt(1), doubt(2, submitted_at=SENT + LATEST)
    tasks = [seen("task_A", submitted_at=SENT), seen("task_B", submitted_at=SENT + LATEST)]
    assert adoptable([first, second], tasks, LATEST) == {}


# --- unexplained and advice ---------------------------------------------------------------------------


def test_a_charge_under_its_own_request_id_shows_a_doubt_was_charged() -> None:
    """Where the answer bore the gateway's id of the exchange, that row and no other counts."""
    own = row(request_id="r-own")
    rows = [row(), own, row(at=SENT + 3)]
    assert unexplained(doubt(request_id="r-own"), rows, frozenset(), (), LATEST) == [own]
    assert len(unexplained(doubt(request_id="r-gone"), rows, frozenset(), (), LATEST)) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"model": "another"},
        {"is_submission": False},
        {"request_id": "r-known"},
        {"at": SENT - CLOCKS_DIFFER - 1},
        {"at": SENT + LATEST + CLOCKS_DIFFER + 1},
    ],
    ids=str,
)
def test_an_explained_or_impossible_row_is_no_sign_of_a_charge(other: dict[str, Any]) -> None:
    """Another model or time, a settlement, an exchange whose outcome is known."""
    known = frozenset({"r-known"})
    assert unexplained(doubt(), [row()], known, (), LATEST) == [row()]
    assert unexplained(doubt(), [row(**other)], known, (), LATEST) == []


def test_an_adopted_task_explains_one_row_of_its_own_model() -> None:
    """Of two rows in the same second it is never the other model's that is explained away."""
    own, others = row(), row(model="another", request_id="r-2")
    for rows in ([own, others], [others, own]):
        assert unexplained(doubt(), rows, frozenset(), [("another", SENT + 1)], LATEST) == [own]
        assert unexplained(doubt(), rows, frozenset(), [(FAST, SENT + 1)], LATEST) == []
    assert unexplained(doubt(), [own, own], frozenset(), [(FAST, SENT + 1)], LATEST) == [own]


def test_advice_follows_what_the_log_shows() -> None:
    """Empty, charged under its own exchange, unaccounted submissions, too short a log, nothing at all."""
    one, own = doubt(request_id="r-own"), row(request_id="r-own")
    assert "is empty" in advice(one, [], [])
    assert "was charged" in advice(one, [own], [own])
    assert "1 submission of its model" in advice(one, [row()], [row()])
    assert "2 submissions" in advice(one, [row(), row()], [row(), row()])
    late = [row(at=SENT + 10)] * NEWEST_ROWS
    assert "doesn't go back that far" in advice(one, late, [])
    assert "doesn't go back that far" in advice(one, late, late), (
        "what is unexplained is not what has dropped out"
    )
    assert "no matching submission" in advice(one, late[1:], [])
    assert "no matching submission" in advice(one, [*late, row(at=SENT - CLOCKS_DIFFER)], [])
