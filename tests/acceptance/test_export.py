"""`export` with a real run: during it, after it, and with the examples of the reference."""

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clips import pictures_of
from tests.harness.run_directory import sha256_of

REFERENCE = (Path(__file__).parents[2] / "schemas/README.md").read_text(encoding="utf-8")
SECTION = REFERENCE.partition("\n## Datasets\n")[2].partition("\n## ")[0]
CATS = [f"cat-{number}" for number in range(12)]


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of a set for the datasets library, by ID."""
    lines = [line for path in folder.glob("*/metadata.jsonl") for line in path.read_bytes().splitlines()]
    return {row["id"]: row for row in map(json.loads, lines)}


def check_against_results(desk: Any, folder: Path) -> None:
    """Every row says what results.csv says, and its video is the one in the run directory."""
    for name, row in rows_of(folder).items():
        result = desk.row(name)
        for column in ("prompt", "model", "seed", "tokens", "duration", "width", "sha256", "fingerprint"):
            assert str(row[column]) == result[column]
        (video,) = folder.glob(f"*/{row['file_name']}")
        assert sha256_of(video) == result["sha256"] == sha256_of(desk.directory / result["file_name"])


def test_an_export_during_a_run_is_completed_by_the_next_one(desk: Any, sim: Any) -> None:
    """Finished videos are exported while others are made; the run and its files are not touched."""
    sim.start()
    desk.write(*CATS, concurrency=2)
    run = desk.start_run().reached(3, "collected")
    during = desk.do("export", "batch.run", "--format", "hf", "-o", "set", "--json")
    assert (during.code, during.json["skipped"]) == (0, [])
    assert during.json["videos"] >= 3
    before = {path.name: path.stat().st_ino for path in desk.folder.glob("set/*/*.mp4")}
    desk.check(run.ended(), 0)
    after = desk.do("export", "batch.yaml", "--format", "hf", "-o", "set")
    assert (after.code, after.stderr) == (0, "")
    assert after.stdout.startswith("set: 12 videos, ")
    assert set(rows_of(desk.folder / "set")) == set(CATS)
    assert (
        before.items() <= {path.name: path.stat().st_ino for path in desk.folder.glob("set/*/*.mp4")}.items()
    )
    check_against_results(desk, desk.folder / "set")
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == len(CATS)


def test_only_finished_videos_are_exported(desk: Any, sim: Any) -> None:
    """What failed or was not collected is no part of the set, and no reason for another exit code."""
    sim.start()
    desk.write("ant", {"id": "bee", "prompt": "ark:inputmod"}, {"id": "dog", "prompt": "ark:gone walks"})
    assert desk.run().code == 1
    done = desk.do("export", "batch.run", "--format", "hf", "-o", "set")
    assert (done.code, done.stdout) == (0, "set: 1 video, 1 of them new\n")
    assert set(rows_of(desk.folder / "set")) == {"ant"}
    (desk.directory / "videos/ant.mp4").unlink()
    done = desk.do("export", "batch.run", "--format", "csv", "-o", "table")
    assert done.code == 1
    assert "skipped batch.run/videos/ant.mp4: moved or deleted" in done.stderr
    assert "hint:" in done.stderr


def test_shots_become_a_film(desk: Any, sim: Any) -> None:
    """The gateway's videos are joined as they are, and nothing is paid for."""
    sim.start()
    desk.write("dawn", "noon", "dusk")
    for name in ("dawn", "noon", "dusk"):
        assert desk.run("--only", name).code == 0
    continue_each_other(desk.directory / "ledger.sqlite", "dawn", "noon", "dusk")
    done = desk.do("export", "batch.run", "--film", "-o", "films")
    assert (done.code, done.stdout, done.stderr) == (0, "films: 1 film, 1 of them new: dusk.mp4\n", "")
    (film,) = desk.folder.glob("films/*.mp4")
    assert film.name == "dusk.mp4"
    shots = [desk.directory / desk.row(name)["file_name"] for name in ("dawn", "noon", "dusk")]
    pictures = [[picture for _, picture in pictures_of(shot)] for shot in shots]
    assert [picture for _, picture in pictures_of(film)] == [*pictures[0], *pictures[1], *pictures[2]]
    (row,) = map(json.loads, (desk.folder / "films/metadata.jsonl").read_bytes().splitlines())
    lengths = [len(each) / 24 for each in pictures]
    assert row["starts"] == pytest.approx([0, lengths[0], lengths[0] + lengths[1]], abs=1e-5)
    assert row["tokens"] == sum(int(desk.row(name)["tokens"]) for name in ("dawn", "noon", "dusk"))
    assert row["sha256"] == sha256_of(film)
    assert len(sim.charges()) == 3


