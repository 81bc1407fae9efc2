"""Manifests of any size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.stage import Stage

SMALL: Mapping[str, Any] = {
    "model": "dreamina-seedance-2-0-fast",
    "duration": 4,
    "metadata": {"resolution": "480p", "ratio": "16:9"},
}
LARGE: Mapping[str, Any] = {
    "model": "dreamina-seedance-2-0",
    "duration": 15,
    "metadata": {"resolution": "1080p", "ratio": "16:9"},
}


@dataclass(frozen=True, slots=True)
class Batch:
    """A manifest whose tasks stand in a table."""

    manifest: Path
    table: Path

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self.manifest.with_suffix(".run")


def batch_of(
    stage: Stage, tasks: int, kind: str = "csv", defaults: Mapping[str, Any] = SMALL, **run: Any
) -> Batch:
    """So many tasks, in a table of this kind (csv or jsonl), with these settings in `run:`.

    Each batch has a folder of its own: beside the run directory of another, it would be paid for again.
    """
    folder = stage.place("batch")
    folder.mkdir()
    table, manifest = folder / f"rows.{kind}", folder / "batch.yaml"
    with table.open("w", encoding="utf-8") as file:
        file.writelines(_lines(tasks, kind))
    content = {
        "version": 1,
        # Waiting for the first video of a kind would only make each measure longer.
        "run": {"disk_reserve": "1MB", "canary": False, **run},
        "defaults": defaults,
        "tasks": [{"rows": table.name, "id": "${id}", "prompt": "${prompt}"}],
    }
    manifest.write_text(json.dumps(content), encoding="utf-8")
    return Batch(manifest, table)


def _lines(tasks: int, kind: str) -> Iterator[str]:
    if kind == "csv":
        yield "id,prompt\n"
    for number in range(tasks):
        row = {"id": f"t{number}", "prompt": f"a thing {number} walks along the shore at dusk"}
        yield f"{json.dumps(row) if kind == 'jsonl' else ','.join(row.values())}\n"


def written_out(stage: Stage, tasks: int) -> Path:
    """A manifest with so many tasks one by one, in YAML as people write it."""
    path = stage.place("batch.yaml")
    with path.open("w", encoding="utf-8") as file:
        file.write("version: 1\ntasks:\n")
        for number in range(tasks):
            file.write(f"  - id: t{number}\n    model: {SMALL['model']}\n    duration: 4\n")
            file.write(f"    prompt: a thing {number} walks along the shore at dusk\n")
            file.write("    metadata: {resolution: 480p, ratio: '16:9'}\n")
    return path
