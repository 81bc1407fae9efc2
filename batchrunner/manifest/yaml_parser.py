"""PyYAML's parser, using libyaml if installed. Hides the differences between their versions.

Newer versions of libyaml have their own nesting limit and hit it while looking ahead: the parser then
fails before it has returned the earlier events.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from yaml import MarkedYAMLError, YAMLError
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, NodeEvent

from batchrunner.manifest.source import TextFault

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML was built without libyaml: the same events, more slowly
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

Parser = _Loader

MAX_DEPTH = 64


def too_deep(event: Event) -> TextFault:
    """The error for a value at `event` that is nested too deeply."""
    mark = event.start_mark
    assert mark is not None  # noqa: S101  # every event of the parser has marks
    message, hint = f"nested more than {MAX_DEPTH} levels deep", "a manifest needs about five"
    return TextFault(message, hint, mark.line + 1, mark.column + 1)


def too_deep_before(error: YAMLError, text: str) -> TextFault | None:
    """Whether the text is nested too deeply before the position where the parser gave up."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    depth = 0
    for event in _events(text[: mark.index]) if mark else ():
        if isinstance(event, CollectionEndEvent):
            depth -= 1
        elif isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and depth >= MAX_DEPTH:
            return too_deep(event)
        elif isinstance(event, CollectionStartEvent):
            depth += 1
    return None


def _events(text: str) -> Iterator[Event]:
    """The events of a text up to its first error."""
    parser = Parser(text)
    with suppress(YAMLError):
        while (event := parser.get_event()) is not None:
            yield event
