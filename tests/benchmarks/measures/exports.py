"""Exports of finished videos, against tar alone: both write the same bytes, and wait for the disk."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator

from tests.benchmarks.figures import Figure, Measure, at_least_times, at_most
from tests.benchmarks.processes import Used, interleaved
from tests.benchmarks.stage import Stage
from tests.harness.finished_runs import Made, finished_run

VIDEO = 5_000_000
"""Bytes of a video."""


def tar_files(stage: Stage) -> Iterator[Figure]:
    """Videos of 5 MB as tar files."""
    videos, data = stage.size(400, 2), os.urandom(VIDEO)
    tasks = (Made(f"clip-{n}", f"prompt {n}", n.to_bytes(8, "big") + data) for n in range(videos))
    run, out, tar = finished_run(stage.place("cats.run"), tasks), stage.place("set"), stage.place("floor.tar")
    command = shlex.join(["tar", "-cf", str(tar), "-C", str(run), "videos"])

    def export() -> Used:
        shutil.rmtree(out, ignore_errors=True)
        return stage.batchrunner("export", run, "--format", "webdataset", "-o", out).ended()

    def only_tar() -> Used:
        tar.unlink(missing_ok=True)
        return stage.start("sh", "-c", f"{command} && sync {shlex.quote(str(tar))}").ended()

    taken, floor = interleaved(stage.times(3), export, only_tar)
    rate, best = (videos * VIDEO / 1e6 / used.wall for used in (taken, floor))
    yield Figure(
        "export.tar",
        "export of videos as tar files, against tar and sync",
        rate,
        "MB/s",
        best,
        at_least_times(0.6),
    )
    yield Figure("export.memory", "the same: peak memory", taken.memory, "MB", goal=at_most(300))


MEASURES = (Measure("exports", "export of videos as tar files", tar_files),)
