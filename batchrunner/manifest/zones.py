"""Finds time zones: by name, or the system's."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from batchrunner.core.errors import UsageError
from batchrunner.core.text import closest

SYSTEM_ZONE = Path("/etc/localtime")
"""Usually a link to a file below a folder named `zoneinfo`."""
_EXAMPLE = "write a name such as Europe/Berlin, or UTC"


class Zone(NamedTuple):
    """A time zone and its name."""

    rules: tzinfo
    name: str


def zone_named(name: str) -> Zone:
    """The time zone with this IANA name, such as `Europe/Berlin`.

    Raises:
        UsageError: there is none, or the system has no time zone data.
    """
    if name == "UTC":
        return Zone(UTC, name)
    try:
        return Zone(ZoneInfo(name), name)
    except (KeyError, ValueError, OSError) as error:  # unknown, not a name, or a folder such as `Europe`
        known = {one.lower(): one for one in available_timezones()}
        if not known:
            hint = "this system has no time zone data: run `apt install tzdata` or `pip install tzdata`"
            raise UsageError(f"unknown time zone {name!r}", hint) from error
        near = known.get(name.lower()) or closest(name, known.values())
        raise UsageError(
            f"unknown time zone {name!r}", f"did you mean {near}?" if near else _EXAMPLE
        ) from error


def system_zone() -> Zone:
    """The time zone that the system's clocks show.

    Raises:
        UsageError: it can't be determined.
    """
    given = os.environ.get("TZ")
    if given is not None:
        try:
            return (
                _in_file(Path(given[1:]))
                if given.startswith(":/")
                else zone_named(given.lstrip(":") or "UTC")
            )
        except (UsageError, OSError, ValueError) as error:
            raise UsageError(
                f"the time zone can't be determined: TZ is {given!r}",
                "set `run.timezone`, such as Europe/Berlin",
            ) from error
    try:
        return _in_file(SYSTEM_ZONE)
    except FileNotFoundError:
        return zone_named("UTC")  # as the C library does
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the time zone can't be determined: {SYSTEM_ZONE} is unreadable",
            "set `run.timezone`, such as Europe/Berlin",
        ) from error


def _in_file(path: Path) -> Zone:
    _, _, name = str(path.resolve()).partition("/zoneinfo/")
    with path.open("rb") as file:
        return Zone(ZoneInfo.from_file(file), name or "local time")
