"""Multiplies an entry into many tasks: rows or files, a matrix, `repeat`."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple, Protocol

from batchrunner.core.plan import id_part
from batchrunner.core.problems import Place, Severity
from batchrunner.core.text import closest
from batchrunner.manifest.known_keys import unknown_key
from batchrunner.manifest.schema import schema
from batchrunner.manifest.templates import Names, Row
from batchrunner.manifest.value_faults import ValueFault, shown

MAX_TASKS = 1_000_000
_INTO = "metadata."

Matrix = dict[str, list[Any]]
"""The values of each key, in order."""


class TableRow(NamedTuple):
    """One filling of an entry and its position in the file."""

    number: int
    """Counted from 1, without the header."""
    line: int
    """The line it starts on."""
    cells: Row


class Table(Protocol):
    """Rows of a file, or files of a folder; each fills an entry once."""

    @property
    def one(self) -> str:
        """What to call one of its rows."""

    @property
    def needed(self) -> str:
        """The column that the entry must use; empty if none."""

    @property
    def columns(self) -> Mapping[str, object]:
        """The names that it provides, in order."""

    @property
    def rows(self) -> Sequence[TableRow]:
        """Its fillings."""

    @property
    def names(self) -> Names:
        """Its columns as names for templates."""

    def has(self, name: str) -> bool:
        """Whether a name is a column, or a path inside one."""

    def place(self, row: TableRow) -> Place:
        """The place of a row."""

    def source(self, row: TableRow) -> str:
        """A row's source; it doesn't depend on the current folder."""

    def behind(self, columns: tuple[str, ...], empty: bool) -> str:
        """A message's suffix that names the columns of a fault, and whether they are empty."""


class At(NamedTuple):
    """The position of one filling of an entry."""

    row: int = 0
    combination: int = 0
    """The index in the matrix; the first key changes most slowly."""


class Filling(NamedTuple):
    """One filling of an entry."""

    at: At
    values: Row
    """The values of the names in it."""
    source: str
    """Where it comes from within the entry; empty if the entry has only one."""


@dataclass(frozen=True, slots=True)
class Multiples:
    """The fillings of one entry; a plain entry has one, without names."""

    table: Table | None = None
    matrix: Matrix = field(default_factory=dict)
    repeat: int = 1

    @property
    def combinations(self) -> int:
        """The number of combinations in the matrix; 1 without one."""
        return math.prod(map(len, self.matrix.values()))

    @property
    def count(self) -> int:
        """How many tasks the entry makes."""
        return (len(self.table.rows) if self.table else 1) * self.combinations * self.repeat

    @property
    def name_tasks(self) -> bool:
        """Whether the fillings have their own names: the stems of files."""
        return self.table is not None and self.table.one == "file"

    @property
    def names(self) -> Names | None:
        """The names that `${…}` may use; None if there are none."""
        if self.table is None:
            return Names(tuple(self.matrix), "is not a key of `matrix`") if self.matrix else None
        if not self.matrix:
            return self.table.names
        own = self.table.names
        unknown = f"{own.unknown}, and is not a key of `matrix`"
        return own._replace(known=(*own.known, *self.matrix), unknown=unknown, listed="valid names")

    def fillings(self) -> Iterator[Filling]:
        """Each filling with the values of its names."""
        for index, row in enumerate(self.table.rows if self.table else (None,)):
            cells = row.cells if row else {}
            source = self.table.source(row) if self.table and row else ""
            if not self.matrix:
                yield Filling(At(index), cells, source)
                continue
            for number, values in enumerate(product(*self.matrix.values())):
                row_of_one = {**cells, **dict(zip(self.matrix, values, strict=True))}
                yield Filling(At(index, number), row_of_one, f"{source}, combination {number + 1}")

    def at(self, number: int) -> tuple[At, int]:
        """The filling and the repetition of one of its tasks, counted from 0 in their order."""
        filling, repetition = divmod(number, self.repeat)
        return At(*divmod(filling, self.combinations)), repetition + 1

    def filling(self, at: At) -> Row:
        """The values of the names in one filling."""
        cells = self.table.rows[at.row].cells if self.table else {}
        return {**cells, **{key: values[self.index(at, key)] for key, values in self.matrix.items()}}

    def naming(self, row: Row) -> Row:
        """A filling as used in an id: matrix values are made safe for file names.

        Columns are left unchanged, so that the user can find the ids again.
        """
        values = {key: row[key] for key in self.matrix}
        return {**row, **{key: id_part(one) for key, one in values.items() if isinstance(one, str)}}

    def index(self, at: At, key: str) -> int:
        """The index of a filling's value for a matrix key."""
        below = at.combination
        for other in reversed(self.matrix):
            below, index = divmod(below, len(self.matrix[other]))
            if other == key:
                return index
        raise KeyError(key)


