"""Simulated gateways: `batchrunner simulator` as processes of their own, which survive every kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

FORKER = Path(__file__).parents[1] / "acceptance" / "simulators.py"
"""Starts the real command often without importing it as often."""
KEY = "sk-canary-7d21c4f0b95e"
SCALE = 0.002
PATIENCE = 60.0
"""Real seconds that anything may take before it counts as hung."""
TRIES = 8
"""How often a video is asked for until it comes whole: a scenario may cut downloads."""
ORDINARY: Mapping[str, Any] = {"seed": 7, "generation_seconds": 20, "generation_sigma": 0}


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until `condition` holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.004)


def bare_environment(home: Path) -> dict[str, str]:
    """What a fresh login has: no key, no address, no proxy of whoever runs this."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "PYTHONPATH") if name in os.environ}
    return kept | {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


class Nursery:
    """Where all simulators come from; they share the videos that they have encoded."""

    def __init__(self, home: Path) -> None:
        self.pictures = home / "pictures"
        self.pictures.mkdir(parents=True)
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(FORKER)],
            env=bare_environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: Sequence[str], files: Mapping[str, Path]) -> int:
        """Start `batchrunner` with these arguments; return its process id."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"arguments": arguments} | {name: str(path) for name, path in files.items()}
        with self._turn:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it; the simulators have their own end."""
        self._process.communicate()


class Gateway:
    """One simulated gateway with its charge book."""

    def __init__(self, folder: Path, nursery: Nursery, scenario: Mapping[str, Any]) -> None:
        self._state, self._nursery = folder / "state", nursery
        self._state.mkdir(parents=True)
        (self._state / "pictures").symlink_to(nursery.pictures)
        self._files = {name: folder / name for name in ("stdin", "stdout", "stderr")}
        os.mkfifo(self._files["stdin"])
        self._files["stdout"].touch()
        scenario_file = folder / "scenario.yaml"
        scenario_file.write_text(json.dumps({**ORDINARY, **scenario}, indent=1), encoding="utf-8")
        self._arguments = ["simulator", "--json", "--until-stdin-closes", "--time-scale", str(SCALE)]
        self._arguments += ["--state-dir", str(self._state), "--scenario", str(scenario_file)]
        self.url = ""

    def __enter__(self) -> Gateway:
        self._leash = os.open(self._files["stdin"], os.O_RDWR | os.O_CLOEXEC)
        self._pid = self._nursery.start(self._arguments, self._files)
        until(lambda: self._files["stdout"].read_text().endswith("\n") or not self._runs(), "the simulator")
        self.url = json.loads(self._files["stdout"].read_text() or self._files["stderr"].read_text())["url"]
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._leash)
        until(lambda: not self._runs(), "the simulator's end")

    def _runs(self) -> bool:
        return Path(f"/proc/{self._pid}").exists()

    def charges(self) -> list[dict[str, Any]]:
        """The charge book, oldest first, read from the simulator's disk."""
        book = self._state / "charges.jsonl"
        lines = book.read_text(encoding="utf-8").splitlines(keepends=True) if book.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in found if line["kind"] == "charge"]

    def charges_of(self, task: str) -> list[dict[str, Any]]:
        """The charges of one task, whose prompt begins with its id."""
        return [charge for charge in self.charges() if charge["prompt"].partition(" ")[0] == task]

    def requests(self) -> dict[str, int]:
        """How often each route was asked since the start."""
        with urlopen(f"{self.url}/simulator/requests") as answer:
            return dict(json.load(answer)["requests"])

    def served(self, remote_id: str) -> bytes:
        """The video of a task as the gateway serves it."""
        request = Request(
            f"{self.url}/v1/videos/{remote_id}/content", headers={"Authorization": f"Bearer {KEY}"}
        )
        for _ in range(TRIES):
            try:
                with urlopen(request) as answer:
                    body = bytes(answer.read())
                    if answer.headers["Content-Type"] == "video/mp4" and remote_id.encode() in body[-64:]:
                        return body
            except (OSError, HTTPException):
                continue
        raise TimeoutError(f"the simulator serves no whole video of {remote_id}")
