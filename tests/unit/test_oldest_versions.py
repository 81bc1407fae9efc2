"""The oldest versions that the gate tests are those that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_oldest_versions_are_the_lower_bounds() -> None:
    """Every dependency's lower bound, and nothing else, is in `.ci/oldest.txt`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["notify"], *extras["s3"], *extras["tables"]]
    bounds = dict(one.split(">=") for one in wanted)
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").split()
    tested = dict(line.split("==") for line in lines)
    assert tested.keys() == bounds.keys()
    for name, version in tested.items():
        assert re.fullmatch(rf"{re.escape(bounds[name])}(\.0)*", version), name
