"""A mistake in what a person wrote: nothing is submitted, and what is paid for is brought in all the same."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TASKS = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def killed(make_desk: Callable[[], Any]) -> Iterator[tuple[Any, Path]]:
    """A desk whose run was killed with two of three tasks paid for, and a copy of all that it left."""
    desk = make_desk()
    desk.gateway.start(capacity=2, generation_seconds=2000)
    desk.write(*TASKS, concurrency=2)
    desk.start_run().reached(2, "accepted").killed()
    snapshot = desk.folder.parent / "snapshot"
    shutil.copytree(desk.folder, snapshot)
    desk.gateway.start(generation_seconds=20)
    yield desk, snapshot
    desk.clear_away()


@pytest.fixture
def left(killed: tuple[Any, Path]) -> Any:
    """The desk, as the killed run left it."""
    desk, snapshot = killed
    shutil.rmtree(desk.folder)
    shutil.copytree(snapshot, desk.folder)
    return desk


def edit(desk: Any, **changes: Any) -> None:
    """Change keys of the manifest."""
    desk.manifest.write_text(json.dumps(json.loads(desk.manifest.read_text()) | changes))


def write(desk: Any, content: bytes) -> None:
    """Put something else in the manifest's place."""
    desk.manifest.write_bytes(content)


MISTAKES: dict[str, Callable[[Any], list[str] | None]] = {
    "a typo": lambda desk: edit(desk, taskz=[]),
    "a rows file that is not there": lambda desk: edit(desk, tasks=[{"rows": "gone.csv", "prompt": "a"}]),
    "a picture that is not there": lambda desk: edit(desk, tasks=[{"prompt": "a", "image": "gone.png"}]),
    "not YAML": lambda desk: write(desk, b"tasks: [\n"),
    "not text": lambda desk: write(desk, b"\xff\xfe\x00"),
    "no manifest": lambda desk: desk.manifest.unlink(),
    "a folder": lambda desk: desk.manifest.unlink() or desk.manifest.mkdir(),
    "a slip in --only": lambda desk: ["--only", "nobody"],
    "a warning with --strict": lambda desk: edit(desk, tasks=[{"prompt": "a"}] * 2) or ["--strict"],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_paid_tasks_are_collected_whatever_the_mistake(left: Any, mistake: str) -> None:
    """The mistake is told first, then how many tasks wait; nothing is submitted; exit 2."""
    desk = left
    posts = desk.gateway.posts()
    done = desk.run(*(MISTAKES[mistake](desk) or []))
    assert done.code == 2
    first, _, rest = done.stderr.partition("collecting 2 paid tasks in batch.run")
    assert first
    assert rest
    assert "nothing was submitted" in done.stdout
    assert desk.states() == {"ant": "done", "bee": "done", "cat": "pending"}
    assert desk.gateway.posts() == posts
    assert len(desk.gateway.charges()) == 2


def test_the_same_command_goes_on_once_the_mistake_is_corrected(desk: Any, sim: Any) -> None:
    """The plan was left alone by the mistaken run: only what was not paid for is submitted."""
    sim.start(generation_seconds=300)
    desk.write(*TASKS, concurrency=2)
    desk.start_run().reached(2, "accepted").killed()
    right = desk.manifest.read_text()
    edit(desk, taskz=[])
    assert desk.run().code == 2
    desk.manifest.write_text(right)
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_a_mistake_with_nothing_to_collect_ends_at_once(desk: Any, sim: Any) -> None:
    """All done, or nothing begun: exit 2 at once, without a request or a summary."""
    sim.start()
    desk.write("ant")
    right = desk.manifest.read_text()
    edit(desk, taskz=[])
    done = desk.run()
    assert (done.code, done.stdout) == (2, "")
    assert not desk.directory.exists()
    desk.manifest.write_text(right)
    desk.check(desk.run(), 0)
    before = sim.requests()
    edit(desk, taskz=[])
    done = desk.run()
    assert (done.code, done.stdout) == (2, "")
    assert "collecting" not in done.stderr
    assert sim.requests() == before


def test_json_output_is_one_value_with_problems_and_summary(left: Any) -> None:
    """`--json`: what is wrong, what was collected, and the process's own exit code."""
    edit(left, taskz=[])
    value = left.run("--json", "-q").json
    assert (value["exit_code"], value["waiting"]) == (2, 2)
    assert value["problems"][0]["message"]
    assert value["collected"]["counts"]["done"] == 2
    assert value["collected"]["exit_code"] == 2


def test_quiet_shows_the_mistake_and_the_summary(left: Any) -> None:
    """For a cron job, whose mail this is."""
    edit(left, taskz=[])
    done = left.run("-q")
    assert done.stderr.splitlines()[-1] == "1 error; nothing was sent"
    assert done.stdout.startswith("2 of 3 tasks done")


@pytest.mark.parametrize("by_option", [True, False])
def test_another_gateway_gets_no_more_than_free_questions(left: Any, web_page: Any, by_option: bool) -> None:
    """A named address is asked whether it is the ledger's gateway: exit 2 says that it is not."""
    edit(left, taskz=[])
    before = left.gateway.requests()
    left.environment = {} if by_option else {"EASYROUTER_BASE_URL": web_page.url}
    option = ["--base-url", web_page.url] if by_option else []
    done = left.do("run", left.manifest.name, *option, "--time-scale", str(left.gateway.scale))
    left.environment = {}
    assert done.code == 2
    assert "belongs to the gateway" in done.stderr
    assert set(web_page.methods) == {"GET"}
    assert left.gateway.requests() == before


def test_a_missing_key_and_the_mistake_are_both_reported(left: Any) -> None:
    """The mistake, and why nothing was collected; nothing is asked."""
    edit(left, taskz=[])
    before = left.gateway.requests()
    done = left.start("run", left.manifest.name, *left.at_gateway(), key=None).ended()
    assert done.code == 2
    assert "taskz" in done.stderr
    assert "no API key" in done.stderr
    assert left.gateway.requests() == before
    value = left.start("run", left.manifest.name, *left.at_gateway(), "--json", key=None).ended().json
    assert (value["exit_code"], value["collected"]) == (2, None)
    assert "API key" in value["not_collected"]["error"]


def test_a_refused_key_is_reported_and_the_mistake_decides_the_exit_code(left: Any) -> None:
    """An account that is refused does not hide that the manifest is wrong."""
    edit(left, taskz=[])
    done = left.start("run", left.manifest.name, *left.at_gateway(), key="sk-bad-key-of-nobody").ended()
    assert done.code == 2
    assert left.states()["ant"] == "generating"


def test_a_disk_error_exits_5(left: Any) -> None:
    """Nothing can be brought in: that is said beside the mistake."""
    edit(left, taskz=[])
    shutil.rmtree(left.directory / "videos")
    (left.directory / "videos").write_text("not a folder")
    done = left.run()
    assert done.code == 5
    assert "taskz" in done.stderr
    assert "videos" in done.stderr


def test_another_run_at_work_is_left_alone(desk: Any, sim: Any) -> None:
    """The other run collects: exit 2 for the mistake, and a word about the other."""
    sim.start(generation_seconds=200_000)
    desk.write("ant")
    running = desk.start_run().reached(1, "accepted")
    edit(desk, taskz=[])
    done = desk.run()
    assert done.code == 2
    assert "another batchrunner is using" in done.stderr
    running.killed()


def test_ctrl_c_while_collecting_exits_130(desk: Any, sim: Any) -> None:
    """The signal decides, as in every run; what is paid for waits for the next."""
    sim.start(generation_seconds=200_000)
    desk.write("ant")
    desk.start_run().reached(1, "accepted").killed()
    edit(desk, taskz=[])
    sim.start()
    mistaken = desk.start_run()
    desk.until(lambda: sim.requests()["GET /v1/video/generations/{id}"], "a poll")
    mistaken.send(signal.SIGINT)
    assert mistaken.ended().code == 130
    assert desk.states() == {"ant": "generating"}


def test_a_simulated_run_collects_from_its_simulator(desk: Any) -> None:
    """And a real run is not looked for there."""
    desk.write("ant", "bee")
    desk.directory = desk.folder / "batch.simulated"
    arguments = ["run", desk.manifest.name, "--simulate", "--time-scale", "0.01"]
    desk.start(*arguments).reached(2, "accepted").killed()
    edit(desk, taskz=[])
    done = desk.do(*arguments)
    assert done.code == 2
    assert desk.states() == {"ant": "done", "bee": "done"}


def test_the_run_directory_may_be_named(left: Any) -> None:
    """With -o DIR it is looked for there."""
    left.directory.rename(left.folder / "elsewhere")
    edit(left, taskz=[])
    done = left.run("-o", "elsewhere")
    assert done.code == 2
    assert "collecting 2 paid tasks in elsewhere" in done.stderr
    assert len(list((left.folder / "elsewhere" / "videos").glob("*.mp4"))) == 2


def test_a_real_run_and_a_simulated_one_are_not_taken_for_each_other(left: Any) -> None:
    """`--simulate -o` a real run's directory: nothing is started and nothing collected."""
    edit(left, taskz=[])
    done = left.do("run", left.manifest.name, "--simulate", "-o", "batch.run")
    assert done.code == 2
    assert "belongs to the gateway" in done.stderr
    assert not (left.directory / ".simulator").exists()


def test_validate_and_plan_report_only_the_mistake(left: Any) -> None:
    """They ask nobody anything."""
    edit(left, taskz=[])
    before = left.gateway.requests()
    for command in ("validate", "plan"):
        done = left.do(command, left.manifest.name)
        assert (done.code, done.stdout) == (2, "")
    assert left.gateway.requests() == before
