"""What a person sees while a run works: on a terminal, in a log, and with `status` from another shell."""

import json
import re
from typing import Any

import pytest

from tests.harness.processes import clean_environment
from tests.harness.terminal import on_terminal

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Colours and movements of the cursor."""
FAILS = {"id": "bee", "prompt": "ark:inputmod"}


def lines_of(shown: str) -> list[str]:
    """The lines that a terminal was told to show, without colours."""
    return [line for line in CONTROL.sub("", shown).replace("\r", "\n").split("\n") if line.strip()]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_terminal_shows_bars_figures_and_failures(desk: Any, sim: Any, columns: int) -> None:
    """What needs a person scrolls above the bars in colour; a finished video only moves them."""
    sim.start(generation_seconds=200)
    desk.write("ant", FAILS, "cat", concurrency=1)
    environment = clean_environment(desk.folder, EASYROUTER_API_KEY=desk.key, TERM="xterm-256color")
    code, shown = on_terminal(desk.run_arguments(), desk.folder, environment, columns)
    assert code == 1
    lines = lines_of(shown)
    for bar in ("generated", "collected"):
        last = [line for line in lines if line.startswith(bar)][-1]
        assert last.rstrip().endswith("2 of 3")
        assert len(last) <= columns
    assert any(line.startswith("1 failed") for line in lines)
    assert re.search("[01] of 1 slots", CONTROL.sub("", shown))  # as it was when it was last drawn
    assert "\x1b[31mfailed      bee" in shown
    assert not any(re.match(r"\d\d:\d\d:\d\d +done", line) for line in lines)


def test_a_terminal_shows_at_last_what_the_summary_says(desk: Any, sim: Any) -> None:
    """The last picture has the money of the end, not that of some seconds before."""
    sim.start(generation_seconds=200)
    desk.sections = {"pricing": {"currency": "EUR", "per_million_tokens": {desk.defaults["model"]: 100}}}
    desk.write("ant", "cat")
    environment = clean_environment(desk.folder, EASYROUTER_API_KEY=desk.key, TERM="xterm-256color")
    code, shown = on_terminal(desk.run_arguments(), desk.folder, environment, 200)
    assert code == 0
    (summary,) = re.findall(r"spent +[\d,]+ tokens · ([\d.]+ EUR)", CONTROL.sub("", shown))
    assert (
        re.findall(r"[\d.]+ EUR spent(?:, [\d.]+ reserved)?", CONTROL.sub("", shown))[-1]
        == f"{summary} spent"
    )


@pytest.mark.parametrize("terminal", ["dumb", ""])
def test_without_a_cursor_to_move_there_are_plain_lines(desk: Any, sim: Any, terminal: str) -> None:
    """TERM=dumb, as in an editor's shell: no control characters at all."""
    sim.start()
    desk.write("ant")
    environment = clean_environment(desk.folder, EASYROUTER_API_KEY=desk.key, TERM=terminal)
    code, shown = on_terminal(desk.run_arguments(), desk.folder, environment)
    assert code == 0
    assert "\x1b" not in shown


def test_a_pipe_gets_no_line_for_each_task(desk: Any, sim: Any) -> None:
    """A run of seconds prints its totals and how it begins; the summary names what failed."""
    sim.start()
    desk.write("ant", FAILS, "cat")
    done = desk.run()
    assert done.code == 1
    assert [line for line in done.stderr.splitlines() if "ant" in line or "bee" in line] == []
    assert "1 failed: InputTextSensitiveContentDetected ×1" in done.stdout


def test_a_large_run_says_what_it_does_before_it_submits(desk: Any, sim: Any) -> None:
    """It takes seconds to enter so many tasks: nobody should think that it hangs."""
    sim.start()
    desk.write(*({"id": name, "prompt": name, "repeat": 10_000} for name in ("ant", "bee")))
    ran = desk.run("--limit", "1")
    assert ran.code == 0
    assert "comparing 20,000 tasks with the ledger" in ran.stderr


def test_status_tells_what_a_run_is_doing(desk: Any, sim: Any) -> None:
    """Since when, how many are in flight, what is reserved, what happened last, and why nothing is sent."""
    sim.start(generation_seconds=1_000_000)
    desk.write("猫" * 30, "bee", "cat", concurrency=1, task_deadline="8000h")
    running = desk.start_run().reached(1, "accepted")
    status = desk.do("status", "batch.run")
    assert status.code == 0
    assert re.search(r"running since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(\d+ s\); gateway ", status.stdout)
    assert "1 in flight · 0.00 USD spent, 0.23 reserved" in status.stdout
    assert re.search(r"last event \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  accepted  猫{30}\n", status.stdout)
    assert "finish about" not in status.stdout
    value = json.loads(desk.do("status", "batch.run", "--json").stdout)
    assert (value["exit_code"], value["running"], value["in_flight"]) == (0, True, 1)
    assert value["last_event"]["id"] == "猫" * 30
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value["began"])
    assert value["finish"] is None
    assert value["reserved_cost"] == pytest.approx(0.227326, abs=1e-6)
    running.killed()
    assert "not running; gateway" in desk.do("status", "batch.run").stdout


def test_no_id_is_cut_where_the_output_is_no_terminal(desk: Any, sim: Any) -> None:
    """A script reads them, and an ID is what other commands take."""
    sim.start()
    desk.write({"id": "b" * 60, "prompt": "ark:inputmod"})
    assert desk.run().code == 1
    assert "b" * 60 in desk.do("status", "batch.run").stdout


def test_the_beginning_of_an_id_is_enough(desk: Any, sim: Any) -> None:
    """Wherever an ID is taken, if it begins only one; a whole ID comes first."""
    sim.start()
    desk.write("ant", "ant-hill", {"id": "bee-hive", "prompt": "ark:inputmod"}, "bee-line")
    assert desk.run("--only", "ant-h").code == 0
    assert [charge["prompt"].split()[0] for charge in sim.charges()] == ["ant-hill"]
    refused = desk.run("--only", "bee")
    assert refused.code == 2
    assert "--only bee begins the IDs of several tasks" in refused.stderr
    assert "which one: bee-hive, bee-line?" in refused.stderr
    assert desk.run("--only", "ant").code == 0
    assert len(sim.charges()) == 2
    assert desk.run().code == 1
    assert desk.do("status", "batch.run", "bee-h").stdout.startswith("bee-hive: failed")
    assert desk.do("status", "batch.run", "ant").stdout.count("fingerprint") == 1
    several = desk.do("retry", "batch.run", "bee", "--again")
    assert several.code == 2
    assert "use more of the ID: bee-hive, bee-line" in several.stderr
    assert desk.do("retry", "batch.run", "bee-h").code == 0
    assert desk.states()["bee-hive"] == "pending"
