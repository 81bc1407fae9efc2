"""A manifest entry with its templates, and the source position of everything in its tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from batchrunner.core.model import Request
from batchrunner.core.plan import WantedTask, id_fault
from batchrunner.core.problems import Place
from batchrunner.manifest import templates
from batchrunner.manifest.cells import cell
from batchrunner.manifest.multiples import At, Multiples
from batchrunner.manifest.nodes import Node, Path, descend, place_of
from batchrunner.manifest.source import Source
from batchrunner.manifest.value_faults import ValueFault, dotted


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with its templates parsed, and the positions needed to report faults."""

    node: Node
    defaults: Node | None
    source: Source
    filler: templates.Filler
    multiples: Multiples
    has_id: bool = False
    """Whether the user gave one."""
    embedded: tuple[tuple[Path, str], ...] = ()
    """Names inside longer texts, each with the path of its text."""

    def place(self, path: Path, at: At | None) -> Place:
        """The source position of the value at `path` in one of its tasks."""
        return self.tell(ValueFault(path, ""), at)[0]

    def tell(self, fault: ValueFault, at: At | None) -> tuple[Place, str, str]:
        """The source position, message and hint of a fault in one of its tasks."""
        path, hint, table = self._as_written(fault.path), fault.hint, self.multiples.table
        names: tuple[str, ...] = ()
        if at is not None:
            names, path = templates.names_behind(self.filler, self.multiples.filling(at), path)
        columns = tuple(name for name in names if self._is_of_table(name))
        if table is not None and at is not None and columns:
            if path == ("id",):  # the others are harmless
                cells = table.rows[at.row].cells
                columns = tuple(name for name in columns if id_fault(f"x{cell(cells, name)}")) or columns
            if path == ("images",) and isinstance(cell(table.rows[at.row].cells, columns[0]), str):
                hint = f'write `images: "${{{columns[0]}|split:;}}"` if they are separated by `;`'
            message = fault.message + table.behind(columns, fault.missing)
            return table.place(table.rows[at.row]), message, "fill in the cell" if fault.missing else hint
        if at is not None and len(set(names)) == 1:
            value = ("matrix", names[0], self.multiples.index(at, names[0]))
            hint = "write a value, or delete it" if fault.missing else hint
            return self.source.place(*place_of(self.node, value)), fault.message, hint
        if fault.missing and table is not None and path[-1] in table.columns:
            hint = f'add `{path[-1]}: "${{{path[-1]}}}"`'
        return self._written(path, fault.on_key), fault.message, hint

    def gaps(self, at: At, row: templates.Row) -> Iterator[tuple[Place, str, str]]:
        """Empty cells inside longer texts of one filling: place, message and hint of each."""
        table = self.multiples.table
        for path, name in self.embedded if table is not None else ():
            if table is not None and self._is_of_table(name) and templates.is_blank(cell(row, name)):
                message = f"`${{{name}}}` in `{dotted(path)}` is empty" + table.behind((name,), True)
                hint = "fill in the cell, or make sure the text makes sense without it"
                yield table.place(table.rows[at.row]), message, hint

    def _as_written(self, path: Path) -> Path:
        """Translate a path in a request to one in the entry: the prompt may come from a file."""
        fields = self.filler.value if isinstance(self.filler, templates.Fixed) else {}
        fields = self.filler.items if isinstance(self.filler, templates.Keyed) else fields
        is_in_file = path == ("prompt",) and isinstance(fields, Mapping) and "prompt_file" in fields
        return ("prompt_file",) if is_in_file else path

    def _is_of_table(self, name: str) -> bool:
        table, matrix = self.multiples.table, self.multiples.matrix
        return table is not None and name not in matrix and table.has(name)

    def _written(self, path: Path, on_key: bool) -> Place:
        node = self.node
        if self.defaults is not None and descend(self.defaults, path)[1] > descend(node, path)[1]:
            node = self.defaults
        return self.source.place(*place_of(node, path, on_key))


class Origin(NamedTuple):
    """Where a task comes from."""

    entry: Entry
    at: At
    repetition: int = 1
    """Counted from 1 if its entry has `repeat`."""

    def place(self, *path: str | int) -> Place:
        """The source position of the value at `path`."""
        return self.entry.place(path, self.at)


class Expanded(NamedTuple):
    """A task of an entry."""

    entry: Entry
    at: At
    id: str
    """Its ID; empty if one is to be generated."""
    request: Request
    """With any prompt and any seed."""
    task: WantedTask | None
    """None if it has errors."""
