"""The Python API: what the command does, in somebody else's program, which keeps its loop and its signals."""

import fcntl
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import PATIENCE, clean_environment, until

ROOT = Path(__file__).parents[2]
KEY = "sk-main-canary-0123456789"


def program(desk: Any, code: str, **environment: str) -> subprocess.Popen[str]:
    """Start a program in the workspace's folder."""
    script = desk.folder / "program.py"
    script.write_text(f"import asyncio, json, sys\nimport batchrunner\n{code}", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        cwd=desk.folder,
        env=clean_environment(desk.folder, PYTHONPATH=str(ROOT), **environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE * 5)
    return process.returncode, out, err


def is_locked(file: Path) -> bool:
    """Whether a process has locked a file."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def call(desk: Any, **options: Any) -> str:
    """A call of `run` against the simulated gateway."""
    given = {"base_url": desk.gateway.url, "time_scale": desk.gateway.scale, "api_key": KEY} | options
    return f"batchrunner.run('batch.yaml', **{given!r})"


def test_readme_example_runs_as_it_stands(desk):
    """The README's lines make six videos in a copy of the repository's manifests."""
    (code,) = re.findall(
        r"## Python\n\n```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    subprocess.run(["cp", "-r", ROOT / "manifests", desk.folder], check=True)
    code_, out, err = ended(program(desk, code))
    assert (code_, err) == (0, "")
    assert out.startswith("6 tasks\n0 {'USD': ")
    paths = [Path(line.split()[-1]) for line in out.splitlines()[2:]]
    assert len(paths) == 6
    assert all(path.is_absolute() and path.stat().st_size for path in paths)


def test_prints_nothing_and_returns_the_rows(sim, desk):
    """The summary has the rows of results.csv, numbers as numbers; nothing is printed; the key is nowhere."""
    desk.write("one", "two", "fails")
    sim.start({"on": "generate", "do": "fail", "prompt": "fails*"})
    code = f"""
summary = asyncio.run({call(desk)})
assert {KEY!r} not in repr(summary)
found = {{"code": summary.exit_code, "rows": list(summary.tasks), "number": len(summary.tasks)}}
json.dump(found, sys.stdout)
"""
    code_, out, err = ended(program(desk, code))
    assert (code_, err) == (0, "")
    told = json.loads(out)
    assert (told["code"], told["number"]) == (1, 3)
    assert {row["id"]: (row["state"], row["error_code"]) for row in told["rows"]} == {
        "one": ("done", ""),
        "two": ("done", ""),
        "fails": ("failed", "InternalServiceError"),
    }
    assert told["rows"][0]["path"] == str(desk.directory / "videos/one.mp4")
    assert told["rows"][2]["path"] is None
    assert isinstance(told["rows"][0]["tokens"], int)
    desk.check(SimpleEnd(1), 1)


class SimpleEnd:
    """What `Workspace.check` needs to know of a command."""

    def __init__(self, code: int) -> None:
        self.code, self.stdout, self.stderr = code, "", ""


def test_works_inside_a_running_loop_which_stays_free(sim, desk):
    """In a notebook the loop already runs; it goes on while the run does, and may be busy itself."""
    desk.write("one", "two")
    sim.start()
    code = f"""
async def cell():
    beats = 0
    running = asyncio.ensure_future({call(desk)})
    while not running.done():
        await asyncio.sleep(0)
        beats += 1
    summary = await running
    again = await {call(desk)}
    return beats > 100, int(summary.exit_code), again.idle
print(asyncio.run(cell()))
"""
    assert ended(program(desk, code)) == (0, "(True, 0, True)\n", "")
    desk.check(SimpleEnd(0), 0)


def test_host_may_change_its_folder_during_the_run(sim, desk):
    """Everything goes where the call said, and nothing into the new folder."""
    desk.write("one", "two")
    sim.start()
    code = f"""
import os
async def main():
    running = asyncio.ensure_future({call(desk, directory="here.run")})
    await asyncio.sleep(0)
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    return int((await running).exit_code)
print(asyncio.run(main()))
"""
    assert ended(program(desk, code)) == (0, "0\n", "")
    assert len(list((desk.folder / "here.run/videos").glob("*.mp4"))) == 2
    assert list((desk.folder / "elsewhere").iterdir()) == []


def test_cancelling_is_like_ctrl_c(sim, desk):
    """What is in the air is awaited and recorded; the same call resumes, and nothing is paid twice."""
    desk.write("one", "two", concurrency=1)
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 40, "nth": 1}, generation_seconds=30)
    code = f"""
async def main():
    running = asyncio.ensure_future({call(desk)})
    await asyncio.to_thread(sys.stdin.readline)
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        print("cancelled")
asyncio.run(main())
"""
    process = program(desk, code)
    log = desk.directory / "run.log"
    until(lambda: log.exists() and '"claimed"' in log.read_text("utf-8"), "the claim")
    out, err = process.communicate("\n", timeout=PATIENCE * 5)
    assert (process.returncode, out, err) == (0, "cancelled\n", "")
    assert len(desk.gateway.charges()) == 1
    assert "in_doubt" not in log.read_text("utf-8")
    desk.check(desk.run(), 0)


def test_ctrl_c_in_a_script_ends_the_run_in_an_orderly_way(sim, desk):
    """asyncio.run turns the signal into a cancellation; the run has recorded everything by then."""
    desk.write("one", "two", concurrency=1)
    sim.start(generation_seconds=3000)
    process = program(desk, f"asyncio.run({call(desk)})")
    log = desk.directory / "run.log"
    until(lambda: log.exists() and '"accepted"' in log.read_text("utf-8"), "an accepted submission")
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code in (1, -signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert "ended with 130" in log.read_text("utf-8")
    sim.start(generation_seconds=20)
    desk.check(desk.run(), 0)


@pytest.mark.parametrize(
    ("sections", "options", "kind", "words"),
    [
        ({"tasks": [{"prompt": 1}]}, {}, "ManifestError", "1 problem"),
        ({"run": {"confirm_above": 0.01}}, {}, "NotConfirmed", "must be confirmed"),
        ({}, {"only": ["nobody"]}, "UsageError", "nobody"),
        ({}, {"limit": 0}, "UsageError", "above 0"),
        ({}, {"limit": "3"}, "UsageError", "above 0"),
        ({}, {"only": "on"}, "UsageError", "`only` on matches"),
        ({}, {"api_key": "not a key"}, "AccountError", "api_key"),
        ({}, {"accounts": "accounts.yaml"}, "UsageError", "`accounts` and another key"),
        ({}, {"accounts": "nowhere.yaml", "api_key": None}, "UsageError", "can't read"),
        ({}, {"accounts": [KEY], "api_key": None}, "UsageError", "a list of `batchrunner.AccountKey`"),
        ({}, {"accounts": [], "api_key": None}, "UsageError", "a list of `batchrunner.AccountKey`"),
        ({}, {"base_url": "http://example.com"}, "UsageError", "http"),
        ({}, {"collect_on": "ray://host"}, "UsageError", "ray://HOST:PORT"),
    ],
)
def test_what_the_command_refuses_is_raised(sim, desk, sections, options, kind, words):
    """Errors are exceptions with a hint; nothing is submitted, printed or asked."""
    desk.write("o", "n", "One")
    desk.manifest.write_text(json.dumps(json.loads(desk.manifest.read_text()) | sections), encoding="utf-8")
    sim.start()
    code = f"""
try:
    asyncio.run({call(desk, **options)})
except batchrunner.{kind} as error:
    print(error, "|", error.hint)
"""
    code_, out, err = ended(program(desk, code))
    assert (code_, err) == (0, "")
    assert words in out
    assert KEY not in out
    assert desk.gateway.charges() == []


def test_problems_of_a_manifest_are_in_the_traceback(desk):
    """Nobody has to know where the exception keeps them."""
    desk.manifest.write_text("version: 1\ntasks:\n  - promt: a cat\n", encoding="utf-8")
    code, out, err = ended(program(desk, "batchrunner.load_manifest('batch.yaml')"))
    assert (code, out) == (1, "")
    assert "ManifestError: " in err
    assert "batch.yaml:3:5: error: " in err


def test_a_scenario_that_is_wrong_is_an_error_and_prints_nothing(desk):
    """What the simulator would print is in the exception."""
    desk.write("one")
    (desk.folder / "s.yaml").write_text("faults: 7\n", encoding="utf-8")
    for name in ("s.yaml", "no.yaml"):
        code = f"""
try:
    asyncio.run(batchrunner.run("batch.yaml", simulate=True, scenario={name!r}))
except batchrunner.UsageError as error:
    print(error)
"""
        code_, out, err = ended(program(desk, code))
        assert (code_, err, name in out) == (0, "", True)


def test_confirmed_run_is_paid_for(sim, desk):
    """`yes=True` is the answer that nobody is asked for."""
    desk.write("one", confirm_above=0.01)
    sim.start()
    code = f"print(asyncio.run({call(desk, yes=True)}).exit_code)"
    assert ended(program(desk, code)) == (0, "0\n", "")
    desk.check(SimpleEnd(0), 0)


def test_two_runs_of_one_directory_at_once(sim, desk):
    """The second one is refused, in the same process, too."""
    desk.write("one", "two")
    sim.start()
    code = f"""
async def main():
    both = await asyncio.gather({call(desk)}, {call(desk)}, return_exceptions=True)
    print(sorted(type(one).__name__ for one in both))
asyncio.run(main())
"""
    assert ended(program(desk, code)) == (0, "['BusyError', 'Summary']\n", "")
    desk.check(SimpleEnd(0), 0)


def test_renamed_manifest_is_refused_and_named(sim, desk):
    """Identity is content: what another run directory has paid for is not paid for again."""
    desk.write("one")
    sim.start()
    desk.check(desk.run(), 0)
    desk.manifest.rename(desk.folder / "other.yaml")
    code = f"""
try:
    asyncio.run({call(desk).replace("batch.yaml", "other.yaml")})
except batchrunner.UsageError as error:
    print(error)
"""
    code_, out, _ = ended(program(desk, code))
    assert (code_, "batch.run" in out) == (0, True)
    assert len(desk.gateway.charges()) == 1


def test_broken_manifest_still_collects_what_is_paid_for(sim, desk):
    """The error is raised once the paid videos are brought in."""
    desk.write("one", "two")
    sim.start(generation_seconds=300)
    desk.start_run().reached(2, "accepted").killed()
    sim.start(generation_seconds=20)
    text = desk.manifest.read_text("utf-8")
    desk.manifest.write_text("tasks: [\n", encoding="utf-8")
    code = f"""
try:
    asyncio.run({call(desk)})
except batchrunner.ManifestError as error:
    print(len(error.problems))
"""
    assert ended(program(desk, code)) == (0, "1\n", "")
    assert len(list((desk.directory / "videos").glob("*.mp4"))) == 2
    desk.manifest.write_text(text, encoding="utf-8")
    desk.check(desk.run(), 0)


def test_windows_is_refused_in_one_line():
    """Locks, signals and durable renames there are others: the command says so, and an import fails."""
    pretend = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.platform = 'win32'; "

    def told(code: str) -> list[str]:
        ended = subprocess.run(
            [sys.executable, "-c", pretend + code], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 1
        return ended.stderr.splitlines()

    (line,) = told("sys.argv = [r'C:\\venv\\Scripts\\batchrunner.exe']; import batchrunner.cli.main")
    assert "install it in WSL" in line
    assert told("import batchrunner")[-1].startswith("ImportError: batchrunner runs on Linux and macOS")


def test_host_may_fork_during_a_simulated_run(desk):
    """A process that goes on living keeps neither the simulator running nor the run directory locked."""
    desk.write("one", "two")
    code = """
import os, warnings
from pathlib import Path
warnings.simplefilter("ignore")  # about forking beside threads
def run():
    return batchrunner.run("batch.yaml", simulate=True, time_scale=0.01)
async def main():
    running = asyncio.ensure_future(run())
    log = Path("batch.simulated/run.log")
    while not (log.exists() and "accepted" in log.read_text("utf-8")):
        await asyncio.sleep(0.01)
    here, there = os.pipe()
    if not os.fork():
        os.close(there)
        os.read(here, 1)  # until the parent ends
        os._exit(0)
    return int((await running).exit_code), (await run()).idle
print(asyncio.run(main()))
"""
    assert ended(program(desk, code)) == (0, "(0, True)\n", "")


def test_simulator_ends_with_a_killed_host_that_has_forked(desk):
    """The simulator notices that its run is gone, although a forked process goes on living."""
    desk.write("one")
    code = """
import os, signal, warnings
from pathlib import Path
warnings.simplefilter("ignore")
async def main():
    running = asyncio.ensure_future(batchrunner.run("batch.yaml", simulate=True, time_scale=1))
    log = Path("batch.simulated/run.log")
    while not (log.exists() and "accepted" in log.read_text("utf-8")):
        await asyncio.sleep(0.01)
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    os.read(0, 1)  # until the test ends
    os._exit(0)
asyncio.run(main())
"""
    process = program(desk, code)
    assert process.wait(PATIENCE) == -signal.SIGKILL
    lock = desk.folder / "batch.simulated/.simulator/simulator.lock"
    until(lambda: not is_locked(lock), "the end of the simulator")
    assert process.stdin
    process.communicate("x")


@pytest.mark.parametrize("imported", ["at the start", "in the thread"])
def test_run_in_a_thread_that_outlives_the_program(desk, imported):
    """Python refuses threads then, in many words: there is one error, and it says what to do."""
    desk.write("one")
    code = f"""
import threading
{"batchrunner.run" if imported == "at the start" else ""}
def work():
    threading.main_thread().join()
    try:
        asyncio.run(batchrunner.run("batch.yaml", simulate=True))
    except Exception as error:
        print(type(error).__name__, error.hint)
threading.Thread(target=work).start()
"""
    code_, out, err = ended(program(desk, code))
    assert (code_, err) == (0, "")
    assert out.startswith("ShutdownError let the main thread wait, with join()")
