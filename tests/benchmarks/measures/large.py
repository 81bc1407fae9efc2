"""A run of 100,000 tasks, while it works and when it is finished."""

from __future__ import annotations

import csv
import hashlib
import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from batchrunner.core.file_names import METADATA_NAME, RESULTS_NAME
from tests.benchmarks.figures import Figure, Measure, at_most, at_most_times
from tests.benchmarks.manifests import Batch, batch_of
from tests.benchmarks.measures.planning import planned
from tests.benchmarks.processes import Process, Used, interleaved
from tests.benchmarks.stage import Server, Stage

TASKS, TINY = 100_000, 300
SLOTS = 10
REJECTED = 2_000
WATCHED, WATCHED_SHORT = 20.0, 0.5
"""Seconds from the first POST to Ctrl-C."""
CONTENT = b"a video"
"""Of each file of the finished run: the program only looks at size and time."""


def run_large(stage: Stage) -> Iterator[Figure]:
    """Start a run of 100,000 tasks, ask for its status, and stop it while its slots generate."""
    tasks = stage.size(TASKS, TINY)
    plan, _ = planned(stage, tasks, "jsonl", stage.times(2))
    report, scale, first_posts = stage.place("report.json"), 0.01 if stage.short else 1.0, []
    for _ in range(stage.times(2) - 1):
        with _gateway(stage, scale) as (gateway, at):
            first_posts.append(_first_post(stage, _batch(stage, tasks), at, gateway))
    batch = _batch(stage, tasks)
    with _gateway(stage, scale) as (gateway, at):
        run = stage.watched(report, "run", batch.manifest, *at, "-q")
        run.waits_for(lambda: gateway.posts() > 0)
        first_posts.append(run.age)
        status = _watch(stage, run, batch.directory)
        asked = time.perf_counter()
        run.send(signal.SIGINT)
        used = run.ended(130)
        stopped = time.perf_counter() - asked
        resumed = _resumed(stage, batch, at, gateway)
    stall = json.loads(report.read_text(encoding="utf-8"))
    note = f"the machine alone {stall['machine']:.3f} s; {stall['working']:.3f} s of it on the CPU"
    what = "run of 100,000 tasks"
    yield Figure(
        "large.first_post", f"{what}: first POST", min(first_posts), "s", plan.wall, at_most_times(1.5)
    )
    yield Figure("large.memory", f"{what}: peak memory", used.memory, "MB", plan.memory, at_most(250))
    yield Figure(
        "large.stall", f"{what}: longest stall of the event loop", stall["longest"], "s",
        goal=at_most(0.1), note=note,
    )  # fmt: skip
    yield Figure("large.ctrl_c", f"{what}: Ctrl-C", stopped, "s", goal=at_most(2))
    yield Figure(
        "large.resumed", f"{what}: first POST once it is resumed", resumed, "s", plan.wall, at_most_times(2)
    )
    yield Figure("large.status", f"{what}: `status` meanwhile", status, "s", goal=at_most(0.3))


@contextmanager
def _gateway(stage: Stage, scale: float) -> Iterator[tuple[Server, tuple[object, ...]]]:
    """A gateway, and the options of a run there."""
    with stage.simulator(scale, generation_seconds=90, generation_sigma=0) as gateway:
        yield gateway, ("--base-url", gateway.url, "--time-scale", scale)


def _batch(stage: Stage, tasks: int) -> Batch:
    return batch_of(stage, tasks, "jsonl", concurrency=SLOTS, submit_rate=600)


def _first_post(stage: Stage, batch: Batch, at: tuple[object, ...], gateway: Server) -> float:
    """Start a run; return the seconds until it submits."""
    before = gateway.posts()
    run = stage.batchrunner("run", batch.manifest, *at, "-q")
    run.waits_for(lambda: gateway.posts() > before)
    seconds = run.age
    run.send(signal.SIGINT)
    run.ended(130)
    return seconds


def _resumed(stage: Stage, batch: Batch, at: tuple[object, ...], gateway: Server) -> float:
    """Start it again, with free slots; return the seconds until it submits."""
    content = json.loads(batch.manifest.read_text(encoding="utf-8"))
    content["run"]["concurrency"] *= 2
    batch.manifest.write_text(json.dumps(content), encoding="utf-8")
    return _first_post(stage, batch, at, gateway)


def _watch(stage: Stage, run: Process, directory: Path) -> float:
    """Let it run until results.csv was made again, asking for the status; return how long an answer takes."""
    until = time.monotonic() + (WATCHED_SHORT if stage.short else WATCHED)
    before = _made_at(directory)
    answers: list[float] = []
    while not answers or time.monotonic() < until or _made_at(directory) == before:
        answers.append(stage.batchrunner("status", directory).ended(0).wall)
        run.waits_for(lambda: True)
        time.sleep(0.1)
    return median(answers)


