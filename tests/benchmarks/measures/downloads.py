"""Downloads of finished videos, from a gateway that does little more than send files."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import Figure, Measure, at_least_times, at_most_times
from tests.benchmarks.manifests import LARGE, batch_of
from tests.benchmarks.processes import MB
from tests.benchmarks.stage import HERE, Server, Stage

SCALE = 0.001
NEVER = 10.0**9
"""Seconds until a video is ready that is not ready before it is told to be."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` needed for its downloads."""

    seconds: float
    """From the first request for a video until the last was verified and in the ledger."""
    memory: float


def large(stage: Stage) -> Iterator[Figure]:
    """200 MB files, one after the other, against curl."""
    files, size = stage.size(5, 2), stage.size(200, 1) * MB
    video = encoded(stage, size, stage.size(15, 1))
    size = video.stat().st_size
    with stage.stand_in(video, NEVER) as gateway:
        curl = min(_curl(stage, gateway, files) for _ in range(stage.times(2)))
        synced = _curl_and_sync(stage, gateway, files)
        taken = collected(stage, gateway, files, at_once=1)
    with stage.stand_in(encoded(stage, stage.size(2, 1) * MB, stage.size(4, 1)), NEVER) as gateway:
        little = collected(stage, gateway, files, at_once=1)
    rate, floor, durable = (files * size / MB / seconds for seconds in (taken.seconds, curl, synced))
    what = f"download of {size / MB:.0f} MB files, one at a time, verified"
    note = f"SHA-256 of one file after the other allows {_hashed(stage):.0f} MB/s if a core does nothing else"
    yield Figure("download.large", f"{what}; against curl", rate, "MB/s", floor, at_least_times(0.7), note)
    yield Figure(
        "download.durable", f"{what}; against curl and sync", rate, "MB/s", durable, at_least_times(0.7)
    )
    what = "peak memory of large downloads, against files of 2 MB"
    yield Figure("download.memory", what, taken.memory, "MB", little.memory, at_most_times(1.1))


def small(stage: Stage) -> Iterator[Figure]:
    """2 MB files, 16 at once, against a bare loop that only writes them."""
    files, at_once = stage.size(300, 4), 16
    video = encoded(stage, stage.size(2, 1) * MB, stage.size(4, 1))
    with stage.stand_in(video, NEVER) as gateway:
        url = f"{gateway.url}/v1/videos/any/content"
        floors = [
            float(stage.floor("downloads", url, files, at_once, stage.place("videos")).out)
            for _ in range(stage.times(2))
        ]
        taken = collected(stage, gateway, files, at_once)
    rate = files / taken.seconds
    hashed = _hashed(stage) / (video.stat().st_size / MB)
    note = f"SHA-256 alone allows {hashed:.0f} files a second on each core"
    what = f"verified downloads of {video.stat().st_size / MB:.1f} MB files, 16 at once"
    yield Figure("download.small", what, rate, "1/s", max(floors), at_least_times(0.5), note)


def encoded(stage: Stage, size: int, seconds: int) -> Path:
    """A playable video of about this many bytes."""
    path = stage.place("noise.mp4")
    stage.start(sys.executable, str(HERE / "noise.py"), str(path), str(size), str(seconds)).ended()
    return path


def collected(stage: Stage, gateway: Server, files: int, at_once: int) -> Collected:
    """Submit tasks, stop, and collect their videos when all of them are ready."""
    batch = batch_of(
        stage,
        files,
        defaults=LARGE,
        concurrency=files,
        submit_rate=60_000,
        downloads=at_once,
        task_deadline="8760h",
    )
    directory = batch.directory
    at = ("--base-url", gateway.url, "--time-scale", SCALE, "-q")
    before = gateway.get("/stand-in")["accepted"]
    submitting = stage.batchrunner("run", batch.manifest, *at)
    submitting.waits_for(lambda: _generating(directory) == files)
    submitting.send(signal.SIGINT)
    submitting.ended(130)
    gateway.post("/stand-in/finish")
    used = stage.batchrunner("collect", directory, *at).ended()
    if gateway.get("/stand-in")["accepted"] != before + files:
        raise RuntimeError("tasks were submitted twice")
    last = asked(directory, "SELECT max(at) FROM events WHERE to_state = 'done'")
    return Collected(last - gateway.get("/stand-in")["first_download"], used.memory)


def _generating(directory: Path) -> float:
    """How many tasks the ledger shows as generating."""
    there = (directory / "ledger.sqlite-wal").exists()
    return asked(directory, "SELECT count(*) FROM tasks WHERE state = 'generating'") if there else 0


def asked(directory: Path, query: str) -> float:
    """The number that a query of a run's ledger gives; 0 while there is none."""
    try:
        with closing(sqlite3.connect(f"file:{directory / 'ledger.sqlite'}?mode=ro", uri=True)) as db:
            return float(db.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # it is being created
        return 0.0


def _hashed(stage: Stage) -> float:
    """The MB that one core hashes in a second, at best: no floor of ours does it, but each download must."""
    return max(float(stage.floor("hashing", stage.size(200, 1)).out) for _ in range(stage.times(3)))


def _curl(stage: Stage, gateway: Server, files: int) -> float:
    """The seconds that curl takes for so many files, which it leaves to the system to write."""
    url, folder = f"{gateway.url}/v1/videos/any/content", stage.place("curl")
    output = ("--create-dirs", "-o", f"{folder}/#1.mp4")
    used = stage.start("curl", "-sf", *output, f"{url}?[1-{files}]").ended()
    shutil.rmtree(folder)  # what is not on the disk yet must not keep it busy from now on
    return used.wall


def _curl_and_sync(stage: Stage, gateway: Server, files: int) -> float:
    """The same, with each file on the disk before the next begins."""
    url, path = f"{gateway.url}/v1/videos/any/content", stage.place("curl.mp4")
    one = f"curl -sf -o {path}.$n {url} && sync {path}.$n"
    return stage.start("sh", "-ec", f"for n in $(seq {files}); do {one}; done").ended().wall


MEASURES = (
    Measure("large_downloads", "downloads of 200 MB files", large),
    Measure("small_downloads", "downloads of 2 MB files, 16 at once", small),
)
