"""Chains: tasks that need what others make, each paid for once, whatever happens in between."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batchrunner.media import last_frame
from tests.harness.continuity import continues, ends
from tests.harness.run_directory import lose_ledger

CONTINUED = "continues"


def shot(task_id: str, after: str = "", prompt: str = CONTINUED, **fields: Any) -> dict[str, Any]:
    """A shot that begins with the last frame of the one before."""
    needs = {"image": f"task:{after}/last_frame"} if after else {}
    return {"id": task_id, "prompt": f"{task_id} {prompt}", **needs, **fields}


def video_of(task_id: str, **fields: Any) -> dict[str, Any]:
    """The `metadata` of a task that needs another one's whole video."""
    url = {"url": f"task:{task_id}/video"}
    return {
        "metadata": {"content": [{"type": "video_url", "role": "reference_video", "video_url": url}]},
        **fields,
    }


FILM = (shot("ant"), shot("bee", "ant"), shot("cat", "bee"), shot("dog", "cat"), shot("elk", "dog"))


def picture_sent(sim: Any, task_id: str) -> str:
    """The SHA-256 of the data URI that was sent for a task."""
    (charge,) = sim.charges(task_id)
    (media,) = charge["media"]
    assert media["type"] == "image_url"
    return str(media["url"]["sha256"])


def data_uri_hash(path: Path) -> str:
    """The SHA-256 of a picture as a data URI."""
    kind = "png" if path.suffix == ".png" else "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    return hashlib.sha256(uri.encode()).hexdigest()


def test_each_shot_is_sent_with_the_last_frame_of_the_one_before(desk: Any, sim: Any) -> None:
    """Five shots in any order: five charges, and each has the picture that lies beside the video before."""
    sim.start()
    desk.write(*reversed(FILM))
    desk.check(desk.run(), 0)
    desk.check_all_made(5)
    for before, after in (("ant", "bee"), ("bee", "cat"), ("cat", "dog"), ("dog", "elk")):
        picture = Path(desk.directory, desk.row(before)["last_frame_file"])
        assert data_uri_hash(picture) == picture_sent(sim, after)
    assert desk.row("elk")["last_frame_file"] == "", "nobody needs it"
    assert desk.row("bee")["inputs"] == "task:ant/last_frame"


@pytest.mark.parametrize("events", [("claimed",), ("accepted",), ("succeeded",), ("collected",)])
def test_a_chain_that_is_killed_at_each_shot_is_paid_for_once(desk: Any, sim: Any, events: Any) -> None:
    """SIGKILL at such an event in three runs, one after another: in the end five charges."""
    sim.start()
    desk.write(*FILM)
    for _ in range(3):
        desk.start_run().reached(1, *events).killed()
        desk.do("results", "batch.run")  # says what is in doubt
        for doubt in (row for row in desk.rows() if row["state"] == "in_doubt"):
            assert desk.do("resolve", "batch.run", doubt["id"], *desk.verdict(doubt)).code == 0
    desk.check(desk.run(), 0)
    assert sorted(charge["prompt"] for charge in sim.charges()) == sorted(one["prompt"] for one in FILM)
    shots = [ends(desk.directory / desk.row(one["id"])["file_name"]) for one in FILM]
    for earlier, later in pairwise(shots):
        assert continues(earlier.last, later.first)
    assert not continues(shots[0].last, shots[2].first), "a wrong picture would be noticed"
    done = desk.do("export", "batch.run", "--film", "-o", "films")
    assert (done.code, done.stdout) == (0, "films: 1 film, 1 of them new: elk.mp4\n")
    assert [path.name for path in desk.folder.glob("films/*.mp4")] == ["elk.mp4"]


