"""Documents that can rot are held against the code."""

import json
import re
from pathlib import Path

import pytest

import batchrunner
from batchrunner.cli.main import EPILOG, parser
from batchrunner.core.errors import ExitCode
from batchrunner.core.model import RunSettings
from batchrunner.core.states import TaskState
from batchrunner.output.results import COLUMNS

ROOT = Path(__file__).parents[2]
README, SCHEMAS, SURVIVAL = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "schemas/README.md", "tests/survival.md")
)
PAGES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", ".git"} & set(path.parts))


def commands() -> dict[str, str]:
    """Every command with its help, from the parser itself."""
    (choices,) = (action for action in parser()._actions if action.dest == "command")
    return {action.dest: action.help or "" for action in choices._choices_actions}


@pytest.mark.parametrize("name", commands())
def test_readme_has_every_command_with_its_help(name: str) -> None:
    """The README's table of commands says what `--help` says."""
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `batchrunner {name}")]
    assert row.split("|")[2].strip() == commands()[name]


@pytest.mark.parametrize("text", [README, EPILOG], ids=["README", "--help"])
def test_exit_codes_are_documented(text: str) -> None:
    """Every exit code stands in the README and in `--help`."""
    assert {str(int(code)) for code in ExitCode} <= set(re.findall(r"\b\d+\b", text))


def test_reference_has_the_columns_in_order() -> None:
    """The reference lists the columns of results.csv as they are written."""
    listed = re.search(r"`(id, state,[^`]*)`", SCHEMAS)
    assert listed
    assert listed.group(1).replace("\n", " ").split(", ") == list(COLUMNS)


def test_results_schema_has_the_columns_in_order() -> None:
    """results.schema.json requires exactly the columns that are written, in order."""
    schema = json.loads((ROOT / "schemas/results.schema.json").read_text(encoding="utf-8"))
    assert schema["required"] == list(schema["properties"]) == list(COLUMNS)
    assert schema["properties"]["state"]["enum"] == [state.value for state in TaskState]


def test_reference_has_the_run_settings() -> None:
    """Every setting of `run:` stands in the reference."""
    (row,) = [line for line in SCHEMAS.splitlines() if line.startswith("| `run` |")]
    assert re.findall(r"`(\w+)`", row)[1:] == list(RunSettings.__dataclass_fields__)


def test_readme_imports_what_the_package_exports() -> None:
    """The README's Python example imports names that exist."""
    (line,) = re.findall(r"^from batchrunner import (.*)$", README, re.MULTILINE)
    assert all(getattr(batchrunner, name) for name in line.split(", "))


def test_every_test_that_survival_names_is_there() -> None:
    """What survives what is shown by tests that exist; those without a folder are acceptance tests."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", SURVIVAL)
    assert len(named) > 80
    missing = [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}("
        not in (ROOT / ("" if "/" in file else "tests/acceptance") / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_readme_is_short() -> None:
    """The README is for users, who read it whole."""
    assert len(README.splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is a file or a folder of the project."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
