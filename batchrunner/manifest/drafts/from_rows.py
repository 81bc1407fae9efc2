"""Drafts a manifest from a rows file: reads it, and guesses what its columns are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from batchrunner.core.errors import ManifestError, UsageError
from batchrunner.core.text import closest
from batchrunner.manifest.drafts.columns import Column, fields_of, looks_like_media, picture_of, prompt_of
from batchrunner.manifest.drafts.places import written
from batchrunner.manifest.drafts.text import Draft, DraftField, DraftKey
from batchrunner.manifest.preparing import Preparer
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats.table import Reading, RowsFile
from batchrunner.manifest.rows import as_utf8, ending_of, read_rows
from batchrunner.manifest.source import TextFault
from batchrunner.manifest.templates import Exact

GUESSED_PROMPT = "the column with the longest texts"
_SAMPLE = 500
"""How many rows are looked at to guess what the columns are."""
_LONG = 200
"""The longest cell of a label."""
_MOST_LABELS = 30
_GUESSED = frozenset({"gb18030", "cp1252"})
"""Encodings that are guessed from the bytes, unlike those that a byte order mark shows."""


def draft_from_rows(path: Path, manifest: Path, prompt_column: str = "") -> Draft:
    """The draft of a manifest with one task per row; the prompts are in `prompt_column`, if it is given.

    Raises:
        ManifestError: the file can't be read as rows.
        OSError: it can't be read at all.
        UsageError: the column of the prompts is not there, or can't be found or used.
    """
    table, reading = _read(path)
    columns = _columns(table)
    named = written(path, manifest)
    keys = [DraftKey("rows", named, "one task per row")]
    if reading.encoding:
        is_guess = reading.encoding in _GUESSED
        keys.append(DraftKey("encoding", reading.encoding, "a guess: check the texts" if is_guess else ""))
    if reading.delimiter:
        keys.append(DraftKey("delimiter", reading.delimiter))
    if ending_of(path.name) == ".txt":
        comment = "each line of the file; lines starting with # are comments"
        keys.append(DraftKey("prompt", "${prompt}", comment))
        return Draft(path.name, tuple(keys), rows=len(table.rows))
    usable = [column for column in columns if column.is_usable]
    prompt = _prompt(path, columns, usable, prompt_column)
    is_guess = not (prompt_column or prompt.is_named)
    keys.append(DraftKey("prompt", prompt.template, GUESSED_PROMPT if is_guess else ""))
    others = [column for column in usable if column is not prompt]
    picture = picture_of(others)
    if picture:
        keys.append(DraftKey("image", picture.template, "the picture that the video starts with"))
    fields = fields_of(others)
    taken = {field.column for field in fields}
    rest = [column for column in others if column is not picture and column.name not in taken]
    labels = [column for column in rest if _is_label(column)][:_MOST_LABELS]
    fields += [DraftField(("labels", column.name), column.template, column.name) for column in labels]
    return Draft(
        path.name,
        tuple(keys),
        tuple(fields),
        tuple(_notes(columns, [column for column in rest if column not in labels])),
        ratio="adaptive" if picture else "16:9",
        rows=len(table.rows),
    )


def _prompt(path: Path, columns: Sequence[Column], usable: Sequence[Column], wanted: str) -> Column:
    """The column with the prompts: the wanted one, or the one that looks like it.

    Raises:
        UsageError: it is not there, or can't be used; the columns are named.
    """
    names = ", ".join(f"`{column.name}`" for column in columns)
    if not wanted:
        if found := prompt_of(usable):
            return found
        raise UsageError(
            f"no column of {path} looks like prompts; columns: {names}",
            "choose one with --prompt COLUMN, or name the column with the texts `prompt`",
        )
    for column in columns:
        if column.name == wanted and column in usable:
            return column
        if column.name == wanted:
            why = "its name has $, {, } or |: rename it" if not column.can_be_named else "it holds no texts"
            raise UsageError(f"the column `{wanted}` can't be the prompt", why)
    close = closest(wanted, [column.name for column in columns])
    raise UsageError(
        f"{path} has no column `{wanted}`; columns: {names}", f"did you mean `{close}`?" if close else ""
    )


def _read(path: Path) -> tuple[RowsFile, Reading]:
    """The rows, and how they were read: in the first way without errors.

    Raises:
        ManifestError: there is none; the problems are those of the usual way.
    """
    first: Report | None = None
    for reading in _readings(path):
        report = Report()
        table = read_rows(path, str(path), path.name, report, *reading)
        if table is not None and not report.has_errors:
            return table, reading
        first = first or report
    assert first  # noqa: S101  there is always one way
    raise ManifestError(first.problems(), "file")


def _readings(path: Path) -> Iterator[Reading]:
    encoding, ending = "", ending_of(path.name)
    if ending not in (".xlsx", ".parquet"):
        try:
            as_utf8(path, "")
        except TextFault as fault:
            encoding = fault.looks_like
    yield Reading(encoding)
    if ending in (".csv", ".tsv"):
        yield from (Reading(encoding, delimiter) for delimiter in (";", "\t", "|", ","))


def _columns(table: RowsFile) -> list[Column]:
    sample = list(islice(iter(table.rows), _SAMPLE))
    return [
        Column(name, _can_be_named(name, table), [row.cells.get(name) for row in sample])
        for name in table.columns
    ]


def _can_be_named(name: str, table: RowsFile) -> bool:
    """Whether `${name}` means this column."""
    preparer = Preparer(table.names, lambda path: frozenset({"string"}))
    filler = preparer.prepare(f"${{{name}}}")
    return isinstance(filler, Exact) and filler.name == name and not preparer.faults


def _is_label(column: Column) -> bool:
    texts = column.texts
    return bool(texts) and max(map(len, texts)) <= _LONG and not looks_like_media(texts)


def _notes(columns: Sequence[Column], left: Sequence[Column]) -> Iterator[str]:
    """What was left out, so that the user knows that it is there."""
    if left:
        names = ", ".join(f"`{column.name}`" for column in left)
        yield f"columns that are not used: {names}"
    for column in columns:
        if column.has_inner_values:
            inner = f"${{{column.name}.KEY}}"
            yield f"the column `{column.name}` holds lists or objects; `{inner}` is a value in it"
        elif not column.can_be_named:
            yield f"the column `{column.name}` can't be used: rename it without $, {{, }} or |"
