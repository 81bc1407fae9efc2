"""The charge book: a JSON-lines file that is the simulator's whole state.

A line is written before its answer is sent, so that everything a client has seen survives `kill -9`. The
kinds of lines: "charge", an accepted submission; "hold", quota units taken without a task; "fault", a fault
of a request that was not charged; "count", a request that a rule counted without a fault. Each line contains
the rule counts that it changed.
"""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrunner.simulator.charge import Charge

_FILE, _SETTINGS, _LOCK = "charges.jsonl", "simulator.json", "simulator.lock"


class Book:
    """The charge book of one state directory, locked against a second simulator while it is open."""

    def __init__(self, directory: Path) -> None:
        """Open and load the book; raises RuntimeError if another simulator has it open."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._lock = _lock(directory / _LOCK)
        self.charges: list[Charge] = []
        self.holds: Counter[str] = Counter()  # quota units taken without a task, by the key's name
        self.counts: dict[str, list[int]] = {}
        self._read(directory / _FILE)
        self._file = os.open(directory / _FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def charge(self, charge: Charge, counts: Mapping[str, list[int]]) -> None:
        """Record an accepted submission; durable on return."""
        self._append({"kind": "charge", **charge.to_json(), "counts": counts})
        self.charges.append(charge)

    def hold(self, key: str, quota: int, at: float) -> None:
        """Record that a key's quota units were taken at Unix time `at` without a task."""
        self._append({"kind": "hold", "key": key, "quota": quota, "at": at, "counts": {}})
        self.holds[key] += quota

    def fault(self, name: str, at: float, counts: Mapping[str, list[int]]) -> None:
        """Record a fault of a request at Unix time `at`."""
        self._append({"kind": "fault", "fault": name, "at": at, "counts": counts})

    def count(self, counts: Mapping[str, list[int]]) -> None:
        """Record that a request was counted without a fault."""
        self._append({"kind": "count", "counts": counts})

    def settings(self) -> dict[str, Any]:
        """The settings last written by `remember`; empty on the first start."""
        path = self._directory / _SETTINGS
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def remember(self, settings: Mapping[str, Any]) -> None:
        """Save the ports and the time of the first start for the next start."""
        part = self._directory / f"{_SETTINGS}.part"
        part.write_text(json.dumps(settings), encoding="utf-8")
        part.replace(self._directory / _SETTINGS)

    def close(self) -> None:
        """Close the file and release the lock."""
        os.close(self._file)
        os.close(self._lock)

    def _append(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
        data = text.encode("utf-8", "surrogatepass")  # prompts may contain lone surrogates, as JSON allows
        while data:  # usually one write; a full disk may accept only a part
            data = data[os.write(self._file, data) :]

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # killed while writing: the line's answer was never sent
            os.truncate(path, whole)
        for raw in data[:whole].splitlines():
            line = json.loads(raw.decode("utf-8", "surrogatepass"))
            self.counts.update(line["counts"])
            if line["kind"] == "charge":
                self.charges.append(Charge.from_json(line))
            elif line["kind"] == "hold":
                self.holds[line["key"]] += line["quota"]


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise RuntimeError(
            f"{path.parent}: another simulator has this state directory open; stop it or use another one"
        ) from error
    return descriptor
