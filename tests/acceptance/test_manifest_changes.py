"""An edited manifest: what changed is told exactly, only that is submitted, and the rest is untouched."""

import shutil
from pathlib import Path
from typing import Any

import pytest

PICTURES = Path(__file__).parents[2] / "manifests" / "media"
ALONG = "walks along the shore"


@pytest.fixture
def done(desk: Any, sim: Any) -> Any:
    """A desk on which ant, bee, cat and dog are done."""
    sim.start()
    desk.write("ant", "bee", "cat", "dog")
    desk.check(desk.run(), 0)
    return desk


def planned(desk: Any) -> dict[str, set[str]]:
    """What `plan --json` would do: the ids by what becomes of them."""
    plan = desk.do("plan", "batch.yaml", "--json").json
    told: dict[str, set[str]] = {}
    for task in plan["tasks"]:
        told.setdefault(task["change"], set()).add(task["id"])
    assert {change: len(ids) for change, ids in told.items()} == {
        k: v for k, v in plan["counts"].items() if v
    }
    return told


def submitted(desk: Any) -> int:
    """How many tasks `plan --json` says that a run would submit."""
    return int(desk.do("plan", "batch.yaml", "--json").json["submitted"])


def videos(desk: Any) -> dict[str, tuple[int, int, bytes]]:
    """Every video with what shows whether it was touched."""
    found = {path: path.stat() for path in Path(desk.directory, "videos").iterdir()}
    return {path.name: (stat.st_ino, stat.st_mtime_ns, path.read_bytes()) for path, stat in found.items()}


def test_only_the_edited_task_and_the_added_one_are_submitted(done: Any, sim: Any) -> None:
    """One prompt edited, one task added, one removed, one renamed, all in another order: two POSTs."""
    files, rows = videos(done), {row["prompt"]: row for row in done.rows()}
    dog, bee = {"id": "hound", "prompt": f"dog {ALONG}"}, {"id": "bee", "prompt": f"bee runs, not {ALONG}"}
    done.write("elk", dog, bee, "ant")

    told = planned(done)
    assert told["new"] == {"elk"}
    assert told["changed"] == {"bee"}
    assert told["done"] == {"hound", "ant"}
    assert told["removed"] == {"cat"}
    assert told.keys() == {"new", "changed", "done", "removed"}
    steps = done.do("plan", "batch.yaml", "--json").json["tasks"]
    assert "prompt" in next(step["why"] for step in steps if step["change"] == "changed")
    assert submitted(done) == 2
    assert videos(done) == files, "planning touches nothing"

    before = sim.posts()
    former = [f"bee {ALONG}", f"cat {ALONG}"]
    done.check(done.run(), 0, former=former)
    assert sim.posts() - before == 2
    assert [row["id"] for row in done.rows()] == ["elk", "hound", "bee", "ant"]
    after = videos(done)
    assert {name: after[name] for name in files} == files
    assert done.row("ant") == rows[f"ant {ALONG}"]
    assert done.row("hound") == rows[f"dog {ALONG}"] | {"id": "hound"}
    assert done.row("bee")["file_name"] not in {row["file_name"] for row in rows.values()}
    assert planned(done).keys() <= {"done", "removed"}


def test_the_plan_in_words_names_what_changed_and_where_it_stands(done: Any) -> None:
    """Without --json the same is told to a person: which, why, and how many would be submitted."""
    done.write("ant", {"id": "bee", "prompt": "bee sleeps"}, "cat", "dog", "elk")
    told = done.do("plan", "batch.yaml", "--tasks")
    assert told.code == 0
    lines = [line.split() for line in told.stdout.splitlines() if line.startswith(" " * 12)]
    (changed,) = [" ".join(words) for words in lines if words[0] == "bee" and "differs" in words]
    (new,) = [" ".join(words) for words in lines if words[0] == "elk"]
    assert "differs in prompt" in changed
    assert "batch.yaml:" in changed
    assert "not in the ledger" in new
    assert "batch.yaml:" in new
    assert "would submit 2 tasks\n" in told.stdout


