"""Runs of the benchmarks as JSON files, one for each run, and what is the newest in them."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, Goal


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """The figures that were taken in one run, on one machine."""

    at: str
    """UTC, ISO 8601, to the second."""
    commit: str
    machine: str
    short: bool
    """Whether everything was tiny: such figures are compared with their like only."""
    figures: tuple[Figure, ...]

    def to_json(self) -> str:
        """The run as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> BenchmarkRun:
        """The run that `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "figures": tuple(_figure(one) for one in values["figures"])})


def _figure(values: Mapping[str, Any]) -> Figure:
    goal = Goal(**values["goal"]) if values["goal"] else None
    return Figure(**{**values, "goal": goal})


def begun(short: bool) -> BenchmarkRun:
    """A run that has no figures yet."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, check=False, capture_output=True, text=True).stdout.strip()
    return BenchmarkRun(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), commit, machine(), short, ())


def machine() -> str:
    """The machine's size, and what the program runs on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} × {model}, {memory:.0f} GB memory; Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def keep(folder: Path, run: BenchmarkRun) -> Path:
    """Write a run to its own file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run.at.replace(':', '')}.json"
    path.write_text(run.to_json(), encoding="utf-8")
    return path


def read(folder: Path, short: bool) -> list[BenchmarkRun]:
    """The kept runs of this kind, oldest first."""
    runs = [
        BenchmarkRun.from_json(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    ]
    return [run for run in runs if run.short == short]


def newest(runs: Iterable[BenchmarkRun]) -> dict[str, Figure]:
    """The newest figure of each name."""
    return {figure.name: figure for run in runs for figure in run.figures}


def merged(runs: Sequence[BenchmarkRun]) -> BenchmarkRun:
    """The newest run, with older figures of the same machine for what it has not measured.

    They are in the order of the fullest run, and every commit of which there is a figure is named.
    """
    same = [run for run in runs if run.machine == runs[-1].machine]
    fullest = max(same, key=lambda run: len(run.figures))
    figures = newest([fullest, *same])
    made_by = {figure.name: run.commit for run in same for figure in run.figures}
    commits = ", ".join(dict.fromkeys(made_by.values()))
    return replace(runs[-1], commit=commits, figures=tuple(figures.values()))
