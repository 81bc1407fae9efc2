"""The Python API in the process of its host, as in a notebook: tracebacks, cancellation, rows."""

import asyncio
import shutil
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import batchrunner
from batchrunner.api import rows as api_rows
from batchrunner.core.file_names import LOG_NAME
from tests.harness.commands import Ended
from tests.harness.gateway import KEY
from tests.harness.processes import until
from tests.harness.run_directory import log_lines

PRICES = {"pricing": {"currency": "EUR", "per_million_tokens": {"dreamina-seedance-2-0-fast": 100}}}
"""A task of these tests costs about 4 EUR."""


def started(desk: Any, **options: Any) -> Any:
    """A run of the desk's manifest at its gateway, to be awaited."""
    at_gateway = {"base_url": desk.gateway.url, "time_scale": desk.gateway.scale, "api_key": KEY}
    return batchrunner.run(**({"manifest": desk.manifest} | at_gateway | options))


def run(desk: Any, **options: Any) -> batchrunner.Summary:
    """The same, run to its end."""
    return asyncio.run(started(desk, **options))


def check(desk: Any, summary: batchrunner.Summary, code: int) -> None:
    """Check charge book and disk, as after a command."""
    desk.check(Ended(summary.exit_code, "", "", 0.0), code)


async def seen(condition: Callable[[], Any], what: str) -> None:
    """Wait for something, without blocking the loop."""
    await asyncio.to_thread(until, condition, what)


def notices(desk: Any) -> str:
    """What run.log says that is not about a task."""
    return "\n".join(line.get("notice", "") for line in log_lines(desk.directory / LOG_NAME))


@pytest.mark.parametrize("given", ["text", "loaded"])
def test_a_manifest_is_a_path_or_was_loaded(desk: Any, sim: Any, capfd: Any, given: str) -> None:
    """Each is paid for once, however often it runs; nothing is printed."""
    sim.start()
    desk.write("ant", "bee", {"id": "again", "prompt": "ant walks along the shore"})
    manifest = {"text": str(desk.manifest)}.get(given) or batchrunner.load_manifest(str(desk.manifest))

    async def host() -> list[batchrunner.Summary]:
        return [await started(desk, manifest=manifest), await started(desk, manifest=manifest)]

    first, second = asyncio.run(host())
    assert (first.idle, second.idle, second.counts["done"]) == (False, True, 3)
    check(desk, second, 0)
    desk.check_all_made(3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", ["cancelled", "timeout", "loop ends"])
def test_cancelling_awaits_a_submission_in_flight(desk: Any, sim: Any, how: str) -> None:
    """Its answer is recorded before the cancellation goes on, nothing is in doubt, and the next resumes."""
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 600, "times": 1})
    desk.write("ant", "bee", concurrency=1)

    async def host() -> None:
        running = asyncio.create_task(started(desk))
        await seen(sim.posts, "the POST")
        if how == "timeout":
            async with asyncio.timeout(0):
                await running
        if how == "cancelled":
            running.cancel()
            await running
        # asyncio.run now cancels every task of this loop

    expected = {"cancelled": asyncio.CancelledError, "timeout": TimeoutError}.get(how)
    with pytest.raises(expected) if expected else nullcontext():
        asyncio.run(host())
    assert desk.states() == {"ant": "generating", "bee": "pending"}
    (charge,) = sim.charges()
    assert desk.row("ant")["remote_id"] == charge["remote_id"]
    assert "1 unanswered submission" in notices(desk)
    check(desk, run(desk), 0)
    assert len(sim.charges()) == 2


def test_cancelling_again_leaves_a_doubt(desk: Any, sim: Any) -> None:
    """As a second Ctrl-C: the answer is not awaited, the ledger is closed, and nothing is paid for twice."""
    sim.start({"on": "submit", "do": "hang_after_accept", "times": 1}, usage_log=False)
    desk.write("ant", "bee", concurrency=1)

    async def host() -> None:
        running = asyncio.create_task(started(desk))
        await seen(sim.charges, "the charge")
        running.cancel()
        await seen(lambda: "unanswered submission" in notices(desk), "the waiting")
        assert not running.done()
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(host())
    check(desk, run(desk), 3)
    assert desk.states() == {"ant": "in_doubt", "bee": "done"}
    assert len(sim.charges("ant")) == 1


