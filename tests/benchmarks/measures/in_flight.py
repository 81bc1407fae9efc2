"""A thousand generations at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, Measure, at_most
from tests.benchmarks.manifests import batch_of
from tests.benchmarks.measures.downloads import encoded
from tests.benchmarks.processes import MB
from tests.benchmarks.stage import Stage

SLOTS, GENERATION = 1_000, 90
WATCHED = 60.0
"""Seconds of the steady state, in which as many tasks start as end."""


@dataclass(frozen=True, slots=True)
class Steady:
    """A run in its steady state."""

    cores: float
    rate: float
    """Tasks that start, and end, a second."""
    memory: float
    """The most that it held, in MB."""


def thousand(stage: Stage) -> Iterator[Figure]:
    """A thousand in flight, collected by the run itself."""
    slots, seconds = stage.size(SLOTS, 10), stage.size(GENERATION, 1)
    seen = steady(stage, encoded(stage, MB, stage.size(4, 1)), slots, seconds)
    what = "1,000 generations of 90 s in flight"
    yield Figure("in_flight.cpu", f"{what}: CPU", seen.cores, "cores", goal=at_most(0.2))
    yield Figure(
        "in_flight.rate", f"{what}: tasks a second, of those that fit", seen.rate, "1/s", slots / seconds
    )
    yield Figure("in_flight.memory", f"{what}: memory", seen.memory, "MB", goal=at_most(150))


def steady(stage: Stage, video: Path, slots: int, seconds: int, *options: str, **settings: Any) -> Steady:
    """Fill so many slots evenly within the time of one generation, then watch the run."""
    watched = 0.5 if stage.short else WATCHED
    evenly = 60 * slots / seconds
    batch = batch_of(stage, 4 * slots, concurrency=slots, submit_rate=evenly, downloads=16, **settings)
    with stage.stand_in(video, seconds) as gateway:
        run = stage.batchrunner("run", batch.manifest, "--base-url", gateway.url, "-q", *options)
        # The first tasks end when the last slots fill.
        run.waits_for(lambda: gateway.get("/stand-in")["accepted"] >= slots, interval=0.2)
        time.sleep(seconds * 0.1)
        before, accepted, began = run.cpu(), gateway.get("/stand-in")["accepted"], time.perf_counter()
        time.sleep(watched)
        took = time.perf_counter() - began
        cores = (run.cpu() - before) / took
        rate = (gateway.get("/stand-in")["accepted"] - accepted) / took
        memory = run.memory()
        run.stop()
    return Steady(cores, rate, memory)


MEASURES = (Measure("in_flight", "1,000 generations of 90 s at once", thousand),)
