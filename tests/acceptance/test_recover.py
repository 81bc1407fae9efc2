"""`batchrunner recover`: a ledger that is lost is made again, for free, and nothing is paid for twice."""

import shlex
from itertools import pairwise
from typing import Any

import pytest

from tests.harness.run_directory import lose_ledger

SIX = ("ant", "bee", "cat", "doe", "eel", "fox")
LOOKS = "GET /api/log/token"


@pytest.fixture
def made(desk: Any, sim: Any) -> Any:
    """A workspace with six videos."""
    sim.start()
    desk.write(*SIX)
    desk.check(desk.run(), 0)
    return desk


def recover(desk: Any) -> Any:
    """`recover` for the workspace's manifest and run directory."""
    return desk.do("recover", desk.manifest.name, "-o", str(desk.directory), *desk.at_gateway())


def test_a_lost_ledger_is_made_again(desk: Any, sim: Any, made: Any) -> None:
    """The ledger is deleted: `run` names `recover`, which brings all back without a POST or a download."""
    sim.start()
    lose_ledger(desk.directory)
    refused = desk.run()
    assert refused.code == 2
    assert "`batchrunner recover batch.yaml -o batch.run` rebuilds it" in refused.stderr
    done = recover(desk)
    desk.check(done, 0)
    desk.check_all_made(len(SIX))
    assert (sim.posts(), sim.downloads()) == (0, 0)
    desk.check(desk.run(), 0)
    assert sim.posts() == 0


@pytest.mark.parametrize("lost", [(), ("results.csv", "metadata.jsonl")], ids=["ledger", "results, too"])
def test_pictures_of_last_frames_are_known_again(desk: Any, sim: Any, lost: tuple[str, ...]) -> None:
    """Each row names the picture that lies beside its video; one that was deleted isn't named."""
    sim.start()
    shots = [{"id": "ant", "prompt": "ant"}]
    shots += [
        {"id": one, "prompt": one, "image": f"task:{before}/last_frame"} for before, one in pairwise(SIX)
    ]
    desk.write(*shots)
    desk.check(desk.run(), 0)
    before = {row["id"]: row["last_frame_file"] for row in desk.rows()}
    assert [name for name, file in before.items() if file] == list(SIX[:-1])
    (desk.directory / before["bee"]).unlink()
    lose_ledger(desk.directory)
    for name in lost:
        (desk.directory / name).unlink()
    desk.check(recover(desk), 0)
    gone = {} if lost else {"bee": ""}  # the gateway still shows it
    assert {row["id"]: row["last_frame_file"] for row in desk.rows()} == before | gone
    desk.check(desk.run(), 0)
    assert sim.posts() == len(SIX)
    film = desk.do("export", "batch.run", "--film", "-o", "films")
    assert (film.code, film.stderr) == (0, ""), "each shot was made from the one before"


@pytest.mark.parametrize("emptied", [False, True])
def test_every_command_names_recover_where_the_ledger_is_lost(
    desk: Any, sim: Any, made: Any, emptied: bool
) -> None:
    """`plan` refuses in the words of `run`; what reads a run directory names `recover`, too."""
    sim.start()
    lose_ledger(desk.directory)
    if emptied:
        (desk.directory / "ledger.sqlite").touch()
    refused = desk.run()
    planned = desk.do("plan", "batch.yaml", *desk.at_gateway()[:2])
    assert (planned.code, planned.stdout, planned.stderr) == (2, "", refused.stderr)
    for command in ("status", "collect", "results", "resolve", "retry"):
        more = ["--failed"] if command == "retry" else []
        for named, manifest in (("batch.run", "MANIFEST"), ("batch.yaml", "batch.yaml")):
            done = desk.do(command, named, *more)
            assert done.code == 2, command
            assert f"`batchrunner recover {manifest} -o batch.run` rebuilds it" in done.stderr, command
    assert sim.posts() == 0


def test_the_recover_command_printed_for_a_lost_simulated_ledger_works(desk: Any) -> None:
    """The hint has the manifest's own path, quoted, and `--simulate`; typed so, all comes back."""
    desk.manifest, desk.directory = desk.folder / "my batch.yaml", desk.folder / "my batch.simulated"
    desk.write("ant")
    simulated = ("my batch.yaml", "--simulate", "--time-scale", "0.005")
    assert desk.do("run", *simulated).code == 0
    lose_ledger(desk.directory)
    for command in (["run", *simulated], ["plan", *simulated[:2]], ["status", "my batch.yaml"]):
        refused = desk.do(*command)
        assert refused.code == 2
        hint = refused.stderr.split("`")[1]
        assert hint == "batchrunner recover 'my batch.yaml' -o 'my batch.simulated' --simulate"
    assert desk.do(*shlex.split(hint)[1:], "--time-scale", "0.005").code == 0
    assert desk.states() == {"ant": "done"}