def test_a_failed_shot_holds_back_what_follows_and_retry_lets_it_go_on(desk: Any, sim: Any) -> None:
    """The later shots stay pending with the reason, unpaid, exit 1; after `retry`, they go on."""
    sim.start({"on": "generate", "do": "fail", "prompt": "bee*"})
    desk.write(*FILM, "fly")
    ended = desk.run()
    assert ended.code == 1
    assert "3 of them can't go on" in ended.stdout
    assert "retry batch.run --failed" in ended.stdout
    for task_id in ("cat", "dog", "elk"):
        row = desk.row(task_id)
        assert (row["state"], row["error_code"]) == ("pending", "need_failed")
        assert "needs bee, which failed" in row["error_message"]
        assert not sim.charges(task_id)
    assert desk.row("fly")["state"] == "done"
    before = len(sim.charges())
    plan = desk.do("plan", "batch.yaml", "--json").json
    assert (plan["counts"]["blocked"], plan["submitted"]) == (3, 0)
    assert "3  blocked: needs bee, which failed" in desk.do("plan", "batch.yaml").stdout

    sim.start()
    assert desk.run().code == 1, "another run alone changes nothing"
    assert len(sim.charges()) == before
    assert desk.do("retry", "batch.run", "--failed").code == 0
    desk.check(desk.run(), 0, again={"bee": 1})
    assert len(sim.charges()) == before + 4


def test_only_what_is_selected_is_submitted_and_the_rest_says_what_it_waits_for(desk: Any, sim: Any) -> None:
    """`--only` a later shot buys nothing: it can't go on, exit 1, with the reason."""
    sim.start()
    desk.write(*FILM)
    plan = desk.do("plan", "batch.yaml", "--json", "--only", "cat").json
    assert (plan["submitted"], plan["counts"]["blocked"]) == (0, 1)
    assert plan["tasks"][0]["why"] == "needs bee, which is not selected"
    ended = desk.run("--only", "cat")
    assert ended.code == 1
    assert "1 of them can't go on: needs bee, which is not selected" in ended.stdout
    assert "to submit" not in ended.stderr
    assert not sim.charges()
    assert "needs ant, which is pending" in desk.row("cat")["error_message"]
    assert desk.do("status", "batch.run").code == 75, "a run without a selection goes on"
    assert desk.run("--limit", "2").code == 0
    assert [charge["prompt"].partition(" ")[0] for charge in sim.charges()] == ["ant", "bee"]
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 5


def test_a_name_means_the_task_in_the_manifest(desk: Any, sim: Any) -> None:
    """After an edit two tasks have the ID: `retry` takes the new one, without asking for a fingerprint."""
    sim.start()
    desk.write(shot("ant"))
    assert desk.run().code == 0
    desk.write(shot("ant", prompt="turns round"))
    assert desk.run().code == 0
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    assert [charge["prompt"] for charge in sim.charges()] == ["ant continues", *["ant turns round"] * 2]


def test_an_edit_makes_what_follows_anew_and_plan_says_so_before(desk: Any, sim: Any) -> None:
    """Editing the third of five shots costs three, and the last one alone costs one; older videos stay."""
    sim.start()
    desk.write(*FILM)
    desk.check(desk.run(), 0)
    edited = shot("cat", "bee", "turns round")
    desk.write(*FILM[:2], edited, *FILM[3:])
    plan = desk.do("plan", "batch.yaml", "--json").json
    assert {task["id"] for task in plan["tasks"] if task["change"] == "changed"} == {"cat", "dog", "elk"}
    assert plan["submitted"] == 3
    text = desk.do("plan", "batch.yaml").stdout
    assert "3  changed" in text
    assert "cat" in next(task["why"] for task in plan["tasks"] if task["id"] == "dog")
    assert desk.run("-y").code == 0
    assert len(sim.charges()) == 8
    desk.write(*FILM[:2], edited, FILM[3], shot("elk", "dog", "stops"))
    assert desk.do("plan", "batch.yaml", "--json").json["submitted"] == 1
    assert desk.run("-y").code == 0
    assert len(sim.charges()) == 9
    assert Path(desk.directory, "videos", "cat.mp4").exists()


def test_a_picture_that_was_not_asked_for_is_taken_from_the_video(desk: Any, sim: Any) -> None:
    """A shot made before another one needed it, or without `return_last_frame`: a PNG of its last frame."""
    sim.start()
    desk.write(shot("ant"))
    desk.check(desk.run(), 0)
    desk.write(shot("ant"), shot("bee", "ant"))
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2, "that another shot needs it doesn't make the first one anew"
    png = last_frame(desk.directory / "videos" / "ant.mp4")
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    assert picture_sent(sim, "bee") == hashlib.sha256(uri.encode()).hexdigest()


