"""Makes the lines of results.csv: a header, and one row per task.

Made for speed, as there may be a million rows: csv.writer alone would take longer than all of this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import floor

from batchrunner.core.file_status import FileState, warning
from batchrunner.core.redaction import redacted, redacted_url
from batchrunner.core.states import TaskState
from batchrunner.core.text import printable
from batchrunner.ledger import ResultRow

LABEL = "label."
_IS_CLEAN = re.compile(r"[A-Za-z0-9][\w.:/-]*", re.ASCII).fullmatch
_FORMULA_STARTS = ("=", "+", "-", "@")


def from_network(text: str) -> str:
    """Text from the network without control characters, and escaped if a spreadsheet would read a formula."""
    if not text or _IS_CLEAN(text):
        return text
    clean = printable(text)
    return f"'{clean}" if clean.startswith(_FORMULA_STARTS) else clean


def _time(seconds: float | None) -> str:
    """ISO 8601 in UTC: rounded to microseconds and cut to milliseconds, as `datetime` does it, but faster."""
    if seconds is None:
        return ""
    second = floor(seconds)
    millisecond = round((seconds - second) * 1e6) // 1000
    if millisecond == 1000:
        second, millisecond = second + 1, 0
    return "%s:%02d.%03dZ" % (_minute(second // 60), second % 60, millisecond)  # noqa: UP031  faster


@lru_cache(maxsize=10_000)
def _minute(number: int) -> str:
    """A minute since 1970: `2026-11-22T18:33`."""
    return datetime.fromtimestamp(number * 60, UTC).strftime("%Y-%m-%dT%H:%M")


@lru_cache(maxsize=10_000)
def _money(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.6f}".rstrip("0").rstrip(".")


def _message(row: ResultRow) -> str:
    """The error message; for a task in doubt, also what the usage log showed."""
    seen = row.looked_up if row.state == TaskState.IN_DOUBT else None
    said = "; ".join(filter(None, (row.error_message, seen))) if seen else row.error_message
    return redacted(said) if said else said


def _warnings(row: ResultRow) -> str:
    """The warnings about the video and, if it is finished, about its file."""
    warnings = json.loads(row.warnings) if row.warnings != "[]" else []
    if row.file_state and row.state == TaskState.DONE:
        warnings.append(warning(row.file_name, FileState(row.file_state), bool(row.links_dead)))
    return "; ".join(filter(None, warnings))


def values(row: ResultRow) -> dict[str, object]:
    """The fixed columns in order, with a task's values; None means unknown."""
    return {
        "id": row.id,
        "state": row.state,
        "file_name": row.file_name if row.state == TaskState.DONE else "",
        "prompt": row.prompt,
        "inputs": "; ".join(map(redacted_url, json.loads(row.inputs))) if row.inputs != "[]" else "",
        "model": row.model,
        "error_code": from_network(row.error_code),
        "error_message": from_network(_message(row)),
        "warnings": from_network(_warnings(row)),
        "remote_id": from_network(row.remote_id or ""),
        "attempts": row.attempts,
        "seed": row.seed,
        "tokens": row.tokens,
        "cost": _money(row.cost),
        "currency": row.currency if row.cost is not None else "",
        "requested_duration": row.requested_duration,
        "requested_resolution": row.requested_resolution,
        "requested_ratio": row.requested_ratio,
        "duration": row.duration,
        "width": row.width,
        "height": row.height,
        "fps": row.fps,
        "bytes": row.size,
        "sha256": row.sha256,
        "last_frame_file": row.last_frame_file,
        "submitted_at": _time(row.submitted_at),
        "finished_at": _time(row.finished_at),
        "collected_at": _time(row.collected_at),
        "generation_seconds": row.generation_seconds,
        "fingerprint": row.key,
        "account": row.account or "",
    }


COLUMNS = tuple(values(ResultRow()))
"""The names of the fixed columns in order; `label.*` columns follow."""


_PROMPT = COLUMNS.index("prompt")
_TIMES = ("submitted_at", "finished_at", "collected_at")
_JSON = json.JSONEncoder()  # ASCII alone: what a stream can't encode would be escaped in its own way


def header(labels: Iterable[str]) -> str:
    """The first line, with a column for each label."""
    return _joined([_quoted(name) for name in (*COLUMNS, *(LABEL + name for name in labels))])


def line(row: ResultRow, labels: Sequence[str], found: Mapping[str, object] | None = None) -> str:
    """One task's line, a record of RFC 4180; `found` are its `values`, if they are known already."""
    cells = ["" if value is None else str(value) for value in (found or values(row)).values()]
    if labels:
        own = _labels(row.labels)
        cells += [own.get(name, "") for name in labels]
    # Prompts mostly need quotes. In most rows no other cell does: all of them are looked at together.
    prompt, cells[_PROMPT] = cells[_PROMPT], ""
    if _is_special(",".join(cells), commas=len(cells) - 1):
        cells = [_quoted(cell) for cell in cells]
    cells[_PROMPT] = _quoted(prompt)
    return _joined(cells)


def json_line(row: ResultRow, labels: Sequence[str]) -> str:
    """One task's row as a JSON object, see `json_values`."""
    return _JSON.encode(json_values(row, labels))


def json_values(row: ResultRow, labels: Sequence[str]) -> dict[str, object]:
    """One task's row by column; numbers are numbers, and None if unknown."""
    found = values(row) | {"cost": None if row.cost is None else round(row.cost, 6)}
    found |= {name: found[name] or None for name in _TIMES}
    own = _labels(row.labels)
    return found | {LABEL + name: own.get(name, "") for name in labels}


@lru_cache(maxsize=1000)
def _labels(text: str) -> Mapping[str, str]:
    """The labels of a task; many tasks have the same."""
    labels: dict[str, str] = json.loads(text)
    return labels


def _joined(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\r\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _is_special(cell) else cell


def _is_special(text: str, commas: int = 0) -> bool:
    """Whether a text needs quotes, except for this number of commas."""
    # Faster than a regular expression.
    return text.count(",") > commas or '"' in text or "\n" in text or "\r" in text
