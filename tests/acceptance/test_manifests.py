"""Every example manifest is run, and what is wrong with a manifest is told in each form."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.harness import charge_book
from tests.harness.fork_server import ForkServer

ROOT = Path(__file__).parents[2]
MANIFESTS = sorted(path.stem for path in (ROOT / "manifests").glob("*.yaml"))
FAULTY = """version: 1
defaults: {model: dreamina-seedance-2-0-fast}
tasks:
  - {prompt: A cat, duration: 3}
  - {prompt: A dog, durration: 5}
  - {rows: rows.csv, prompt: "${prompt}", metadata: {seed: "${seed}"}}
"""
LINE = re.compile(r"[^:]+:[0-9]+:[0-9]+: (error|warning): .+")


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_example_manifest_runs(name: str, desk: Any, fork_server: ForkServer) -> None:
    """Each makes all of its videos against the simulated gateway, and pays for each once."""
    folder = desk.folder / "manifests"
    shutil.copytree(ROOT / "manifests", folder, ignore=shutil.ignore_patterns("*.simulated", "*.run"))
    desk.directory = folder / f"{name}.simulated"
    state = desk.directory / ".simulator"
    state.mkdir(parents=True)
    (state / "pictures").symlink_to(fork_server.pictures)
    stored = desk.folder / "stored"
    stored.mkdir()
    elsewhere = ["--videos", stored.as_uri()] if name == "bucket" else []  # nobody has its bucket
    run = ["run", f"manifests/{name}.yaml", "--simulate", "--time-scale", "0.002", *elsewhere]
    done = desk.do(*run, key=None)
    assert done.code == 0, done.stderr
    rows = desk.rows()
    assert {row["state"] for row in rows} == {"done"}
    assert len(charge_book.read(state)) == len(rows)
    assert len([*stored.rglob("*.mp4")]) == (len(rows) if elsewhere else 0)


@pytest.fixture
def faulty(desk: Any) -> Any:
    """A desk with a manifest that has a warning, an error, and errors in a rows file."""
    desk.manifest.write_text(FAULTY, encoding="utf-8")
    (desk.folder / "rows.csv").write_text("prompt,seed\nA fox,1\nA hen,-1\n,2\n", encoding="utf-8")
    return desk


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_problems_are_shown_with_the_place_marked(command: str, faulty: Any) -> None:
    """Errors first; each with the line, a mark below the place, and what to do; then how many there are."""
    done = faulty.do(command, "batch.yaml")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[:4] == [
        "batch.yaml:5:21: error: `durration` is not a known key",
        "    5 |   - {prompt: A dog, durration: 5}",
        "                            ^",
        "      = did you mean `duration`?",
    ]
    assert "rows.csv: row 3: error: `prompt` is missing (column `prompt` is empty)" in done.stderr
    assert done.stderr.splitlines()[-1] == "3 errors, 1 warning; nothing was sent"
    assert not faulty.directory.exists()


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_problems_are_one_line_each_for_editors(command: str, faulty: Any) -> None:
    """`--format short` prints `file:line:col: severity: message` and nothing else."""
    done = faulty.do(command, "batch.yaml", "--format", "short")
    assert (done.code, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert [line.partition(" ")[0] for line in lines] == [
        "batch.yaml:5:21:",
        "rows.csv:3:1:",
        "rows.csv:4:1:",
        "batch.yaml:4:31:",
    ]


def test_problems_as_json_are_complete(faulty: Any) -> None:
    """`--json` has every problem with its place, severity and hint."""
    value = faulty.do("validate", "batch.yaml", "--json").json
    assert (value["exit_code"], len(value["problems"])) == (2, 4)
    problem = value["problems"][0]
    assert problem == {
        "severity": "error",
        "place": {
            "file": "batch.yaml",
            "line": 5,
            "column": 21,
            "row": 0,
            "snippet": "  - {prompt: A dog, durration: 5}",
        },
        "message": "`durration` is not a known key",
        "hint": "did you mean `duration`?",
    }


def test_the_printed_list_is_limited_but_the_json_is_complete(desk: Any) -> None:
    """A hundred different ones are enough for a person; a program, and who asks for it, get all."""
    tasks = "".join(
        f"  - {{prompt: task {n}, dur{chr(97 + n // 26)}{chr(97 + n % 26)}: 5}}\n" for n in range(150)
    )
    desk.manifest.write_text(f"version: 1\ndefaults: {{model: x}}\ntasks:\n{tasks}", encoding="utf-8")

    def shown(*options: str) -> int:
        lines = desk.do("validate", "batch.yaml", *options).stderr.splitlines()
        assert ("… and 51 more (--all lists each)" in lines) is not bool(options)
        return sum(line.startswith("batch.yaml:") for line in lines)

    assert (shown(), shown("--all"), shown("--format", "short")) == (100, 151, 151)
    assert len(desk.do("validate", "batch.yaml", "--json").json["problems"]) == 151


FLOOD = """version: 1
defaults: {model: dreamina-seedance-2-0-fast}
tasks:
  - {rows: rows.csv, id: "${id}", prompt: "${prompt}", duration: "${length}"}
  - {prompt: A cat, durration: 5}