def test_a_video_is_given_by_its_link_without_the_key(desk: Any, sim: Any) -> None:
    """A whole video is given by the model's own link; no address has the key in it."""
    sim.start()
    desk.write("ant", {"id": "bee", "prompt": "bee goes on", **video_of("ant")})
    desk.check(desk.run(), 0)
    ((media,),) = [charge["media"] for charge in sim.charges("bee")]
    assert "/files/" in media["url"]
    assert desk.key not in media["url"]


def test_the_link_of_a_video_that_was_brought_back_is_asked_for(desk: Any, sim: Any) -> None:
    """A ledger rebuilt from files and run.log knows no links; the gateway does."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    lose_ledger(desk.directory)
    desk.check(desk.do("recover", "batch.yaml", "--base-url", sim.url), 0)
    desk.write("ant", {"id": "bee", "prompt": "bee goes on", **video_of("ant")})
    desk.check(desk.run("-y"), 0)
    ((media,),) = [charge["media"] for charge in sim.charges("bee")]
    assert "/files/" in media["url"]
    assert len(sim.charges()) == 2


def test_an_answer_that_says_nothing_about_a_link_is_asked_for_again(desk: Any, sim: Any) -> None:
    """A fault of the gateway for a moment doesn't mean that there is no link: nobody is told to pay again."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    lose_ledger(desk.directory)
    desk.check(desk.do("recover", "batch.yaml", "--base-url", sim.url), 0)
    sim.start({"on": "poll", "do": "html_502", "prompt": "ant*", "times": 2})
    desk.write("ant", {"id": "bee", "prompt": "bee goes on", **video_of("ant")})
    desk.check(desk.run("-y"), 0)
    assert len(sim.charges("bee")) == 1


