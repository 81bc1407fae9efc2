"""`export --film`: which films are made, and what is said about them."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batchrunner.cli.main import main
from batchrunner.output.export.folder import JOURNAL
from tests.harness.clips import Look, pictures_of, video
from tests.harness.finished_runs import Made, made_again
from tests.harness.run_directory import sha256_of
from tests.integration.export.conftest import tree
from tests.integration.export.test_choice import run_id

SUBMITTED = 1.8e9


def reference(shot: Made, part: str = "clip") -> dict[str, Any]:
    """Metadata of a request that is made from a shot's video."""
    return {"content": [{"type": "video_url", "video_url": {"url": getattr(shot, part)}}]}


ONE = Made("one", "dawn", video(Look(31, 20)))
TWO = Made("two", "noon", video(Look(25, 120, pitch=660)), image=ONE.last_frame, submitted_at=SUBMITTED + 100)
THREE = Made(
    "three",
    "dusk",
    video(Look(20, 200, pitch=None)),
    {"scene": "=1"},
    metadata=reference(TWO),
    submitted_at=SUBMITTED + 200,
)
BRANCH = Made("branch", "rain", video(Look(22, 60)), image=ONE.last_frame, submitted_at=SUBMITTED + 300)
ALONE = Made("alone", "fog", video(Look(22, 60)))


def rows(export: Any) -> dict[str, dict[str, Any]]:
    """The rows of a folder of films, by file name."""
    lines = (export.out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["file_name"]: row for row in map(json.loads, lines)}


def shots_of(export: Any) -> dict[str, list[str]]:
    """The IDs of the shots of every film, by file name."""
    found = {name: row["shots"] for name, row in rows(export).items()}
    assert found.keys() == {path.name for path in export.out.glob("*.mp4")}
    return found


def skipped(done: Any) -> dict[str, str]:
    """Why films were not made, by the ID of their last shots."""
    return {one["film"]: one["reason"] for one in done["skipped"]}


def test_films_are_the_chains_of_a_run(export: Any) -> None:
    """Branches have their beginning in common; a task that continues nothing is no film."""
    run = export.make(THREE, ALONE, TWO, BRANCH, ONE)
    before = tree(run / "videos")
    done = export("--film")
    assert (done["films"], done["added"], done["skipped"], done["jumps"]) == (2, 2, [], [])
    assert shots_of(export) == {"three.mp4": ["one", "two", "three"], "branch.mp4": ["one", "branch"]}
    for name, row in rows(export).items():
        wanted = [picture for shot in row["shots"] for _, picture in pictures_of(run / f"videos/{shot}.mp4")]
        assert [picture for _, picture in pictures_of(export.out / name)] == wanted
    assert tree(run / "videos") == before


def test_a_row_says_what_a_film_is_made_of(export: Any, load: Any) -> None:
    """`datasets` reads it, with the labels of the last shot."""
    run = export.make(ONE, TWO, THREE)
    export("--film")
    for found in (load(str(export.out)), load("videofolder", data_dir=str(export.out))):
        (row,) = found["train"]
        film = Path(row.pop("video")["path"])
        assert film.name == "three.mp4"
        assert row.pop("sha256") == sha256_of(film)
        assert row.pop("bytes") == film.stat().st_size
        assert row == {
            "id": "three",
            "shots": ["one", "two", "three"],
            "starts": [0.0, 1.291667, 2.333333],
            "durations": [1.291667, 1.041667, 0.833333],
            "prompts": ["dawn", "noon", "dusk"],
            "seeds": [7, 7, 7],
            "shot_sha256": [sha256_of(run / f"videos/{name}.mp4") for name in ("one", "two", "three")],
            "shot_fingerprints": [ONE.key, TWO.key, THREE.key],
            "model": "fast",
            "tokens": 120_000,
            "cost": 0.75,
            "currency": "USD",
            "duration": 3.166667,
            "width": 864,
            "height": 496,
            "fps": 24.0,
            "collected_at": "2027-01-15T08:04:21.500Z",
            "run": "cats",
            "fingerprint": THREE.key,
            "label.scene": "=1",
        }


