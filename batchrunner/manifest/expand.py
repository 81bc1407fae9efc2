"""Expands manifest entries into tasks: merges defaults, fills templates, checks every task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

from batchrunner.core.model import Fit, Request
from batchrunner.core.plan import WantedTask, id_fault
from batchrunner.core.problems import Severity
from batchrunner.core.rules.limits import Limits
from batchrunner.manifest import templates
from batchrunner.manifest.entries import Entry, Expanded
from batchrunner.manifest.multiples import (
    MAX_TASKS,
    At,
    Filling,
    Multiples,
    Table,
    equal_ids,
    matrix_faults,
    reaching,
    unused,
)
from batchrunner.manifest.nodes import Node, plain
from batchrunner.manifest.nodes import Path as ValuePath
from batchrunner.manifest.preparing import Preparer
from batchrunner.manifest.prompt_files import MissingPrompt, PromptFault, PromptFiles, one_prompt
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats.table import Reading
from batchrunner.manifest.schema import MULTIPLYING, wanted_types
from batchrunner.manifest.source import Source
from batchrunner.manifest.tables import Tables
from batchrunner.manifest.task_checks import Checked, Checker, field_of, without_fields
from batchrunner.manifest.validation import Outlines
from batchrunner.manifest.value_faults import ValueFault, shown
from batchrunner.media.local_files import MediaFolder
from batchrunner.media.objects import OpenObjects

_OURS = frozenset({"id", "labels", "prompt_file"})
"""Fields of an entry that are never sent to the gateway."""
_OTHER_ID = "choose another one, or omit `id` to have one generated"
_JSON = json.JSONEncoder(ensure_ascii=False)
_AHEAD = 256
"""How many tasks are looked at together for inputs in buckets."""
_ONE = Multiples()
"""An entry that makes one task."""


class Expander:
    """Expands the entries of one manifest."""

    def __init__(
        self,
        path: Path,
        source: Source,
        report: Report,
        defaults: Node | None,
        limits: Limits,
        fit: Fit | None = None,
        most: int | None = None,
        objects: OpenObjects | None = None,
        uploads: str = "",
    ) -> None:
        """With `most`, only the first so many rows or files of each entry are expanded.

        `objects` opens the inputs in buckets; local videos and sounds are stored at `uploads`.
        """
        self._path = path
        self._source = source
        self._report = report
        self._outlines = Outlines()
        media = MediaFolder(path.parent, limits.inputs, fit, objects, uploads)
        self._checker = Checker(limits, media, self._outlines)
        self._defaults = defaults
        values = as_entry(defaults) if defaults is not None else None
        given = values.items() if isinstance(values, dict) else ()
        self._default_values = {key: value for key, value in given if key not in ("id", *MULTIPLYING)}
        self._tables = Tables(path, source.shown, report, objects)
        self._prompts = PromptFiles(path.parent)
        self._asked_for, self._most = 0, most

    def expand(self, node: Node) -> Iterator[Expanded]:
        """The tasks of one entry; faults are reported."""
        value = as_entry(node)
        faults = self._outlines.check("entry", value)
        multiples: Multiples | None = None
        if isinstance(value, dict) and not {fault.path[0] for fault in faults}.intersection(MULTIPLYING):
            multiples, found = self._multiples(value)
            faults = (*faults, *found)
        if faults:
            self._tell_all(Entry(node, None, self._source, templates.Fixed(None), _ONE), faults)
        if multiples is None or not isinstance(value, dict):
            return
        own = {key: item for key, item in value.items() if key not in MULTIPLYING}
        entry, broken = self._prepare(node, own, multiples)
        broken |= {fault.path for fault in faults if fault.path == ("prompt_file",)}
        self._asked_for += multiples.count
        if self._asked_for > MAX_TASKS:
            key = next((key for key in ("matrix", "repeat", "rows", "files") if key in value), "prompt")
            message = f"with this entry there are {self._asked_for:,} tasks; the limit is {MAX_TASKS:,}"
            self._tell_all(
                entry, [ValueFault((key,), message, "split it into several manifests", on_key=True)]
            )
            return
        without: dict[At, str] = {}
        yield from self._tasks(entry, broken, without)
        if files := list(dict.fromkeys(without.values())):
            wrong = ValueFault(("prompt_file",), *self._prompts.missing(files))
            self._tell_all(entry, [wrong], None if len(files) > 1 else next(iter(without)))

    def _multiples(self, value: Mapping[str, Any]) -> tuple[Multiples | None, list[ValueFault]]:
        """What multiplies an entry; None if that can't be determined."""
        if value.keys().isdisjoint(MULTIPLYING):
            return _ONE, []
        faults: list[ValueFault] = []
        table: Table | None = None
        if "rows" in value and "files" in value:
            message = "`rows` and `files` can't both fill an entry"
            faults.append(ValueFault(("files",), message, "split it into two entries", on_key=True))
        elif "rows" in value:
            reading = Reading(**{key: value[key] for key in Reading._fields if key in value})
            table, faults = self._tables.rows(value["rows"], reading)
        elif given := [key for key in Reading._fields if key in value]:
            message = f"`{given[0]}` has no effect without `rows`"
            faults.append(ValueFault((given[0],), message, "delete it", on_key=True))
        elif "files" in value:
            table, faults = self._tables.files(value["files"])
        if table is None and ("rows" in value or "files" in value):
            return None, faults
        matrix = value.get("matrix", {})
        wrong = matrix_faults(matrix, value, table)
        if any(fault.is_error for fault in wrong):
            return None, faults + wrong
        return Multiples(table, matrix, int(value.get("repeat", 1))), faults + wrong

    def _prepare(
        self, node: Node, value: dict[str, Any], multiples: Multiples
    ) -> tuple[Entry, frozenset[ValuePath]]:
        """The entry with its templates parsed, and the fields whose templates are wrong."""
        has_id = value.get("id") is not None
        merged = merge(merge(self._default_values, value), reaching(multiples.matrix))
        doubled = one_prompt(merged, value)
        preparer = Preparer(multiples.names, _types)
        filler = preparer.prepare(merged)
        faults = doubled + preparer.faults or [*unused(multiples, preparer.used, merged.keys())]
        if multiples.name_tasks and multiples.combinations == 1 and not has_id:
            filler = preparer.prepare({**merged, "id": "${stem}"})
        embedded = tuple((path, name) for path, name in templates.embedded(filler) if path[0] != "labels")
        entry = Entry(node, self._defaults, self._source, filler, multiples, has_id, embedded)
        if has_id and ("id",) not in {field_of(fault.path) for fault in faults}:
            naming = preparer.prepare(value["id"], ("id",))
            faults += equal_ids(multiples, value["id"], templates.names_in(naming))
            if isinstance(naming, templates.Text) and (wrong := id_fault("x".join(naming.parts[::2]))):
                # it is the same in each of its tasks
                faults.append(ValueFault(("id",), f"{shown(value['id'])} can't be an id: {wrong}", _OTHER_ID))
        self._tell_all(entry, faults)
        return entry, frozenset(field_of(fault.path) for fault in faults)

    def _tasks(
        self, entry: Entry, broken: frozenset[ValuePath], without: dict[At, str]
    ) -> Iterator[Expanded]:
        """The tasks of all fillings and their repeats; `without` collects missing prompt files."""
        multiples, repeat = entry.multiples, entry.multiples.repeat
        id_is_broken = ("id",) in broken
        place = f"{self._path.name}:{entry.node.line}" if multiples.table is None else ""
        for (at, row, source), filled in self._fillings(entry):
            given, labels = filled.pop("id", ""), filled.pop("labels", {})
            task_id = given if isinstance(given, str) and not id_is_broken else ""
            checked, faults = self._checked(filled, broken, at, without)
            texts, are_texts = _as_text(labels)
            if not are_texts:
                faults += self._outlines.check("entry", {"labels": labels})
            if task_id:
                faults += _id_faults(task_id, repeat, entry.has_id)
            if faults:
                self._tell_all(entry, faults, at)
            for where, message, hint in entry.gaps(at, row) if entry.embedded else ():
                self._report.add(where, message, hint, Severity.WARNING)
            name = str(row.get("stem", "")) if multiples.name_tasks else ""
            content = checked.content
            request = cast("Request", without_fields(checked.request, broken)) if broken else checked.request
            for repetition in range(1, repeat + 1):
                its_id = f"{task_id}-{repetition}" if task_id and repetition > 1 else task_id
                wanted = WantedTask(content, its_id, texts, place + source, name) if content else None
                yield Expanded(entry, at, its_id, request, wanted)

    def _fillings(self, entry: Entry) -> Iterator[tuple[Filling, dict[str, object]]]:
        """Each filling with its fields; what many of them need of buckets is read at once."""
        fillings = islice(entry.multiples.fillings(), self._most)
        while some := [(one, self._filled(entry, one.values)) for one in islice(fillings, _AHEAD)]:
            self._checker.prepare(fields for _, fields in some)
            yield from some

    def _filled(self, entry: Entry, row: templates.Row) -> dict[str, object]:
        """The fields of one filling."""
        filled = cast("dict[str, object]", entry.filler.fill(row))
        if isinstance(entry.filler, templates.Fixed):
            return dict(filled)  # it is shared
        if entry.multiples.matrix and entry.has_id and isinstance(entry.filler, templates.Keyed):
            filled["id"] = entry.filler.items["id"].fill(entry.multiples.naming(row))
        return filled

    def _checked(
        self, filled: dict[str, object], broken: frozenset[ValuePath], at: At, without: dict[At, str]
    ) -> tuple[Checked, list[ValueFault]]:
        """The request of one filling, and its faults, except in fields whose templates are wrong."""
        file = filled.pop("prompt_file", None)
        is_broken = ("prompt_file",) in broken
        unread = self._read_prompt(filled, file, at, without) if not (file is None or is_broken) else []
        if unread or is_broken or at in without:
            filled["prompt"] = "x"  # so that the other fields are still checked
        checked = self._checker.check(filled)
        faults = [fault for fault in checked.faults if field_of(fault.path) not in broken] + unread
        return checked, [_in_file(fault, file) for fault in faults] if file is not None else faults

    def _read_prompt(
        self, filled: dict[str, object], file: object, at: At, without: dict[At, str]
    ) -> list[ValueFault]:
        """Replace the prompt by the text of the prompt file, or return why not."""
        try:
            filled["prompt"] = self._prompts.prompt(str(file))
        except PromptFault as fault:
            return [ValueFault(("prompt_file",), f"`prompt_file`: {fault.message}", fault.hint)]
        except MissingPrompt:
            without[at] = str(file)
        return []

    def _tell_all(self, entry: Entry, faults: Iterable[ValueFault], at: At | None = None) -> None:
        for fault in faults:
            self._report.add(*entry.tell(fault, at), fault.severity, fault.path)