def test_a_lost_simulated_ledger_is_not_made_again_for_a_real_gateway(desk: Any, sim: Any) -> None:
    """Simulated videos never count as paid for elsewhere: exit 2, nothing changes, nothing is asked."""
    sim.start()
    desk.directory = desk.folder / "batch.simulated"
    desk.write("ant")
    assert desk.do("run", "batch.yaml", "--simulate", "--time-scale", "0.005").code == 0
    lose_ledger(desk.directory)
    before = sorted(desk.directory.rglob("*"))
    done = desk.do("recover", "batch.yaml", "-o", "batch.simulated", *desk.at_gateway())
    assert done.code == 2
    assert "belongs to the gateway simulator" in done.stderr
    assert "simulated and real runs use separate run directories: add --simulate" in done.stderr
    assert sorted(desk.directory.rglob("*")) == before
    assert not sim.requests()


def test_a_lost_ledger_is_not_made_again_for_the_simulator(desk: Any, sim: Any, made: Any) -> None:
    """The other way round: the real gateway could not have it back afterwards."""
    sim.start()
    lose_ledger(desk.directory)
    before = sorted(desk.directory.rglob("*"))
    done = desk.do("recover", "batch.yaml", "-o", "batch.run", "--simulate")
    assert (done.code, "remove --simulate" in done.stderr) == (2, True)
    assert sorted(desk.directory.rglob("*")) == before


def test_a_lost_run_directory_but_for_its_id_is_made_again(desk: Any, sim: Any, made: Any) -> None:
    """Only videos/.run-id is left: `recover` downloads all six."""
    sim.start()
    for path in desk.directory.rglob("*"):
        if path.is_file() and path.name != ".run-id":
            path.unlink()
    done = recover(desk)
    desk.check(done, 0)
    desk.check_all_made(len(SIX))
    assert sim.posts() == 0


def test_without_an_id_recover_changes_nothing(desk: Any, sim: Any, made: Any) -> None:
    """Nothing names the run: exit 2 says so, and no file is made."""
    for path in desk.directory.rglob("*"):
        if path.is_file() and path.suffix != ".mp4":
            path.unlink()
    before = sorted(desk.directory.rglob("*"))
    done = recover(desk)
    assert done.code == 2
    assert "videos/.run-id" in done.stderr
    assert sorted(desk.directory.rglob("*")) == before


def test_a_lost_simulated_run_is_made_again(desk: Any) -> None:
    """`recover --simulate` asks the run directory's own simulator."""
    desk.write("ant", "bee")
    arguments = ["--simulate", "-o", "batch.run", "--time-scale", "0.002"]
    assert desk.do("run", desk.manifest.name, *arguments, key=None).code == 0
    for path in [*desk.directory.glob("ledger.sqlite*"), desk.directory / "results.csv"]:
        path.unlink()
    done = desk.do("recover", desk.manifest.name, *arguments, key=None)
    desk.check(done, 0)
    assert set(desk.states().values()) == {"done"}


def test_recover_says_what_was_not_found_and_how_to_make_it(desk: Any, sim: Any) -> None:
    """What was never submitted stays pending: exit 75 as for any unfinished run, with what to type."""
    sim.start()
    desk.write("ant", "bee")
    assert desk.run("--limit", "1").code == 0
    lose_ledger(desk.directory)
    done = recover(desk)
    desk.check(done, 75)
    assert desk.states() == {"ant": "done", "bee": "pending"}
    assert "1 task not found" in done.stdout
    assert "batchrunner run batch.yaml -o" in done.stdout
    assert sim.posts() == 1


def test_a_video_that_the_gateway_forgot_comes_back_as_done(desk: Any, sim: Any, made: Any) -> None:
    """results.csv and the file prove it: done without the gateway, and never made again."""
    sim.start({"on": "poll", "do": "task_not_exist"}, {"on": "usage", "do": "refused"})
    lose_ledger(desk.directory)
    done = recover(desk)
    assert done.code == 0, done.stderr
    desk.check(desk.run(), 0)
    assert (sim.posts(), sim.downloads()) == (0, 0)


