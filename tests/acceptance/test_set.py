"""`batchrunner set`: limits changed while a run works; the charge book shows how many were in flight."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from batchrunner.core.errors import ExitCode
from tests.harness.run_directory import log_lines


@pytest.fixture
def working(desk: Any, sim: Any) -> Iterator[Any]:
    """A desk where a run works with one generation in flight that does not end; five tasks wait."""
    sim.start(generation_seconds=1_000_000)
    desk.write("ant", "bee", "cat", "dog", "elk", "fox", concurrency=1, task_deadline="8000h")
    desk.command = desk.start_run().reached(1, "accepted")
    yield desk
    desk.command.clear_away()


def told(desk: Any, words: str) -> None:
    """Wait until the run has said this in its log."""
    log = desk.directory / "run.log"
    desk.until(lambda: any(words in line.get("notice", "") for line in log_lines(log)), words)


def test_raised_concurrency_fills_further_slots_and_lowering_cancels_nothing(working: Any) -> None:
    """From 1 to 4 during the run: four charges are in flight; back to 2: all four go on, no more leave."""
    assert len(working.gateway.charges()) == 1
    done = working.do("set", "batch.run", "concurrency=4", "submit_rate=6000")
    assert (done.code, "until it ends: concurrency 4" in done.stdout) == (0, True)
    working.command.reached(4, "accepted")
    told(working, "concurrency 1 → 4, submit_rate 120 → 6000")
    assert "concurrency 1 → 4" in working.command.stderr
    assert working.do("set", "batch.yaml", "concurrency=2", "--json").json["limits"]["concurrency"] == 2
    told(working, "concurrency 4 → 2")
    status = working.do("status", "batch.run", "--json").json
    assert (status["counts"]["generating"], len(working.gateway.charges())) == (4, 4)


def test_limits_that_were_set_end_with_their_run(working: Any) -> None:
    """The next run keeps to the manifest, though the first was killed and left its limits behind."""
    limits = working.directory / "limits.json"
    working.do("set", "batch.run", "downloads=2")
    told(working, "downloads 4 → 2")
    working.command.killed()
    assert limits.exists()
    begun = len(log_lines(working.directory / "run.log"))
    again = working.start_run()
    working.until(lambda: len(log_lines(working.directory / "run.log")) > begun, "the next run")
    assert not limits.exists()
    again.killed()


@pytest.mark.parametrize("text", ["{", "[]", '{"concurrency": 0}', '{"submit_rate": NaN}', '{"tasks": 5}'])
def test_an_invalid_limits_file_is_ignored_and_named(working: Any, text: str) -> None:
    """The run goes on as it was, says what it ignored, and takes the next sensible one."""
    (working.directory / "limits.json").write_text(text, encoding="utf-8")
    told(working, "ignoring invalid limits")
    assert working.do("set", "batch.run", "concurrency=2").code == 0
    working.command.reached(2, "accepted")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("concurency=4", "did you mean concurrency?"),
        ("max_in_doubt=9", "valid names"),
        ("concurrency=0", "concurrency"),
        ("concurrency=1001", "concurrency"),
        ("concurrency=two", "concurrency"),
        ("submit_rate=nan", "submit_rate"),
        ("downloads=65", "downloads"),
        ("concurrency", "NAME=VALUE"),
    ],
)
def test_a_limit_that_the_schema_refuses_is_refused(desk: Any, limit: str, words: str) -> None:
    """Exit 2 with the reason; nothing is written."""
    desk.directory.mkdir()
    done = desk.do("set", "batch.run", limit)
    assert (done.code, words in done.stderr) == (ExitCode.USAGE, True), done.stderr
    assert list(desk.directory.iterdir()) == []


def test_set_without_a_run_points_to_the_manifest(desk: Any) -> None:
    """What is set holds for one run: with none at work, the manifest is the place."""
    desk.directory.mkdir()
    done = desk.do("set", "batch.run", "concurrency=4", "--json")
    assert done.code == ExitCode.USAGE
    assert "run: {concurrency: 4}" in json.loads(done.stdout)["hint"]
    assert list(desk.directory.iterdir()) == []
