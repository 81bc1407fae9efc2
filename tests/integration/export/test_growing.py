"""Sets that have grown, as a program sees them that has loaded an earlier state."""

from pathlib import Path
from typing import Any

import pytest

from tests.harness.clips import Look, video
from tests.harness.finished_runs import Made

ANT = Made("ant", "ant", video(Look(31, 20)))
BEE = Made("bee", "bee", video(Look(25, 90)), image=ANT.last_frame)
CAT = Made("cat", "cat", video(Look(22, 60)), image=BEE.last_frame)


@pytest.mark.parametrize(
    "options",
    [["--format", "hf"], ["--format", "webdataset"], ["--format", "parquet", "--embed"], ["--film"]],
    ids=" ".join,
)
def test_the_library_shows_what_was_added(export: Any, load: Any, tmp_path: Path, options: list[str]) -> None:
    """It keeps a copy of what it has loaded, and must not take that for the set as it is now."""
    cache = str(tmp_path / "one cache")

    def loaded() -> int:
        return len(load(str(export.out), cache_dir=cache)["train"])

    export.make(ANT, BEE)
    first = export(*options)["added"]
    assert loaded() == first
    export.make(CAT)
    assert export(*options)["added"] == 1
    assert loaded() == first + 1
