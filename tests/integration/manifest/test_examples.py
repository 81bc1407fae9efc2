"""The example folders: a file dropped into `tests/data` or `manifests` is a test."""

import re
from pathlib import Path

import pytest
import yaml

from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Problem
from batchrunner.manifest import load_manifest, yaml_parser, yaml_reader

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
INVALID = sorted(path.name for path in (DATA / "invalid").glob("*.yaml"))
VALID = sorted(path.name for path in (DATA / "valid").glob("*.yaml"))
MANIFESTS = sorted(path.name for path in (ROOT / "manifests").glob("*.yaml"))


def told(problems: tuple[Problem, ...]) -> str:
    """The problems as they stand in the files of what is expected."""
    lines = []
    for problem in problems:
        lines.append(f"{problem.place}: {problem.severity}: {problem.message}\n")
        if problem.hint:
            lines.append(f"    {problem.hint}\n")
    return "".join(lines)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_manifest_is_refused_with_exactly_these_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every problem of an invalid manifest is told, in order, with its place and what to do."""
    monkeypatch.chdir(DATA / "invalid")
    with pytest.raises(ManifestError) as caught:
        load_manifest(Path(name))
    assert told(caught.value.problems) == Path(name).with_suffix(".txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in INVALID if name.startswith("yaml-")])
def test_the_words_do_not_depend_on_the_parser(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml, the same is said of the same line."""

    def without_columns(text: str) -> str:
        return re.sub(r"^(\S+?:\d+):\d+:", r"\1:", text, flags=re.MULTILINE)

    monkeypatch.chdir(DATA / "invalid")
    monkeypatch.setattr(yaml_reader, "Parser", yaml.SafeLoader)
    monkeypatch.setattr(yaml_parser, "Parser", yaml.SafeLoader)
    with pytest.raises(ManifestError) as caught:
        load_manifest(Path(name))
    expected = Path(name).with_suffix(".txt").read_text(encoding="utf-8")
    assert without_columns(told(caught.value.problems)) == without_columns(expected)


@pytest.mark.parametrize("name", VALID)
def test_a_valid_manifest_loads_with_exactly_these_warnings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A valid manifest becomes a plan; its warnings stand beside it where it has some."""
    monkeypatch.chdir(DATA / "valid")
    expected = Path(name).with_suffix(".txt")
    loaded = load_manifest(Path(name))
    assert told(loaded.warnings) == (expected.read_text(encoding="utf-8") if expected.exists() else "")


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_example_manifest_has_tasks_and_no_warnings(name: str) -> None:
    """What users copy from is free of warnings."""
    loaded = load_manifest(ROOT / "manifests" / name)
    assert loaded.plan.tasks
    assert loaded.warnings == ()


def test_there_are_enough_examples() -> None:
    """The folders are found: a wrong path would leave nothing to test."""
    assert len(INVALID) >= 80
    assert len(VALID) >= 15
    assert len(MANIFESTS) >= 15
