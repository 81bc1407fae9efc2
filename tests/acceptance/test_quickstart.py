"""The first command of the README, as a newcomer types it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.executed

MANIFESTS = Path(__file__).parents[2] / "manifests"
TASKS = 6


@pytest.fixture
def checkout(desk: Any) -> Any:
    """A desk whose manifest is the quickstart in a fresh copy, its media and rows beside it."""
    folder = desk.folder / "manifests"
    shutil.copytree(MANIFESTS, folder, ignore=shutil.ignore_patterns("*.simulated", "*.run"))
    desk.directory, desk.planned = folder / "quickstart.simulated", TASKS
    return desk


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch, checkout: Any) -> None:
    """The command stays as the README words it; only its clock runs faster."""
    start = checkout.start

    def faster(*arguments: str, **options: Any) -> Any:
        return start(*arguments, "--time-scale", "0.005", **options)

    monkeypatch.setattr(checkout, "start", faster)


def test_the_quickstart_makes_six_videos_and_repeating_it_sends_nothing(checkout: Any) -> None:
    """The quickstart needs no key, says where all is and what it is, and pays once however often it runs."""
    words = ("run", "manifests/quickstart.yaml", "--simulate")
    first = checkout.do(*words, key=None)
    checkout.check(first, 0)
    for shown in (
        "6 of 6 tasks done",
        "spent    243,564 tokens · 1.36 USD in all runs, as estimated",
        "quickstart.simulated/videos",
        "results.csv",
    ):
        assert shown in first.stdout
    assert "next" not in first.stdout  # nothing is left to do
    book = checkout.directory / ".simulator" / "charges.jsonl"
    before, csv_before = book.read_bytes(), (checkout.directory / "results.csv").stat()

    command = checkout.start(*words, key=None)
    second = command.ended()
    checkout.check(second, 0)
    assert book.read_bytes() == before
    assert command.events() == []
    assert "6 of 6 tasks done" in second.stdout
    csv_after = (checkout.directory / "results.csv").stat()
    assert (csv_after.st_ino, csv_after.st_mtime_ns) == (csv_before.st_ino, csv_before.st_mtime_ns)

    boat, lighthouse = checkout.row("boat"), checkout.row("lighthouse")
    assert (boat["inputs"], boat["label.category"]) == ("media/boat.jpg", "pictures")
    assert (lighthouse["width"], lighthouse["height"]) == ("992", "432")
    assert all(
        abs(float(row["duration"]) - float(row["requested_duration"])) < 0.5 for row in checkout.rows()
    )
    assert all(row["warnings"] == "" for row in checkout.rows())
