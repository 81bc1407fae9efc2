"""The commands that show something: sane words for people, JSON alone for programs."""

import json
import re
import signal
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest

from batchrunner.core.errors import ExitCode
from batchrunner.core.states import TaskState
from tests.harness import charge_book

COMMANDS = [
    "run",
    "validate",
    "plan",
    "status",
    "collect",
    "retry",
    "resolve",
    "results",
    "set",
    "simulator",
    "schema",
]
STATES = {"ant": "done", "bee": "failed", "cat": "in_doubt", "dog": "uncollected", "elk": "done"}


@pytest.fixture(scope="module")
def story(make_desk: Any) -> Iterator[Any]:
    """A run that ended with every kind of end; its tests only look at it."""
    desk = make_desk()
    desk.gateway.start(
        {"on": "submit", "do": "cut_after_accept", "prompt": "cat*"}, scale=0.001, usage_log=False
    )
    refused, gone = {"id": "bee", "prompt": "ark:inputmod"}, {"id": "dog", "prompt": "ark:gone walks"}
    desk.write("ant", refused, "cat", gone, "elk", concurrency=1)
    desk.ended = desk.run("--json")
    desk.check(desk.ended, 3)
    assert desk.states() == STATES
    yield desk
    desk.clear_away()


def only_json(done: Any) -> Any:
    """The value on stdout, on which nothing else stands."""
    value = json.loads(done.stdout)
    assert done.stdout.startswith(("{", "["))
    return value


def test_the_summary_as_json_counts_and_names_what_needs_a_person(story: Any) -> None:
    """`run --json` prints one object: counts, exit code, paths, and every task that is not well."""
    value = only_json(story.ended)
    assert value["exit_code"] == 3
    assert value["counts"] == {state.value: 0 for state in TaskState} | {
        "done": 2,
        "failed": 1,
        "in_doubt": 1,
        "uncollected": 1,
    }
    assert {problem["id"] for problem in value["problems"]} == {"bee", "cat", "dog"}
    assert value["tokens"] == 3 * 40594
    assert value["results"].endswith("batch.run/results.csv")


def test_status_shows_counts_and_causes_and_what_to_type(story: Any) -> None:
    """`status` says how many are done, why the others are not, and the next command for each kind."""
    done = story.do("status", "batch.run")
    assert done.code == 3
    for shown in ("2 of 5 tasks done", "in doubt", "bee", "cat", "dog", "InputTextSensitiveContentDetected"):
        assert shown in done.stdout
    for command in ("resolve batch.run", "retry batch.run --failed", "collect batch.run"):
        assert command in done.stdout


def test_status_as_json_is_the_same_for_programs(story: Any) -> None:
    """`status --json` has counts by state and no run under way."""
    done = story.do("status", "batch.run", "--json")
    value = only_json(done)
    assert (done.code, value["exit_code"], value["running"]) == (3, 3, False)
    assert value["counts"]["done"] == 2


def test_status_shows_the_runs_own_id(story: Any) -> None:
    """A verdicts.csv that is written by hand needs it."""
    run_id = (story.directory / "videos/.run-id").read_text(encoding="ascii").strip()
    assert f"  run {run_id}" in story.do("status", "batch.run").stdout.splitlines()
    assert only_json(story.do("status", "batch.run", "--json"))["run_id"] == run_id


def test_status_tells_one_tasks_story_by_id_fingerprint_or_remote_id(story: Any) -> None:
    """`status DIR ID` tells attempts and events in order, whichever name is given."""
    row = story.row("ant")
    told = [
        story.do("status", "batch.run", name)
        for name in ("ant", row["fingerprint"].partition("-")[2][:12], row["remote_id"])
    ]
    assert {done.code for done in told} == {0}
    assert len({done.stdout for done in told}) == 1
    events = re.findall(r"→ (\w+)", told[0].stdout)
    assert events == ["submitting", "generating", "collecting", "done"]
    assert row["seed"] in told[0].stdout
    assert row["remote_id"] in told[0].stdout
    value = only_json(story.do("status", "batch.run", "ant", "--json"))
    assert [event["to_state"] for event in value["events"]] == events
    assert value["remote_id"] == row["remote_id"]


