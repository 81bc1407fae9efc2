"""Ctrl-C and SIGTERM: no new POST, those in the air awaited, and the same command goes on."""

import signal
import time
from typing import Any

import pytest

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
AT_ONCE = 20.0
"""Seconds in which a run without a POST in flight has ended, on a busy machine too; it does not wait 60."""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_run_stopped_while_generating_ends_at_once_and_resumes(
    desk: Any, sim: Any, number: int, code: int
) -> None:
    """With no POST in the air the signal ends the run within 2 s; the next run polls the same tasks."""
    sim.start(generation_seconds=300)
    desk.write("ant", "bee", "cat", concurrency=2)
    run = desk.start_run().reached(2, "accepted")
    sent = time.monotonic()
    run.send(number)
    done = run.ended()
    assert time.monotonic() - sent < AT_ONCE
    desk.check(done, code)
    assert desk.states() == {"ant": "generating", "bee": "generating", "cat": "pending"}
    assert "next     batchrunner run batch.yaml --base-url " in done.stdout
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_run_stopped_with_a_post_in_flight_awaits_its_answer(
    desk: Any, sim: Any, number: int, code: int
) -> None:
    """The answer is awaited with a countdown, its remote id recorded, and nothing is in doubt."""
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 600, "times": 1})
    desk.write("ant", "bee", concurrency=1)
    run = desk.start_run()
    desk.until(sim.posts, "the POST")
    run.send(number)
    done = run.ended()
    desk.check(done, code)
    assert "1 unanswered submission" in done.stderr
    assert desk.states() == {"ant": "generating", "bee": "pending"}
    (charge,) = sim.charges()
    assert desk.row("ant")["remote_id"] == charge["remote_id"]
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_second_signal_ends_at_once_and_leaves_a_doubt(desk: Any, sim: Any, number: int, code: int) -> None:
    """Who does not want to wait for the answer gets a task in doubt, as after a kill."""
    sim.start({"on": "submit", "do": "hang_after_accept", "times": 1}, usage_log=False)
    desk.write("ant", "bee", concurrency=1)
    run = desk.start_run()
    desk.until(sim.charges, "the charge")
    run.send(number)
    desk.until(lambda: "unanswered submission" in run.stderr, "the countdown")
    sent = time.monotonic()
    run.send(number)
    assert run.ended().code == code
    assert time.monotonic() - sent < AT_ONCE
    desk.check(desk.run(), 3)
    assert desk.states() == {"ant": "in_doubt", "bee": "done"}
    assert len(sim.charges("ant")) == 1


def test_a_run_stopped_while_collecting_ends_at_once_and_resumes(desk: Any, sim: Any) -> None:
    """A download under way does not hold the run up, and the video is fetched by the next."""
    sim.start({"on": "download", "do": "slow", "seconds": 5000, "times": 1})
    desk.write("ant")
    run = desk.start_run()
    desk.until(sim.downloads, "the download")
    sent = time.monotonic()
    run.send(signal.SIGTERM)
    done = run.ended()
    assert time.monotonic() - sent < AT_ONCE
    desk.check(done, 143)
    assert desk.states() == {"ant": "collecting"}
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 1


def test_collect_brings_in_what_a_stopped_run_has_paid_for_and_submits_nothing(desk: Any, sim: Any) -> None:
    """Without the manifest: the tasks in generation are done, the pending one stays so, exit 75."""
    sim.start(generation_seconds=200)
    desk.write("ant", "bee", "cat", concurrency=2)
    run = desk.start_run().reached(2, "accepted")
    run.send(signal.SIGINT)
    desk.check(run.ended(), 130)
    posts = sim.posts()
    desk.check(desk.do("collect", "batch.run", "--time-scale", str(sim.scale)), 75)
    assert desk.states() == {"ant": "done", "bee": "done", "cat": "pending"}
    assert sim.posts() == posts


def test_collect_and_status_name_the_run_that_goes_on_with_what_is_pending(desk: Any, sim: Any) -> None:
    """`collect` never submits, so it does not go on: `run` does, with the manifest named or beside it."""
    sim.start(generation_seconds=200)
    desk.write("ant", "bee", concurrency=1)
    run = desk.start_run().reached(1, "accepted")
    run.send(signal.SIGINT)
    stopped = run.ended()
    desk.check(stopped, 130)
    assert "stopping: what generates goes on at the gateway" in stopped.stderr
    for named in ("batch.run", "batch.yaml"):
        command = f"next     batchrunner run batch.yaml -o batch.run --base-url {sim.url}   "
        collected = desk.do("collect", named, "--time-scale", str(sim.scale))
        assert f"{command}to submit and pay for 1 pending task" in collected.stdout
        status = desk.do("status", named)
        assert f"{command}to resume, and submit 1 pending task" in status.stdout
        for done in (collected, status):
            assert (done.code, "the same command" in done.stdout) == (75, False)
    desk.directory.rename(desk.folder / "night.run")
    assert "batchrunner run MANIFEST -o night.run" in desk.do("status", "night.run").stdout
    assert sim.posts() == 1


def test_the_command_that_resumes_a_simulated_run_has_simulate(desk: Any) -> None:
    """The command has `--simulate`: without it, a real gateway would be paid, or the run be refused."""
    desk.directory = desk.folder / "batch.simulated"
    desk.write("ant", "bee")
    scale = ("--time-scale", "0.005")
    assert desk.do("run", "batch.yaml", "--simulate", "--limit", "1", *scale).code == 0
    for command in (("status", "batch.yaml"), ("collect", "batch.yaml", *scale)):
        done = desk.do(*command)
        assert "batchrunner run batch.yaml -o batch.simulated --simulate   " in done.stdout
        assert done.code == 75


def test_a_run_stopped_before_the_gateway_answers_has_sent_nothing(desk: Any) -> None:
    """A run that waits for an unreachable gateway stops within 2 s, all its tasks pending."""
    desk.write("ant", "bee")
    run = desk.start_run("--base-url", "http://127.0.0.1:1", "--time-scale", "1")
    desk.until(lambda: "can't be reached" in run.stderr, "the first try")
    sent = time.monotonic()
    run.send(signal.SIGINT)
    done = run.ended()
    assert time.monotonic() - sent < AT_ONCE
    assert done.code == 130
    assert desk.states() == {"ant": "pending", "bee": "pending"}
