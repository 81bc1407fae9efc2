"""A YAML or JSON text to plain values, each with its line and column.

PyYAML's parser gives the events; they are put together here, because its own composer crashes on deep
nesting, keeps the last of two equal keys, and reads `16:9` and `no` as a number and a boolean. Plain
scalars mean what YAML 1.2's core schema says. Depth and alias expansion are bounded.
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
"""Nodes that all aliases together may stand for."""

_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_CORE = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}
_MERGE = "<<"


def read_yaml(source: Source, report: Report) -> Node | None:
    """The one document in a text; None, and the reasons in `report`, where it can't be read to its end."""
    try:
        if (node := read_json(source, report)) is not None:
            return node
        if found := _NOT_ALLOWED.search(source.text):
            code = f"U+{ord(found.group()):04X}"
            place = source.position(found.start())
            raise TextFault(f"the character {code} is not allowed in YAML", "delete it", *place)
        return _Composer(source, report).document()
    except YAMLError as error:
        fault = too_deep_before(error, source.text) or explained(error, source)
    except TextFault as error:
        fault = error
    report.add(source.place(fault.line, fault.column), fault.message, fault.hint)
    return None


class _Composer:
    """Events to nodes. What makes the rest unreadable is raised as a TextFault, the rest is reported."""

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._report = report
        self._parser = Parser(source.text)
        self._anchors: dict[str, Node | None] = {}
        self._unused: dict[str, tuple[int, int]] = {}
        """Anchors of plain texts that nothing has repeated so far."""
        self._expanded = 0

    def document(self) -> Node:
        """The whole stream, which must be one document with something in it."""
        self._next()  # the start of the stream
        if isinstance(self._next(), StreamEndEvent):
            raise TextFault("the file is empty", "write a manifest into it: `version`, `tasks`", 1, 1)
        root = self._node(self._next(), 1)
        self._next()  # the end of the document
        after = self._next()
        if isinstance(after, DocumentStartEvent):
            raise _fault(
                after, "a second YAML document begins here", "delete the `---`; one file, one manifest"
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
            self._anchors[anchor] = None  # it is open: an alias to it from within would have no end
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
                f"`*{name}` refers to nothing",
                f"write `&{name}` before the value to repeat, or put the text in quotes",
            )
        self._unused.pop(name, None)
        node = self._anchors[name]
        if node is None:
            raise _fault(event, f"`*{name}` stands within the value that it repeats", "write the value out")
        self._expanded += node.size
        if self._expanded > MAX_EXPANDED:
            hint = "write the values out, or put them into `defaults`"
            raise _fault(event, f"the aliases stand for more than {MAX_EXPANDED:,} values", hint)
        if depth + node.height > MAX_DEPTH:
            raise _fault(
                event, f"nested more than {MAX_DEPTH} levels deep through `*{name}`", "write it flatter"
            )
        # Its own place is kept, not the alias's: what is wrong in it has to be fixed there.
        return node

    def _scalar(self, event: ScalarEvent) -> Node:
        value: Scalar = event.value
        if event.style == '"' and not is_text(event.value):  # not every parser refuses it
            raise _fault(event, "an escape in this text is half of a character", "write the character itself")
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
        """Warn of a plain text that hardly says what is meant."""
        end = event.end_mark
        assert end is not None  # noqa: S101  # the parser gives every event its marks
        if slip := slip_after(self._source.line(end.line + 1), end.column + 1, event.value):
            place = (end.line + 1, slip.column) if slip.column else _place(event)
            self._add(place, slip.message, slip.hint, Severity.WARNING)

    def _warn_of_unused(self, anchor: str) -> None:
        if place := self._unused.pop(anchor, None):
            message = f"`&{anchor}` marks a text that nothing repeats; it is not part of the text"
            hint = "put the whole in quotes if it belongs to the text, or delete it"
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
                first = f"it stands first in line {keys[key][0]}"
                self._add(place, f"`{key}` is written twice", f"{first}; keep one of the two")
            elif key is not None:
                values[key], keys[key] = value, place
        for node in merged:  # what stands in the mapping itself wins, then what is merged first
            assert isinstance(node.value, dict)  # noqa: S101
            for key, value in node.value.items():
                if key not in values:
                    values[key], keys[key] = value, node.keys[key]
        return collection(_place(start), values, list(values.values()), keys)

    def _key(self, event: Event, depth: int) -> str | None:
        """The text of a key; None, and a problem, for one that is no text."""
        if isinstance(event, ScalarEvent):
            if event.tag not in (None, "!", _CORE + "str"):
                self._refuse_tag(event)
            return self._sound_key(event) if event.implicit[0] else str(event.value)
        node = self._node(event, depth + 1)
        if isinstance(node.value, str):
            return node.value
        self._add(_place(event), "a key must be text", "write `key: value`, the key without brackets")
        return None

    def _sound_key(self, event: ScalarEvent) -> str:
        """A key without the characters at its ends that nobody sees; each is a problem."""
        key, (line, column) = str(event.value), _place(event)
        bare = without_odd(key)
        if bare == key:
            return key
        if key[0].isspace() and (slip := slip_in(key)):
            # it is no indentation, so what stands below what can't be known
            raise TextFault(slip.message, slip.hint, line, column)
        self._add((line, column), f"{named(odd_character(key))} stands beside the key `{bare}`", "delete it")
        return bare

    def _mergeable(self, event: Event, node: Node) -> list[Node]:
        parts = node.value if isinstance(node.value, list) else [node]
        if all(isinstance(part.value, dict) for part in parts):
            return parts
        self._add(
            _place(event), "`<<` can only take in mappings", "write `<<: *name` of a mapping marked `&name`"
        )
        return []

    def _check_tag(self, event: Event, allowed: str) -> None:
        if isinstance(event, CollectionStartEvent) and event.tag not in (None, "!", _CORE + allowed):
            self._refuse_tag(event)

    def _refuse_tag(self, event: Event) -> None:
        tag = str(getattr(event, "tag", "")).replace(_CORE, "!!")
        self._add(_place(event), f"the tag `{tag}` can't be used here", "write the plain value without a tag")

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
