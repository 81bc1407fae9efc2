"""Finished videos, verified and stored in an object storage: by this machine alone, and by workers of Ray.

Gateway, storage, workers and the deciding process share the cores of one machine, so that videos a second say
little about a cluster. What the deciding process needs for each video says what it would need with many.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.figures import Figure, Measure, at_most_times
from tests.benchmarks.manifests import batch_of
from tests.benchmarks.measures.downloads import NEVER, SCALE, asked, encoded
from tests.benchmarks.measures.in_flight import GENERATION, steady
from tests.benchmarks.processes import MB, cpu_of_all
from tests.benchmarks.stage import Stage
from tests.harness.object_storage import BUCKET, ObjectStorage, serving
from tests.harness.ray_cluster import ray_cluster

WORKERS = (0, 1, 2)
"""With none, this machine alone."""
AT_ONCE = 4
WARM = 0.2
"""The share of the videos before which nothing is measured: workers start when they are first needed."""
INTERVAL = 0.1
"""Seconds between two looks at the ledger, which need the CPU themselves."""
SLOTS = 400
"""In flight in a whole run that two workers collect: their cores are shared with everything else."""
GENERATING = "SELECT count(*) FROM tasks WHERE state = 'generating'"
DONE = "SELECT count(*) FROM tasks WHERE state = 'done'"


@dataclass(frozen=True, slots=True)
class Stored:
    """What it took to store videos, once everything was warm."""

    rate: float
    """Videos a second."""
    cpu: float
    """Milliseconds of CPU time of the deciding process, a video."""
    all_cpu: float
    """The same of everything: gateway, storage, workers, and all of Ray."""
    memory: float
    """The most that the deciding process held, in MB."""


def cluster(stage: Stage) -> Iterator[Figure]:
    """Videos of 5 MB, by no, one and two workers in turn; then a whole run with two workers."""
    if not (find_spec("ray") and shutil.which("versitygw")):
        raise RuntimeError("this measure needs pip install -e '.[ray]', and versitygw (see .ci/run)")
    video = encoded(stage, stage.size(5, 1) * MB, 4)
    runs: dict[int, list[Stored]] = {workers: [] for workers in WORKERS}
    with serving("versitygw", stage.place("storage")) as storage:
        for _ in range(stage.times(2)):
            for workers, taken in runs.items():
                taken.append(_stored(stage, video, storage, workers))
        best = {workers: _best(taken) for workers, taken in runs.items()}
        for workers, one in best.items():
            yield from _figures(workers, one, best[1] if workers > 1 else None)
        yield from _whole_run(stage, video, storage)


def _figures(workers: int, taken: Stored, fewer: Stored | None) -> Iterator[Figure]:
    """The figures of so many workers; what the deciding process needs must not grow from `fewer`."""
    who = f"{workers} Ray worker{'s' * (workers > 1)}" if workers else "this machine alone"
    name, what = f"cluster.{workers}", f"5 MB videos to S3, {who}"
    goal = at_most_times(1.1) if fewer else None
    cpu, memory = (fewer.cpu, fewer.memory) if fewer else (None, None)
    yield Figure(f"{name}.rate", f"{what}: verified and stored", taken.rate, "1/s")
    yield Figure(f"{name}.cpu", f"{what}: CPU of the deciding process a video", taken.cpu, "ms", cpu, goal)
    yield Figure(
        f"{name}.memory", f"{what}: memory of the deciding process", taken.memory, "MB", memory, goal
    )
    yield Figure(f"{name}.all_cpu", f"{what}: CPU of all processes a video", taken.all_cpu, "ms")


def _stored(stage: Stage, video: Path, storage: ObjectStorage, workers: int) -> Stored:
    """Submit tasks, stop, and have their videos stored when all of them are ready."""
    files = stage.size(100, 10)
    batch = batch_of(
        stage,
        files,
        concurrency=files,
        submit_rate=60_000,
        downloads=AT_ONCE,
        task_deadline="8760h",
        videos=_place(stage),
    )
    with stage.stand_in(video, NEVER) as gateway, ExitStack() as stack:
        run = ("run", batch.manifest, "--base-url", gateway.url, "--time-scale", SCALE, "-q")
        stage.environment |= storage.environment()
        submitting = stage.batchrunner(*run)
        submitting.waits_for(lambda: asked(batch.directory, GENERATING) == files)
        submitting.send(signal.SIGINT)
        submitting.ended(130)
        gateway.post("/stand-in/finish")
        if workers:
            nodes = stack.enter_context(ray_cluster(workers - 1, **storage.environment()))
            stage.environment |= nodes.environment()
            run = (*run, "--collect-on", "ray")
        collecting = stage.batchrunner(*run)
        memory = [0.0]

        def done() -> float:
            memory.append(collecting.memory())
            return asked(batch.directory, DONE)

        collecting.waits_for(lambda: done() >= WARM * files, INTERVAL)
        first, began = done(), (time.perf_counter(), collecting.cpu(), cpu_of_all())
        collecting.waits_for(lambda: done() == files, INTERVAL)
        ended = time.perf_counter(), collecting.cpu(), cpu_of_all()
        collecting.ended()
    if workers and f"{files} videos downloaded on the" not in (batch.directory / "run.log").read_text():
        raise RuntimeError("the cluster did not download all videos")
    seconds, cpu, everything = (end - begin for begin, end in zip(began, ended, strict=True))
    videos = files - first
    return Stored(videos / seconds, 1000 * cpu / videos, 1000 * everything / videos, max(memory))


def _whole_run(stage: Stage, video: Path, storage: ObjectStorage) -> Iterator[Figure]:
    """What a task costs the deciding process from its submission to its end, with all polls."""
    slots, seconds = stage.size(SLOTS, 10), stage.size(GENERATION, 1)
    with ray_cluster(1, **storage.environment()) as nodes:
        stage.environment |= storage.environment() | nodes.environment()
        seen = steady(stage, video, slots, seconds, "--collect-on", "ray", videos=_place(stage))
    what = f"{SLOTS} generations of 90 s in flight, 2 Ray workers"
    cpu = 1000 * seen.cores / seen.rate
    yield Figure("cluster.task.cpu", f"{what}: CPU of the deciding process a task", cpu, "ms")
    yield Figure("cluster.task.memory", f"{what}: memory of the deciding process", seen.memory, "MB")


def _place(stage: Stage) -> str:
    """A place in the storage that no other run uses."""
    return f"s3://{BUCKET}/{stage.place('run').name}"


def _best(runs: list[Stored]) -> Stored:
    """The best of each: other work on the machine makes them worse only."""
    return Stored(
        max(run.rate for run in runs),
        min(run.cpu for run in runs),
        min(run.all_cpu for run in runs),
        min(run.memory for run in runs),
    )


MEASURES = (
    Measure(
        "cluster", "videos of 5 MB to an object storage, with and without Ray", cluster, by_default=False
    ),
)