def test_cancelling_before_the_run_begins_sends_nothing(desk: Any, sim: Any) -> None:
    """The manifest is still being read, or the simulator started."""
    sim.start()
    desk.write("ant")

    async def host() -> None:
        running = asyncio.create_task(started(desk))
        await asyncio.sleep(0)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(host())
    assert sim.posts() == 0


def test_runs_of_different_manifests_go_on_beside_each_other(desk: Any, sim: Any) -> None:
    """In one loop; each has its own run directory."""
    sim.start()
    desk.write("ant", "bee")
    other = desk.folder / "other.yaml"
    text = desk.manifest.read_text().replace("along the shore", "up a hill")
    other.write_text(text.replace('"version": 1', '"version": 1, "name": "other"'))

    async def host() -> Any:
        return await asyncio.gather(started(desk), started(desk, manifest=other))

    assert [summary.counts["done"] for summary in asyncio.run(host())] == [2, 2]
    assert len(sim.charges()) == 4


def test_a_renamed_manifest_is_refused_with_its_run_directory(desk: Any, sim: Any) -> None:
    """Nothing is paid for again, unless `new` or `directory` says so."""
    sim.start()
    desk.write("ant", "bee")
    run(desk)
    renamed = desk.manifest.rename(desk.folder / "renamed.yaml")
    with pytest.raises(
        batchrunner.UsageError, match=r"2 of 2 tasks are already paid for.*batch\.run"
    ) as told:
        run(desk, manifest=renamed)
    assert told.value.hint == (
        f"use directory='{desk.directory}' to resume there without paying twice; "
        f"new=True pays again in {desk.folder / 'renamed.run'}"
    )
    assert not (desk.folder / "renamed.run").exists()
    assert run(desk, manifest=renamed, directory=str(desk.directory)).idle
    assert len(sim.charges()) == 2
    run(desk, manifest=renamed, new=True, limit=1)
    assert len(sim.charges()) == 3


def test_paying_again_in_another_directory_is_said_and_confirmed(desk: Any, sim: Any) -> None:
    """In the words of the command: in the summary, and in the refusal of a run that must be confirmed."""
    sim.start()
    desk.sections = PRICES
    desk.write("ant", "bee")
    assert run(desk).notices == ()
    line = "2 of 2 tasks are already paid for in batch.run; this run pays for them again"
    desk.write("ant", "bee", confirm_above=5)
    with pytest.raises(batchrunner.NotConfirmed) as told:
        run(desk, directory=desk.folder / "night2")
    refused = desk.run("-o", "night2")
    assert refused.code == 2
    assert line in refused.stderr
    assert line.replace("batch.run", str(desk.directory)) in str(told.value)
    assert len(sim.charges()) == 2
    again = run(desk, directory=desk.folder / "night2", yes=True)
    assert again.notices == (line.replace("batch.run", str(desk.directory)),)
    assert len(sim.charges()) == 4


def test_hints_name_the_arguments(desk: Any, sim: Any) -> None:
    """Of errors, of the problems of a manifest, and of what stopped a run."""
    sim.start()
    desk.sections = PRICES
    desk.write("ant", "bee", "cat", confirm_above=5, concurrency=1)
    with pytest.raises(batchrunner.NotConfirmed) as told:
        run(desk)
    assert told.value.hint == "pass yes=True to confirm; `batchrunner plan` shows the details"
    with pytest.raises(batchrunner.UsageError, match=r"^`scenario` is for") as told_too:
        run(desk, scenario="x.yaml")
    assert told_too.value.hint == "add simulate=True"
    stopped = run(desk, yes=True, max_cost=5)
    assert stopped.stop
    assert "--" not in stopped.stop.why + stopped.stop.hint
    assert stopped.stop.hint == "raise `max_cost`, then call `run` again"


def test_the_summary_says_where_its_files_are(desk: Any, sim: Any) -> None:
    """As absolute paths, also of a night whose directory the run has chosen."""
    sim.start()
    desk.write("ant", "bee")
    summary = run(desk, directory=desk.folder / "nights/{date}")
    (night,) = desk.folder.glob("nights/*")
    assert (summary.directory, summary.directory.is_absolute()) == (night, True)
    assert len(list(summary.videos.glob("*.mp4"))) == 2
    assert summary.results.read_text("utf-8-sig").startswith("id,")


