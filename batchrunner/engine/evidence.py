"""Reads evidence of a run's history from its other files: run.log, results.csv and the videos."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from batchrunner.core.doubts.restored import Wanted
from batchrunner.core.errors import UsageError
from batchrunner.core.file_names import LOG_NAME, RESULTS_NAME, RUN_ID_NAME, VIDEOS
from batchrunner.core.file_status import FileState
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.policy import AttemptFacts
from batchrunner.ledger import LedgerReader, PaidAttempt, recover_command
from batchrunner.ledger.history import History, claims, file_names, history
from batchrunner.storage.files import keep_small


@dataclass(frozen=True, slots=True)
class Evidence:
    """The contents of these files. Times are Unix seconds."""

    run_ids: frozenset[str] = frozenset()
    """All run IDs that the run directory has had."""
    named: Mapping[TaskKey, frozenset[RemoteId]] = field(default_factory=dict)
    """The remote IDs of a task's attempts."""
    claims: Mapping[TaskKey, tuple[float, ...]] = field(default_factory=dict)
    """When attempts missing from the ledger were claimed."""
    accepted_at: Mapping[RemoteId, float] = field(default_factory=dict)
    """When attempts were accepted."""
    results: Mapping[TaskKey, Mapping[str, str]] = field(default_factory=dict)
    """The rows of results.csv."""
    under_way: frozenset[TaskKey] = frozenset()
    """Tasks whose last state in run.log is submitted or later."""
    newer: str = ""
    """A message about what is newer than the ledger; empty if nothing is."""

    def of(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        """The same tasks, with the claims and remote IDs of each."""
        return [
            replace(one, claims=self.claims.get(one.key, ()), named=self.named.get(one.key, frozenset()))
            for one in wanted
        ]


def run_id_beside_videos(directory: Path) -> str:
    """The run ID stored next to the videos; empty if there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return (directory / VIDEOS / RUN_ID_NAME).read_text(encoding="ascii").strip()
    return ""


def keep_run_id(directory: Path, run_id: str) -> None:
    """Store the run ID next to the videos, durably, before anything is paid for.

    Raises:
        UsageError: another run ID is there.
        StorageError: the file can't be written.
    """
    try:
        keep_small(directory / VIDEOS / RUN_ID_NAME, f"{run_id}\n".encode())
    except FileExistsError as error:
        raise UsageError(
            f"the videos in {directory} belong to a different ledger",
            f"restore the right ledger, or run `{recover_command(directory)}` to find paid tasks, "
            "free of charge; if the videos were only copied here, "
            f"remove {VIDEOS}/{RUN_ID_NAME}",
        ) from error


async def read_evidence(directory: Path, ledger: LedgerReader) -> Evidence:
    """Read the files, and compare them with the ledger as it is now."""
    past = await ledger.ask_history(history)
    known, named_files = await ledger.ask_history(claims), await ledger.ask_history(file_names)
    lines = list(_events(directory / LOG_NAME))
    results = {TaskKey(row["fingerprint"]): row for row in _rows(directory / RESULTS_NAME)}
    named: dict[TaskKey, set[RemoteId]] = defaultdict(set)
    claimed: dict[TaskKey, list[float]] = defaultdict(list)
    for line in lines:
        key = TaskKey(str(line.get("key", "")))
        if remote_id := line.get("remote_id"):
            named[key].add(RemoteId(str(remote_id)))
        if line.get("event") == "claimed" and not {(key, ms) for ms in _around(line["at"])} & known:
            claimed[key].append(line["at"])
    for key, row in results.items():
        if row.get("remote_id"):
            named[key].add(RemoteId(row["remote_id"]))
    run_ids = {str(line["run_id"]) for line in lines if line.get("run_id")}
    run_ids |= {past.run_id, run_id_beside_videos(directory)} - {""}
    return Evidence(
        run_ids=frozenset(run_ids),
        named={key: frozenset(ids) for key, ids in named.items()},
        claims={key: tuple(times) for key, times in claimed.items()},
        accepted_at={
            RemoteId(str(line["remote_id"])): line["at"]
            for line in lines
            if line.get("event") == "accepted" and line.get("remote_id")
        },
        results=results,
        under_way=_under_way(lines),
        newer=_newer(directory, lines, past, named_files),
    )


def _under_way(lines: Sequence[Mapping[str, Any]]) -> frozenset[TaskKey]:
    last = {TaskKey(str(line.get("key"))): str(line.get("to_state")) for line in lines if "event" in line}
    return frozenset(key for key, state in last.items() if state not in ("pending", "failed"))


def anything_left(directory: Path) -> bool:
    """Whether a directory without a ledger still has a run ID or a remote ID."""
    lines = _events(directory / LOG_NAME)
    return (
        bool(run_id_beside_videos(directory))
        or any(line.get("run_id") or line.get("remote_id") for line in lines)
        or any(row.get("remote_id") for row in _rows(directory / RESULTS_NAME))
    )


def _around(at: float) -> Sequence[int]:
    """The milliseconds that a time in run.log may mean: run.log truncates them."""
    return range(round(at * 1000) - 1, round(at * 1000) + 2)


def _newer(
    directory: Path, lines: Sequence[Mapping[str, Any]], past: History, known_files: frozenset[str]
) -> str:
    """A message about what shows that the ledger is outdated; empty if nothing does."""
    last = max(past.newest, past.vouched_at)
    latest = max((line["at"] for line in lines if "event" in line), default=0.0)
    if latest > last + 0.001:
        return f"{LOG_NAME} has later entries than the ledger"
    for path in sorted((directory / VIDEOS).glob("*.mp4")):
        name = f"{VIDEOS}/{path.name}"
        if name not in known_files and path.stat().st_mtime > last:
            return f"{name} is newer than the ledger and not recorded in it"
    return ""


def proven(directory: Path, row: Mapping[str, str]) -> bool:
    """Whether the video of a row of results.csv is in place, with the recorded checksum."""
    if row.get("state") != "done" or not all(row.get(name) for name in ("file_name", "sha256", "remote_id")):
        return False
    path = directory / row["file_name"]
    if path.resolve().parent != (directory / VIDEOS).resolve() or not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
    return False


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a run.log, with times as Unix seconds; unreadable lines are skipped."""
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                line = json.loads(text)
                yield {**line, "at": datetime.fromisoformat(line["at"]).timestamp()}


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results.csv; none if it can't be parsed."""
    with (
        suppress(OSError, UnicodeDecodeError, csv.Error),
        path.open(encoding="utf-8-sig", newline="") as file,
    ):
        rows = [row for row in csv.DictReader(file) if row.get("fingerprint")]
        return [{name: text for name, text in row.items() if isinstance(text, str) and name} for row in rows]
    return []


def as_attempt(row: Mapping[str, str], number: int, accepted_at: float | None) -> PaidAttempt:
    """The attempt recorded in a row of results.csv."""

    def moment(name: str) -> float | None:
        try:
            return datetime.fromisoformat(row.get(name, "")).timestamp()
        except ValueError:
            return None

    def whole(name: str) -> int | None:
        text = row.get(name, "")
        return int(text) if text.isdecimal() else None

    def number_of(name: str) -> float | None:
        try:
            return float(row.get(name, ""))
        except ValueError:
            return None

    facts = AttemptFacts(
        tokens=whole("tokens"),
        cost=number_of("cost"),
        currency=row.get("currency") or None,
        size=whole("bytes"),
        sha256=row["sha256"],
        duration=number_of("duration"),
        width=whole("width"),
        height=whole("height"),
        fps=number_of("fps"),
        generation_seconds=number_of("generation_seconds"),
        finished_at=moment("finished_at"),
        collected_at=moment("collected_at"),
        file_state=FileState.IN_PLACE,
    )
    made = max(number, whole("attempts") or number)
    return PaidAttempt(
        number=made,
        seed=whole("seed"),
        remote_id=RemoteId(row["remote_id"]),
        submitted_at=moment("submitted_at"),
        accepted_at=accepted_at,
        file_name=row["file_name"],
        facts=facts,
    )
