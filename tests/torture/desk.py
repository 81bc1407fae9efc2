"""A folder with one manifest, and the commands that a person types there, each as a real process.

Under strace they are executed; most others are forked from one that has imported, which is faster.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.harness.nursery import PATIENCE, Process, clean_environment, until
from tests.torture.gateway import KEY, SCALE, Gateway

DEFAULTS = {
    "model": "dreamina-seedance-2-0-fast",
    "duration": 4,
    "metadata": {"resolution": "480p", "ratio": "adaptive"},
}
TASKS: Mapping[str, Mapping[str, Any]] = {
    "ant": {},
    "bee": {"metadata": {"return_last_frame": True}},
    "cat": {"image": "cat.png"},
}
"""The small run: an ordinary task, one with a picture of its last frame, one with a picture of its own."""
MORE_TASKS: Mapping[str, Mapping[str, Any]] = {**TASKS, "dog": {}, "elk": {}}
Row = dict[str, str]


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.stdout + self.stderr


class Command:
    """A command under way."""

    def __init__(self, desk: Desk, arguments: Sequence[str], before: Sequence[str], executed: bool) -> None:
        name = desk.said / f"{len(list(desk.said.iterdir())) // 2:02}"
        self._out, self._err = name.with_suffix(".out"), name.with_suffix(".err")
        self._desk = desk
        environment = clean_environment(desk.folder) | {"EASYROUTER_API_KEY": KEY}
        self.process: Process
        self._out.touch()  # it may be killed before it has opened them
        self._err.touch()
        if not executed:
            files = {"stdin": Path(os.devnull), "stdout": self._out, "stderr": self._err}
            self.process = desk.gateway.nursery.start(arguments, desk.folder, environment, **files)
            return
        argv = [*before, sys.executable, "-m", "batchrunner", *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                argv, cwd=desk.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    def ended(self) -> Ended:
        """Wait for its end."""
        self._look_at_its_arguments()
        try:
            code = self.process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, AssertionError):
            self.process.kill()
            raise
        ended = Ended(code, self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8"))
        self._desk.tell(f"exit {code}")
        return ended

    def _look_at_its_arguments(self) -> None:
        """Everybody on the machine can read them: the key must not stand there."""
        with suppress(OSError):
            shown = Path(f"/proc/{self.process.pid}/cmdline").read_bytes()
            assert KEY.encode() not in shown, f"the key stands in {shown!r}"


class Desk:
    """Where a case takes place."""

    def __init__(self, folder: Path, gateway: Gateway, tasks: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder, self.gateway, self.tasks = folder, gateway, tasks
        self.directory, self.said = folder / "batch.run", folder / "said"
        self.said.mkdir()
        entries = [{"id": name, "prompt": f"{name} walks home", **extra} for name, extra in tasks.items()]
        run = {"concurrency": 3, "disk_reserve": "1MB", "submit_timeout": 2}
        manifest = {"version": 1, "run": run, "defaults": DEFAULTS, "tasks": entries}
        (folder / "batch.yaml").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        Image.linear_gradient("L").resize((400, 300)).convert("RGB").save(folder / "cat.png")

    def tell(self, text: str) -> None:
        """Note what was done: the story of a case that fails."""
        with (self.folder / "story.txt").open("a", encoding="utf-8") as story:
            story.write(f"{time.strftime('%H:%M:%S')}  {text}\n")

    def run_arguments(self) -> list[str]:
        """The command that resumes, word for word the same each time."""
        return ["run", "batch.yaml", "--base-url", self.gateway.url, "--time-scale", str(SCALE)]

    def start(self, *arguments: str, before: Sequence[str] = (), executed: bool = False) -> Command:
        """Start a command, with another program before it, or executed anew all the same."""
        self.tell(" ".join(["batchrunner", *arguments]) + (f"   under {' '.join(before)}" if before else ""))
        return Command(self, arguments, before, executed or bool(before))

    def do(self, *arguments: str) -> Ended:
        """Carry a command out."""
        return self.start(*arguments).ended()

    def run(self) -> Ended:
        """Carry the run out, to its own end."""
        return self.do(*self.run_arguments())

    def rows(self) -> list[Row]:
        """results.csv; empty where there is none yet."""
        path = self.directory / "results.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def events(self, *names: str) -> int:
        """How many events of these names, or of any name, stand in run.log."""
        path = self.directory / "run.log"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line).get("event", "") for line in lines if line.endswith("\n")]
        return sum(1 for event in found if event and (not names or event in names))

    def reached(self, command: Command, count: int, name: str) -> None:
        """Wait until the run has come so far."""
        until(
            lambda: self.events(name) >= count or command.process.poll() is not None,
            f"{count} times {name}",
        )
