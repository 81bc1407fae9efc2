"""What the gateway shows, and which attempts unknown to the ledger it is."""

from dataclasses import replace

import pytest

from batchrunner.core.doubts.adoption import Sighting, UsageRow
from batchrunner.core.doubts.restored import (
    Accounted,
    Paid,
    Unanswered,
    Wanted,
    can_know,
    followed,
    lookalikes,
    recognized,
    strange_ids,
    unaccounted,
)
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.seeds import derived_seed

RUN, OTHER = "a" * 32, "b" * 32
KEY, TWIN = TaskKey("1-cat"), TaskKey("1-dog")
CAT = Wanted(KEY, "cat", "fast", 5, "480p", "16:9", attempts=0)
LATEST = 3600.0


def seen(remote_id: str = "task_1", seed: int | None = None, **others: object) -> Sighting:
    """A task of the gateway like `CAT`, by default with the seed of its first attempt."""
    seed = derived_seed(RUN, KEY, 1) if seed is None else seed
    sight = Sighting(RemoteId(remote_id), "fast", seed, 5, "480p", 1000.0, "16:9", succeeded=True)
    return replace(sight, **others)  # type: ignore[arg-type]


def ids(wanted: list[Wanted], *sightings: Sighting, runs: tuple[str, ...] = (RUN,)) -> list[tuple[str, int]]:
    """Key and number of each attempt that is recognized."""
    return [(paid.key, paid.number) for paid in recognized(wanted, sightings, runs, LATEST)]


def test_the_seed_of_the_next_attempt_is_recognized() -> None:
    """It names the task and the number of the attempt; earlier ones may have been refused."""
    assert ids([CAT], seen()) == [(KEY, 1)]
    assert ids([CAT], seen(seed=derived_seed(RUN, KEY, 7))) == [(KEY, 7)]
    assert ids([replace(CAT, attempts=1)], seen(seed=derived_seed(RUN, KEY, 2))) == [(KEY, 2)]
    assert ids([CAT], seen(seed=derived_seed(RUN, KEY, 1, salt=1))) == [(KEY, 1)]


def test_an_attempt_that_the_ledger_knows_is_no_new_one() -> None:
    """A seed of an earlier number is not recognized: it was declared lost, or it is somebody's copy of it."""
    assert ids([replace(CAT, attempts=1)], seen()) == []


@pytest.mark.parametrize(
    "change",
    [{"model": "slow"}, {"duration": 4}, {"resolution": "720p"}, {"ratio": "1:1"}, {"seed": 5}],
    ids=str,
)
def test_a_task_that_differs_in_one_field_is_not_ours(change: dict[str, object]) -> None:
    """The seed alone is not enough, and nothing else is without the seed."""
    assert ids([CAT], seen(**change)) == []  # type: ignore[arg-type]


def test_fields_left_to_the_model_match_any_value() -> None:
    """A length or a ratio that was left open agrees with what came."""
    assert ids([replace(CAT, duration=None, ratio=None)], seen(duration=9, ratio="1:1")) == [(KEY, 1)]


def test_another_run_is_not_recognized_but_every_id_of_this_directory_is() -> None:
    """The ids that a run directory has had all count; another directory's seeds are others."""
    assert ids([CAT], seen(seed=derived_seed(OTHER, KEY, 1))) == []
    assert ids([CAT], seen(seed=derived_seed(OTHER, KEY, 1)), runs=(RUN, OTHER)) == [(KEY, 1)]


def test_an_id_that_run_log_names_needs_no_seed() -> None:
    """Our own log says whose it is, also where nothing was sent that it could be known by."""
    named = replace(CAT, named=frozenset({RemoteId("task_1")}))
    assert ids([named], seen(seed=4)) == [(KEY, 1)]
    assert ids([named], seen(seed=4, duration=4)) == []