"""


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_one_mistake_is_shown_once_with_its_count(command: str, desk: Any) -> None:
    """Two hundred empty cells are one problem with its first places, and are still counted one by one."""
    desk.manifest.write_text(FLOOD, encoding="utf-8")
    rows = "".join(f"a{n},,5\n" for n in range(200)) + "b,A cat,3\nc,A dog,2\nd,A fox,1\ne,A hen,20\n"
    (desk.folder / "rows.csv").write_text(f"id,prompt,length\n{rows}", encoding="utf-8")
    done = desk.do(command, "batch.yaml")
    assert done.code == 2
    assert [line for line in done.stderr.splitlines() if " | " not in line and line.strip() != "^"] == [
        "batch.yaml:5:21: error: `durration` is not a known key",
        "      = did you mean `duration`?",
        "rows.csv: row 1: error: `prompt` is missing (column `prompt` is empty)",
        "      = fill in the cell",
        "      = 200 of these: rows 1, 2, 3, … (--all lists each)",
        "rows.csv: row 201: warning: dreamina-seedance-2-0-fast makes videos of 4 to 15 seconds, not 3 "
        "(column `length`)",
        "      = write 4 to 15, or -1 to let the model choose",
        "      = 4 of these: rows 201, 202, 203, … (--all lists each)",
        "201 errors, 4 warnings; nothing was sent",
    ]
    each = desk.do(command, "batch.yaml", "--all").stderr
    assert each.count("error: `prompt` is missing") == 200
    assert each.splitlines()[-1] == "201 errors, 4 warnings; nothing was sent"
    assert len(desk.do(command, "batch.yaml", "--format", "short").stderr.splitlines()) == 205
    value = desk.do(command, "batch.yaml", "--json").json
    assert (value["error"], len(value["problems"])) == ("205 problems in the manifest", 205)


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_equal_warnings_are_shown_once_too(command: str, desk: Any) -> None:
    """They don't hold a run back, and don't hide what else is said."""
    desk.write(*[{"id": f"cat-{n}", "prompt": f"A cat {n}", "duration": 3} for n in range(5)])
    done = desk.do(command, "batch.yaml")
    assert done.code == 0
    assert done.stderr.count("makes videos of 4 to 15 seconds") == 1
    assert done.stderr.splitlines()[-1] == "5 warnings"


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_dead_url_stops_the_run_before_anything_is_sent(command: str, desk: Any, web_page: Any) -> None:
    """`--check-urls` asks once, and tells it at the place of the URL."""
    web_page.status = 404
    desk.write({"id": "cat", "prompt": "A cat", "image": f"{web_page.url}/cat.png"}, "dog")
    options = () if command == "validate" else ("--simulate",)
    done = desk.do(command, "batch.yaml", "--check-urls", "--format", "short", *options)
    assert done.code == 2
    assert web_page.methods == ["GET"]
    (line, warning) = done.stderr.splitlines()
    assert line.endswith("/cat.png was not found: HTTP 404")
    assert "only reachable in your own network" in warning
    assert not desk.directory.with_suffix(".simulated").exists()


def test_warnings_of_a_plan_are_in_its_json(desk: Any) -> None:
    """A program sees what a person would."""
    desk.write({"id": "cat", "prompt": "A cat", "duration": 3})
    (warning,) = desk.do("plan", "batch.yaml", "--json").json["warnings"]
    assert warning["severity"] == "warning"