def test_the_arguments_limit_a_run_as_the_options_do(desk: Any, sim: Any) -> None:
    """`only`, `limit` and `max_cost`: each task here may cost 4.06 EUR."""
    sim.start()
    desk.sections = PRICES
    desk.write("ant", "bee", {"id": "cat", "prompt": "cat", "labels": {"who": "me"}}, "dog", concurrency=1)
    assert run(desk, only=["who=me"]).exit_code == 0
    assert run(desk, only="bee").exit_code == 0
    assert [charge["prompt"][:3] for charge in sim.charges()] == ["cat", "bee"]
    assert run(desk, max_cost=5).exit_code == 75
    assert len(sim.charges()) == 3
    run(desk, directory=desk.folder / "night-{date}", limit=1)
    assert len(list(desk.folder.glob("night-2*"))) == 1
    assert len(sim.charges()) == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("manifest", value) for value in ("", None, 7, b"batch.yaml")],
        *[("directory", value) for value in ("", " ", 7, "a\0b", ["a"])],
        *[("scenario", value) for value in ("", 7)],
        *[("api_key_file", value) for value in ("", 7)],
        *[("only", value) for value in ("", [], (), [1], [None], 7, [""], b"ant")],
        *[("limit", value) for value in (1.5, 2.0, 0, -1, True, "3", float("inf"))],
        *[("max_cost", value) for value in (True, 0, -1, "5", float("nan"), float("inf"), 1e10)],
        *[("time_scale", value) for value in (True, 0, "1", float("nan"), 101)],
        *[("base_url", value) for value in ("", 7)],
        *[("api_key", value) for value in (7, b"sk-x")],
        *[
            (flag, value)
            for flag in ("simulate", "yes", "new", "strict", "insecure", "same_gateway")
            for value in (None, 1, "no")
        ],
    ],
    ids=repr,
)
def test_each_argument_is_checked_before_anything_else(tmp_path: Path, name: str, value: object) -> None:
    """The error names it, what was given, and what is expected; the manifest isn't even read."""
    manifest = tmp_path / "batch.yaml"
    manifest.write_text("tasks: [")
    with pytest.raises(batchrunner.UsageError, match=f"^`{name}` must be .*, not ") as told:
        asyncio.run(batchrunner.run(**{"manifest": manifest} | {name: value}))
    assert not isinstance(told.value, batchrunner.ManifestError)
    shown = type(value).__name__ if name == "api_key" else repr(value)
    assert str(told.value).endswith(shown)
    assert list(tmp_path.iterdir()) == [manifest]


def test_a_wrong_key_is_not_shown(desk: Any, sim: Any) -> None:
    """Not even one of a wrong type."""
    sim.start()
    with pytest.raises(batchrunner.UsageError) as told:
        run(desk, api_key=KEY.encode())
    assert KEY not in own_locals(told.value)


def test_two_sources_of_the_key_are_refused(desk: Any, sim: Any) -> None:
    """As are a key and the simulated gateway, which has its own."""
    sim.start()
    desk.write("ant")
    with pytest.raises(batchrunner.UsageError, match="both given"):
        run(desk, api_key_file="key")
    with pytest.raises(batchrunner.UsageError, match="its own gateway and key"):
        run(desk, base_url=None, simulate=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"only": ["cow"]},
        {"scenario": "x.yaml"},
        {"simulate": True},
        {"manifest": "none.yaml"},
    ],
    ids=str,
)
def test_wrong_arguments_are_usage_errors(desk: Any, sim: Any, wrong: dict[str, Any]) -> None:
    """As for the command, and before anything is created."""
    sim.start()
    desk.write("ant")
    with pytest.raises(batchrunner.UsageError):
        run(desk, **wrong)
    assert sim.posts() == 0
    assert not desk.directory.exists()


def test_a_simulator_that_can_not_start_says_why_in_the_exception(desk: Any, capfd: Any) -> None:
    """A file stands where its charge book would be; nothing is printed."""
    desk.write("ant")
    (desk.folder / "batch.simulated").mkdir()
    (desk.folder / "batch.simulated/.simulator").write_text("x")
    with pytest.raises(batchrunner.UsageError, match=r"the simulator did not start: .*File exists"):
        asyncio.run(batchrunner.run(desk.manifest, simulate=True))
    assert capfd.readouterr() == ("", "")


