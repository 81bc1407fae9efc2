"""Nights that were found by chance once, each at its smallest, played by the machine's own steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batchrunner.core.model import OnDoubt
from batchrunner.core.states import Event, TaskState
from batchrunner.operations import overrides
from tests.integration.machine.test_machine import Nights


@pytest.fixture
def night() -> Iterator[Nights]:
    """The machine, its last word (`the_batch_ends`) included."""
    machine = Nights()
    yield machine
    machine.teardown()


def adopt_wrongly(night: Nights) -> None:
    """A person adopts everything in doubt, each as an id that nobody has."""
    for task in night.command(lambda ledger: ledger.tasks(TaskState.IN_DOUBT)):
        name = f"task_nobody{task.attempt}"
        night.promises.misadopted.add(task.attempt)
        night.command(lambda ledger, task=task, name=name: overrides.adopt(ledger, task, name))


def ended_with(night: Nights) -> list[int]:
    """The exit codes of the runs, after a further one."""
    night.start()
    night.loop.pass_until(night.loop.time() + 7200)
    assert not night.is_running()
    return [int(ended.exit_code) for ended in night.ended]


def begin(night: Nights, *tasks: tuple[str, str], draw_seed: bool = True) -> None:
    night.begin(
        tasks=list(tasks),
        on_doubt=OnDoubt.KEEP,
        seed=0,
        concurrency=1,
        max_in_doubt=4,
        max_attempts=1,
        draw_seed=draw_seed,
    )


def test_a_wrong_id_that_nothing_contradicts_is_in_doubt_again(night: Nights) -> None:
    """One task, killed in the air, adopted as an id that nobody has: the next run ends, and blames no key."""
    begin(night, ("a", "one"))
    night.crash(moment="submitting", steps=2)
    adopt_wrongly(night)
    assert ended_with(night) == [0], "its charge is found in the usage log"


def test_two_wrong_ids_say_nothing_about_the_key_either(night: Nights) -> None:
    """Each is a slip of its own: neither is a sign that the gateway hides the other."""
    begin(night, ("a", "one"), ("b", "two"))
    night.submissions_will(["cut_before_accept", "cut_before_accept"])
    assert ended_with(night) == [3]
    adopt_wrongly(night)
    assert ended_with(night) == [3, 3]
    assert len(night.promises.in_state(TaskState.IN_DOUBT)) == 2


def test_a_wrong_id_beside_a_hidden_task_of_ours_is_kept(night: Nights) -> None:
    """What the gateway accepted itself isn't shown: it may be the wrong account, and nothing is forgotten."""
    begin(night, ("a", "one"), ("b", "two"))
    night.submissions_will(["cut_before_accept", "accepted"])
    night.tasks_will(["slow"])
    night.crash(moment="polled", steps=0)
    adopt_wrongly(night)
    night.world.hidden["task_000001"] = night.world.now() + 100_000
    assert ended_with(night) == [4]
    assert len(night.promises.in_state(TaskState.GENERATING)) == 2


def test_a_doubt_that_is_found_takes_its_slot_from_a_permit_that_was_given(night: Nights) -> None:
    """One slot: the doubt is adopted while the probe is on its way to its POST, which is put off."""
    night.begin(
        tasks=[("a", "one")],
        on_doubt=OnDoubt.KEEP,
        seed=0,
        concurrency=1,
        max_in_doubt=1,
        max_attempts=1,
        draw_seed=True,
    )
    night.the_manifest_is_rewritten(tasks=[("a", "one"), ("a", "five")])
    night.start()
    night.ctrl_c(seconds=0.0)
    night.ctrl_c(seconds=0.0)
    night.submissions_will(coming=["cut_after_accept"])
    night.time_passes(seconds=30.0)
    like = night.world.charges["task_000001"].body
    for _ in range(2):
        night.world.stranger({**like, "metadata": {**like["metadata"], "duration": 4}})
    night.time_passes(seconds=1000.0)
    night.promises_are_kept()


def test_what_was_declared_lost_is_found_by_its_id_in_run_log(night: Nights) -> None:
    """Adopted, put back to before that, and declared lost: the ID in run.log brings it back, unpaid."""
    begin(night, ("a", "one"), draw_seed=False)
    night.crash(moment="submitting", steps=0)
    night.a_copy_is_put_aside()
    night.the_copy_is_put_back(ledger_alone=False)
    (doubt,) = night.command(lambda ledger: ledger.tasks(TaskState.IN_DOUBT))
    (charge,) = night.world.charges
    night.command(lambda ledger: overrides.adopt(ledger, doubt, charge))
    night.the_copy_is_put_back(ledger_alone=True)
    night.promises.person_said(doubt.key, Event.DECLARED_LOST)
    for task in night.command(lambda ledger: ledger.tasks(TaskState.IN_DOUBT)):
        night.command(lambda ledger, task=task: overrides.declare_lost(ledger, [task]))
    assert ended_with(night)[-1] == 0
    assert len(night.world.charges) == 1
