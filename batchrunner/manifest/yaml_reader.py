"""Reads YAML or JSON into plain values with their lines and columns.

PyYAML's parser provides the events; they are composed here because its own composer crashes on deep
nesting, silently accepts duplicate keys, and reads `16:9` and `no` as a number and a boolean. Plain
scalars follow YAML 1.2's core schema. Depth and alias expansion are limited.
"""

from __future__ import annotations

import re

from yaml import YAMLError
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from batchrunner.core.problems import Severity
from batchrunner.core.text import is_text
from batchrunner.manifest.json_reader import read_json
from batchrunner.manifest.nodes import Node, Scalar, collection
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.scalars import resolved
from batchrunner.manifest.source import Source, TextFault
from batchrunner.manifest.typos import named, odd_character, slip_after, slip_in, without_odd
from batchrunner.manifest.yaml_parser import MAX_DEPTH, Parser, too_deep, too_deep_before
from batchrunner.manifest.yaml_words import explained

MAX_EXPANDED = 1_000_000
"""How many nodes all aliases together may expand to."""

_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_CORE = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}
_MERGE = "<<"


def read_yaml(source: Source, report: Report, needs: str = "`version` and `tasks`") -> Node | None:
    """The single document in a text; None, with the reasons in `report`, if it can't be read.

    `needs` says what an empty file lacks.
    """
    try:
        if (node := read_json(source, report)) is not None:
            return node
        if found := _NOT_ALLOWED.search(source.text):
            code = f"U+{ord(found.group()):04X}"
            place = source.position(found.start())
            raise TextFault(f"the character {code} is not allowed in YAML", "delete it", *place)
        return _Composer(source, report, needs).document()
    except YAMLError as error:
        fault = too_deep_before(error, source.text) or explained(error, source)
    except TextFault as error:
        fault = error
    report.add(source.place(fault.line, fault.column), fault.message, fault.hint)
    return None


