"""What becomes of rows in json, behind gzip, with other delimiters, and of names inside their values."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.core.model import PlannedTask
from batchrunner.manifest import load_manifest
from batchrunner.manifest.row_formats import gzipped
from batchrunner.manifest.source import TextFault

ROOT = Path(__file__).parents[3]


def planned(folder: Path, *entries: dict[str, Any]) -> tuple[PlannedTask, ...]:
    """The tasks of a manifest with these entries."""
    manifest = {"version": 1, "defaults": {"model": "dreamina-seedance-2-0-fast"}, "tasks": list(entries)}
    path = folder / "m.yaml"
    path.write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    return load_manifest(path).plan.tasks


def prompts(folder: Path, *entries: dict[str, Any]) -> list[object]:
    """What the tasks of these entries ask for, in words."""
    return [task.request["prompt"] for task in planned(folder, *entries)]


def told(folder: Path, *entries: dict[str, Any]) -> list[str]:
    """What is wrong with these entries."""
    with pytest.raises(ManifestError) as caught:
        planned(folder, *entries)
    return [
        f"{problem.place}: {problem.message}".replace(f"{folder}/", "") for problem in caught.value.problems
    ]


ROWS = [{"p": "A cat 😀", "n": 5, "c": {"m": "pan"}}, {"p": "A dog", "n": 7.5, "c": {"m": None}}]


def test_a_json_of_rows_or_columns_gives_the_same_tasks_as_jsonl(tmp_path: Path) -> None:
    """Numbers, nested values and surrogate pairs as `json.dump` writes them are taken alike."""
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    columns = {key: [row[key] for row in ROWS] for key in ROWS[0]}
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.json").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "c.json").write_text(json.dumps(columns))
    for name in ("a.jsonl", "b.json", "c.json"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for name in ("a.jsonl", "b.json", "c.json", "a.jsonl.gz", "b.json.gz", "c.json.gz"):
        entry = {"rows": name, "prompt": "${p}, ${n} times, ${c.m}"}
        assert prompts(tmp_path, entry) == ["A cat 😀, 5 times, pan", "A dog, 7.5 times, "], name


def test_a_row_of_a_json_file_knows_its_number_and_line(tmp_path: Path) -> None:
    """A row that can't be used leaves the others in, and keeps its number."""
    (tmp_path / "a.json").write_text('[\n{"p": "a"},\n\n  {"p": 1,\n "p": 2}, 5,\n{"p": null}]')
    assert told(tmp_path, {"rows": "a.json", "prompt": "${p}"}) == [
        "a.json: row 2: this row can't be used: the key 'p' is written twice",
        "a.json: row 3: this row can't be used: it holds something else",
        "a.json: row 4: `prompt` is missing (column `p` is empty)",
    ]


def test_a_column_with_a_dot_in_its_name_wins(tmp_path: Path) -> None:
    """`cam.move` of a csv is a column like any other; in a row that has both, the literal name is meant."""
    (tmp_path / "a.csv").write_text("cam.move,p\npan,x\n")
    (tmp_path / "a.json").write_text(
        '[{"cam.move": "pan", "cam": {"move": "tilt"}}, {"cam": {"move": "zoom"}}]'
    )
    entries = [{"rows": name, "prompt": "Camera: ${cam.move}"} for name in ("a.csv", "a.json")]
    assert prompts(tmp_path, *entries) == ["Camera: pan", "Camera: pan", "Camera: zoom"]


def test_a_list_is_reached_by_index_and_a_missing_item_is_an_empty_cell(tmp_path: Path) -> None:
    """The second item of a list that has only one is nothing in this row; one that no row has is an error."""
    (tmp_path / "a.json").write_text('[{"p": "a", "t": ["x", {"y": "z"}]}, {"p": "b", "t": []}]')
    entry = {"rows": "a.json", "prompt": "${p}${t.0}${t.1.y}"}
    assert prompts(tmp_path, entry) == ["axz", "b"]
    assert told(tmp_path, {**entry, "prompt": "${p} ${t.2}"}) == [
        "m.yaml:1:117: in `prompt`, `${t.2}` names no column of a.json"
    ]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """What unpacks to two hundred times its size is no table, and what is too large is cut short."""
    bomb = tmp_path / "a.csv.gz"
    bomb.write_bytes(gzip.compress(b"a" * 100_000_000))
    with pytest.raises(TextFault, match="200 times its size"):
        gzipped.unpacked(bomb, 256_000_000)
    with pytest.raises(TextFault, match="more than 1 MB"):
        gzipped.unpacked(bomb, 1_000_000)


@pytest.mark.parametrize("delimiter", [";", "semicolon", "Semicolon"])
def test_a_delimiter_may_be_a_character_or_its_name(delimiter: str, tmp_path: Path) -> None:
    """Commas and bars are then ordinary text."""
    (tmp_path / "a.csv").write_text('p;"q"\nA cat, a dog;"x;y|z"\n')
    assert prompts(tmp_path, {"rows": "a.csv", "delimiter": delimiter, "prompt": "${p}: ${q}"}) == [
        "A cat, a dog: x;y|z"
    ]
