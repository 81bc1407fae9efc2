"""Reads evidence of a run's history from its other files: run.log, results.csv and the videos."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from batchrunner.core.doubts.restored import Wanted
from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.file_names import LOG_NAME, RESULTS_NAME, RUN_ID_NAME, VIDEOS
from batchrunner.core.file_status import FileState
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.policy import AttemptFacts
from batchrunner.core.text import allow_long_cells
from batchrunner.engine.log_contents import log_lines, read_log
from batchrunner.engine.log_mark import LogMark
from batchrunner.ledger import Ledger, LedgerReader, PaidAttempt, recover_command
from batchrunner.ledger.history import LOG_MARK, History, claims, doubts, file_names, history
from batchrunner.storage.files import keep_small

_TRUNCATED = 0.001
"""Seconds by which a time in run.log may be too early."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The contents of these files. Times are Unix seconds."""

    run_ids: frozenset[str] = frozenset()
    """All run IDs that the run directory has had."""
    named: Mapping[TaskKey, frozenset[RemoteId]] = field(default_factory=dict)
    """The remote IDs of a task's attempts that are missing from the ledger."""
    claims: Mapping[TaskKey, tuple[float, ...]] = field(default_factory=dict)
    """When attempts missing from the ledger were claimed."""
    accounts: Mapping[TaskKey, str] = field(default_factory=dict)
    """The names of the accounts of the newest claims."""
    accepted_at: Mapping[RemoteId, float] = field(default_factory=dict)
    """When these attempts were accepted."""
    results: Mapping[TaskKey, Mapping[str, str]] = field(default_factory=dict)
    """The rows of results.csv, if it is not one that this ledger has written."""
    under_way: frozenset[TaskKey] = frozenset()
    """Of the tasks with such claims: those whose last state in run.log is submitted or later."""
    names_any: bool = False
    """Whether there is any remote ID, even one that the ledger has."""
    newer: str = ""
    """A message about what is newer than the ledger; empty if nothing is."""

    @property
    def adds_nothing(self) -> bool:
        """Whether the ledger has all of it."""
        return not (self.named or self.claims or self.results or self.newer)

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


async def read_evidence(directory: Path, ledger: LedgerReader, everything: bool = False) -> Evidence:
    """Read the files, and compare them with the ledger as it is now.

    Lines of run.log before the ledger's mark are skipped, unless `everything` is to be read.
    """
    past, ours = await ledger.ask_history(history), await ledger.remote_ids()
    log = directory / LOG_NAME
    mark = LogMark() if everything else LogMark.from_text(await ledger.meta(LOG_MARK)).in_file(log)
    read = await asyncio.to_thread(read_log, log, mark, ours)
    claimed = await _unknown_claims(ledger, read.claimed)
    is_own = not everything and await _is_own(directory, ledger)
    rows = () if is_own else await asyncio.to_thread(_rows, directory / RESULTS_NAME)
    results = {TaskKey(row["fingerprint"]): row for row in rows}
    named = read.named
    for key, row in results.items():
        if (remote_id := RemoteId(row.get("remote_id", ""))) and remote_id not in ours:
            named[key].add(remote_id)
    names = await ledger.ask_history(file_names)
    return Evidence(
        run_ids=frozenset(read.run_ids | {past.run_id, run_id_beside_videos(directory)} - {""}),
        named={key: frozenset(ids) for key, ids in named.items()},
        claims={key: tuple(times) for key, times in claimed.items()},
        accounts=read.accounts,
        accepted_at=read.accepted_at,
        results=results,
        under_way=frozenset(key for key in claimed if read.last.get(key) not in ("pending", "failed")),
        names_any=read.names_any or any(row.get("remote_id") for row in results.values()),
        newer=await asyncio.to_thread(_newer, directory, read.latest, past, names),
    )


async def _unknown_claims(
    ledger: LedgerReader, told: Mapping[TaskKey, Sequence[float]]
) -> dict[TaskKey, list[float]]:
    """Those of the claims in run.log that the ledger doesn't have."""
    if not any(told.values()):
        return {}
    known = await ledger.ask_history(partial(claims, since=min(map(min, filter(None, told.values())))))
    doubted = await ledger.ask_history(doubts)
    found = {
        key: [
            at
            for at in times
            if not {(key, ms) for ms in _around(at)} & known and at > doubted.get(key, 0.0) + _TRUNCATED
        ]
        for key, times in told.items()
    }
    return {key: times for key, times in found.items() if times}