def matrix_faults(matrix: Matrix, entry: Mapping[str, Any], table: Table | None) -> list[ValueFault]:
    """Faults of an entry's matrix that the schema can't detect."""
    faults = []
    for key, values in matrix.items():
        path = ("matrix", key)
        if table is not None and key in table.columns:
            message = f"`{key}` comes from the {table.one}s too"
            faults.append(ValueFault(path, message, "rename it", on_key=True))
        if "." in key:
            faults += _dotted_faults(key, entry)
        seen: set[str] = set()
        for index, one in enumerate(values):
            if (text := repr(one)) in seen:
                hint = "delete it; `repeat: 2` asks for the same video twice"
                faults.append(ValueFault((*path, index), f"duplicate value {shown(one)} in `{key}`", hint))
            seen.add(text)
            if isinstance(one, str) and "${" in one:
                message = f"{shown(one)} is used literally: values of `matrix` are not templates"
                hint = "put the `${…}` into the field that uses the value"
                faults.append(ValueFault((*path, index), message, hint, Severity.WARNING))
    return faults


def _dotted_faults(key: str, entry: Mapping[str, Any]) -> Iterator[ValueFault]:
    """A key with a dot sets a field of `metadata`."""
    path, known = ("matrix", key), tuple(schema("task")["$defs"]["metadata"]["properties"])
    field_name, metadata = key.removeprefix(_INTO), entry.get("metadata", {})
    if not key.startswith(_INTO):
        hint = "write `metadata.<field>`, or a name without a dot and `${name}` in a field"
        message = f"`{key}` matches no field: a key with a dot sets a field of `metadata`"
        yield ValueFault(path, message, hint, on_key=True)
    elif field_name not in known:
        yield ValueFault(path, *unknown_key(field_name, ("metadata",), known), on_key=True)
    elif not isinstance(metadata, dict):
        message = f"`{key}` can't set a field of `metadata`, which is {shown(metadata)}"
        yield ValueFault(path, message, "write out the fields of `metadata`", on_key=True)
    elif metadata.get(field_name) is not None:
        yield ValueFault(path, f"`{key}` is also set in the entry", "delete one of the two", on_key=True)


def reaching(matrix: Matrix) -> dict[str, Any]:
    """The templates that a matrix adds to its entry: one for each field that its keys set."""
    fields = {key.removeprefix(_INTO): f"${{{key}}}" for key in matrix if key.startswith(_INTO)}
    return {"metadata": fields} if fields else {}