def test_a_cost_that_is_no_sum_is_left_out(export: Any) -> None:
    """Where it is not known of every shot, or not in one currency."""
    run = export.make(ONE._replace(cost=None), TWO, THREE)
    change(run, f"UPDATE attempts SET cost = 1, currency = 'EUR' WHERE task = '{THREE.key}'")
    other = export.make(ONE, TWO, THREE, run="other")
    change(other, f"UPDATE attempts SET cost = 1, currency = 'EUR' WHERE task = '{THREE.key}'")
    for directory in (run, other):
        export.out = directory.with_suffix(".films")
        export("--film", runs=[directory])
        assert (rows(export)["three.mp4"]["cost"], rows(export)["three.mp4"]["currency"]) == (None, "")


def change(run: Path, statement: str) -> None:
    """Change the ledger of a run."""
    with closing(sqlite3.connect(run / "ledger.sqlite")) as db, db:
        db.execute(statement)


@pytest.mark.parametrize("state", ["pending", "failed", "generating", "uncollected"])
def test_a_film_with_an_unfinished_shot_is_named_and_the_others_are_made(export: Any, state: str) -> None:
    """It is made by the same command, once the shot is there."""
    export.make(ONE, TWO._replace(state=state), THREE, BRANCH)
    done = export("--film", code=1)
    assert skipped(done) == {"three": f"the shot two is not done: {state}"}
    assert shots_of(export) == {"branch.mp4": ["one", "branch"]}


def test_a_shot_that_is_not_finished_ends_its_film_all_the_same(export: Any) -> None:
    """What it continues is no film of its own: the film is not complete."""
    export.make(ONE, TWO, THREE._replace(state="pending"))
    assert skipped(export("--film", code=1)) == {"three": "the shot three is not done: pending"}
    assert shots_of(export) == {}


def test_missing_and_changed_shots_are_named_and_added_when_they_are_back(export: Any) -> None:
    """Films that are made already need their shots no more."""
    run = export.make(ONE, TWO, BRANCH)
    (run / "videos/two.mp4").unlink()
    before = (run / "videos/branch.mp4").stat()
    (run / "videos/branch.mp4").write_bytes(BRANCH.data[:-1] + b"x")
    os.utime(run / "videos/branch.mp4", ns=(before.st_atime_ns, before.st_mtime_ns))  # looks unchanged
    assert skipped(export("--film", code=1)) == {
        "two": "the shot two (videos/two.mp4): moved or deleted",
        "branch": "the shot branch (videos/branch.mp4): changed or replaced after the download",
    }
    (run / "videos/two.mp4").write_bytes(TWO.data)
    assert export("--film", code=1)["added"] == 1
    (run / "videos/one.mp4").unlink()
    assert skipped(export("--film", code=1)) == {"branch": "the shot one (videos/one.mp4): moved or deleted"}
    assert shots_of(export) == {"two.mp4": ["one", "two"]}


def test_shots_that_do_not_fit_are_named(export: Any) -> None:
    """With what differs; the other films are made."""
    export.make(ONE, TWO._replace(data=video(Look(width=112))), BRANCH)
    assert skipped(export("--film", code=1)) == {
        "two": "the shots one and two differ in size (96×64 and 112×64)"
    }
    assert shots_of(export) == {"branch.mp4": ["one", "branch"]}
    assert not list(export.out.glob(".*.part"))


def test_a_shot_that_no_ledger_has_is_named(export: Any) -> None:
    """Its ledger may be lost: the film would begin in the middle."""
    export.make(TWO)
    assert "not in this ledger" in skipped(export("--film", code=1))["two"]


def test_finished_films_are_not_written_again(export: Any) -> None:
    """The same command adds what is new, and changes nothing else."""
    export.make(ONE, TWO)
    export("--film")
    before, inode = tree(export.out), (export.out / "two.mp4").stat().st_ino
    assert export("--film")["added"] == 0
    assert (tree(export.out), (export.out / "two.mp4").stat().st_ino) == (before, inode)
    export.make(THREE)
    assert export("--film")["films"] == 2
    assert shots_of(export) == {"two.mp4": ["one", "two"], "three.mp4": ["one", "two", "three"]}


