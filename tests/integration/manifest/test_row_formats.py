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
        "a.json: row 2: invalid row: duplicate key 'p'",
        "a.json: row 3: invalid row: it is not an object",
        "a.json: row 4: `prompt` is missing (column `p` is empty)",
    ]


def test_a_column_with_a_dot_in_its_name_wins(tmp_path: Path) -> None:
    """`cam.move` of a csv is a column like any other; in a row that has both, the literal name is meant."""
    (tmp_path / "a.csv").write_text("cam.move,p\npan,x\n")
    (tmp_path / "a.json").write_text(
        '[{"cam.move": "pan", "cam": {"move": "tilt"}}, {"cam": {"move": "zoom"}}]'
    )
    (tmp_path / "b.json").write_text('[{"cam.move": null, "cam": {"move": "tilt"}}]')
    entries = [{"rows": name, "prompt": "Camera: ${cam.move}"} for name in ("a.csv", "a.json", "b.json")]
    assert prompts(tmp_path, *entries) == ["Camera: pan", "Camera: pan", "Camera: zoom", "Camera: "]


def test_a_list_is_reached_by_index_and_a_missing_item_is_an_empty_cell(tmp_path: Path) -> None:
    """The second item of a list that has only one is nothing in this row; one that no row has is an error."""
    (tmp_path / "a.json").write_text('[{"p": "a", "t": ["x", {"y": "z"}]}, {"p": "b", "t": []}]')
    entry = {"rows": "a.json", "prompt": "${p}${t.0}${t.1.y}"}
    assert prompts(tmp_path, entry) == ["axz", "b"]
    assert told(tmp_path, {**entry, "prompt": "${p} ${t.2}"}) == [
        "m.yaml:1:108: in `prompt`, `${t.2}` is not a column of a.json"
    ]


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
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


PICTURE = {"type": "image_url", "role": "reference_image"}
SPLIT = {"url": "${a|split:;}"}


def pictures(folder: Path, **fields: Any) -> list[object]:
    """The pictures of each row of a.csv."""
    content = [{**PICTURE, "image_url": url} for url in fields.pop("urls", [])]
    entry = {
        "rows": "a.csv",
        "prompt": "${p}",
        **fields,
        **({"metadata": {"content": content}} if content else {}),
    }
    requests = [task.request for task in planned(folder, entry)]
    return [
        request.get("images")
        or [item["image_url"]["url"] for item in request.get("metadata", {}).get("content", [])]  # type: ignore[attr-defined]
        for request in requests
    ]


def test_a_cell_with_several_pictures_becomes_a_list(tmp_path: Path) -> None:
    """Without empty parts and blanks; an empty cell gives no picture, and single ones may stand beside it."""
    u = "https://example.com/"
    (tmp_path / "a.csv").write_text(f"p,f,a\nx,,{u}1; {u}2 ;;\ny,{u}0,\nz,{u}0,{u}1\n")
    assert pictures(tmp_path, images="${a|split:;}") == [[u + "1", u + "2"], [], [u + "1"]]
    beside = [[u + "1", u + "2"], [u + "0"], [u + "0", u + "1"]]
    assert pictures(tmp_path, images=["${f}", "${a|split:;}"]) == beside
    assert pictures(tmp_path, urls=[{"url": "${f}"}, SPLIT]) == beside


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ("split:|", "1|2"),
        ("split:||", "1||2"),
        ("split: , ", '"1,2"'),
        ("split:\\n", '"1\n2"'),
        ("split: ", "1 2"),
    ],
)
def test_a_cell_is_split_at_any_text(written: str, cell: str, tmp_path: Path) -> None:
    """Bars, blanks, several characters, and a line break written as \\n."""
    data = cell.replace("1", "https://example.com/1").replace("2", "https://example.com/2")
    (tmp_path / "a.csv").write_text(f"p,a\nx,{data}\n")
    found = pictures(tmp_path, images=f"${{a|{written}}}")
    assert found == [["https://example.com/1", "https://example.com/2"]]


