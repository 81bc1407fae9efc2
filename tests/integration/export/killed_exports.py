"""A program: kills an export before every call that makes something durable, and runs it again.

`killed_exports.py FOLDER OPTION…` prints how many points there were. The set, which begins as a copy of the
folder `before`, must become what it is without a kill.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import batchrunner.cli.export
import batchrunner.operations.export
import batchrunner.operations.films
import batchrunner.output.export.hf
import batchrunner.output.export.webdataset  # noqa: F401  loaded once, for all the children
from batchrunner.cli.main import main
from batchrunner.output.export.folder import JOURNAL

DURABLE = ("fsync", "rename", "replace", "unlink", "link")


def export(folder: Path, options: list[str], kill_before: int = 0) -> int:
    """Export in a child process, killed before a call of this number; return its exit code, -9 if killed."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    calls = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **more)

        return wrapper

    for name in DURABLE:
        setattr(os, name, counted(getattr(os, name)))
    os._exit(main(["export", str(folder / "cats.run"), *options, "-o", str(folder / "out")]))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, but for the journal: it may say a thing twice."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != JOURNAL)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def try_every_point(folder: Path, options: list[str]) -> int:
    """The number of points at which a kill changed nothing."""
    shutil.copytree(folder / "before", folder / "out")
    assert export(folder, options) == 0
    whole = contents(folder / "out")
    point = 0
    while True:
        shutil.rmtree(folder / "out")
        shutil.copytree(folder / "before", folder / "out")
        point += 1
        code = export(folder, options, point)
        if code == 0:
            return point - 1
        assert code == -signal.SIGKILL, code
        assert export(folder, options) == 0, f"after a kill at point {point}"
        again = contents(folder / "out")
        different = [name for name in whole.keys() | again.keys() if whole.get(name) != again.get(name)]
        assert not different, f"after a kill at point {point}: {different}"


if __name__ == "__main__":
    print(try_every_point(Path(sys.argv[1]), sys.argv[2:]))  # noqa: T201
