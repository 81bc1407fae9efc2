"""Entries of the manifest to wanted tasks: defaults merged, rows read, templates filled, all checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, cast

from batchrunner.core.plan import WantedTask, id_fault
from batchrunner.core.problems import Place
from batchrunner.manifest import templates
from batchrunner.manifest.checking import Checker, field_of
from batchrunner.manifest.faults import Fault, shown
from batchrunner.manifest.limits_file import load_limits
from batchrunner.manifest.media import MediaFolder, inside
from batchrunner.manifest.nodes import Node, descend, place_of, plain
from batchrunner.manifest.nodes import Path as ValuePath
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.rows import Table, read_rows
from batchrunner.manifest.schema import wanted_types
from batchrunner.manifest.source import Source
from batchrunner.manifest.validation import Outlines

_OURS = frozenset({"id", "labels"})
"""Fields of an entry that never go to the gateway."""
_NO_ROW: templates.Row = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the manifest, ready to be filled, with what is needed to say where something stands."""

    node: Node
    defaults: Node | None
    source: Source
    filler: templates.Filler
    table: Table | None

    def place(self, path: ValuePath, index: int | None) -> Place:
        """Where the task of row `index` got what stands at `path`."""
        return self.tell(Fault(path, ""), index)[0]

    def tell(self, fault: Fault, index: int | None) -> tuple[Place, str, str]:
        """Where a fault of the task of row `index` was written; its message and its hint."""
        path = fault.path
        if self.table is not None and index is not None:
            number, line, cells = self.table.rows[index]
            columns, path = templates.columns_behind(self.filler, cells, path)
            if columns:
                names = ", ".join(f"`{name}`" for name in columns)
                which = f"column{'s' if len(columns) > 1 else ''} {names}"
                place = self.table.source.place(line, row=number)
                if fault.missing:
                    return place, f"{fault.message} ({which} is empty)", "fill the cell in"
                return place, f"{fault.message} ({which})", fault.hint
        return self._written(path, fault.on_key), fault.message, fault.hint

    def _written(self, path: ValuePath, on_key: bool) -> Place:
        node = self.node
        if self.defaults is not None and descend(self.defaults, path)[1] > descend(node, path)[1]:
            node = self.defaults
        return self.source.place(*place_of(node, path, on_key))


@dataclass(frozen=True, slots=True)
class Expanded:
    """A wanted task and where it was asked for."""

    task: WantedTask
    entry: Entry
    index: int | None
    """Of its row in the entry's table; None for an entry without rows."""

    def place(self, field: str) -> Place:
        """Where the field was written."""
        return self.entry.place((field,), self.index)


class Expander:
    """Expands the entries of one manifest."""

    def __init__(self, path: Path, source: Source, report: Report, defaults: Node | None) -> None:
        self._path = path
        self._source = source
        self._report = report
        self._outlines = Outlines()
        self._checker = Checker(load_limits(), MediaFolder(path.parent), self._outlines)
        self._defaults = defaults
        values = plain(defaults) if defaults is not None else None
        given = values.items() if isinstance(values, dict) else ()
        self._default_values = {key: value for key, value in given if key not in ("id", "rows")}
        self._tables: dict[Path, Table | None] = {}

    def expand(self, node: Node) -> Iterator[Expanded]:
        """The tasks of one entry; what is wrong with it is reported."""
        value = plain(node)
        faults = self._outlines.check("entry", value)
        for fault in faults:
            self._tell(Entry(node, None, self._source, templates.Fixed(None), None), fault, None)
        if not isinstance(value, dict):
            return
        table = None
        if "rows" in value:
            table = self._table(node, value["rows"]) if ("rows",) not in {f.path for f in faults} else None
            if table is None:
                return
            value = {key: item for key, item in value.items() if key != "rows"}
        entry, broken = self._prepare(node, value, table)
        if table is None:
            yield self._task(entry, _NO_ROW, None, broken)
            return
        for index, row in enumerate(table.rows):
            yield self._task(entry, row.cells, index, broken)

    def _prepare(
        self, node: Node, value: dict[str, Any], table: Table | None
    ) -> tuple[Entry, frozenset[ValuePath]]:
        """The entry with its templates found, and the fields in which they are wrong."""
        merged = merge(self._default_values, value)
        columns = table.columns if table is not None else None
        preparer = templates.Preparer(columns, table.source.shown if table is not None else "", _types)
        entry = Entry(node, self._defaults, self._source, preparer.prepare(merged), table)
        for fault in preparer.faults:
            self._tell(entry, fault, None)
        return entry, frozenset(field_of(fault.path) for fault in preparer.faults)

    def _task(
        self, entry: Entry, row: templates.Row, index: int | None, broken: frozenset[ValuePath]
    ) -> Expanded:
        filled = dict(cast("dict[str, object]", templates.fill(entry.filler, row)))
        task_id, given = filled.pop("id", ""), filled.pop("labels", {})
        checked = self._checker.check(filled)
        faults = [fault for fault in checked.faults if field_of(fault.path) not in broken]
        if isinstance(given, dict) and not all(isinstance(text, str) for text in given.values()):
            faults += self._outlines.check("entry", {"labels": given})
        if isinstance(task_id, str) and task_id and ("id",) not in broken and (wrong := id_fault(task_id)):
            faults.append(Fault(("id",), f"{shown(task_id)} can't be an id: {wrong}", "choose another one"))
        for fault in faults:
            self._tell(entry, fault, index)
        source = self._shown_source(entry, index)
        task_id = task_id if isinstance(task_id, str) else ""
        task = WantedTask(checked.request, task_id, _as_text(given), source)
        return Expanded(task, entry, index)

    def _shown_source(self, entry: Entry, index: int | None) -> str:
        """Where a task was asked for; the same from whichever folder the command is started."""
        if entry.table is None or index is None:
            return f"{self._path.name}:{entry.node.line}"
        return f"{entry.table.written}: row {entry.table.rows[index].number}"

    def _table(self, node: Node, written: str) -> Table | None:
        """The rows file; None, and a problem, where it can't be had."""
        folder = self._path.parent
        message, hint = "", "correct the path, or add the file"
        try:
            path = inside(folder, folder.resolve(), written)
            if path is None:
                message = f"{written} lies outside the manifest's folder"
                hint = "move it beside the manifest, or write its absolute path"
            elif not path.is_file():
                message = f"{written} is a folder" if path.is_dir() else f"there is no file {written}"
            else:
                if path not in self._tables:
                    beside = PurePath(self._source.shown).parent / written
                    self._tables[path] = read_rows(path, str(beside), written, self._report)
                return self._tables[path]
        except (OSError, ValueError, RuntimeError) as error:
            message = f"{written!r} can't be read: {getattr(error, 'strerror', None) or error}"
        self._report.add(self._source.place(*place_of(node, ("rows",))), f"`rows`: {message}", hint)
        return None

    def _tell(self, entry: Entry, fault: Fault, index: int | None) -> None:
        self._report.add(*entry.tell(fault, index), fault.severity)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge deeply, everything else replaces."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _types(path: ValuePath) -> frozenset[str]:
    return frozenset({"string"}) if path[0] in _OURS else wanted_types(path)


def _as_text(labels: object) -> dict[str, str]:
    """Labels that have passed the check, as text."""
    given = labels.items() if isinstance(labels, dict) else ()
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given}