def test_a_file_that_differs_from_results_csv_is_not_taken(desk: Any, sim: Any) -> None:
    """Something else lies under the name: it stays, the task is uncollected, and nothing is made again."""
    sim.start()
    desk.write("ant")
    assert desk.run().code == 0
    lose_ledger(desk.directory)
    video = desk.directory / "videos" / "ant.mp4"
    video.write_bytes(b"edited")
    done = recover(desk)
    assert done.code == 1, done.stderr
    assert desk.row("ant")["error_code"] == "name_taken"
    assert video.read_bytes() == b"edited"
    assert sim.posts() == 1


def test_a_doubt_of_a_lost_ledger_is_in_doubt_after_recover(desk: Any, sim: Any) -> None:
    """`recover` with the usage log switched off: what may be charged is not pending, whoever runs it then."""
    sim.start({"on": "submit", "do": "cut_after_accept", "prompt": "bee*"}, usage_log=False)
    desk.write("ant", "bee", concurrency=1)
    assert desk.run().code == 3
    lose_ledger(desk.directory)
    (desk.directory / "results.csv").unlink()
    for command in ("recover", "recover", "run"):
        done = desk.do(command, desk.manifest.name, "-o", str(desk.directory), *desk.at_gateway())
        desk.check(done, 3)
        assert desk.states() == {"ant": "done", "bee": "in_doubt"}
    assert sim.posts() == 2
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


def test_rows_recovered_from_results_csv_are_unchanged(desk: Any, sim: Any) -> None:
    """The ledger is gone: the row's times stay, and the next task is sent without waiting for them."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    before = desk.row("ant")
    lose_ledger(desk.directory)
    desk.check(recover(desk), 0)
    assert desk.row("ant") == before
    desk.write("ant", "bee")
    done = desk.run()
    desk.check(done, 0)
    assert "looking again" not in done.stderr
    assert sim.requests()[LOOKS] <= 2


@pytest.mark.parametrize("lost", [(), ("results.csv",)], ids=["ledger", "results, too"])
def test_another_version_after_recover_is_submitted(desk: Any, sim: Any, lost: tuple[str, ...]) -> None:
    """What run.log says of the former version is known by then: it makes no doubt of the new one."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    lose_ledger(desk.directory)
    for name in lost:
        (desk.directory / name).unlink()
    desk.check(recover(desk), 0)
    for versions in (2, 3):
        assert desk.do("retry", "batch.run", "ant", "--again").code == 0
        assert desk.run().code == 0
        assert len(sim.charges()) == versions


def test_a_doubt_of_a_lost_ledger_that_is_declared_lost_is_submitted(desk: Any, sim: Any) -> None:
    """Once: a person's word counts, and run.log brings no doubt back."""
    sim.start({"on": "submit", "do": "cut_after_accept", "prompt": "bee*"}, usage_log=False)
    desk.write("ant", "bee", concurrency=1)
    assert desk.run().code == 3
    lose_ledger(desk.directory)
    desk.check(recover(desk), 3)
    sim.start(usage_log=False)
    assert desk.do("resolve", "batch.run", "bee", "--lost").code == 0
    assert desk.run().code == 0
    assert len(sim.charges("bee")) == 2


def test_what_was_edited_before_the_ledger_was_lost(desk: Any, sim: Any) -> None:
    """What was paid for it is named, and what is submitted next does not meet its file."""
    sim.start()
    for prompt in ("bee", "bee sings", "bee sleeps"):
        desk.sections = {"budget": {"tasks": 3}}
        desk.write("ant", {"id": "bee", "prompt": prompt})
        assert desk.run("--yes").code == (75 if prompt == "bee sleeps" else 0)
    lose_ledger(desk.directory)
    recovered = recover(desk)
    assert "run.log shows 2 paid submissions of tasks that are not in this manifest" in recovered.stderr
    assert desk.run("--yes").code == 0
    assert desk.states() == {"ant": "done", "bee": "done"}
    assert len(sim.charges()) == 4


def test_former_versions_count_after_recover(desk: Any, sim: Any) -> None:
    """What no task shows any more is in the budget, too, and is not taken for a new version."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    for _ in range(2):
        assert desk.do("retry", "batch.run", "ant", "--again").code == 0
        assert desk.run().code == 0
    each = sim.charges()[0]["tokens"]
    lose_ledger(desk.directory)
    assert recover(desk).code == 0
    desk.sections = {"budget": {"tokens": 4 * each}}
    desk.write("ant", "bee", "cat")
    assert desk.run().code == 75
    assert len(sim.charges()) == 4
    desk.sections = {"budget": {"tokens": 5 * each}}
    desk.write("ant", "bee")
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    assert len(sim.charges("ant")) == 4