class _Composer:
    """Composes events into nodes. Fatal faults are raised as TextFault, others are reported."""

    def __init__(self, source: Source, report: Report, needs: str) -> None:
        self._source, self._needs = source, needs
        self._report = report
        self._parser = Parser(source.text)
        self._anchors: dict[str, Node | None] = {}
        self._unused: dict[str, tuple[int, int]] = {}
        """Anchors of plain scalars without an alias so far."""
        self._expanded = 0

    def document(self) -> Node:
        """The whole stream, which must be one non-empty document."""
        self._next()  # the start of the stream
        if isinstance(self._next(), StreamEndEvent):
            raise TextFault("the file is empty", f"add {self._needs}", 1, 1)
        root = self._node(self._next(), 1)
        self._next()  # the end of the document
        after = self._next()
        if isinstance(after, DocumentStartEvent):
            raise _fault(
                after, "a second YAML document starts here", "delete the `---`: one manifest per file"
            )
        for name in list(self._unused):
            self._warn_of_unused(name)
        return root

    def _next(self) -> Event:
        event = self._parser.get_event()
        assert event is not None, "the composer stops at the end of the stream"  # noqa: S101
        return event

    def _node(self, event: Event, depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if depth > MAX_DEPTH:
            raise too_deep(event)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._warn_of_unused(anchor)
            self._anchors[anchor] = None  # still open: an alias to it from inside would be infinite
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            node = self._sequence(event, depth)
        if anchor:
            self._anchors[anchor] = node
            if isinstance(event, ScalarEvent) and event.implicit[0]:
                self._unused[anchor] = _place(event)
        return node

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        name = event.anchor
        if name not in self._anchors:
            raise _fault(
                event,
                f"unknown alias `*{name}`",
                f"add `&{name}` before the value to repeat, or quote the text",
            )
        self._unused.pop(name, None)
        node = self._anchors[name]
        if node is None:
            raise _fault(event, f"`*{name}` is inside the value it refers to", "write out the value")
        self._expanded += node.size
        if self._expanded > MAX_EXPANDED:
            hint = "write out the values, or move them to `defaults`"
            raise _fault(event, f"the aliases expand to more than {MAX_EXPANDED:,} values", hint)
        if depth + node.height > MAX_DEPTH:
            raise _fault(
                event, f"nested more than {MAX_DEPTH} levels deep through `*{name}`", "reduce the nesting"
            )
        # Keep its own place, not the alias's: its faults must be fixed there.
        return node

    def _scalar(self, event: ScalarEvent) -> Node:
        value: Scalar = event.value
        if event.style == '"' and not is_text(event.value):  # not every parser rejects it
            raise _fault(
                event, "an escape in this text is half a surrogate pair", "write the character itself"
            )
        if event.tag is None and event.implicit[0]:
            value = resolved(event.value)
            if isinstance(value, str):
                self._doubt(event)
        elif event.tag not in (None, "!", _CORE + "str"):
            value = resolved(event.value)
            if type(value) not in _TAGGED.get(event.tag, ()):
                self._refuse_tag(event)
        return Node(value, *_place(event), {}, 1, 1, event.value)

    def _doubt(self, event: ScalarEvent) -> None:
        """Warn about a plain scalar that is probably not what was meant."""
        end = event.end_mark
        assert end is not None  # noqa: S101  # the parser gives every event its marks
        if slip := slip_after(self._source.line(end.line + 1), end.column + 1, event.value):
            place = (end.line + 1, slip.column) if slip.column else _place(event)
            self._add(place, slip.message, slip.hint, Severity.WARNING)

    def _warn_of_unused(self, anchor: str) -> None:
        if place := self._unused.pop(anchor, None):
            message = f"`&{anchor}` is read as an anchor that nothing refers to, not as part of the text"
            hint = "quote the whole text if it is part of it, or delete it"
            self._add(place, message, hint, Severity.WARNING)

    def _sequence(self, start: Event, depth: int) -> Node:
        self._check_tag(start, "seq")
        items = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return collection(_place(start), items, items, {})

    def _mapping(self, start: Event, depth: int) -> Node:
        self._check_tag(start, "map")
        values: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        merged: list[Node] = []
        while not isinstance(event := self._next(), MappingEndEvent):
            place = _place(event)
            key = self._key(event, depth)
            value = self._node(self._next(), depth + 1)
            if key == _MERGE and isinstance(event, ScalarEvent) and event.implicit[0]:
                merged += self._mergeable(event, value)
                continue
            if key in keys:
                first = f"first used in line {keys[key][0]}"
                self._add(place, f"duplicate key `{key}`", f"{first}; keep one of the two")
            elif key is not None:
                values[key], keys[key] = value, place
        for node in merged:  # the mapping's own keys win, then those merged first
            assert isinstance(node.value, dict)  # noqa: S101
            for key, value in node.value.items():
                if key not in values:
                    values[key], keys[key] = value, node.keys[key]
        return collection(_place(start), values, list(values.values()), keys)

    def _key(self, event: Event, depth: int) -> str | None:
        """The text of a key; None, with a problem, if it is not text."""
        if isinstance(event, ScalarEvent):
            if event.tag not in (None, "!", _CORE + "str"):
                self._refuse_tag(event)
            return self._sound_key(event) if event.implicit[0] else str(event.value)
        node = self._node(event, depth + 1)
        if isinstance(node.value, str):
            return node.value
        self._add(_place(event), "a key must be text", "write `key: value`, without brackets around the key")
        return None

    def _sound_key(self, event: ScalarEvent) -> str:
        """A key stripped of invisible characters; each is a problem."""
        key, (line, column) = str(event.value), _place(event)
        bare = without_odd(key)
        if bare == key:
            return key
        if key[0].isspace() and (slip := slip_in(key)):
            # not valid indentation, so the structure is unknown
            raise TextFault(slip.message, slip.hint, line, column)
        self._add((line, column), f"{named(odd_character(key))} is next to the key `{bare}`", "delete it")
        return bare

    def _mergeable(self, event: Event, node: Node) -> list[Node]:
        parts = node.value if isinstance(node.value, list) else [node]
        if all(isinstance(part.value, dict) for part in parts):
            return parts
        self._add(
            _place(event), "`<<` can only merge mappings", "use `<<: *name` with a mapping marked `&name`"
        )
        return []

    def _check_tag(self, event: Event, allowed: str) -> None:
        if isinstance(event, CollectionStartEvent) and event.tag not in (None, "!", _CORE + allowed):
            self._refuse_tag(event)

    def _refuse_tag(self, event: Event) -> None:
        tag = str(getattr(event, "tag", "")).replace(_CORE, "!!")
        self._add(_place(event), f"unsupported tag `{tag}`", "remove the tag")

    def _add(
        self, place: tuple[int, int], message: str, hint: str, severity: Severity = Severity.ERROR
    ) -> None:
        self._report.add(self._source.place(*place), message, hint, severity)


def _place(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # noqa: S101  # the parser gives every event its marks
    return mark.line + 1, mark.column + 1


def _fault(event: Event, message: str, hint: str) -> TextFault:
    return TextFault(message, hint, *_place(event))