async def mark_log(directory: Path, ledger: Ledger, evidence: Evidence | None) -> None:
    """Record that the ledger has everything that run.log says up to here, if it is so.

    `evidence` is what it said when this process began, None for a new ledger. All lines since then are about
    events that the ledger has.
    """
    if evidence is None or evidence.adds_nothing:
        run_ids = evidence.run_ids if evidence else frozenset({await ledger.run_id()})
        names_any = evidence.names_any if evidence else False
        names_any = names_any or bool(await ledger.newest_accepted(1))
        mark = LogMark.at_end(directory / LOG_NAME, run_ids, names_any)
        with suppress(StorageError):  # the next start reads more
            await ledger.set_meta(LOG_MARK, mark.to_text())


async def _is_own(directory: Path, ledger: LedgerReader) -> bool:
    """Whether results.csv is one that this ledger has written: then it says nothing more."""
    known = await ledger.results_written()
    with suppress(OSError), (directory / RESULTS_NAME).open("rb") as file:
        digest = await asyncio.to_thread(hashlib.file_digest, file, "sha256")
        return known is not None and digest.hexdigest() in known
    return False


def anything_left(directory: Path) -> bool:
    """Whether a directory without a ledger still has a run ID or a remote ID."""
    lines = log_lines(directory / LOG_NAME)
    return (
        bool(run_id_beside_videos(directory))
        or any(line.get("run_id") or line.get("remote_id") for line in lines)
        or any(row.get("remote_id") for row in _rows(directory / RESULTS_NAME))
    )


def _around(at: float) -> Sequence[int]:
    """The milliseconds that a time in run.log may mean: run.log truncates them."""
    return range(round(at * 1000) - 1, round(at * 1000) + 2)


def _newer(directory: Path, latest: float, past: History, known_files: frozenset[str]) -> str:
    """A message about what shows that the ledger is outdated; empty if nothing does.

    `latest` is the time of the newest event in run.log.
    """
    last = max(past.newest, past.vouched_at)
    if latest > last + 0.001:
        return f"{LOG_NAME} has later entries than the ledger"
    on_disk = (f"{VIDEOS}/{name}" for name in os.listdir(directory / VIDEOS) if name.endswith(".mp4"))  # noqa: PTH208
    for name in sorted(name for name in on_disk if name not in known_files):
        if (directory / name).stat().st_mtime > last:
            return f"{name} is newer than the ledger and not recorded in it"
    return ""


def names_video(row: Mapping[str, str]) -> bool:
    """Whether a row of results.csv names a finished video."""
    return row.get("state") == "done" and all(row.get(name) for name in ("file_name", "sha256", "remote_id"))


def proven(directory: Path, row: Mapping[str, str]) -> bool:
    """Whether the video that a row of results.csv names is in place, with the recorded checksum."""
    if not _is_beside_videos(directory, row["file_name"]):
        return False
    with suppress(OSError), (directory / row["file_name"]).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
    return False


def _is_beside_videos(directory: Path, name: str) -> bool:
    """Whether a path in a row of results.csv is that of a file in the folder of videos."""
    path = directory / name
    return path.resolve().parent == (directory / VIDEOS).resolve() and path.is_file()


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results.csv; none if it can't be parsed."""
    with (
        suppress(OSError, UnicodeDecodeError, csv.Error),
        path.open(encoding="utf-8-sig", newline="") as file,
    ):
        allow_long_cells()  # or a long label would hide what was paid for
        rows = [row for row in csv.DictReader(file) if row.get("fingerprint")]
        return [{name: text for name, text in row.items() if isinstance(text, str) and name} for row in rows]
    return []


def as_attempt(
    directory: Path, row: Mapping[str, str], number: int, accepted_at: float | None
) -> PaidAttempt:
    """The attempt recorded in a row of results.csv."""
    last_frame = row.get("last_frame_file", "")

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
        last_frame_file=last_frame if _is_beside_videos(directory, last_frame) else None,
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
        account=row.get("account", ""),
    )