def test_several_attempts_of_one_task_are_all_recognized() -> None:
    """Each has a number of its own; one number is not given twice."""
    second = seen("task_2", derived_seed(RUN, KEY, 2), submitted_at=2000.0)
    assert ids([CAT], second, seen()) == [(KEY, 1), (KEY, 2)]
    assert ids([CAT], seen("task_1"), seen("task_2")) == [(KEY, 1)]


def test_a_seed_of_the_manifest_counts_with_a_claim_of_ours_only() -> None:
    """Without a claim at that time anybody may have used it; it is named as a lookalike."""
    given = replace(CAT, given_seed=7)
    assert ids([given], seen(seed=7)) == []
    assert [one.id for one, _ in lookalikes([given], [seen(seed=7)])] == ["cat"]
    assert ids([replace(given, claims=(990.0,))], seen(seed=7)) == [(KEY, 1)]
    assert ids([replace(given, claims=(1070.0,))], seen(seed=7)) == []
    assert ids([replace(given, claims=(990.0 - LATEST - 61,))], seen(seed=7)) == []
    assert ids([replace(given, claims=(990.0,))], seen(seed=7, duration=4)) == []


def test_more_tasks_than_claims_with_one_seed_are_all_left_alone() -> None:
    """Somebody else used the same seed at the same time: nobody can say which is ours."""
    given = replace(CAT, given_seed=7, claims=(990.0,))
    assert ids([given], seen("task_1", 7), seen("task_2", 7)) == []


def test_two_replicas_with_one_seed_may_be_paired_in_any_way() -> None:
    """Two claims, two tasks, equal requests: each gets one."""
    first = replace(CAT, given_seed=7, claims=(990.0,))
    second = replace(first, key=TWIN, id="dog")
    assert sorted(ids([first, second], seen("task_1", 7), seen("task_2", 7))) == [(KEY, 1), (TWIN, 1)]


@pytest.mark.parametrize(
    ("endings", "number"),
    [((True, True), 1), ((False, True), 2), ((False, None), 2), ((True, None), 1), ((False, False), 2)],
    ids=str,
)
def test_the_first_video_of_several_attempts_counts(endings: tuple[bool | None, ...], number: int) -> None:
    """A video, else what still generates, else the newest failure."""
    found = [
        Paid(KEY, place, seen(f"task_{place}", succeeded=ending)) for place, ending in enumerate(endings, 1)
    ]
    assert followed(found).number == number


# --- the usage log ----------------------------------------------------------------------------------------


def row(at: float = 1000.0, request_id: str = "r1", remote_id: str = "", **others: object) -> UsageRow:
    """A submission in the log."""
    made = UsageRow(at, "fast", request_id, RemoteId(remote_id) if remote_id else None, is_submission=True)
    return replace(made, **others)  # type: ignore[arg-type]


NOTHING = Accounted(frozenset(), frozenset())


def left(
    rows: list[UsageRow],
    known: Accounted = NOTHING,
    *sightings: Sighting,
    since: float = 1000.0,
    unseen: frozenset[RemoteId] = frozenset(),
) -> int:
    """How many submissions nobody accounts for."""
    return len(unaccounted(rows, known, sightings, unseen, since, LATEST))


def test_ids_in_the_log_that_are_not_ours_are_strange() -> None:
    """Since then and a minute before, each once, oldest first."""
    rows = [
        row(3000, remote_id="task_3"),
        row(2000, remote_id="task_2"),
        row(1900, remote_id="task_2"),
        row(1800, remote_id="task_ours"),
        row(945, remote_id="task_1"),
        row(939, remote_id="task_0"),
    ]
    assert strange_ids(rows, {RemoteId("task_ours")}, 1000.0) == ["task_1", "task_2", "task_3"]


def test_a_submission_that_nobody_knows_may_be_ours() -> None:
    """Ours, older ones and those that name a task are none."""
    assert left([row()]) == 1
    assert left([row()], replace(NOTHING, request_ids=frozenset({"r1"}))) == 0
    assert left([row(939)]) == 0
    assert left([row(remote_id="task_1")]) == 0
    assert left([row(is_submission=False)]) == 0


