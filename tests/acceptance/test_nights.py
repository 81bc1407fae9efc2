"""Runs that nobody watches: a run directory for each night, many directories at once, and silence."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_directory import lose_ledger

PATTERN = ("-o", "nightly/{date}")
TODAY_OR_TOMORROW = 2
"""Midnight may pass during a test."""


def nights(desk: Any) -> list[str]:
    """The dates of the run directories."""
    return sorted(path.name for path in (desk.folder / "nightly").iterdir())


def put_back(desk: Any, days: int = 1) -> Path:
    """Rename the newest run directory as if it were from earlier; return it."""
    (newest,) = (desk.folder / "nightly").glob(nights(desk)[-1])
    earlier = newest.with_name(f"{datetime.fromisoformat(newest.name) - timedelta(days=days):%Y-%m-%d}")
    newest.rename(earlier)
    return earlier


@pytest.fixture
def nightly(desk: Any, sim: Any) -> Any:
    """A manifest, and a gateway to run it with."""
    sim.start()
    desk.write("ant", "bee", timezone="UTC")
    return desk


def test_each_night_has_its_own_directory(nightly: Any, sim: Any) -> None:
    """Named by the date; the same night resumes in it, and the next one makes the videos again."""
    assert nightly.run(*PATTERN).code == 0
    assert nights(nightly)[0] in {f"{datetime.now(UTC) - timedelta(days=day):%Y-%m-%d}" for day in (0, 1)}
    before = len(nights(nightly))
    assert "nothing to do: 2 of 2 tasks done" in nightly.run(*PATTERN).stdout
    assert len(nights(nightly)) <= before * TODAY_OR_TOMORROW
    assert len(sim.charges()) == 2
    put_back(nightly)
    planned = nightly.do("plan", "batch.yaml", *PATTERN, "--json")
    assert (planned.json["submitted"], planned.json["paid_elsewhere"]) == (2, None)
    assert nightly.run(*PATTERN).code == 0
    assert (len(nights(nightly)), len(sim.charges())) == (2, 4)


def test_an_unfinished_night_is_resumed_before_a_new_one_begins(nightly: Any, sim: Any) -> None:
    """What was left yesterday is done under yesterday's date, by all commands that take the pattern."""
    nightly.start_run(*PATTERN, "--limit", "1").ended()
    earlier = put_back(nightly, days=3)
    status = nightly.do("status", "nightly/{date}", "--json")
    assert status.json["directory"] == f"nightly/{earlier.name}"
    planned = nightly.do("plan", "batch.yaml", *PATTERN, "--json")
    assert (planned.json["directory"], planned.json["submitted"]) == (f"nightly/{earlier.name}", 1)
    ended = nightly.run(*PATTERN)
    assert ended.code == 0
    assert f"resuming the unfinished run in nightly/{earlier.name}" in ended.stderr
    assert (nights(nightly), len(sim.charges())) == ([earlier.name], 2)


def test_a_night_of_another_manifest_is_not_resumed(nightly: Any, sim: Any) -> None:
    """It stays as it is: neither its name nor a task that was paid for is this manifest's."""
    nightly.start_run(*PATTERN, "--limit", "1").ended()
    earlier = put_back(nightly)
    (nightly.folder / "other.yaml").write_text(nightly.manifest.read_text().replace("walks", "swims"))
    at = nightly.at_gateway()
    assert nightly.do("run", "other.yaml", *at, *PATTERN).code == 0
    assert nightly.do("status", str(earlier), "--json").json["counts"]["pending"] == 1
    assert len(nights(nightly)) == 2
    # Renamed, it is the same manifest still: what it has paid for is there.
    shutil.copy(nightly.manifest, nightly.folder / "renamed.yaml")
    planned = nightly.do("plan", "renamed.yaml", *PATTERN, "--json")
    assert planned.json["directory"] == f"nightly/{earlier.name}"


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_night_whose_ledger_is_lost_is_not_paid_again(nightly: Any, sim: Any, damage: str) -> None:
    """Nobody knows what it has paid for: the run ends with 2 and names it, until a later night is known."""
    nightly.start_run(*PATTERN, "--limit", "1").ended()
    earlier = put_back(nightly)
    lose_ledger(earlier)
    if damage == "damaged":
        (earlier / "ledger.sqlite").write_bytes(b"not a ledger" * 1000)
    ended = nightly.run(*PATTERN)
    assert (ended.code, nights(nightly), len(sim.charges())) == (2, [earlier.name], 1)
    assert earlier.name in ended.stderr
    assert nightly.run("-o", "nightly/2999-01-01").code == 0
    assert "nothing to do" not in nightly.run(*PATTERN).output
    assert len(nights(nightly)) == 3


def test_a_broken_manifest_collects_the_unfinished_night(nightly: Any, sim: Any) -> None:
    """What is paid for is downloaded from the newest unfinished run, and nothing is submitted."""
    nightly.write("ant", "bee", timezone="UTC", concurrency=1)
    command = nightly.start_run(*PATTERN)
    nightly.until(sim.charges, "a charge")
    command.killed()
    charged = len(sim.charges())
    nightly.until(sim.settled, "the end of the generation")
    nightly.manifest.write_text("version: 1\ntasks: 7\n")
    ended = nightly.run(*PATTERN, "--json")
    assert (ended.code, len(sim.charges())) == (2, charged)
    assert ended.json["collected"]["directory"].startswith("nightly/")
