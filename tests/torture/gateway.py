"""Simulated gateways: `batchrunner simulator` as processes of their own, which survive every kill."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.harness.nursery import Nursery, clean_environment, until

KEY = "sk-canary-7d21c4f0b95e"
SCALE = 0.002
TRIES = 8
"""How often a video is asked for until it comes whole: a scenario may cut downloads."""
ORDINARY: Mapping[str, Any] = {"seed": 7, "generation_seconds": 20, "generation_sigma": 0}


class Gateway:
    """One simulated gateway with its charge book."""

    def __init__(self, folder: Path, nursery: Nursery, scenario: Mapping[str, Any]) -> None:
        self._state, self.nursery = folder / "state", nursery
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
        folder, files = self._state.parent, self._files
        self._process = self.nursery.start(self._arguments, folder, clean_environment(folder), **files)
        until(lambda: self._files["stdout"].read_text().endswith("\n") or not self._runs(), "the simulator")
        self.url = json.loads(self._files["stdout"].read_text() or self._files["stderr"].read_text())["url"]
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._leash)
        self._process.wait()

    def _runs(self) -> bool:
        return self._process.poll() is None

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
