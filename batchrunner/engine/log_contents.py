"""Reads from run.log which submissions it tells of that a ledger may not have."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.engine.log_mark import LogMark
from batchrunner.storage import log_files


@dataclass(slots=True)
class LogContents:
    """What run.log says. Times are Unix seconds."""

    run_ids: set[str]
    names_any: bool
    """Whether there is any remote ID."""
    claimed: dict[TaskKey, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each task was claimed, but for claims whose remote ID is one of the ledger's."""
    named: dict[TaskKey, set[RemoteId]] = field(default_factory=lambda: defaultdict(set))
    """The remote IDs of each task that are none of the ledger's."""
    accepted_at: dict[RemoteId, float] = field(default_factory=dict)
    accounts: dict[TaskKey, str] = field(default_factory=dict)
    """The account of each task's last claim, where it has a name."""
    last: dict[TaskKey, str] = field(default_factory=dict)
    """The last state of each task."""
    latest: float = 0.0


def read_log(path: Path, mark: LogMark, ours: frozenset[RemoteId]) -> LogContents:
    """Read the log from the mark on; `ours` are the remote IDs that the ledger has."""
    log = LogContents(set(mark.run_ids), mark.names_any)
    for line in log_lines(path, mark.size):
        key, event, at = TaskKey(str(line.get("key", ""))), line.get("event"), line["at"]
        if run_id := line.get("run_id"):
            log.run_ids.add(str(run_id))
        if text := line.get("remote_id"):
            log.names_any = True
            remote_id = RemoteId(str(text))
            if remote_id in ours:
                log.claimed.pop(key, None)  # a task is claimed again only once that is settled
            else:
                log.named[key].add(remote_id)
                if event == "accepted":
                    log.accepted_at[remote_id] = at
        if event is not None:
            log.last[key] = str(line.get("to_state"))
            log.latest = max(log.latest, at)
        if event == "claimed":
            log.claimed[key].append(at)
            log.accounts[key] = str(line.get("account", ""))
    return log


def log_lines(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """The complete lines of a run.log from a byte on, times as Unix seconds; unreadable ones are skipped."""
    for text in log_files.lines(path, start):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            line = json.loads(text)
            yield {**line, "at": datetime.fromisoformat(line["at"]).timestamp()}