def test_a_name_that_fits_no_task_is_a_usage_error(story: Any) -> None:
    """Exit 2 for an unknown task, from status, retry and resolve alike; as JSON where asked."""
    assert story.do("status", "batch.run", "nobody").code == 2
    assert story.do("retry", "batch.run", "nobody").code == 2
    done = story.do("resolve", "batch.run", "nobody", "--lost", "--json")
    assert (done.code, only_json(done)["exit_code"]) == (2, 2)


@pytest.mark.parametrize("name", ["nobody", "ant"])
def test_resolve_of_what_is_not_in_doubt_is_a_usage_error(story: Any, name: str) -> None:
    """A slip in the name, or a task that is done, is not listed as no doubt: exit 2."""
    done = story.do("resolve", "batch.run", name)
    assert (done.code, done.stdout, name in done.stderr) == (2, "", True)


def test_resolve_lists_a_doubt_by_id_or_the_start_of_its_fingerprint(story: Any) -> None:
    """All of these mean the one doubt."""
    key = story.row("cat")["fingerprint"]
    for name in ("cat", key, key.partition("-")[2][:6]):
        (listed,) = only_json(story.do("resolve", "batch.run", name, "--json"))
        assert listed["id"] == "cat"


def test_a_doubt_that_left_the_manifest_is_named_by_every_command(desk: Any, sim: Any) -> None:
    """`run`, `status` and `resolve`, for people and for programs, name the same doubt and what to type."""
    sim.start({"on": "submit", "do": "cut_after_accept", "prompt": "cat*"}, usage_log=False)
    desk.write("ant", "cat")
    desk.check(desk.run(), 3)
    desk.write("ant")
    told = [desk.run("--json"), desk.do("status", "batch.run", "--json")]
    named = {"id": "cat", "state": "in_doubt", "in_manifest": False}
    for done in told:
        (problem,) = only_json(done)["problems"]
        assert problem.items() >= named.items()
    (listed,) = only_json(desk.do("resolve", "batch.run", "--json"))
    assert listed["id"] == "cat"
    for done in (desk.run(), desk.do("status", "batch.run")):
        assert "cat" in done.stdout
        assert "resolve batch.run cat --adopt" in done.stdout


def test_a_verdict_on_a_task_that_is_not_in_doubt_is_refused(story: Any) -> None:
    """`resolve` leaves done tasks alone, `retry` those in doubt, and an id of ours is adopted only once."""
    assert story.do("resolve", "batch.run", "ant", "--lost").code == 2
    assert story.do("retry", "batch.run", "cat").code == 2
    assert story.do("resolve", "batch.run", "cat", "--adopt", story.row("ant")["remote_id"]).code == 2
    assert story.do("resolve", "batch.run", "--all", "--adopt", "task_x").code == 2
    assert story.states() == STATES


def test_results_are_written_again_from_the_ledger_as_they_were(story: Any) -> None:
    """`results` makes the same file again; `--excel` puts a byte-order mark in front, until `--no-excel`."""
    path = story.directory / "results.csv"
    before = path.read_bytes()
    path.unlink()
    assert "5 rows" in story.do("results", "batch.run").stdout
    assert path.read_bytes() == before
    value = only_json(story.do("results", "batch.run", "--excel", "--json"))
    assert (len(value["rows"]), value["excel"]) == (5, True)
    assert path.read_bytes() == b"\xef\xbb\xbf" + before
    assert story.do("results", "batch.run", "--all").code == 0
    assert path.read_bytes() == b"\xef\xbb\xbf" + before
    assert story.do("results", "batch.run", "--no-excel").code == 0
    assert path.read_bytes() == before


