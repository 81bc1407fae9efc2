"""`run.confirm_above`: nothing is paid for before somebody has agreed to what it may cost."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.older_ledger import as_fifth_version
from tests.harness.processes import clean_environment
from tests.harness.terminal import on_terminal

PRICES = {"pricing": {"currency": "EUR", "per_million_tokens": {"dreamina-seedance-2-0-fast": 100}}}
"""A task of these tests costs about 4 EUR."""


@pytest.fixture
def asking(desk: Any, sim: Any) -> Any:
    """A desk with three tasks, which asks from 5 EUR on."""
    sim.start()
    desk.sections = PRICES
    desk.write("ant", "bee", "cat", confirm_above=5, concurrency=1)
    return desk


def asked(
    desk: Any, answer: str, *options: str, meanwhile: Callable[[], object] = lambda: None
) -> tuple[int, str]:
    """Run on a terminal, type `answer` at the question; return the exit code and what was shown.

    `meanwhile` is called while the question stands.
    """

    def answered() -> str:
        meanwhile()
        return answer

    environment = clean_environment(desk.folder, EASYROUTER_API_KEY=desk.key)
    arguments = desk.run_arguments("-q", *options)
    return on_terminal(arguments, desk.folder, environment, when="[y/N]", then=answered)


def test_without_a_terminal_nothing_is_sent_unless_confirmed(asking: Any, sim: Any) -> None:
    """Exit 2 with the amount and the option to add, no folder, no POST."""
    refused = asking.run()
    assert refused.code == 2
    assert "submitting 3 tasks for up to 12.18 EUR" in refused.stderr
    assert "more than 5.00 EUR (run.confirm_above)" in refused.stderr
    assert "--yes" in refused.stderr
    assert not asking.directory.exists()
    assert sim.posts() == 0
    asking.check(asking.run("--yes"), 0)
    assert len(sim.charges()) == 3


@pytest.mark.parametrize(
    ("answer", "code", "paid"), [("y\n", 0, 3), ("n\n", 2, 0), ("\n", 2, 0), ("\x04", 2, 0)]
)
def test_a_terminal_is_asked(asking: Any, sim: Any, answer: str, code: int, paid: int) -> None:
    """Even with -q; anything but a yes is a no, and creates nothing."""
    ended, shown = asked(asking, answer)
    assert "Submit 3 tasks for up to 12.18 EUR" in shown
    assert (ended, len(sim.charges())) == (code, paid)
    assert asking.directory.exists() == bool(paid)


def test_tasks_added_while_the_question_stands_are_not_agreed_to(desk: Any, sim: Any) -> None:
    """A `retry` in another shell: two tasks for 8.12 EUR were shown, so two are paid for, and exit 75."""
    sim.start({"on": "generate", "do": "moderated", "first": 2})
    desk.sections = PRICES
    desk.write("ant", "bee", concurrency=1, max_attempts=1)
    assert desk.run().code == 1
    desk.write("ant", "bee", "cat", "dog", concurrency=1, confirm_above=5)
    code, shown = asked(desk, "y\n", meanwhile=lambda: desk.do("retry", "batch.run", "--failed"))
    assert "Submit 2 tasks for up to 8.12 EUR" in shown
    assert (code, len(sim.charges())) == (75, 2 + 2)
    assert "confirmed total of 8.12 EUR reached" in shown
    assert "run the same command again to see what is still to be submitted, and to confirm it" in shown
    refused = desk.run()
    assert (refused.code, len(sim.charges())) == (2, 4)
    assert "submitting 2 tasks for up to 8.12 EUR must be confirmed" in refused.stderr


def test_a_run_while_the_question_stands_makes_it_ask_again(asking: Any, sim: Any) -> None:
    """The figures that were shown are no longer true."""

    def another() -> None:
        assert asking.run("--limit", "1").code == 0

    code, shown = asked(asking, "y\n", meanwhile=another)
    assert (code, len(sim.charges())) == (2, 1)
    assert "another run has submitted tasks of this manifest meanwhile" in shown


def test_a_resubmission_is_limited_though_nothing_is_pending(desk: Any, sim: Any) -> None:
    """Confirmed for two, and killed with one in doubt: its second POST would be a third, unknown to all."""
    cut = {"on": "submit", "do": "cut_before_accept", "prompt": "ant*", "times": 1}
    sim.start(cut, generation_seconds=300)
    desk.sections = PRICES
    desk.write("ant", "bee", confirm_above=0, concurrency=1, on_doubt="resubmit")
    desk.start_run("--yes").reached(1, "accepted").killed()
    done = desk.run()
    assert (done.code, len(sim.charges())) == (75, 1)
    assert "confirmed total of 8.12 EUR reached" in done.stdout
    assert desk.run("--yes").code == 0
    assert len(sim.charges()) == 2


def test_an_edit_that_waits_is_asked_about_in_a_later_run(asking: Any, sim: Any) -> None:
    """A run of another task alone enters it into the ledger; it is paid for only once it was named."""
    assert asking.run("--yes").code == 0
    asking.write("ant", {"id": "bee", "prompt": "bee sleeps"}, "cat", "dog", confirm_above=500)
    assert asking.run("--only", "dog").code == 0
    assert len(sim.charges()) == 4
    planned = asking.do("plan", "batch.yaml", "-o", "batch.run").stdout
    assert "confirm  `run` asks first, or needs --yes: tasks were edited" in planned
    refused = asking.run()
    assert (refused.code, len(sim.charges())) == (2, 4)
    assert "1 task was edited although its old version is paid: bee" in refused.stderr
    assert asking.run("--yes").code == 0
    assert len(sim.charges()) == 5


def test_a_confirmed_edit_is_asked_about_once(asking: Any, sim: Any) -> None:
    """Even if the run that was agreed to could not submit it."""
    assert asking.run("--yes").code == 0
    edited = ("ant", {"id": "bee", "prompt": "bee sleeps"}, "cat")
    asking.sections = PRICES | {"budget": {"tasks": 3}}
    asking.write(*edited, confirm_above=500)
    assert asking.run("--yes").code == 75
    asking.sections = PRICES
    asking.write(*edited, confirm_above=500)
    assert asking.run().code == 0
    assert len(sim.charges()) == 4


def test_up_to_the_amount_nobody_is_asked(asking: Any, sim: Any) -> None:
    """Only what this run would submit counts, not the whole manifest; the totals are printed first."""
    done = asking.run("--limit", "1")
    assert done.code == 0
    assert "to submit: 1 task · " in done.stderr
    assert " EUR · about " in done.stderr
    assert len(sim.charges()) == 1
    assert "to submit" not in asking.run("--limit", "1").stderr


def test_a_resume_within_the_confirmed_total_asks_nothing(desk: Any, sim: Any) -> None:
    """However often it is killed; one more task is beyond it."""
    sim.start(generation_seconds=300)
    desk.sections = PRICES
    desk.write("ant", "bee", "cat", confirm_above=5, concurrency=1)
    desk.start_run("--yes").reached(1, "accepted").killed()
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3
    desk.write("ant", "bee", "cat", "dog", "elk", confirm_above=5, concurrency=1)
    refused = desk.run()
    assert (refused.code, len(sim.charges())) == (2, 3)
    assert "submitting 2 tasks" in refused.stderr


def test_an_edit_of_a_paid_task_is_named_and_asked_about(asking: Any, sim: Any) -> None:
    """Though it costs less than the amount and there is room in what was confirmed."""
    assert asking.run("--yes").code == 0
    edited = {"id": "bee", "prompt": "bee sleeps"}
    asking.write("ant", edited, "cat", confirm_above=500)
    refused = asking.run()
    assert (refused.code, len(sim.charges())) == (2, 3)
    assert "1 task was edited although its old version is paid: bee" in refused.stderr
    assert "must be confirmed: tasks were edited although their old version is paid" in refused.stderr
    asking.write("ant", edited, "cat")
    named = asking.run()
    assert (named.code, len(sim.charges())) == (0, 4)
    assert "edited although its old version is paid: bee" in named.stderr


def test_a_refunded_task_may_be_edited_without_a_question(desk: Any, sim: Any) -> None:
    """Nothing was paid for it."""
    sim.start()
    desk.sections = PRICES
    desk.write({"id": "bee", "prompt": "ark:moderated"}, confirm_above=5, max_attempts=1)
    assert desk.run().code == 1
    desk.write({"id": "bee", "prompt": "bee walks"}, confirm_above=5)
    assert desk.run().code == 0


def test_what_is_paid_for_is_collected_though_nobody_confirms(desk: Any, sim: Any) -> None:
    """Links last a day: a run from cron that may not submit still downloads, and exits with 2."""
    sim.start(generation_seconds=300)
    desk.sections = PRICES
    desk.write("ant", concurrency=1)
    desk.start_run().reached(1, "accepted").killed()
    desk.write("ant", "bee", "cat", confirm_above=5, concurrency=1)
    ended = desk.run()
    assert (ended.code, len(sim.charges())) == (2, 1)
    assert (desk.directory / "videos" / "ant.mp4").exists()


def test_a_refused_run_upgrades_an_older_ledger_to_collect_from_it(desk: Any, sim: Any) -> None:
    """From cron after an update: nothing is submitted unasked, and no paid video is left behind."""
    sim.start(generation_seconds=300)
    desk.sections = PRICES
    desk.write("ant", concurrency=1)
    desk.start_run().reached(1, "accepted").killed()
    as_fifth_version(desk.directory / "ledger.sqlite")
    desk.write("ant", "bee", "cat", confirm_above=5, concurrency=1)
    refused = desk.run()
    assert (refused.code, len(sim.charges())) == (2, 1)
    assert "collecting 1 paid task" in refused.stderr
    assert (desk.directory / "videos" / "ant.mp4").exists()


def test_a_model_without_a_price_is_asked_about(desk: Any, sim: Any) -> None:
    """Its cost has no upper bound; once confirmed, a resume asks nothing."""
    sim.start(generation_seconds=300)
    desk.sections = {"pricing": {"currency": "JPY", "per_million_tokens": {"dreamina-seedance-2-0": 100}}}
    desk.write("ant", "bee", confirm_above=1000, concurrency=1)
    refused = desk.run()
    assert (refused.code, sim.posts()) == (2, 0)
    assert "no price for dreamina-seedance-2-0-fast at 480p, so the cost has no upper bound" in refused.stderr
    desk.start_run("--yes").reached(1, "accepted").killed()
    assert desk.run().code == 0
    assert len(sim.charges()) == 2


def test_a_simulated_run_never_asks(asking: Any) -> None:
    """It costs nothing; its totals are printed all the same."""
    done = asking.do("run", "batch.yaml", "--simulate", "--time-scale", "0.001")
    assert done.code == 0
    assert "to submit: 3 tasks · " in done.stderr
