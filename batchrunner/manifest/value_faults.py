"""Faults of values, before their source positions are looked up."""

from __future__ import annotations

import json
from dataclasses import dataclass

from batchrunner.core.problems import Severity
from batchrunner.core.redaction import redacted
from batchrunner.core.text import quotable
from batchrunner.manifest.nodes import Path

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ValueFault:
    """One fault at `path`, which starts at the checked value."""

    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    on_key: bool = False
    """Whether the key is wrong, not its value."""
    missing: bool = False
    """Whether the value at `path` is missing."""

    @property
    def is_error(self) -> bool:
        """Whether it prevents a run."""
        return self.severity is Severity.ERROR


def dotted(path: Path) -> str:
    """A path as text, such as `metadata.content[0].role`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """A value as JSON, without secrets, shortened for messages."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = quotable(redacted(json.dumps(value, ensure_ascii=False, default=str)))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