def test_a_film_with_a_shot_made_again_is_another_film(export: Any) -> None:
    """The earlier one stays. What was made from the earlier version is said to jump."""
    run = export.make(ONE, TWO)
    export("--film")
    first = (export.out / "two.mp4").read_bytes()
    made_again(run, TWO._replace(data=video(Look(25, 90)), submitted_at=SUBMITTED + 500))
    done = export("--film")
    assert (done["films"], done["added"], done["jumps"]) == (2, 1, [])
    assert (export.out / "two.mp4").read_bytes() == first
    found = rows(export)
    (new,) = found.keys() - {"two.mp4"}
    assert re.fullmatch(r"two-[0-9a-f]{8}\.mp4", new)
    assert found[new]["shot_sha256"][1] == sha256_of(run / "videos/two-v2.mp4")
    assert found[new]["collected_at"] > found["two.mp4"]["collected_at"]
    assert list(found) == ["two.mp4", new], "the newer one comes later"
    made_again(run, ONE._replace(data=video(Look(31, 40)), submitted_at=SUBMITTED + 900))
    done = export("--film", out=export.folder / "new")
    assert done["jumps"] == [{"film": "two", "shot": "two", "after": "one"}]
    assert done["exit_code"] == 0


def test_a_shot_jumps_if_the_one_before_was_done_later(export: Any) -> None:
    """Not if that one's file was only downloaded again."""
    run = export.make(ONE, TWO._replace(submitted_at=SUBMITTED + 30))
    assert [jump["shot"] for jump in export("--film")["jumps"]] == ["two"]
    change(
        run,
        f"INSERT INTO events SELECT 1, {SUBMITTED + 20}, key, attempt, 'collected', 'collecting', 'done', "
        f"'', '' FROM tasks WHERE key = '{ONE.key}'",
    )
    assert export("--film")["jumps"] == []


