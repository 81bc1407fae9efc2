"""The row of a finished video in a dataset: its columns, their types, and its name."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from batchrunner.core.redaction import redacted, redacted_values
from batchrunner.core.text import is_text
from batchrunner.ledger import FinishedVideo, ResultRow
from batchrunner.output.export.videos import VideoFile
from batchrunner.output.results import LABEL, values

Row = Mapping[str, object]
"""A row by column. Text is always there, if only empty; an unknown number is None."""


class SetColumn(NamedTuple):
    """A column of every dataset."""

    name: str
    kind: type[str] | type[int] | type[float]
    text: str
    """What it says, for the description that goes with the set."""


COLUMNS = (
    SetColumn("id", str, "the task's ID in the manifest"),
    SetColumn("prompt", str, "the prompt that was sent"),
    SetColumn("inputs", str, "input files and URLs, as written in the manifest"),
    SetColumn("model", str, "the model that made the video"),
    SetColumn("seed", int, "the seed that was sent"),
    SetColumn("tokens", int, "tokens that were charged"),
    SetColumn("cost", float, "what was charged, in `currency`"),
    SetColumn("currency", str, "the currency of `cost`"),
    SetColumn("requested_duration", int, "the length that was requested, in seconds"),
    SetColumn("requested_resolution", str, "the resolution that was requested"),
    SetColumn("requested_ratio", str, "the aspect ratio that was requested"),
    SetColumn("duration", float, "the video's length, in seconds"),
    SetColumn("width", int, "in pixels"),
    SetColumn("height", int, "in pixels"),
    SetColumn("fps", float, "frames per second"),
    SetColumn("bytes", int, "the size of the video file"),
    SetColumn("sha256", str, "the hash of the video file"),
    SetColumn("warnings", str, "how the video differs from the request"),
    SetColumn("submitted_at", str, "when it was requested (ISO 8601, UTC)"),
    SetColumn("finished_at", str, "when the generation ended"),
    SetColumn("collected_at", str, "when the video had been downloaded and verified"),
    SetColumn("generation_seconds", float, "how long the generation took"),
    SetColumn(
        "parameters", str, "the request's other fields, as a JSON object; local files as their SHA-256"
    ),
    SetColumn("run", str, "the name of the run that made it"),
    SetColumn("fingerprint", str, "the hash of the request, which identifies the row"),
)
LABELS = SetColumn("labels", str, "the user's own columns, as a JSON object")
"""Stands for the labels in files that are never written again: later rows may have other labels."""
_KINDS = tuple((column.name, column.kind) for column in COLUMNS)
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LONGEST_NAME = 60
"""Bytes of an ID in the name of a file."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A finished video that may go into a dataset."""

    file: VideoFile
    video: FinishedVideo
    run: str
    """The name of its run."""
    run_id: str
    """The ID of its run directory."""

    @property
    def version(self) -> tuple[str, str, str]:
        """What identifies this version of the video in all run directories."""
        return self.run_id, self.video.row.key, self.video.row.file_name

    @property
    def fingerprint(self) -> str:
        """What identifies it in a set."""
        return self.video.row.key

    @property
    def labels(self) -> Mapping[str, str]:
        """The user's own columns."""
        return own_labels(self.video.row)

    @property
    def name(self) -> str:
        """Its name in a set, without a dot: the same in every set, and no other video's."""
        digest = self.fingerprint.partition("-")[2][:16]
        plain = plain_name(self.video.row.id)
        return f"{plain}-{digest}" if plain else digest

    def row(self) -> dict[str, object]:
        """Its values in the columns of every dataset."""
        return values_of(self.video.row, self.run)


def clip_of(video: FinishedVideo, directory: Path, bucket: str, run: str, run_id: str) -> Clip:
    """The clip of a finished video.

    `directory` is its run directory, absolute; `bucket` is the URL of the place of the run's videos, if they
    are in one.
    """
    row = video.row
    path, size, sha256 = directory / row.file_name, row.size or 0, row.sha256 or ""
    file = VideoFile(path, row.file_name, size, sha256, video.seen, bucket)
    return Clip(file, video, run, run_id)


def plain_name(task_id: str) -> str:
    """An ID in letters, digits, `-` and `_`, which may be empty, or another task's.

    A tool that reads a set may take any other character of a name for syntax.
    """
    plain = unicodedata.normalize("NFC", task_id)
    words = "".join(char if char.isalnum() or char in "-_" else "-" for char in plain)
    return words.encode("utf-8", "ignore")[:_LONGEST_NAME].decode("utf-8", "ignore").strip("-_")


def values_of(row: ResultRow, run: str, found: dict[str, object] | None = None) -> dict[str, object]:
    """The values of a finished video in the columns of every dataset.

    `run` is the name of its run; `found` are its values in results.csv, if they are known already.
    """
    cells = (found or values(row)) | {
        "cost": None if row.cost is None else round(row.cost, 6),
        "warnings": _warnings(row.warnings),
        "parameters": _parameters(row.parameters),
        "run": run,
    }
    return {name: _cell(cells[name], kind) for name, kind in _KINDS}


def own_labels(row: ResultRow) -> Mapping[str, str]:
    """The user's own columns of a task."""
    return _labels(row.labels)


@lru_cache(maxsize=1000)
def _labels(text: str) -> Mapping[str, str]:
    labels: dict[str, str] = json.loads(text)
    return {_whole(name): _whole(value) for name, value in labels.items()}


@lru_cache(maxsize=1000)
def _warnings(text: str) -> str:
    return redacted("; ".join(filter(None, json.loads(text))))


@lru_cache(maxsize=1000)
def _parameters(request: str) -> str:
    """A request as its row shows it; many tasks have the same."""
    return compact(redacted_values(json.loads(request)))


def label_columns(names: Iterable[str]) -> dict[str, str]:
    """Labels with the names of their columns."""
    return {name: LABEL + name for name in names}


def compact(value: object) -> str:
    """A value as JSON on one line, readable in any language."""
    return _JSON.encode(value)


def _cell(value: object, kind: type[str] | type[int] | type[float]) -> object:
    if type(value) is kind and (kind is not str or str(value).isascii()):
        return value  # most cells: a million rows have many
    if kind is str:
        return _whole(str(value)) if value is not None else ""
    return kind(value) if isinstance(value, int | float) else None


def _whole(text: str) -> str:
    """The text without halves of characters, which no file can hold."""
    return text if is_text(text) else text.encode("utf-8", "replace").decode()