def test_a_submission_at_the_moment_of_a_task_that_was_seen_is_that_tasks() -> None:
    """One row a task; what was adopted without an answer has its moment, too."""
    assert left([row(1002)], NOTHING, seen()) == 0
    assert left([row(1002), row(1003, "r2")], NOTHING, seen()) == 1
    assert left([row(1006)], NOTHING, seen()) == 1
    assert left([row(1002)], replace(NOTHING, adopted={RemoteId("task_9"): 1000.0})) == 0


def test_a_task_that_was_seen_and_adopted_accounts_for_one_row_not_two() -> None:
    """The second row at that moment is a submission whose task shows nothing yet: maybe ours."""
    task = seen()
    adopted = replace(
        NOTHING, remote_ids=frozenset({task.remote_id}), adopted={task.remote_id: task.submitted_at or 0.0}
    )
    assert left([row(1002)], adopted, task) == 0
    assert left([row(1002), row(1002, "r2")], adopted, task) == 1
    accepted = replace(
        NOTHING, remote_ids=frozenset({task.remote_id}), request_ids=frozenset({"r1"})
    )  # its row is known by the request ID
    assert left([row(1002), row(1002, "r2")], accepted, task) == 1


def test_a_task_that_a_row_names_accounts_for_no_other_row() -> None:
    """Newer gateways name the task in the row of its submission."""
    task = seen()
    assert left([row(remote_id=task.remote_id), row(1001, "r2")], NOTHING, task) == 1
    adopted = replace(NOTHING, adopted={task.remote_id: 1000.0})
    assert left([row(remote_id=task.remote_id), row(1001, "r2")], adopted) == 1


def test_a_doubt_of_ours_accounts_for_one_submission() -> None:
    """A resume after a kill does not wait because of its own doubts, but a further row is a stranger."""
    doubt = replace(NOTHING, unanswered=(Unanswered("fast", 995.0),))
    assert left([row()], doubt) == 0
    assert left([row(), row(1001, "r2")], doubt) == 1
    assert left([row()], replace(NOTHING, unanswered=(Unanswered("slow", 995.0),))) == 1
    assert left([row()], replace(NOTHING, unanswered=(Unanswered("fast", 1061.0),))) == 1
    assert left([row()], replace(NOTHING, unanswered=(Unanswered("fast", 0.0, "r1"),))) == 0


def test_a_doubt_whose_task_was_seen_accounts_for_nothing_else() -> None:
    """Its own row is that of the task that was seen; a further one may be ours of a later ledger."""
    doubt = replace(NOTHING, unanswered=(Unanswered("fast", 995.0, seed=derived_seed(RUN, KEY, 1)),))
    assert left([row(), row(1020, "r2")], doubt, seen()) == 1


def test_a_task_that_shows_no_seed_yet_is_not_settled() -> None:
    """Newer gateways name it in the row of its submission; one of our own doubts may be what it is."""
    assert left([row(remote_id="task_1")], unseen=frozenset({RemoteId("task_1")})) == 1
    doubt = replace(NOTHING, unanswered=(Unanswered("fast", 995.0),))
    assert left([row(remote_id="task_1")], doubt, unseen=frozenset({RemoteId("task_1")})) == 0


def test_a_log_that_shows_none_of_what_is_known_can_not_know() -> None:
    """Switched off, or another key's: it must show a submission that was accepted within its reach."""
    known = replace(NOTHING, accepted={"r1": 1000.0})
    assert can_know([], NOTHING)
    assert not can_know([], known)
    assert not can_know([row(request_id="r2")], known)
    assert can_know([row()], known)
    assert not can_know([], NOTHING, names_any=True)
    assert can_know([row(remote_id="task_1")], NOTHING, names_any=True, named={RemoteId("task_1")})


def test_a_log_that_does_not_reach_back_is_not_held_to_it() -> None:
    """A full log shows its newest rows only: what is older proves nothing."""
    full = [row(5000.0 + number, f"s{number}") for number in range(1000)]
    assert can_know(full, replace(NOTHING, accepted={"r1": 1000.0}))
