"""What is wrong with a value, before anyone has looked up where it was written."""

from __future__ import annotations

import json
from dataclasses import dataclass

from batchrunner.core.problems import Severity
from batchrunner.core.text import quotable
from batchrunner.manifest.nodes import Path

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ValueFault:
    """One thing that is wrong at `path`, which begins at the checked value."""

    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    on_key: bool = False
    """Whether the key is wrong, and not what stands under it."""
    missing: bool = False
    """Whether there should be something at `path`, and isn't."""

    @property
    def is_error(self) -> bool:
        """Whether it stands against running."""
        return self.severity is Severity.ERROR


def dotted(path: Path) -> str:
    """A path as one writes it: `metadata.content[0].role`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def shown(value: object) -> str:
    """A value as JSON, short enough to stand in a sentence, and without keys."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = quotable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
