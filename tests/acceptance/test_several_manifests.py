"""Several manifests in one command: one account, one budget, and a run directory for each."""

import json
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from batchrunner.manifest.schema import schema_text
from tests.harness import charge_book, run_directory
from tests.harness.workspace import ALONG, DEFAULTS

TOKENS, PRICE = 40_594, 5.6
"""Of one video, and USD per million tokens of its model."""


def write(desk: Any, name: str, count: int, sections: Mapping[str, Any] | None = None, **run: Any) -> str:
    """Write a manifest of so many tasks; returns its file name."""
    tasks = [{"id": f"{name}{number}", "prompt": f"{name}{number} {ALONG}"} for number in range(count)]
    value = {"version": 1, "run": run, **(sections or {}), "defaults": DEFAULTS, "tasks": tasks}
    (desk.folder / f"{name}.yaml").write_text(json.dumps(value), encoding="utf-8")
    return f"{name}.yaml"


def rows_of(desk: Any, name: str) -> list[dict[str, str]]:
    directory: Path = desk.folder / f"{name}.run"
    return run_directory.read_rows(directory)


def check_paid_once(desk: Any, sim: Any, names: str) -> None:
    """Every charge has its row in one of the runs, and no task has two."""
    charge_book.check_charges(sim.charges(), [row for name in names for row in rows_of(desk, name)], {}, ())


def states(desk: Any, name: str) -> set[str]:
    return {row["state"] for row in rows_of(desk, name)}


def run(desk: Any, *arguments: str) -> Any:
    return desk.do("run", *arguments, *desk.at_gateway())


def test_each_manifest_has_its_own_run(desk: Any, sim: Any) -> None:
    """All are made, each in its own run directory, whatever their weights."""
    sim.start()
    for name, weight in (("a", 1), ("b", 2), ("c", 3)):
        write(desk, name, 6 * weight, concurrency=12, weight=weight)
    done = run(desk, "a.yaml", "b.yaml", "c.yaml", "--json")
    assert done.code == 0
    values = json.loads(done.stdout)
    assert [one["manifest"].rpartition("/")[2] for one in values] == ["a.yaml", "b.yaml", "c.yaml"]
    assert [one["counts"]["done"] for one in values] == [6, 12, 18]
    check_paid_once(desk, sim, "abc")


def test_a_folder_stands_for_its_manifests(desk: Any, sim: Any) -> None:
    """Every notice says which run it is about; each has its summary; with -q, success is silent."""
    sim.start()
    write(desk, "a", 1)
    write(desk, "b", 1)
    done = run(desk, ".")
    assert done.code == 0
    assert "a.yaml: 1 task to do" in done.stderr
    assert "b.yaml: 1 task to do" in done.stderr
    assert done.stdout.startswith("a.yaml:\n1 of 1 task done")
    assert "\nb.yaml:\n1 of 1 task done" in done.stdout
    again = run(desk, ".", "-q")
    assert (again.code, again.stdout, again.stderr) == (0, "", "")
    assert len(sim.charges()) == 2


def test_other_programs_learn_which_run_it_is(desk: Any, sim: Any) -> None:
    """Events name the run directory; the end of all is told once, and each run to its manifest's `on_end`."""
    sim.start()
    write(desk, "a", 1, on_end="cat > a.end")
    write(desk, "b", 2, on_end="cat > b.end")
    done = run(desk, "a.yaml", "b.yaml", "--json", "--events", "events.jsonl")
    assert done.code == 0
    summaries = json.loads(done.stdout)
    events = [json.loads(line) for line in (desk.folder / "events.jsonl").read_text().splitlines()]
    for event in events:
        jsonschema.validate(event, json.loads(schema_text("events")), jsonschema.Draft202012Validator)
    made = Counter(event["directory"] for event in events if event.get("event") == "collected")
    assert sorted(made.values()) == [1, 2]
    assert events[-1]["summary"] == {"exit_code": 0, "runs": summaries}
    for summary, name in zip(summaries, "ab", strict=True):
        assert json.loads((desk.folder / f"{name}.end").read_text()) == summary
    desk.check_key()
    assert run(desk, ".", "--on-end", "cat > all.end").code == 0
    assert len(json.loads((desk.folder / "all.end").read_text())["runs"]) == 2


def test_a_wrong_manifest_does_not_stop_the_others(desk: Any, sim: Any) -> None:
    """What it has paid for is collected; the others are finished; the exit code is the worst."""
    sim.start()
    write(desk, "a", 3)
    started = desk.start("run", "a.yaml", *desk.at_gateway())
    desk.until(lambda: len(sim.charges()) >= 2, "two charges")
    started.killed()
    paid = len(sim.charges("a0")) + len(sim.charges("a1")) + len(sim.charges("a2"))
    (desk.folder / "a.yaml").write_text("version: 1\ntaks: []\n", encoding="utf-8")
    write(desk, "b", 2)
    done = run(desk, "a.yaml", "b.yaml", "--json")
    assert done.code == 2
    first, second = json.loads(done.stdout)
    assert (first["exit_code"], second["exit_code"]) == (2, 0)
    assert first["collected"]["counts"]["done"] == paid
    assert states(desk, "b") == {"done"}
    assert len(sim.charges()) == paid + 2