def test_the_summary_names_what_is_missing_and_where_a_film_jumps(
    export: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one line each; the hint is about what is free of charge."""
    run = export.make(ONE, TWO._replace(submitted_at=SUBMITTED + 30), BRANCH._replace(state="pending"))
    assert main(["export", str(run), "--film", "-o", str(export.out)]) == 1
    found = capfd.readouterr()
    assert found.out == f"{export.out}: 1 film, 1 of them new: two.mp4\n"
    first, second, third, *hints = found.err.splitlines()
    assert first == "the film two jumps: two was made before the newest version of one"
    assert second == f"skipped the film branch of {run}: the shot branch is not done: pending"
    assert third == "1 film skipped"
    assert "free of charge" in hints[1]
    assert main(["export", str(run), "--film", "--where", "one", "-o", str(export.folder / "none")]) == 0
    assert "no shot here continues another one" in capfd.readouterr().err


def test_where_and_verdicts_choose_films(export: Any) -> None:
    """`--where` by the last shot; a rejected shot leaves out every film that has it."""
    run = export.make(ONE, TWO, THREE, BRANCH)
    assert export("--film", "--where", "scene==1", "--where", "two")["films"] == 1
    assert shots_of(export) == {"three.mp4": ["one", "two", "three"]}
    verdicts = export.folder / "verdicts.csv"
    header = "run,fingerprint,id,file_name,verdict,note"
    verdicts.write_text(f"{header}\n{run_id(run)},{TWO.key},two,videos/two.mp4,reject,\n", encoding="utf-8")
    export.out = export.folder / "judged"
    done = export("--film", "--verdicts", str(verdicts))
    assert (done["films"], done["rejected"], done["rejected_since"]) == (1, 1, 0)
    assert shots_of(export) == {"branch.mp4": ["one", "branch"]}
    assert "was exported with --verdicts, and this is without --verdicts" in export.refused("--film")


def test_tasks_no_longer_in_the_manifest_make_films_with_all(export: Any) -> None:
    """Without it, they lengthen no film either; those that were never done make none in any case."""
    export.make(ONE, TWO, THREE._replace(planned=False), BRANCH._replace(planned=False, state="failed"))
    assert export("--film")["films"] == 1
    assert shots_of(export) == {"two.mp4": ["one", "two"]}
    export.out = export.folder / "all"
    assert export("--film", "--all")["films"] == 1
    assert shots_of(export) == {"three.mp4": ["one", "two", "three"]}


def test_several_runs_and_equal_ids(export: Any) -> None:
    """The first run with a whole film wins; films of the same name get different ones."""
    one = export.make(ONE, TWO, BRANCH)
    other = Made("TWO", "night", video(Look(25, 99)), image=ONE.last_frame)
    two = export.make(ONE, TWO, BRANCH, other, run="other")
    (one / "videos/branch.mp4").unlink()
    done = export("--film", runs=[one, two])
    assert (done["films"], done["duplicates"], done["skipped"]) == (3, 1, [])
    found = {name: (row["id"], row["run"]) for name, row in rows(export).items()}
    assert {re.sub("-[0-9a-f]{8}", "-HASH", name): which for name, which in found.items()} == {
        "two-HASH.mp4": ("two", "cats"),
        "branch.mp4": ("branch", "other"),
        "TWO-HASH.mp4": ("TWO", "other"),
    }


def test_names_of_films_do_not_depend_on_the_order(export: Any) -> None:
    """Neither that of the run directories, nor which of two films of the same name was ready first."""
    other = Made("three", "night", video(Look(25, 99)), image=ONE.last_frame)
    one, two = export.make(ONE, TWO, THREE, BRANCH), export.make(ONE, other, run="other")
    export.out = export.folder / "whole"
    export("--film", runs=[one, two])
    whole = rows(export).keys()
    assert len(whole) == 3
    assert "branch.mp4" in whole
    export.out = export.folder / "in steps"
    (two / "videos/three.mp4").unlink()
    export("--film", runs=[two, one], code=1)
    assert rows(export).keys() < whole
    (two / "videos/three.mp4").write_bytes(other.data)
    export("--film", runs=[two, one])
    assert rows(export).keys() == whole


@pytest.mark.parametrize("how", ["other content", "other size", "other time"])
def test_a_replaced_film_is_noticed(export: Any, how: str) -> None:
    """It is named, and stays as it is; another time alone means nothing."""
    export.make(ONE, TWO)
    export("--film")
    film = export.out / "two.mp4"
    before, data = film.stat(), film.read_bytes()
    film.write_bytes({"other content": data[:-1] + b"x", "other size": data + b"x"}.get(how, data))
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    export.make(THREE)
    if how == "other time":
        assert export("--film")["added"] == 1
        journal = (export.out / JOURNAL).read_bytes()
        assert export("--film")["added"] == 0
        assert (export.out / JOURNAL).read_bytes() == journal, "what was read once isn't read again"
        return
    left = tree(export.out)
    said = export.refused("--film")
    assert f"{film} is not what was exported: it was changed or replaced" in said
    assert "put it back, or export into a new folder" in said
    assert tree(export.out) == left


def test_a_file_with_the_name_of_a_film_is_not_overwritten(export: Any) -> None:
    """It is somebody's own; the film is made once it was moved away."""
    export.make(ONE, TWO)
    export("--film")
    (export.out / "three.mp4").write_bytes(b"mine")
    export.make(THREE)
    assert f"{export.out / 'three.mp4'} is not part of the set; move it away" in export.refused("--film")
    assert (export.out / "three.mp4").read_bytes() == b"mine"
    (export.out / "three.mp4").rename(export.folder / "mine.mp4")
    assert export("--film")["added"] == 1


@pytest.mark.parametrize("name", ["../../etc/x.y", "猫" * 60, "[*]?{a}", "test", "a\u202eb", ".hidden"])
def test_any_id_makes_a_name(export: Any, load: Any, name: str) -> None:
    """No character of it means anything to a file system, or to the library that loads the folder."""
    export.make(ONE, TWO._replace(id=name, file="two"), BRANCH)
    export("--film")
    assert len(load(str(export.out))["train"]) == 2
    assert len(list(export.out.glob("*.mp4"))) == 2


@pytest.mark.parametrize(
    "option",
    ["--link", "--embed", "--verify", "--split=a=1", "--shard-size=1GB", "--shard-count=1", "--push=a/b"],
)
def test_options_of_other_formats_are_refused(export: Any, option: str) -> None:
    """In one line, before anything is written."""
    export.make(ONE, TWO)
    assert f"{option.partition('=')[0]} is an option of --format " in export.refused("--film", option)
    assert not export.out.exists()


@pytest.mark.parametrize("options", [["--film", "--format", "hf"], []], ids=str)
def test_either_a_format_or_films(export: Any, capfd: pytest.CaptureFixture[str], options: list[str]) -> None:
    """One of the two must be asked for."""
    export.make(ONE, TWO)
    assert main(["export", str(export.run), "-o", str(export.out), *options]) == 2
    assert "--film" in capfd.readouterr().err
    assert not export.out.exists()


def test_films_and_videos_do_not_share_a_folder(export: Any) -> None:
    """A folder is made in one way."""
    export.make(ONE, TWO)
    export("--film")
    assert "was exported with" in export.refused("--format", "hf")