def test_a_link_that_is_too_old_is_not_sent(desk: Any, sim: Any) -> None:
    """After 20 hours, the task fails with `link_expired`, unpaid, and the message says what to do."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("UPDATE attempts SET finished_at = finished_at - ?", (20.1 * 3600 * sim.scale,))
    desk.write("ant", {"id": "bee", "prompt": "bee goes on", **video_of("ant")})
    ended = desk.run()
    assert ended.code == 1
    row = desk.row("bee")
    assert (row["state"], row["error_code"]) == ("failed", "link_expired")
    assert "retry batch.run ant --again" in row["error_message"]
    assert not sim.charges("bee")
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.do("retry", "batch.run", "--failed").code == 0
    assert desk.run().code == 0
    assert len(sim.charges()) == 3


def test_a_further_version_does_not_make_what_follows_without_a_word(desk: Any, sim: Any) -> None:
    """`retry --again` of the first shot names those made from the old one; `--following` makes them, too."""
    sim.start()
    desk.write(*FILM[:3])
    desk.check(desk.run(), 0)
    told = desk.do("retry", "batch.run", "ant", "--again")
    assert told.code == 0
    assert "bee" in told.output
    assert "--following" in told.output
    assert desk.run().code == 0
    assert len(sim.charges()) == 4
    assert desk.do("retry", "batch.run", "ant", "--again", "--following").code == 0
    assert desk.run().code == 0
    assert len(sim.charges()) == 7
    picture = Path(desk.directory, desk.row("ant")["last_frame_file"])
    assert data_uri_hash(picture) == str(sim.charges("bee")[-1]["media"][0]["url"]["sha256"])


def test_a_video_that_is_still_collected_keeps_the_run_going(desk: Any, sim: Any) -> None:
    """Between two shots nothing is in flight and nothing can be sent: the run waits for the download."""
    sim.start({"on": "download", "do": "502", "first": 3})
    desk.write(*FILM[:2])
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


def test_a_selection_that_cannot_go_on_is_not_called_done(desk: Any, sim: Any) -> None:
    """`--only` a shot whose need failed in an earlier run: exit 1 and what to do, not 0 with nothing made."""
    sim.start({"on": "generate", "do": "fail", "prompt": "ant*"})
    desk.write(*FILM[:2])
    assert desk.run().code == 1
    ended = desk.run("--only", "bee")
    assert ended.code == 1
    assert "retry batch.run --failed" in ended.stdout
    assert not sim.charges("bee")


def test_a_shot_whose_need_was_collected_later_is_unfinished(desk: Any, sim: Any) -> None:
    """`collect` fetches what a shot waited for: it may go on, so 75, and a further run makes it."""
    sim.start({"on": "download", "do": "502", "source": "both"})
    desk.write(*FILM[:2])
    assert desk.run().code == 1
    assert desk.do("collect", "batch.run", *desk.at_gateway()).code == 1, "that fails again"
    assert desk.row("bee")["error_code"] == "need_failed"
    assert desk.do("status", "batch.run").code == 1
    sim.start()
    assert desk.do("collect", "batch.run", *desk.at_gateway()).code == 75
    assert desk.do("status", "batch.run").code == 75
    assert desk.row("bee")["error_code"] == ""
    desk.check(desk.run(), 0)
    desk.check_all_made(2)


def test_a_kill_after_what_a_shot_waited_for_was_collected_leaves_it_unfinished(desk: Any, sim: Any) -> None:
    """The run that fetched it was killed before it could say so: the shot no longer waits for a person."""
    sim.start({"on": "download", "do": "502", "source": "both"})
    desk.write(*FILM[:2])
    assert desk.run().code == 1
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 3000})
    desk.start_run().reached(1, "collected").killed()
    assert desk.do("status", "batch.run").code == 75


def test_what_is_being_made_from_an_old_version_is_named(desk: Any, sim: Any) -> None:
    """`--again` of a shot while the next one is generating says so; `--following` changes nothing yet."""
    sim.start({"on": "generate", "do": "slow", "prompt": "bee*", "factor": 1000})
    desk.write(*FILM[:2])
    desk.start_run().reached(2, "accepted").killed()
    refused = desk.do("retry", "batch.run", "ant", "--again", "--following")
    assert refused.code == 2
    assert "not finished yet: bee" in refused.stderr
    assert desk.do("status", "batch.run", "ant", "--json").json["state"] == "done"
    told = desk.do("retry", "batch.run", "ant", "--again")
    assert told.code == 0
    assert "kept as before: bee" in told.output
    assert len(sim.charges()) == 2


def test_a_doubt_at_the_beginning_of_a_chain_does_not_hold_up_the_next_night(desk: Any, sim: Any) -> None:
    """What needs a task in doubt waits for a person as that one does: the next night begins anew."""
    sim.start({"on": "submit", "do": "cut_before_accept", "prompt": "ant*", "times": 1}, usage_log=False)
    desk.write(*FILM[:2])
    assert desk.run("-o", "nights/2020-01-01").code == 3
    plan = desk.do("plan", "batch.yaml", *desk.at_gateway()[:2], "-o", "nights/{date}", "--json").json
    assert not plan["directory"].endswith("2020-01-01")
    assert plan["submitted"] == 2


def test_status_of_a_task_names_what_it_needs_and_what_needs_it(desk: Any, sim: Any) -> None:
    """With their states, for people and for programs; a version that left the manifest is marked."""
    sim.start({"on": "generate", "do": "fail", "prompt": "cat*"})
    desk.write(*FILM[:2])
    desk.check(desk.run(), 0)
    desk.write(
        FILM[0], shot("cow", "ant"), shot("bee", "ant", "turns"), shot("cat", "bee"), shot("dog", "cat")
    )
    assert desk.run("-y").code == 1
    told = desk.do("status", "batch.run", "ant").stdout.splitlines()
    assert "  needed by cow (done), bee (done), bee (done, no longer in the manifest)" in told
    assert not any(line.startswith("  needs ") for line in told)
    told = desk.do("status", "batch.run", "cat").stdout.splitlines()
    assert {"  needs   bee (done)", "  needed by dog (pending)"} <= set(told)
    value = desk.do("status", "batch.run", "cat", "--json").json
    key = desk.row("dog")["fingerprint"]
    assert value["needed_by"] == [{"key": key, "id": "dog", "state": "pending", "in_manifest": True}]
    assert [(one["id"], one["state"]) for one in value["needs"]] == [("bee", "done")]