def unused(multiples: Multiples, used: set[str], given: Container[str]) -> Iterator[ValueFault]:
    """Report unused names: the entry's tasks would all make the same video.

    `given` are the entry's fields, defaults included.
    """
    table = multiples.table
    if table is not None and not any(map(table.has, used)):
        message = f"nothing in the entry uses its {table.one}s: each would make the same video"
        hint = f"write `${{{next(iter(table.columns), '')}}}` into a field, such as the prompt"
        if multiples.name_tasks:
            hint = 'write `image: "${file}"` in the entry'
        yield ValueFault((f"{table.one}s",), message, hint)
    elif table is not None and table.needed and table.needed not in used:
        message = f"nothing in the entry uses `${{{table.needed}}}`, the text of the lines"
        hint = f'write `{table.needed}: "${{{table.needed}}}"` in the entry'
        yield ValueFault((f"{table.one}s",), message, hint)
    elif table is not None and table.one == "row":
        yield from _columns_like_fields(table, used, given)
    top, metadata = schema("task")["properties"], schema("task")["$defs"]["metadata"]["properties"]
    for key in multiples.matrix:
        if "." in key or key in used:
            continue
        hint = f"write `${{{key}}}` into a field, such as the prompt"
        if key == "metadata":
            hint = f"write a key for each field: {_as_keys(multiples.matrix[key])}"
        elif key in top:
            hint = f'write `{key}: "${{{key}}}"` in the entry'
        elif near := closest(key, metadata, cutoff=0.8):
            hint = f"did you mean `{_INTO}{near}`?"
        yield ValueFault(("matrix", key), f"nothing in the entry uses `${{{key}}}`", hint, on_key=True)


def _as_keys(values: list[Any]) -> str:
    """Mappings of fields rewritten as matrix keys that set fields of `metadata`."""
    by_field: dict[str, list[Any]] = {}
    for value in values:
        for name, one in value.items() if isinstance(value, dict) else ():
            if one not in by_field.setdefault(name, []):
                by_field[name].append(one)
    by_field = by_field or {"resolution": ["480p", "720p"]}
    lists = {name: ", ".join(map(shown, ones)).replace('"', "") for name, ones in by_field.items()}
    return ", ".join(f"`{_INTO}{name}: [{text}]`" for name, text in lists.items())


def _columns_like_fields(table: Table, used: set[str], given: Container[str]) -> Iterator[ValueFault]:
    """Warn about columns named like a field that nothing in the entry uses."""
    task = schema("task")
    below = {name: f'metadata: {{{name}: "${{{name}}}"}}' for name in task["$defs"]["metadata"]["properties"]}
    dotted = {_INTO + name: f'metadata: {{{name}: "${{{_INTO}{name}}}"}}' for name in below}
    # the duration exists at both levels
    fields = below | dotted | {name: f'{name}: "${{{name}}}"' for name in ("id", *task["properties"])}
    for column in fields.keys() & used:
        del fields[column]
    if "id" in given:
        fields.pop("id", None)
    if "prompt" not in given:  # reported separately
        fields.pop("prompt", None)
    for column in table.columns:
        if column in fields and not any(name.startswith(f"{column}.") for name in used):
            message = f"the column `{column}` is not used by the entry"
            yield ValueFault(("rows",), message, f"write `{fields[column]}` in the entry", Severity.WARNING)


def equal_ids(multiples: Multiples, task_id: object, used: set[str]) -> Iterator[ValueFault]:
    """Report an `id` that is the same for several tasks; `used` are the names in it."""
    table = multiples.table
    lacking = [key for key, values in multiples.matrix.items() if len(values) > 1 and key not in used]
    because = "the video is named after it"
    if lacking:
        names = ", ".join(f"`${{{key}}}`" for key in lacking)
        whole = "-".join([str(task_id), *(f"${{{key}}}" for key in lacking)])
        message = f"several tasks get the same id: {names} {'is' if len(lacking) == 1 else 'are'} not in it"
        hint = f'{because}: write `id: "{whole}"`'
        yield ValueFault(("id",), message, hint)
    elif table is not None and len(table.rows) > 1 and not any(map(table.has, used)):
        hint = f"{because}: include a column whose value differs in each {table.one}"
        if multiples.name_tasks:
            hint = f"{because}: use `${{stem}}` in it, or delete it"
        yield ValueFault(("id",), f"every {table.one} gets the same id `{task_id}`", hint)
