"""An export that is killed goes on when the same command is run again."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchrunner.operations import export as exporting
from batchrunner.output.export.folder import JOURNAL
from batchrunner.output.export.rows import Clip
from tests.harness.clips import Look, video
from tests.harness.finished_runs import Made
from tests.integration.export import killed_exports

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("options", "points"),
    [
        (["--format", "hf", "--split", "train=0.5,test=0.5"], 20),
        (["--format", "hf", "--link"], 15),
        (["--format", "webdataset", "--shard-count", "1", "--split", "train=0.5,test=0.5"], 25),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_a_kill_at_any_point_changes_nothing(export: Any, options: list[str], points: int) -> None:
    """Before each fsync, rename and unlink: the next run makes what an undisturbed one makes, to the byte.

    Some of the set was there before.
    """
    clips = [Made(f"clip-{number}", f"prompt {number}", b"%d" % number) for number in range(4)]
    export.make(clips[0])
    export(*options, out=export.folder / "before")
    export.make(*clips[1:])
    assert points_survived(export.folder, options) >= points


def points_survived(folder: Path, options: list[str]) -> int:
    """At how many points a kill changed nothing of an export."""
    done = subprocess.run(
        [sys.executable, killed_exports.__file__, str(folder), *options],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def test_a_kill_at_any_point_changes_nothing_of_films(export: Any) -> None:
    """The same for films, some of which were there before."""
    first = Made("one", "one", video(Look(12)))
    shots = [
        Made(name, name, video(Look(12, shade)), image=first.last_frame)
        for shade, name in enumerate(("two", "three", "four"), 90)
    ]
    export.make(first, shots[0])
    export("--film", out=export.folder / "before")
    export.make(*shots[1:])
    assert points_survived(export.folder, ["--film"]) >= 12


def test_a_kill_before_the_first_row_leaves_a_folder_that_can_be_used(export: Any) -> None:
    """The journal's first line was not in place yet."""
    export.make(Made("ant", "ant"))
    export.out.mkdir()
    (export.out / f"{JOURNAL}.part").write_bytes(b'{"vers')
    assert export("--format", "hf")["videos"] == 1
    with (export.out / JOURNAL).open("ab") as journal:
        journal.write(b'{"files": [{"name"')
    export.make(Made("bee", "bee"))
    assert export("--format", "hf")["videos"] == 2


def test_ctrl_c_ends_an_export_between_two_videos(export: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The ledger is closed, and nothing is left running."""
    export.make(*(Made(f"clip-{number}", f"prompt {number}") for number in range(9)))
    added = []

    class Interrupted:
        def __init__(self) -> None:
            self.hashes: dict[str, str] = {}
            self.notices: list[str] = []

        def opened(self) -> Any:
            raise NotImplementedError

        async def add(self, clip: Clip) -> None:
            added.append(clip)
            task = asyncio.current_task()
            assert task
            task.cancel()  # what asyncio does on SIGINT

        async def settle(self) -> Any:
            raise NotImplementedError

        def finish(self) -> int:
            raise NotImplementedError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(exporting.export([export.run], exporting.Choice(None, True), Interrupted()))
    assert len(added) == 1
    assert caplog.records == []
