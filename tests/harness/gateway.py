"""`batchrunner simulator` as a process of its own, which outlives the commands that are killed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.harness import charge_book
from tests.harness.fork_server import ForkedProcess, ForkServer
from tests.harness.processes import clean_environment, until

KEY = "sk-canary-5f0c77aa91d2e4"
SCALE = 0.002
"""Real seconds to a simulated one."""
DOWNLOAD_TRIES = 8
"""How often a video is requested until it arrives whole: a scenario may cut downloads."""
SCENARIO: Mapping[str, Any] = {"seed": 7, "generation_seconds": 20, "generation_sigma": 0}


class SimulatedGateway:
    """A simulated gateway with its charge book, not started yet."""

    def __init__(self, folder: Path, fork_server: ForkServer) -> None:
        self._folder, self._fork_server, self.state = folder, fork_server, folder / "state"
        self.state.mkdir(parents=True)
        (self.state / "pictures").symlink_to(fork_server.pictures)
        self.scale, self.url = SCALE, ""
        self._process: ForkedProcess | None = None
        self._held_stdin = 0
        os.mkfifo(folder / "stdin")

    def start(
        self, *faults: Mapping[str, Any], scale: float | None = None, **scenario: Any
    ) -> SimulatedGateway:
        """Start it, or restart it on the same state with another scenario."""
        self.stop()
        self.scale = scale or self.scale
        values = {**SCENARIO, "faults": list(faults), **scenario}
        scenario_file = self._folder / "scenario.yaml"
        scenario_file.write_text(json.dumps(values, indent=1), encoding="utf-8")
        arguments = ["simulator", "--json", "--until-stdin-closes", "--time-scale", str(self.scale)]
        arguments += ["--state-dir", str(self.state), "--scenario", str(scenario_file)]
        files = {name: self._folder / name for name in ("stdin", "stdout", "stderr")}
        files["stdout"].write_text("")
        self._held_stdin = os.open(files["stdin"], os.O_RDWR | os.O_CLOEXEC)  # closing it stops the simulator
        environment = clean_environment(self._folder)
        self._process = self._fork_server.start(arguments, self._folder, environment, **files)
        until(lambda: files["stdout"].read_text().endswith("\n") or not self._runs(), "the simulator")
        self.url = json.loads(files["stdout"].read_text() or files["stderr"].read_text())["url"]
        return self

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process:
            os.close(self._held_stdin)
            self._process.wait()
            self._process = None

    def die(self) -> None:
        """SIGKILL; `start` brings it back at the same address, with all that it knew."""
        assert self._process
        self._process.kill()
        self.stop()

    def __enter__(self) -> SimulatedGateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def charges(self, task_id: str = "") -> list[dict[str, Any]]:
        """The charge book: all of it, or the charges for one task, whose prompt begins with its id."""
        return charge_book.read(self.state, task_id)

    def requests(self) -> Counter[str]:
        """How often each route was requested since the last start."""
        with urlopen(f"{self.url}/simulator/requests") as answer:
            return Counter(json.load(answer)["requests"])

    def posts(self) -> int:
        """How many POSTs it has received since the last start, on any route."""
        return sum(count for route, count in self.requests().items() if route.startswith("POST"))

    def downloads(self) -> int:
        """How often a video was requested since the last start."""
        asked = self.requests()
        return asked["GET /v1/videos/{id}/content"] + asked["GET file server"]

    def ask(self, path: str, body: Mapping[str, Any] | None = None, key: str = KEY) -> Any:
        """What another program gets, with the same key unless told otherwise: a GET, or a POST of `body`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", data, headers)) as answer:
            return json.load(answer)

    def settled(self, but: int = 0) -> bool:
        """Whether every charged task has ended, but for so many."""
        ids = [charge["remote_id"] for charge in self.charges()]
        tasks = [self.ask(f"/v1/video/generations/{remote_id}")["data"] for remote_id in ids]
        return sum(task["status"] not in ("SUCCESS", "FAILURE") for task in tasks) == but

    def video(self, remote_id: str) -> bytes:
        """The video of a task, as the gateway serves it."""
        headers = {"Authorization": f"Bearer {KEY}"}
        request = Request(f"{self.url}/v1/videos/{remote_id}/content", headers=headers)
        for _ in range(DOWNLOAD_TRIES):
            try:
                with urlopen(request) as answer:
                    body = bytes(answer.read())
                    if answer.headers["Content-Type"] == "video/mp4" and remote_id.encode() in body[-64:]:
                        return body
            except (OSError, HTTPException):
                continue
        raise TimeoutError(f"the simulator serves no whole video of {remote_id}")
