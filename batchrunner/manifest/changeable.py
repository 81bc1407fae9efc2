"""The `run` settings that can be changed during a run, checked as in the manifest."""

from __future__ import annotations

from collections.abc import Mapping

from batchrunner.core.errors import UsageError
from batchrunner.core.text import closest
from batchrunner.manifest.validation import check

CHANGEABLE = ("concurrency", "downloads", "submit_rate")


def checked_limits(given: object) -> Mapping[str, float | str]:
    """Limits by name, checked against the bounds in the manifest's schema.

    Raises:
        UsageError: an unknown name, or a value out of bounds.
    """
    if not isinstance(given, dict):
        raise UsageError("limits must be NAME=VALUE", "for example, concurrency=20")
    for name in given:
        if name not in CHANGEABLE:
            near = closest(name, CHANGEABLE)
            hint = f"did you mean {near}?" if near else f"valid names: {', '.join(CHANGEABLE)}"
            raise UsageError(f"{name} can't be changed during a run", hint)
    for fault in check("manifest", {"version": 1, "tasks": [{}], "run": given}):
        if fault.path[:1] == ("run",):
            raise UsageError(
                f"{fault.path[-1]}={given.get(str(fault.path[-1]))}: {fault.message}", fault.hint
            )
    return given