def as_entry(node: Node) -> object:
    """An entry as plain values; numbers in its id and labels stay as written."""
    value = plain(node)
    if isinstance(node.value, dict) and isinstance(value, dict):
        labels = node.value.get("labels")
        value |= _numbers_as_text({key: node.value[key] for key in ("id",) if key in node.value})
        if labels is not None and isinstance(labels.value, dict):
            value["labels"] |= _numbers_as_text(labels.value)
    return value


def _numbers_as_text(nodes: Mapping[str, Node]) -> dict[str, str]:
    return {key: node.text for key, node in nodes.items() if type(node.value) in (int, float)}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` merged into `base`: mappings merge deeply, other values replace."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _in_file(fault: ValueFault, file: object) -> ValueFault:
    """A prompt's fault with the name of the prompt file."""
    return replace(fault, message=f"{fault.message} (in {file})") if fault.path == ("prompt",) else fault


def _types(path: ValuePath) -> frozenset[str]:
    return frozenset({"string"}) if path[0] in _OURS else wanted_types(path)


def _id_faults(task_id: str, repeat: int, is_given: bool) -> list[ValueFault]:
    """Why the id of a task, or of its last repeat, can't be a file name."""
    for one in (task_id, f"{task_id}-{repeat}") if repeat > 1 else (task_id,):
        if wrong := id_fault(one):
            hint = _OTHER_ID if is_given else "rename the file, or add an `id`"
            return [ValueFault(("id",), f"{shown(one)} can't be an id: {wrong}", hint)]
    return []


def _as_text(labels: object) -> tuple[str, bool]:
    """Labels as a JSON object whose values are texts, and whether they were texts before."""
    if not labels or not isinstance(labels, dict):
        return "{}", True
    # Encoded one by one: for a small mapping, that is much faster than as a whole.
    encode, texts, are_texts = _JSON.encode, [], True
    for name, value in labels.items():
        is_text = isinstance(value, str)
        are_texts = are_texts and is_text
        texts.append(f"{encode(name)}: {encode(value if is_text else json.dumps(value))}")
    return f"{{{', '.join(texts)}}}", are_texts
