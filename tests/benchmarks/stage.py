"""Where measures are taken: a folder, the programs that are started there, and how large everything is."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.benchmarks.processes import Process, Used
from tests.harness.processes import clean_environment

HERE = Path(__file__).parent
KEY = "sk-benchmark-1234567890"


class Server:
    """A gateway in a process of its own: the simulator, or the stand-in."""

    def __init__(self, process: Process) -> None:
        process.waits_for(lambda: process.out.endswith("\n"))
        self.url: str = json.loads(process.out)["url"]

    def get(self, path: str) -> Any:
        """What it answers to a GET."""
        with urlopen(f"{self.url}{path}") as answer:
            return json.load(answer)

    def post(self, path: str) -> None:
        """POST nothing."""
        with urlopen(Request(f"{self.url}{path}", b"")) as answer:
            answer.read()

    def posts(self) -> int:
        """How many POSTs the simulator has received."""
        counts = self.get("/simulator/requests")["requests"]
        return sum(count for route, count in counts.items() if route.startswith("POST"))


class Stage:
    """A folder for one measure. With `short`, everything is tiny and nothing is repeated.

    `pictures` is where the simulators keep their encoded videos: measures share them.
    """

    def __init__(self, folder: Path, short: bool, pictures: Path) -> None:
        self.folder, self.short, self._pictures = folder, short, pictures
        pictures.mkdir(parents=True, exist_ok=True)
        self.environment = clean_environment(folder, EASYROUTER_API_KEY=KEY, PYTHONPATH=str(HERE.parents[1]))
        """The variables of the programs that are started."""
        self._numbers = itertools.count()
        self._running: list[Process] = []

    def size(self, full: int, tiny: int) -> int:
        """How many tasks to take: `full`, or `tiny` in a short run."""
        return tiny if self.short else full

    def times(self, full: int) -> int:
        """How often to repeat something."""
        return 1 if self.short else full

    def place(self, name: str) -> Path:
        """A path that was not given before."""
        stem, dot, ending = name.partition(".")
        return self.folder / f"{stem}-{next(self._numbers)}{dot}{ending}"

    def start(self, *command: str) -> Process:
        """Start any program."""
        process = Process(command, self.place("printed.out"), self.environment)
        self._running.append(process)
        return process

    def batchrunner(self, *arguments: object) -> Process:
        """Start a command of batchrunner."""
        return self.start(sys.executable, "-m", "batchrunner", *map(str, arguments))

    def watched(self, report: Path, *arguments: object) -> Process:
        """Start a command of batchrunner that reports its event loop's longest stall to a file."""
        return self.start(sys.executable, str(HERE / "heartbeat.py"), str(report), *map(str, arguments))

    def floor(self, name: str, *arguments: object) -> Used:
        """Run one of the floors to its end."""
        return self.start(sys.executable, str(HERE / "floors" / f"{name}.py"), *map(str, arguments)).ended()

    @contextmanager
    def simulator(self, scale: float, **scenario: Any) -> Iterator[Server]:
        """A simulated gateway."""
        path, state = self.place("scenario.yaml"), self.place("state")
        state.mkdir()
        (state / "pictures").symlink_to(self._pictures)
        path.write_text(json.dumps({"seed": 7, **scenario}), encoding="utf-8")
        with self._serving(
            *(sys.executable, "-m", "batchrunner", "simulator", "--json", "--time-scale", str(scale)),
            *("--scenario", str(path), "--state-dir", str(state)),
        ) as server:
            yield server

    @contextmanager
    def stand_in(self, video: Path, seconds: float) -> Iterator[Server]:
        """A gateway that is quicker than the simulator: every task ends after `seconds` with this video."""
        with self._serving(sys.executable, str(HERE / "stand_in.py"), str(video), str(seconds)) as server:
            yield server

    @contextmanager
    def _serving(self, *command: str) -> Iterator[Server]:
        process = self.start(*command)
        try:
            yield Server(process)
        finally:
            process.stop()

    def close(self) -> None:
        """End what a failed measure has left running."""
        for process in self._running:
            process.stop()
