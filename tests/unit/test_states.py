"""The table of states against the design's table, way by way."""

import itertools

import pytest

from batchrunner.core.states import (
    PAID_FOR,
    TRANSITIONS,
    Event,
    TaskState,
    TransitionRefused,
    check_transition,
)

# DESIGN.md, "States": state | event → where it leads. Written down again, not imported.
DESIGN = """
pending     claimed           submitting
pending     unsendable        failed
pending     recovered         generating
pending     recovered         done
pending     recovered         in_doubt
submitting  accepted          generating
submitting  not_admitted      pending
submitting  account_refused   pending
submitting  released          pending
submitting  rejected          failed
submitting  unknown           in_doubt
in_doubt    adopted           generating
in_doubt    declared_lost     pending
generating  succeeded         collecting
generating  generation_failed pending
generating  generation_failed failed
generating  lost              failed
generating  lost              in_doubt
collecting  collected         done
collecting  uncollectable     uncollected
collecting  uncollectable     done
done        missing           collecting
done        wanted_again      pending
uncollected recollect         collecting
uncollected wanted_again      pending
failed      retried           pending
failed      recollect         generating
"""
WAYS = {tuple(line.split()) for line in DESIGN.strip().splitlines()}
ALL = list(itertools.product(TaskState, Event, TaskState))


def allowed(state: TaskState, event: Event, to: TaskState) -> bool:
    try:
        check_transition(state, event, to)
    except TransitionRefused:
        return False
    return True


def test_exactly_the_transitions_of_the_design_are_allowed():
    """Of all triples of state, event and state the table allows those of the design and no other."""
    assert {triple for triple in ALL if allowed(*triple)} == WAYS


def test_the_state_names_are_those_of_the_design():
    """States and events are the design's words, stored as they are spelt there."""
    assert {state.value for state in TaskState} == {way[0] for way in WAYS}
    assert {event.value for event in Event} == {way[1] for way in WAYS}


def test_a_refusal_changes_nothing_and_says_what_was_refused():
    """A refused way leaves the table as it was and names the state, the event and the target."""
    before = {state: dict(ways) for state, ways in TRANSITIONS.items()}
    for state, event, to in ALL:
        if (state, event, to) in WAYS:
            continue
        with pytest.raises(TransitionRefused) as refused:
            check_transition(state, event, to)
        assert (refused.value.state, refused.value.event, refused.value.to) == (state, event, to)
        assert {state.value, event.value, to.value} <= set(str(refused.value).split())
    assert {state: dict(ways) for state, ways in TRANSITIONS.items()} == before


def test_a_doubt_is_left_only_by_a_decision_about_it():
    """A task in doubt is left only by being adopted or by a person's word."""
    assert {
        event for state, event, to in ALL if state is TaskState.IN_DOUBT and allowed(state, event, to)
    } == {
        Event.ADOPTED,
        Event.DECLARED_LOST,
    }


def test_only_a_claim_leads_to_a_submission():
    """There is one way to `submitting`, and it starts at `pending`."""
    ways = {
        (state, event) for state, event, to in ALL if to is TaskState.SUBMITTING and allowed(state, event, to)
    }
    assert ways == {(TaskState.PENDING, Event.CLAIMED)}


def test_a_run_resumes_tasks_at_the_gateway_first():
    """What is taken up before the first POST is what the gateway generates or has ready."""
    assert set(PAID_FOR) == {TaskState.GENERATING, TaskState.COLLECTING}