def test_a_manifest_that_is_being_run_does_not_stop_the_others(desk: Any, sim: Any) -> None:
    """Its own run goes on undisturbed: exit 75 for that one, and the other one is finished."""
    sim.start({"on": "generate", "do": "slow", "prompt": "a*", "factor": 10_000})
    write(desk, "a", 1)
    write(desk, "b", 1)
    first = desk.start("run", "a.yaml", *desk.at_gateway())
    desk.until(sim.charges, "a charge")
    both = run(desk, "a.yaml", "b.yaml", "--json")
    assert both.code == 75
    assert [one["exit_code"] for one in json.loads(both.stdout)] == [75, 0]
    assert states(desk, "b") == {"done"}
    first.send(signal.SIGINT)
    assert first.ended().code == 130
    assert len(sim.charges()) == 2


def test_one_budget_for_all_is_never_exceeded(desk: Any, sim: Any) -> None:
    """--max-cost counts what all of them spend; the last bit goes to whichever asks first."""
    sim.start()
    for name in "abc":
        write(desk, name, 4, concurrency=6)
    amount = 5 * TOKENS * PRICE / 1e6 + 0.001
    done = run(desk, "a.yaml", "b.yaml", "c.yaml", "--max-cost", f"{amount:.4f}")
    assert done.code == 75
    assert len(sim.charges()) == 5
    assert "by all manifests of this command" in done.stdout
    check_paid_once(desk, sim, "abc")


def test_a_refusal_of_the_key_stops_all_runs(desk: Any, sim: Any) -> None:
    """The key is the same for all: once it is refused, nobody tries it again and again."""
    sim.start({"on": "submit", "do": "401", "nth": [*range(3, 20)]})
    for name in "ab":
        write(desk, name, 6, concurrency=1)
    done = run(desk, "a.yaml", "b.yaml")
    assert done.code == 4, done.output
    assert len(sim.charges()) == 2
    assert sim.posts() == 3
    check_paid_once(desk, sim, "ab")


def test_no_run_adopts_what_another_one_has_submitted(desk: Any, sim: Any) -> None:
    """Same seed, model, length and time: the other manifest's task is not the one whose answer was lost."""
    sim.start({"on": "submit", "do": "cut_before_accept", "prompt": "a0*", "first": 1})
    for name in "ab":
        write(desk, name, 1, {"x-note": name})
        path = desk.folder / f"{name}.yaml"
        value = json.loads(path.read_text(encoding="utf-8"))
        value["defaults"] = {**DEFAULTS, "metadata": {**DEFAULTS["metadata"], "seed": 42}}
        path.write_text(json.dumps(value), encoding="utf-8")
    done = run(desk, "a.yaml", "b.yaml")
    assert done.code == 3, done.output
    assert states(desk, "a") == {"in_doubt"}
    assert states(desk, "b") == {"done"}


def test_killed_and_started_again_nothing_is_paid_twice(desk: Any, sim: Any) -> None:
    """SIGKILL in the middle, three times; the same command resumes all of them."""
    sim.start()
    for name in "abc":
        write(desk, name, 5, concurrency=4)
    for charged in (2, 6, 10):
        started = desk.start("run", "a.yaml", "b.yaml", "c.yaml", *desk.at_gateway())
        desk.until(lambda at_least=charged: len(sim.charges()) >= at_least, f"{charged} charges")
        started.killed()
    done = run(desk, "a.yaml", "b.yaml", "c.yaml")
    assert done.code in (0, 3)  # a submission that the kill left unanswered may still be in doubt
    check_paid_once(desk, sim, "abc")
    assert all(states(desk, name) <= {"done", "in_doubt"} for name in "abc")


def test_a_signal_ends_all_of_them(desk: Any, sim: Any) -> None:
    """One SIGINT is heard by every run; the same command resumes."""
    sim.start(generation_seconds=300)
    for name in "ab":
        write(desk, name, 2)
    started = desk.start("run", "a.yaml", "b.yaml", *desk.at_gateway())
    desk.until(lambda: len(sim.charges()) == 4, "all charges")
    started.send(signal.SIGINT)
    ended = started.ended()
    assert ended.code == 130
    assert ended.stdout.count("stopped by SIGINT") == 2
    assert run(desk, "a.yaml", "b.yaml").code == 0
    assert len(sim.charges()) == 4


def test_what_does_not_fit_several_manifests_is_refused(desk: Any, sim: Any) -> None:
    """-o names one run directory; two manifests can't share one; nothing is sent."""
    sim.start()
    write(desk, "a", 1)
    write(desk, "b", 1)
    refused = run(desk, "a.yaml", "b.yaml", "-o", "there")
    assert refused.code == 2
    assert "-o is for a single manifest" in refused.stderr
    assert not sim.charges()
    twice = run(desk, "a.yaml", "a.yaml")
    assert twice.code == 2
    assert "a.yaml has the run directory of a.yaml" in twice.stderr
    assert len(sim.charges()) == 1