def test_a_broken_manifest_says_where(desk: Any) -> None:
    """The traceback has what `validate` would show."""
    desk.manifest.write_text("version: 1\ntasks: [{propmt: x}]\n")
    for load in (batchrunner.load_manifest, lambda path: asyncio.run(batchrunner.run(path))):
        with pytest.raises(batchrunner.ManifestError) as told:
            load(desk.manifest)
        shown = "".join(traceback.format_exception(told.value))
        assert "batch.yaml:2:10: error: `propmt` is not a known key" in shown
        assert "did you mean `prompt`?" in shown


def own_locals(error: BaseException) -> str:
    """The traceback with all local variables, but for those of this file, which has the key."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if frame.filename != __file__]
    )
    return "".join(told.format())


@pytest.mark.parametrize("wrong", [{"only": ["cow"]}, {"api_key": f"'{KEY}'"}, {"api_key": f"Bearer {KEY}"}])
def test_the_key_is_in_no_traceback(desk: Any, sim: Any, wrong: dict[str, Any]) -> None:
    """Not even in one that shows local variables, as those of notebooks may."""
    sim.start()
    desk.write("ant")
    with pytest.raises(batchrunner.BatchrunnerError) as told:
        run(desk, **wrong)
    shown = own_locals(told.value)
    assert "time_scale = 0.002" in shown
    assert KEY not in shown
    assert KEY not in repr(told.value)


def test_a_password_in_the_address_is_not_shown(desk: Any, sim: Any) -> None:
    """Of an address that is refused."""
    sim.start()
    desk.write("ant")
    password = "c4n4ry"
    with pytest.raises(batchrunner.UsageError) as told:
        run(desk, base_url=f"http://me:{password}@gateway.invalid")
    assert password not in "".join(traceback.format_exception(told.value))


def test_tasks_are_the_rows_of_the_csv(desk: Any, sim: Any, monkeypatch: Any) -> None:
    """Numbers are numbers, and each video has its path; read in parts, so that many need no memory."""
    monkeypatch.setattr(api_rows, "AT_ONCE", 2)
    sim.start({"on": "generate", "do": "moderated", "prompt": "bad*"})
    labelled = {"id": "e", "prompt": "e", "labels": {"who": "me"}}
    desk.write("a", "bad", "c", "d", labelled, max_attempts=1)
    summary = run(desk)
    assert summary.exit_code == 1
    found, rows = list(summary.tasks), desk.rows()
    assert [task["id"] for task in found] == ["a", "bad", "c", "d", "e"]
    for task, row in zip(found, rows, strict=True):
        file = task["path"]
        assert (file is None) == (row["file_name"] == "")
        assert file is None or Path(str(file)).stat().st_size == task["bytes"]
        assert {name: "" if task[name] is None else str(task[name]) for name in row if name != "cost"} == {
            name: text for name, text in row.items() if name != "cost"
        }
        assert task["cost"] == float(row["cost"] or 0)
    assert summary.tasks[1]["state"] == "failed"
    assert (summary.tasks[-1], summary.tasks[1:4], summary.tasks[9:]) == (found[-1], found[1:4], [])
    assert list(summary.tasks[::-2]) == found[::-2]
    assert len(summary.tasks) == 5
    with pytest.raises(IndexError):
        summary.tasks[5]
    shutil.rmtree(desk.directory)
    with pytest.raises(batchrunner.UsageError, match="can't be read"):
        len(summary.tasks)


def test_a_broken_manifest_collects_the_unfinished_night(desk: Any, sim: Any) -> None:
    """As the command does: what is paid for is downloaded before the error is raised, which says so."""
    sim.start()
    desk.write("ant", "bee", concurrency=1)
    command = desk.start_run("-o", "nights/{date}")
    desk.until(sim.charges, "a charge")
    command.killed()
    charged = len(sim.charges())
    desk.until(sim.settled, "the end of the generation")
    desk.manifest.write_text("version: 1\ntasks: 7\n")
    with pytest.raises(batchrunner.ManifestError) as told:
        run(desk, directory=desk.folder / "nights/{date}")
    assert "downloaded as far as possible" in "".join(told.value.__notes__)
    assert len(list(desk.folder.glob("nights/*/videos/*.mp4"))) == charged == len(sim.charges())


def test_the_systems_errors_are_ours(desk: Any, sim: Any) -> None:
    """As the command's: a name that is too long for the disk is a StorageError that names it."""
    sim.start()
    desk.write("ant")
    with pytest.raises(batchrunner.StorageError, match=r"x{300}.*: File name too long"):
        run(desk, directory="x" * 300)
    assert sim.posts() == 0
