"""The benchmarks in short: every kind of measure works; no time is judged."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import beyond, kept, page, table
from tests.benchmarks.__main__ import main, taken
from tests.benchmarks.catalogue import MEASURES
from tests.benchmarks.figures import Figure, Measure, at_least_times, at_most
from tests.harness.fork_server import ForkServer

KINDS = {getattr(one.take, "func", one.take): one for one in MEASURES if one.by_default}
"""One measure of each kind: others differ in size only."""
PLAN = Figure("plan.wall", "plan: wall", 4.0, "s", floor=1.0, goal=at_most(5))
RATE = Figure("rate", "rate", 30.0, "1/s", floor=100.0, goal=at_least_times(0.4))


@pytest.mark.parametrize("measure", KINDS.values(), ids=lambda measure: measure.name)
def test_a_measure_can_be_taken(measure: Measure, tmp_path: Path, fork_server: ForkServer) -> None:
    """Every figure is a number with its unit, and no goal is judged at a tiny size."""
    figures = taken(measure, tmp_path, short=True, pictures=fork_server.pictures)
    assert figures
    for figure in figures:
        assert math.isfinite(figure.value), figure
        assert figure.value >= 0, figure
        assert figure.goal is None, figure


def test_the_command_keeps_a_run_and_shows_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is kept as JSON, and the next one is compared with it."""
    command = ["help", "--short", "--keep", str(tmp_path)]
    assert main(command) == 0
    (run,) = kept.read(tmp_path, short=True)
    (figure,) = run.figures
    kept.keep(tmp_path, replace(run, figures=(replace(figure, value=1e9),)))
    capsys.readouterr()
    assert main(command) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("`--help`")]
    assert "-100 %, was" in row


def test_a_goal_is_met_by_the_value_or_by_the_ratio() -> None:
    """The table says for each goal whether it is met, and counts them."""
    shown = table.lines([PLAN, RATE], {"plan.wall": replace(PLAN, value=8.0), "rate": RATE})
    assert shown[1].split("  ")[-1] == "-50 %, was 8 ×"
    assert shown[2].split("  ")[-1] == "the same"
    assert (" yes " in shown[1], " NO " in shown[2]) == (True, True)
    assert shown[-1] == "1 of 2 goals met"


def test_the_newest_figures_of_one_machine_are_merged(tmp_path: Path) -> None:
    """A partial run takes the rest from older runs of its machine; another machine's figures are left out."""
    first = kept.BenchmarkRun("2026-01-01T00:00:00Z", "a", "laptop", short=False, figures=(PLAN, RATE))
    other = replace(first, at="2026-01-02T00:00:00Z", machine="server", figures=(replace(PLAN, value=9.0),))
    newer = replace(first, at="2026-01-03T00:00:00Z", figures=(replace(PLAN, value=2.0),))
    for run in (newer, other, first):
        kept.keep(tmp_path, run)
    merged = kept.merged(kept.read(tmp_path, short=False))
    assert [(one.name, one.value) for one in merged.figures] == [("plan.wall", 2.0), ("rate", 30.0)]


def test_the_page_shows_the_figures_beside_it() -> None:
    """The page's figures are those of `shown.json`, and nobody has changed them by hand."""
    shown = kept.BenchmarkRun.from_json(page.SHOWN.read_text(encoding="utf-8"))
    text = page.README.read_text(encoding="utf-8")
    assert page.with_figures(text, shown) == text


def test_five_thousand_slots_need_what_the_figures_say() -> None:
    """50 tasks a second at 30 ms each are more than the one core that a process has, which ends first."""
    ours = {"task.ledger": 3.0, "ledger.rate": 7000.0, "in_flight.cpu": 0.4}
    ours |= {"in_flight.rate": 10.0, "in_flight.memory": 100.0, "cluster.task.cpu": 30.0}
    ours |= {f"{row}.{column}": 8.0 for row in beyond.ROWS.values() for column in beyond.COLUMNS.values()}
    *table_lines, text = beyond.lines({name: Figure(name, name, value, "") for name, value in ours.items()})
    assert "| Ray, two workers | 8 | 8 | 8 | 8 |" in table_lines
    assert "needs 30 ms of CPU a task, 1.5 cores in all (2 cores if it collects" in text
    assert "in this order, one core of the deciding process (3,333 slots), 10 Gbit/s" in text