def test_a_column_whose_name_looks_like_a_filter_is_that_column(tmp_path: Path) -> None:
    """Manifests that name such a column keep their meaning; the column can be split, too."""
    (tmp_path / "a.csv").write_text("a|b,a|split:;,c\nx;y,z,w\n")
    assert prompts(tmp_path, {"rows": "a.csv", "prompt": "${a|b} ${a|split:;} $$|"}) == ["x;y z $|"]
    entry = {"rows": "a.csv", "prompt": "${c}", "images": "${a|b|split:;}"}
    assert [line.split(": ", 2)[-1] for line in told(tmp_path, entry)] == [
        "`images[0]`: file not found: x (column `a|b`)",
        "`images[1]`: file not found: y (column `a|b`)",
    ]


def captioned(folder: Path, **captions: bytes) -> None:
    """Pictures with their captions beside them."""
    (folder / "photos").mkdir()
    for name, text in captions.items():
        (folder / f"photos/{name}.jpg").write_bytes(b"\xff\xd8")
        (folder / f"photos/{name}.txt").write_bytes(text)


BESIDE = {"files": "photos/*.jpg", "prompt_file": "${base}.txt", "labels": {"picture": "${name}"}}


def test_a_prompt_lies_beside_each_picture(tmp_path: Path) -> None:
    """UTF-8 with or without a BOM, with either line ending; the last line break is no part of the prompt."""
    captioned(tmp_path, a="\ufeff一只猫\r\n在跑\r\n".encode(), b=b"@b.txt ${x} $$5\n", c=b"A cat")
    assert prompts(tmp_path, BESIDE) == ["一只猫\n在跑", "@b.txt ${x} $$5", "A cat"]


def test_a_prompt_from_a_file_is_the_same_task_as_one_that_is_written_out(tmp_path: Path) -> None:
    """Identity is content: moving prompts into files, or back, pays for nothing again."""
    captioned(tmp_path, a=b"A cat\n")
    (apart,) = planned(tmp_path, {"prompt_file": "photos/a.txt"})
    (written,) = planned(tmp_path, {"prompt": "A cat"})
    assert apart.key == written.key
    (tmp_path / "photos/a.txt").write_text("A dog\n")
    (changed,) = planned(tmp_path, {"prompt_file": "photos/a.txt"})
    assert changed.key != written.key


def test_a_prompt_that_begins_with_an_at_sign_is_a_prompt(tmp_path: Path) -> None:
    """Text never becomes a path by itself, whatever files there are."""
    captioned(tmp_path, a=b"A cat\n")
    assert prompts(tmp_path, {"prompt": "@photos/a.txt"}) == ["@photos/a.txt"]


def test_missing_prompt_files_are_reported_together(tmp_path: Path) -> None:
    """A folder without captions is one mistake, not one for each of its pictures."""
    captioned(tmp_path, **{f"p{number:03}": b"" for number in range(200)})
    for caption in (tmp_path / "photos").glob("*.txt"):
        caption.unlink()
    assert [line.split(": ", 1)[1] for line in told(tmp_path, BESIDE)] == [
        "`prompt_file`: 200 files not found: photos/p000.txt, photos/p001.txt, photos/p002.txt and 197 more"
    ]


def test_an_entrys_own_prompt_wins_over_a_default_file_and_the_other_way_round(tmp_path: Path) -> None:
    """What an entry says replaces what the defaults say, in whichever of the two ways."""
    captioned(tmp_path, a=b"From a file\n")
    path = tmp_path / "m.yaml"
    text = "version: 1\ndefaults: {model: dreamina-seedance-2-0-fast, %s}\ntasks: [{%s}]\n"
    for default, own in (
        ("prompt: Default", "prompt_file: photos/a.txt"),
        ("prompt_file: photos/a.txt", "id: x"),
    ):
        path.write_text(text % (default, own))
        assert load_manifest(path).plan.tasks[0].request["prompt"] == "From a file"
    path.write_text(text % ("prompt_file: photos/none.txt", "prompt: Own"))
    assert load_manifest(path).plan.tasks[0].request["prompt"] == "Own"


def test_a_prompt_file_is_bounded(tmp_path: Path) -> None:
    """A video that was meant for a caption is not read whole."""
    (tmp_path / "a.txt").write_bytes(b"a" * 1_000_001)
    assert told(tmp_path, {"prompt_file": "a.txt"}) == [
        "m.yaml:1:95: `prompt_file`: a.txt: the file is larger than 1 MB"
    ]