def continue_each_other(ledger: Path, *names: str) -> None:
    """Make each task's stored request one that begins with the last frame of the task before."""
    with closing(sqlite3.connect(ledger)) as db, db:
        for before, name in pairwise(names):
            db.execute(
                "UPDATE tasks SET request = json_set(request, '$.image', json_object('task', "
                "(SELECT key FROM tasks WHERE id = ?), 'part', 'last_frame')) WHERE id = ?",
                (before, name),
            )


def test_a_run_directory_has_metadata_of_what_is_finished(desk: Any, sim: Any) -> None:
    """They are kept as results.csv is, also for a run directory of a version that had none."""
    sim.start()
    desk.write(
        "ant", "train", {"id": "bee", "prompt": "ark:inputmod"}, {"id": "dog", "prompt": "ark:gone walks"}
    )
    desk.check(desk.run(), 1)
    metadata = desk.directory / "metadata.jsonl"

    def check(*names: str) -> None:
        rows = [json.loads(line) for line in metadata.read_bytes().splitlines()]
        assert [row["id"] for row in rows] == list(names)
        for row in rows:
            result = desk.row(row["id"])
            for column in ("file_name", "prompt", "seed", "tokens", "cost", "duration", "fps", "sha256"):
                assert str(row[column]) == result[column]
            assert sha256_of(desk.directory / "train" / row["file_name"]) == result["sha256"]

    check("ant", "train")
    whole = metadata.read_bytes()
    metadata.unlink()
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM meta WHERE name = 'metadata'")
    desk.check(desk.run(), 1)
    assert metadata.read_bytes() == whole
    (desk.directory / "videos/ant.mp4").unlink()
    metadata.write_bytes(whole + b"mine")
    done = desk.do("results", "batch.run")
    assert done.code == 0
    assert "the old file is kept as metadata.jsonl.bak" in done.stderr
    assert (desk.directory / "metadata.jsonl.bak").read_bytes() == whole + b"mine"
    check("train")
    assert len(sim.charges()) == 3


@pytest.fixture(scope="module")
def exported(make_desk: Any) -> Iterator[Any]:
    """A run named `cats.run`, and the exports that the reference shows."""
    desk = make_desk()
    desk.gateway.start()
    desk.write(*CATS)
    desk.check(desk.run(), 0)
    desk.directory.rename(desk.folder / "cats.run")
    (commands,) = re.findall(r"^```\n(batchrunner export .*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    for line in commands.splitlines():
        done = desk.do(*shlex.split(line)[1:])
        assert (done.code, done.stderr) == (0, "")
    yield desk
    desk.clear_away()


@pytest.mark.parametrize("example", re.findall(r"^```python\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE))
def test_the_references_examples_work(exported: Any, example: str) -> None:
    """Each one reads the set that a command above it has made."""
    names = 'len(videos) if "videos" in globals() else 0'
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{example}\nprint({names})"],
        cwd=exported.folder,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(exported.folder / "home"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "walks along the shore" in done.stdout or done.stdout == f"{len(CATS)}\n"
