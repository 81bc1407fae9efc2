"""What tests of exports share: the command in this process, and the libraries that read what it writes."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchrunner.cli.main import main
from tests.harness.finished_runs import Made, finished_run

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: nothing here asks the network
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

HOSTILE = (
    Made("007", "NA", b"one", {"region": "NA", "day": "2026-11-22", "source_file_name": "a.mp4"}),
    Made(
        "null",
        'He said "=1+1",\nthen\r\nleft\tit; \u202eright to left\u202c \u0000?'.replace("\0", ""),
        b"two",
    ),
    Made("../../etc/x.y.z", "", b"three", {"": "empty", "a.b": "12", "prompt": "1e5"}, file="x"),
    Made(
        "train-test.val",
        "\u2028line\u2029 \ud83d\ude00 \u05e9\u05dc\u05d5\u05dd".encode("utf-16", "surrogatepass").decode(
            "utf-16"
        ),
        b"four",
    ),
    Made("[*]?{a,b}#%41 &:\\|<>", "-1", b"five", {"region": "=cmd()"}, file="glob"),
    Made("猫" * 60, "null", b"six", {"region": "null"}, cost=None),
    Made("a" * 200, "x" * 400_000, b"seven", file="long"),
    Made("CON", "None", b"", {"region": ""}),
)
"""Tasks whose texts a reader could take for something else."""


class Exporter:
    """Runs `batchrunner export` in a folder."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.out, self._capfd = folder, folder / "out", capfd
        self.run = folder / "cats.run"

    def make(self, *tasks: Made, run: str = "cats") -> Path:
        """Add finished tasks to a run directory."""
        return finished_run(self.folder / f"{run}.run", tasks, run)

    def __call__(self, *options: str, code: int = 0, out: Path | None = None, runs: Any = ()) -> Any:
        """Export, and return what `--json` prints."""
        directories = [str(run) for run in runs] or [str(self.run)]
        done = main(["export", *directories, "-o", str(out or self.out), "--json", *options])
        captured = self._capfd.readouterr()
        assert done == code, captured.err
        self.err = captured.err
        return json.loads(captured.out)

    def refused(self, *options: str, runs: Any = ()) -> str:
        """Export, which must be refused as wrong use; return what is wrong."""
        found = self(*options, code=2, runs=runs)
        return f"{found['error']}; {found['hint']}"


@pytest.fixture
def export(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Exporter:
    """Exports of run directories in an empty folder."""
    return Exporter(tmp_path, capfd)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """`datasets.load_dataset`, with videos as bytes rather than decoded; each time with an empty cache."""

    def load(*arguments: str, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's own are not ours to fix
            import datasets  # noqa: PLC0415  slow

            cache = tmp_path / f"cache{len(list(tmp_path.glob('cache*')))}"
            found = datasets.load_dataset(*arguments, **{"cache_dir": str(cache)} | options)
            for split, rows in found.items():
                for name, feature in rows.features.items():
                    if isinstance(feature, datasets.Video):
                        found[split] = found[split].cast_column(name, datasets.Video(decode=False))
            return found

    return load


def tree(folder: Path) -> dict[str, bytes]:
    """The files below a folder, without those that are hidden."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
