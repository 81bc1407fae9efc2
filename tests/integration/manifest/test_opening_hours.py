"""The hours of a run as written in a manifest: time zones by name, the system's, and systems without any."""

from datetime import UTC, datetime, tzinfo
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest

from batchrunner.core.errors import ManifestError, UsageError
from batchrunner.core.model import RunSettings, StopMode
from batchrunner.manifest import hours_of, load_manifest, zones

SUMMER = datetime(2027, 6, 26, 4, 13, tzinfo=UTC).timestamp()
"""06:13 in Berlin."""
SHANGHAI = Path(str(files("tzdata") / "zoneinfo" / "Asia" / "Shanghai"))
"""A file with the rules of a time zone; the system may have none."""


@pytest.fixture
def no_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without time zone data, be it the system's own or the package `tzdata`."""

    def unknown(name: str) -> tzinfo:
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zones, "available_timezones", set)
    monkeypatch.setattr(zones, "ZoneInfo", unknown)


def loaded(folder: Path, run: str) -> RunSettings:
    manifest = folder / "night.yaml"
    task = "{model: dreamina-seedance-2-0-fast, prompt: a}"
    manifest.write_text(f"version: 1\nrun: {run}\ntasks: [{task}]\n", encoding="utf-8")
    return load_manifest(manifest).plan.settings


def refused(folder: Path, run: str) -> str:
    with pytest.raises(ManifestError) as caught:
        loaded(folder, run)
    (problem,) = caught.value.problems
    assert problem.place.line == 2
    return f"{problem.message}; {problem.hint}"


def test_hours_are_read_from_the_manifest(tmp_path: Path) -> None:
    """In quotes or not, a window and a deadline are text; they become moments when the run starts."""
    settings = loaded(
        tmp_path, "{window: 22:00-07:00, timezone: Europe/Berlin, deadline: 2027-07-01 07:00, stop: detach}"
    )
    assert settings.stop is StopMode.DETACH
    hours = hours_of(settings, SUMMER)
    assert (hours.zone_name, hours.detaches, hours.stays_over) == ("Europe/Berlin", True, True)
    assert hours.is_open(0, SUMMER)
    assert not hours.is_open(0, SUMMER + 3600)
    assert hours.shown(hours.ends_at) == "2027-07-01 07:00 Europe/Berlin"
    assert hours_of(loaded(tmp_path, "{deadline: 90m}"), SUMMER).ends_after == 5400
    assert not hours_of(loaded(tmp_path, "{}"), SUMMER).are_limited


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("{deadline: 0h}", "above 0"),
        ("{deadline: 9000h}", "at most 8760h"),
        ("{timezone: Europe/Berln}", "did you mean Europe/Berlin?"),
        ("{timezone: Europe}", "unknown time zone"),
        ("{timezone: Nowhere/Land}", "write a name such as Europe/Berlin"),
        ("{window: 22-7}", "must be two times of day"),
        ("{window: 22:00-07:00-08:00}", "must be two times of day"),
        ("{deadline: tomorrow}", "must be 8h, 07:00 or 2027-03-28 07:00"),
        ("{deadline: 25:00}", "must be 8h"),
    ],
)
def test_what_no_clock_or_zone_knows_is_an_error_with_a_cure(tmp_path: Path, run: str, words: str) -> None:
    """One problem, in its line, that says what to write."""
    assert words in refused(tmp_path, run)


@pytest.mark.usefixtures("no_zones")
def test_a_system_without_zones_says_what_to_install(tmp_path: Path) -> None:
    """The names are right, but nothing knows them; UTC needs no data."""
    assert "apt install tzdata" in refused(tmp_path, "{window: 22:00-07:00, timezone: Europe/Berlin}")
    hours = hours_of(loaded(tmp_path, "{window: 22:00-07:00, timezone: UTC}"), SUMMER)
    assert hours.zone is UTC


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Asia/Shanghai", "Asia/Shanghai"),
        (":Asia/Shanghai", "Asia/Shanghai"),
        (f":{SHANGHAI}", "Asia/Shanghai"),
        ("", "UTC"),
    ],
)
def test_without_a_zone_it_is_that_of_tz(monkeypatch: pytest.MonkeyPatch, value: str, name: str) -> None:
    """As for the C library, TZ comes first."""
    monkeypatch.setenv("TZ", value)
    hours = hours_of(RunSettings(window="22:00-07:00"), SUMMER)
    assert hours.zone_name == name
    assert hours.shown(SUMMER)[11:16] == ("12:13" if "Asia" in name else "04:13")


def test_a_tz_that_is_no_zone_is_an_error_only_if_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and the cure is to name the zone in the manifest."""
    monkeypatch.setenv("TZ", "CET-1CEST")
    told = refused(tmp_path, "{window: 22:00-07:00}")
    assert "CET-1CEST" in told
    assert "run.timezone" in told
    assert loaded(tmp_path, "{window: 22:00-07:00, timezone: UTC}").timezone == "UTC"
    assert not loaded(tmp_path, "{concurrency: 3}").window


@pytest.mark.parametrize(("kind", "name"), [("link", "Asia/Shanghai"), ("file", "local time"), ("", "UTC")])
def test_without_tz_it_is_the_system_s_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    """A link says its name; a copy has the same rules; without either it is UTC."""
    monkeypatch.delenv("TZ", raising=False)
    path, data = tmp_path / "localtime", SHANGHAI
    if kind == "link":
        path.symlink_to(data)
    elif kind == "file":
        path.write_bytes(data.read_bytes())
    monkeypatch.setattr(zones, "SYSTEM_ZONE", path)
    hours = hours_of(RunSettings(window="22:00-07:00"), SUMMER)
    assert (hours.zone_name, hours.shown(SUMMER)[11:16]) == (name, "12:13" if kind else "04:13")


def test_a_damaged_zone_of_the_system_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file and the cure."""
    monkeypatch.delenv("TZ", raising=False)
    path: Any = tmp_path / "localtime"
    path.write_text("no zone")
    monkeypatch.setattr(zones, "SYSTEM_ZONE", path)
    with pytest.raises(UsageError, match="localtime") as caught:
        zones.system_zone()
    assert "run.timezone" in caught.value.hint