def test_results_as_json_are_the_rows_of_the_csv(story: Any) -> None:
    """The same columns and values, with numbers as numbers and null where nothing is known."""
    value = only_json(story.do("results", "batch.run", "--json"))
    rows = story.rows()
    assert [list(row) for row in value["rows"]] == [list(row) for row in rows]
    for found, row in zip(value["rows"], rows, strict=True):
        assert {name: "" if one is None else str(one) for name, one in found.items()} == row
        assert isinstance(found["attempts"], int)
    done = value["rows"][0]
    assert isinstance(done["cost"], float)
    assert isinstance(done["submitted_at"], str)
    assert value["rows"][1]["file_name"] == ""
    assert value["rows"][1]["width"] is None


def times_in(value: Any, name: str = "") -> Iterator[Any]:
    """Everything in a JSON value that is called a time."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from times_in(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from times_in(item, name)
    elif value is not None and (name in ("at", "not_before", "began", "finish") or name.endswith("_at")):
        yield value


def test_times_are_the_same_in_all_json(story: Any) -> None:
    """ISO 8601 in UTC, as in results.csv; in run.log, too."""
    shown = [
        only_json(story.do(*words, "--json"))
        for words in (
            ("status", "batch.run"),
            ("status", "batch.run", "ant"),
            ("status", "batch.run", "cat"),
            ("resolve", "batch.run"),
            ("results", "batch.run"),
        )
    ]
    log = (story.directory / "run.log").read_text(encoding="utf-8").splitlines()
    shown += [json.loads(line) for line in log]
    times = list(times_in(shown))
    assert len(times) > 20  # of every kind
    assert [time for time in times if not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", str(time))] == []
    story_of_ant = shown[1]
    assert story_of_ant["submitted_at"] == story.row("ant")["submitted_at"]


def test_validate_counts_the_tasks_and_touches_nothing(story: Any) -> None:
    """`validate` says how many tasks there are, and its JSON lists the warnings."""
    assert "5 tasks" in story.do("validate", "batch.yaml").stdout
    assert only_json(story.do("validate", "batch.yaml", "--json"))["tasks"] == 5


def test_a_wrong_manifest_as_json_lists_every_problem_with_its_place(desk: Any) -> None:
    """`--json` errors are JSON too: problems with line and column, exit code 2."""
    desk.manifest.write_text('version: 1\ntasks:\n  - promt: a\n  - prompt: ""\n', encoding="utf-8")
    for command in ("validate", "plan", "run"):
        done = desk.do(command, "batch.yaml", "--json")
        value = only_json(done)
        assert (done.code, value["exit_code"]) == (2, 2)
        assert len(value["problems"]) >= 2
        assert "batch.yaml:3" in done.stderr


def test_strict_makes_a_warning_an_error(desk: Any) -> None:
    """Two equal requests are a warning; with --strict nothing is run."""
    same = {"prompt": "the same walks along the shore"}
    desk.write(same, same)
    relaxed = desk.do("validate", "batch.yaml", "--json")
    assert (relaxed.code, only_json(relaxed)["tasks"]) == (0, 2)
    assert len(only_json(relaxed)["warnings"]) >= 1
    short = desk.do("validate", "batch.yaml", "--strict", "--format", "short")
    assert short.code == 2
    assert ": error: " in short.stderr
    assert "--strict" in short.stderr
    (problem,) = only_json(desk.do("validate", "batch.yaml", "--strict", "--json"))["problems"]
    assert (problem["severity"], "--strict" in problem["message"]) == ("error", True)
    assert desk.do("run", "batch.yaml", "--simulate", "--strict").code == 2
    assert not desk.directory.with_suffix(".simulated").exists()


@pytest.mark.parametrize("name", ["manifest", "task", "models", "results", "scenario"])
def test_schema_prints_a_json_schema(desk: Any, name: str) -> None:
    """`schema` prints each of the contracts as JSON Schema."""
    done = desk.do("schema", name)
    assert done.code == 0, done.stderr
    assert only_json(done)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("state", [".simulator", "simulator"])
def test_collect_on_a_simulated_run_starts_its_simulator(desk: Any, state: str) -> None:
    """`collect` needs neither key nor address for a simulated run, and fetches what was left, free.

    Older versions have kept the simulator's files in a folder that is not hidden; it is used as it is.
    """
    desk.directory = desk.folder / "batch.simulated"
    broken = {"on": "download", "do": "cut", "source": "both"}
    scenario = {"generation_seconds": 20, "faults": [broken]}
    (desk.folder / "night.yaml").write_text(json.dumps(scenario), encoding="utf-8")
    desk.write("ant", "bee")
    hurry = ("--time-scale", "0.001")
    command = ("run", "batch.yaml", "--simulate", "--scenario", "night.yaml", *hurry)
    desk.check(desk.do(*command, key=None), 1)
    assert desk.states() == {"ant": "uncollected", "bee": "uncollected"}
    (desk.directory / ".simulator").rename(desk.directory / state)
    charged = charge_book.read(desk.directory / state)

    done = desk.do("collect", "batch.simulated", "--json", *hurry, key=None)
    assert (done.code, only_json(done)["counts"]["done"]) == (0, 2)
    assert charge_book.read(desk.directory / state) == charged
    assert [path.name for path in desk.directory.glob("*simulator")] == [state]


def test_collect_of_several_folders_goes_on_after_one_that_is_wrong(story: Any) -> None:
    """A folder that is no run directory is named, and the exit code stays that of the first failure."""
    done = story.do("collect", "nowhere", "batch.run", "--time-scale", "0.001", "--quiet")
    assert done.code == 2
    assert "nowhere" in done.stderr
    assert "2 of 5 tasks done" in done.stdout
    assert story.do("collect", "batch.run", "nowhere", "--time-scale", "0.001", "-q").code == 2


def test_collect_of_several_folders_prints_one_json_value(story: Any) -> None:
    """A program reads the stdout of `collect --json` as JSON, however many folders it named."""
    done = story.do("collect", "batch.run", "nowhere", "--time-scale", "0.001", "--json")
    first, second = only_json(done)
    assert (first["exit_code"], first["directory"]) == (3, "batch.run")
    assert (second["exit_code"], second["directory"]) == (2, "nowhere")
    assert done.code == 2, "the most urgent one"


def test_the_simulator_says_where_it_is_and_ends_when_told(desk: Any) -> None:
    """`simulator` prints its address, answers there, and exits 0 at SIGTERM."""
    command = desk.start("simulator", "--state-dir", "gateway")
    desk.until(lambda: command.stdout.endswith("\n"), "the address")
    with urlopen(f"{command.stdout.strip()}/simulator/charges") as answer:
        assert json.load(answer) == {"charges": []}
    command.send(signal.SIGTERM)
    assert command.ended().code == 0
    assert "gateway" in command.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_an_impossible_port_is_refused(desk: Any, port: str) -> None:
    """Exit 2 in words, not in a traceback."""
    assert desk.do("simulator", f"--port={port}").code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(desk: Any, command: str) -> None:
    """`COMMAND --help` exits 0 and says how it is called."""
    done = desk.do(command, "--help")
    assert done.code == 0
    assert done.stdout.startswith(f"usage: batchrunner {command}")
    assert done.stderr == ""


def test_the_help_lists_every_command_and_exactly_the_exit_codes_that_exist(desk: Any) -> None:
    """The table in `--help` is the enumeration that the program uses."""
    told = desk.do("--help").stdout
    words, _, table = told.partition("exit codes:")
    for command in COMMANDS:
        assert re.search(rf"^    {command}\s", words, re.MULTILINE), command
    codes = [int(code) for code in re.findall(r"(?:^|  |, )(\d+)(?=,|  )", table, re.MULTILINE)]
    assert sorted(codes) == sorted(int(code) for code in ExitCode)


def test_a_command_line_that_makes_no_sense_is_a_usage_error(desk: Any) -> None:
    """Exit 2 for no command, an unknown one, and for options that contradict each other."""
    desk.write("ant")
    for arguments in ((), ("walk",), ("run",), ("run", "batch.yaml", "--scenario", "night.yaml")):
        assert desk.do(*arguments).code == 2, arguments
    for arguments in (("retry", "."), ("resolve", ".", "--lost"), ("status", "nowhere"), ("status", ".")):
        assert desk.do(*arguments).code == 2, arguments
    assert not desk.directory.exists()