def test_reordered_tasks_cost_nothing_and_the_rows_follow(done: Any, sim: Any) -> None:
    """Another order is no change: no POST, and the rows stand in the new order."""
    files = videos(done)
    done.write("dog", "cat", "bee", "ant")
    assert submitted(done) == 0
    done.check(done.run(), 0)
    assert [row["id"] for row in done.rows()] == ["dog", "cat", "bee", "ant"]
    assert videos(done) == files
    assert sim.posts() == 4


def test_a_removed_task_keeps_its_video_and_comes_back_for_free(done: Any, sim: Any) -> None:
    """Taken out, it leaves results.csv but not the disk; written in again, it costs nothing."""
    row, files = done.row("cat"), videos(done)
    done.write("ant", "bee", "dog")
    done.check(done.run(), 0, former=[f"cat {ALONG}"])
    assert videos(done) == files
    assert done.do("results", "batch.run", "--all").code == 0
    assert done.row("cat") == row
    done.write("ant", "bee", "cat", "dog")
    assert submitted(done) == 0
    done.check(done.run(), 0)
    assert done.row("cat") == row
    assert sim.posts() == 4


def test_a_task_removed_while_it_generates_is_still_collected(desk: Any, sim: Any) -> None:
    """What is paid for is brought in though nobody asks for it any more, and no longer counts."""
    sim.start(generation_seconds=300)
    desk.write("ant", "bee", concurrency=2)
    desk.start_run().reached(2, "accepted").killed()
    desk.write("ant", concurrency=2)
    desk.check(desk.run(), 0, former=[f"bee {ALONG}"])
    assert desk.do("results", "batch.run", "--all").code == 0
    assert desk.states() == {"ant": "done", "bee": "done"}
    assert sim.posts() == 2


def test_settings_labels_and_comments_change_no_task(done: Any, sim: Any) -> None:
    """Labels and everything under `run` may change at will; the rows show the new labels."""
    tasks = (
        {"id": task, "prompt": f"{task} {ALONG}", "labels": {"colour": "red"}} for task in ("ant", "bee")
    )
    done.write(*tasks, "cat", "dog", concurrency=2, submit_rate=30)
    assert submitted(done) == 0
    done.check(done.run(), 0)
    assert [row["label.colour"] for row in done.rows()] == ["red", "red", "", ""]
    assert sim.posts() == 4


def test_a_finished_run_asks_for_neither_key_nor_network(done: Any, sim: Any) -> None:
    """Nothing to do is nothing to ask: the same command ends well without a key or a gateway."""
    options = done.at_gateway()
    sim.stop()
    again = done.do("run", str(done.manifest), *options, key=None)
    done.check(again, 0)
    assert "4 of 4 tasks done" in again.stdout


def test_a_file_that_somebody_put_there_is_not_overwritten(done: Any) -> None:
    """A new task whose name is taken on the disk gets another one, and the stranger stays as it was."""
    stranger = done.directory / "videos" / "elk.mp4"
    shutil.copy(done.directory / "videos" / "ant.mp4", stranger)
    before = stranger.read_bytes()
    done.write("ant", "bee", "cat", "dog", "elk")
    done.check(done.run(), 0)
    assert stranger.read_bytes() == before
    assert done.row("elk")["file_name"] != "videos/elk.mp4"


def test_prompts_of_every_kind_stand_in_the_csv_as_they_were_written(desk: Any, sim: Any) -> None:
    """Quotes, line breaks, formulas and Chinese reach the gateway and the CSV unaltered."""
    prompts = ['=SUM(1;2) "quoted", and more', "two\nlines\nof it", "一只猫，在月球表面漫步", "+1 -1 @you 🐈"]
    sim.start()
    desk.write(*({"id": f"p{number}", "prompt": prompt} for number, prompt in enumerate(prompts)))
    desk.directory = desk.folder / "a night" / "of prompts"
    desk.check(desk.run("-o", str(desk.directory)), 0)
    assert [row["prompt"] for row in desk.rows()] == prompts
    assert {charge["prompt"] for charge in sim.charges()} == set(prompts)


