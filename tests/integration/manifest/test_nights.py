"""The date of a night, and the run directories of a pattern with a date."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batchrunner.core.model import RunSettings
from batchrunner.manifest import night_of
from batchrunner.operations.nights import directories, of_date

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("window", "now", "night"),
    [
        ("", "2026-11-29 00:30", "2026-11-29"),
        ("22:00-07:00", "2026-11-28 21:59", "2026-11-27"),
        ("22:00-07:00", "2026-11-28 22:00", "2026-11-28"),
        ("22:00-07:00", "2026-11-29 06:59", "2026-11-28"),
        ("22:00-07:00", "2026-11-29 12:00", "2026-11-28"),
        ("00:00-06:00", "2026-11-29 01:00", "2026-11-29"),
        ("02:00-03:00", "2026-03-29 12:00", "2026-03-28"),
    ],
)
def test_a_night_is_named_for_the_day_its_window_opened(window: str, now: str, night: str) -> None:
    """By the clocks of the time zone; a window in the hour that the clocks skip doesn't open that day."""
    wall = datetime.fromisoformat(now).replace(tzinfo=BERLIN).timestamp()
    assert night_of(RunSettings(window=window, timezone="Europe/Berlin"), wall) == night


def test_the_date_is_that_of_the_time_zone() -> None:
    """Shortly before midnight in London, it is tomorrow in Berlin."""
    wall = datetime.fromisoformat("2026-11-28 23:30+00:00").timestamp()
    assert night_of(RunSettings(timezone="Europe/London"), wall) == "2026-11-28"
    assert night_of(RunSettings(timezone="Europe/Berlin"), wall) == "2026-11-29"


@pytest.mark.parametrize(
    "pattern",
    [
        "nightly/{date}",
        "{date}",
        "a b/夜 {date}.run",
        "[x]*?/{date}/{date}+cats",
        "{date}-{date}/run",
        "-{date}",
    ],
)
@pytest.mark.parametrize("is_absolute", [True, False])
def test_the_folders_of_a_pattern_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, is_absolute: bool
) -> None:
    """Newest first, whatever else is in the name; files and other names are none of them."""
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / pattern if is_absolute else Path(pattern)
    assert directories(whole) == []
    wanted = [of_date(whole, date) for date in ("2027-01-01", "2026-12-31", "2026-02-03")]
    for folder in reversed(wanted):
        folder.mkdir(parents=True)
    for other in ("2026-1-1", "x2026-01-01", "２０２６-01-01", "{date}"):
        of_date(whole, other).mkdir(parents=True)
    of_date(whole, "2026-05-05").parent.mkdir(parents=True, exist_ok=True)
    of_date(whole, "2026-05-05").touch()
    assert directories(whole) == wanted
