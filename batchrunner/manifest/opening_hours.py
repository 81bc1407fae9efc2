"""Converts the manifest's `window`, `timezone` and `deadline` to the hours of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from batchrunner.core.errors import UsageError
from batchrunner.core.model import RunSettings, StopMode
from batchrunner.core.submission.hours import Hours, Window, ends_at, parse_deadline
from batchrunner.manifest.schema import schema
from batchrunner.manifest.value_faults import ValueFault
from batchrunner.manifest.zones import Zone, system_zone, zone_named

LONGEST = timedelta(hours=8760)


def hours_of(settings: RunSettings, wall: float) -> Hours:
    """The hours in which a run that starts at `wall` (Unix seconds) may submit.

    Raises:
        UsageError: the time zone can't be found.
        ValueError: the settings were not checked.
    """
    if not (settings.window or settings.deadline):
        return Hours()
    zone = _zone(settings.timezone)
    deadline = parse_deadline(settings.deadline) if settings.deadline else None
    hours = Hours(
        zone.rules,
        zone.name,
        Window.parse(settings.window) if settings.window else None,
        stays_over=isinstance(deadline, datetime),
        detaches=settings.stop is StopMode.DETACH,
    )
    if deadline is None:
        return hours
    if isinstance(deadline, timedelta):
        return replace(hours, ends_after=deadline.total_seconds())
    return replace(hours, ends_at=ends_at(deadline, wall, zone.rules))


def night_of(settings: RunSettings, wall: float) -> str:
    """The date, such as 2026-11-28, of the night that it is at `wall` (Unix seconds).

    It is the day on which the window opened last; without a window, the day itself.

    Raises:
        UsageError: the time zone can't be found.
    """
    zone = _zone(settings.timezone).rules
    opened = [wall]
    if settings.window:
        opened += [begin for begin, _ in Window.parse(settings.window).spans(wall, zone) if begin <= wall]
    return datetime.fromtimestamp(opened[-1], zone).date().isoformat()


def impossible_hours(given: Mapping[str, Any]) -> Iterator[ValueFault]:
    """What is wrong with these settings beyond their form, which the schema checks.

    The section may have other faults.
    """
    for name, fault_of in (
        ("window", _window_fault),
        ("timezone", _zone_fault),
        ("deadline", _deadline_fault),
    ):
        value, pattern = (
            given.get(name),
            schema("manifest")["properties"]["run"]["properties"][name]["pattern"],
        )
        if isinstance(value, str) and re.fullmatch(pattern, value) and (fault := fault_of(value)):
            yield ValueFault(("run", name), f"`run.{name}`: {fault[0]}", fault[1])
    if ("window" in given or "deadline" in given) and "timezone" not in given:
        name = "window" if "window" in given else "deadline"
        if fault := _zone_fault(""):
            yield ValueFault(("run", name), f"`run.{name}`: {fault[0]}", fault[1])


def _window_fault(text: str) -> tuple[str, str] | None:
    try:
        Window.parse(text)
    except ValueError as error:
        return f"{text} {error}", "delete `window` to submit at any time"
    return None


def _zone_fault(name: str) -> tuple[str, str] | None:
    try:
        _zone(name)
    except UsageError as error:
        return str(error), error.hint
    return None


def _deadline_fault(text: str) -> tuple[str, str] | None:
    try:
        deadline = parse_deadline(text)
    except ValueError:
        return f"there is no date {text}", "write a date and time such as 2027-03-28 07:00"
    if isinstance(deadline, timedelta) and not timedelta(0) < deadline <= LONGEST:
        return f"{text} is out of bounds", "use a time above 0, at most 8760h"
    return None


def _zone(name: str) -> Zone:
    return zone_named(name) if name else system_zone()