def test_a_picture_that_changes_during_the_run_is_not_sent(desk: Any, sim: Any) -> None:
    """What was hashed is what is sent, or nothing is; the next run plans the new picture anew."""
    picture = desk.folder / "boat.jpg"
    shutil.copy(PICTURES / "boat.jpg", picture)
    sim.start(generation_seconds=200)
    desk.write("ant", {"id": "boat", "prompt": f"boat {ALONG}", "image": "boat.jpg"}, concurrency=1)
    run = desk.start_run().reached(1, "accepted")
    shutil.copy(PICTURES / "water.jpg", picture)
    desk.check(run.ended(), 1)
    assert (desk.row("boat")["state"], desk.row("boat")["error_code"]) == ("failed", "unsendable")
    assert sim.posts() == 1
    assert planned(desk)["changed"] == {"boat"}
    desk.check(desk.run(), 0)
    assert sim.posts() == 2


def test_a_row_edited_in_a_rows_file_submits_that_row_alone(desk: Any, sim: Any) -> None:
    """A prompt changed and a row added in a CSV file are two submissions."""
    table = desk.folder / "animals.csv"
    table.write_text(f"name,what\nant,ant {ALONG}\nbee,bee {ALONG}\n", encoding="utf-8")
    sim.start()
    desk.write({"rows": "animals.csv", "id": "${name}", "prompt": "${what}"})
    desk.planned = 2
    desk.check(desk.run(), 0)
    table.write_text(f"name,what\nant,ant {ALONG}\nbee,bee sits\ncat,cat {ALONG}\n", encoding="utf-8")
    desk.planned = 3
    told = planned(desk)
    assert (told["changed"], told["new"], told["done"]) == ({"bee"}, {"cat"}, {"ant"})
    desk.check(desk.run(), 0, former=[f"bee {ALONG}"])
    assert sim.posts() == 4


def test_twins_that_change_places_are_not_paid_again(desk: Any, sim: Any) -> None:
    """The same request twice: reordered, the one that was made is known by its id, and nothing is sent."""
    sim.start()
    same = {"prompt": "twin walks along the shore"}
    first, second = {"id": "first", **same}, {"id": "second", **same}
    desk.write(first, second)
    assert desk.run("--only", "second").code == 0
    desk.write(second, first)
    assert desk.run("--only", "second").code == 0
    assert len(sim.charges("twin")) == 1
    assert desk.states() == {"second": "done", "first": "pending"}
    assert desk.row("second")["file_name"] == "videos/second.mp4"


def test_removing_a_failed_twin_keeps_the_one_that_was_made(desk: Any, sim: Any) -> None:
    """One of two equal requests failed and the other is done: taking one out loses no video."""
    sim.start({"on": "generate", "do": "moderated", "nth": 1})
    same = {"prompt": "twin walks along the shore"}
    desk.write({"id": "first", **same}, {"id": "second", **same}, concurrency=1, max_attempts=1)
    desk.check(desk.run(), 1)
    assert desk.states() == {"first": "failed", "second": "done"}
    desk.write({"id": "second", **same}, concurrency=1, max_attempts=1)
    assert desk.run().code == 0
    assert desk.states() == {"second": "done"}
    assert len(sim.charges("twin")) == 2


def twin(task_id: str, **metadata: Any) -> dict[str, Any]:
    """One of several equal requests."""
    return {"id": task_id, "prompt": "twin walks", "metadata": {"generate_audio": False} | metadata}


@pytest.mark.parametrize(
    "left", [{"execution_expires_after": 7200}, {"seed": 5, "generate_audio": False}], ids=["policy", "order"]
)
def test_a_twin_written_differently_is_still_recognized(desk: Any, sim: Any, left: dict[str, Any]) -> None:
    """What is not in the fingerprint, or stands in another order, makes no new task of what is left."""
    sim.start()
    seed = {"seed": 5} if "seed" in left else {}
    desk.write(twin("first", **seed), twin("second", **seed))
    assert desk.run("--only", "second").code == 0
    rest = {"id": "second", "prompt": "twin walks", "metadata": {**left, "generate_audio": False}}
    for _ in range(2):
        desk.write(rest)
        assert desk.run().code == 0
    assert len(sim.charges("twin")) == 1