def _made_at(directory: Path) -> int:
    """When results.csv was made; 0 if it is not there."""
    path = directory / "results.csv"
    return path.stat().st_mtime_ns if path.exists() else 0


def finished(stage: Stage) -> Iterator[Figure]:
    """Start a run of 100,000 tasks that is finished, and write its results.csv."""
    tasks = stage.size(TASKS, TINY)
    batch = batch_of(stage, tasks, "jsonl")
    directory = batch.directory
    with stage.simulator(0.001, generation_seconds=1, generation_sigma=0) as gateway:
        at = ("--base-url", gateway.url, "--time-scale", 0.001, "-q")
        stage.batchrunner("run", batch.manifest, "--limit", 1, *at).ended(0, 75)
        _finish(directory)
        stage.batchrunner("run", batch.manifest, *at).ended()  # what it notes about the files, it notes once
        taken, floor = interleaved(
            stage.times(2),
            lambda: stage.batchrunner("run", batch.manifest, *at).ended(),
            lambda: stage.floor("stat_files", batch.table, directory / "videos"),
        )
    what = "start of a finished run of 100,000 tasks"
    yield Figure("finished.wall", f"{what}: wall", taken.wall, "s", floor.wall, at_most(5))
    yield Figure("finished.memory", f"{what}: peak memory", taken.memory, "MB", floor.memory, at_most(200))
    table = stage.place("floor.csv")
    results, csv_floor = interleaved(
        stage.times(2),
        lambda: _results_anew(stage, directory),
        lambda: stage.floor("write_csv", table, tasks),
    )
    again = stage.batchrunner("results", directory).ended()
    rejected = stage.size(REJECTED, TINY // 10)
    retried = stage.batchrunner(
        "retry", directory, "--again", "--from", _verdicts(stage, directory, rejected)
    )
    what = "results.csv of 100,000 rows"
    sizes = _mb(directory, RESULTS_NAME), _mb(directory, METADATA_NAME)
    note = "in the same pass, {} MB of it and {} MB of metadata.jsonl are made".format(*sizes)
    yield Figure("results.wall", f"{what}: wall", results.wall, "s", csv_floor.wall, at_most(2.5), note=note)
    yield Figure("results.again", f"{what}, if nothing has changed: wall", again.wall, "s", csv_floor.wall)
    what = "`retry --again` of 2,000 videos of 100,000, results.csv included: wall"
    yield Figure("retry.wall", what, retried.ended().wall, "s", results.wall)


def _results_anew(stage: Stage, directory: Path) -> Used:
    """Write results.csv and metadata.jsonl as if none had been there."""
    for name in (RESULTS_NAME, METADATA_NAME):
        (directory / name).unlink()
    return stage.batchrunner("results", directory).ended()


def _verdicts(stage: Stage, directory: Path, rejected: int) -> Path:
    """A file that rejects so many videos."""
    query = (
        "SELECT (SELECT value FROM meta WHERE name = 'run_id'), key, file_name, 'reject' FROM tasks LIMIT ?"
    )
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as db:
        rows = db.execute(query, (rejected,)).fetchall()
    path = stage.place("verdicts.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("run", "fingerprint", "file_name", "verdict"), *rows])
    return path


def _mb(directory: Path, name: str) -> int:
    return round((directory / name).stat().st_size / 1e6)


def _finish(directory: Path) -> None:
    """Make every pending task one that is done, like the one that is, with a file of its own."""
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as db, db:
        db.row_factory = sqlite3.Row
        written = ", ".join(column["name"] for column in db.execute("PRAGMA table_info (attempts)"))
        query = f"SELECT {written} FROM attempts WHERE collected_at IS NOT NULL"  # none that is computed
        like = dict(db.execute(query).fetchone())
        like["size"], like["sha256"] = len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
        columns, places = ", ".join(like), ", ".join("?" * len(like))
        pending = db.execute("SELECT key, file_name FROM tasks WHERE state = 'pending'").fetchall()
        for number, (key, name) in enumerate(pending, start=like["id"] + 1):
            path = directory / name
            path.write_bytes(CONTENT)
            seen = f"{len(CONTENT)} {path.stat().st_mtime_ns}"
            own = {"id": number, "task": key, "seed": number, "file_name": name, "file_seen": seen}
            own["remote_id"] = f"task_{number}"
            db.execute(f"INSERT INTO attempts ({columns}) VALUES ({places})", tuple((like | own).values()))
            done = "UPDATE tasks SET state = 'done', attempt = ?, attempts = 1 WHERE key = ?"
            db.execute(done, (number, key))


MEASURES = (
    Measure("large_run", "a run of 100,000 tasks while it works", run_large),
    Measure("finished_run", "a finished run of 100,000 tasks, and its results.csv", finished),
)
