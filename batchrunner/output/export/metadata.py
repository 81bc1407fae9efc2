"""metadata.jsonl: the rows of videos, beside them, as `datasets.load_dataset("videofolder")` reads it.

The metadata are JSON lines: from CSV, that library would read an ID of `007` as 7, and a label `NA` as
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from batchrunner.output.export.card import column_lines
from batchrunner.output.export.rows import SetColumn, compact, label_columns

_NAMES_OF_VIDEOS = ("_file_name", "_file_names")
"""The library takes columns that end so for names of further videos."""


def metadata_columns(labels: Iterable[str]) -> dict[str, str]:
    """Labels with the names of their columns, none of which the library takes for anything but text."""
    return {name: _harmless(column) for name, column in label_columns(labels).items()}


def metadata_line(
    file_name: str, values: Mapping[str, object], labels: Mapping[str, str], columns: Mapping[str, str]
) -> str:
    """The line of a video. `columns` are those of all labels; `file_name` is relative to the folder of
    the file.
    """
    cells = {column: labels.get(name, "") for name, column in columns.items()}
    return f"{compact({'file_name': file_name, **values, **cells})}\n"


def feature_lines(columns: Iterable[str]) -> list[str]:
    """What the columns are, those of labels included, as lines of YAML: else the library has to guess."""
    more = [SetColumn(name, str, "") for name in columns]
    return ["  features:", "  - name: video", "    dtype: video", *column_lines(more)]


def _harmless(column: str) -> str:
    # Names that end so already get one more, too, so that no two labels share a column.
    return f"{column}_" if column.rstrip("_").endswith(_NAMES_OF_VIDEOS) else column
