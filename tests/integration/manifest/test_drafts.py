"""Manifests drafted for `init`: valid as they stand, whatever the files are like."""

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.errors import ManifestError, UsageError
from batchrunner.manifest import LoadedManifest, load_manifest
from batchrunner.manifest.drafts import (
    Draft,
    Trial,
    check_text,
    draft_from_folder,
    draft_from_rows,
    example_text,
    tried,
)
from batchrunner.manifest.drafts import trial as trial_module
from batchrunner.manifest.loader import load_source

PICTURES = Path(__file__).parents[3] / "manifests/media"


def table(folder: Path, columns: Sequence[str], *rows: Sequence[str], name: str = "rows.csv") -> Path:
    """A csv."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def drafted(source: Path, manifest: Path) -> tuple[Draft, Trial]:
    """The draft that `init` chooses, written to `manifest`."""
    drafts = (
        draft_from_folder(source, manifest) if source.is_dir() else iter([draft_from_rows(source, manifest)])
    )
    draft, trial = tried(drafts, manifest, manifest.name, manifest.stem)
    manifest.write_text(draft.text(manifest.name, manifest.stem), encoding="utf-8")
    return draft, trial


def loaded(source: Path, manifest: Path) -> LoadedManifest:
    """What the written draft is loaded as; its trial must have found the same."""
    _, trial = drafted(source, manifest)
    found = load_manifest(manifest)
    assert (trial.tasks, trial.problems) == (len(found.plan.tasks), found.warnings)
    return found


def requests(found: LoadedManifest) -> list[Mapping[str, Any]]:
    """The requests of all tasks."""
    return [task.content.request for task in found.plan.tasks]


def test_columns_fill_the_fields_that_they_are_named_for(tmp_path: Path) -> None:
    """Known names in any case become fields, other short columns labels; an empty cell omits the field."""
    columns = ("SKU", "Prompt", "seconds", "Aspect Ratio", "seed", "Category", "link")
    rows = table(
        tmp_path,
        columns,
        ("b-1", "A paper boat", "6", "9:16", "7", "toys", "https://example.com/1"),
        ("b-2", "雨夜的霓虹灯街道", "", "", "", "cities", "https://example.com/2"),
    )
    first, second = (task for task in loaded(rows, tmp_path / "m.yaml").plan.tasks)
    assert (first.id, second.id) == ("b-1", "b-2")
    assert first.labels == {"Category": "toys"}
    sent = {"resolution": "720p", "ratio": "9:16", "seed": 7, "duration": 6}
    assert first.content.request["metadata"] == sent
    assert second.content.request["metadata"] == {"resolution": "720p", "duration": 5}
    assert "an empty cell omits it" in (tmp_path / "m.yaml").read_text(encoding="utf-8")


def test_a_column_without_a_known_name_is_the_prompt_if_its_texts_are_longest(tmp_path: Path) -> None:
    """URLs don't count, however long."""
    rows = table(tmp_path, ("a", "b", "c"), ("x", "A boat at sea", "https://example.com/" + "x" * 90))
    assert [one["prompt"] for one in requests(loaded(rows, tmp_path / "m.yaml"))] == ["A boat at sea"]


def test_a_file_without_prompts_is_refused(tmp_path: Path) -> None:
    """The columns are named, and what to do."""
    rows = table(tmp_path, ("a", "b"), ("1", "2"))
    with pytest.raises(UsageError, match=r"no column of .* looks like prompts; columns: `a`, `b`") as refused:
        draft_from_rows(rows, tmp_path / "m.yaml")
    assert "--prompt COLUMN" in refused.value.hint
    assert "`prompt`" in refused.value.hint


def test_codes_and_categories_are_not_taken_for_prompts(tmp_path: Path) -> None:
    """A video of each SKU would be paid for and worthless; Chinese has no spaces between its words."""
    codes = table(tmp_path, ("sku", "kind"), ("red-boat-1", "toys"), ("red-boat-2", "cities"))
    with pytest.raises(UsageError, match="looks like prompts"):
        draft_from_rows(codes, tmp_path / "m.yaml")
    rows = table(
        tmp_path, ("sku", "词"), ("red-boat-1", "雨夜的霓虹灯街道"), ("red-boat-2", "海上的一只纸船")
    )
    assert len(loaded(rows, tmp_path / "m.yaml").plan.tasks) == 2


def test_a_person_chooses_the_column_of_the_prompts(tmp_path: Path) -> None:
    """Any that a template can take; a name that is not there is told, with the closest."""
    rows = table(tmp_path, ("sku", "kind", "a}b"), ("b-1", "toys", "A boat at sea"))
    draft = draft_from_rows(rows, tmp_path / "m.yaml", "kind")
    assert {key.key: key.value for key in draft.fixed}["prompt"] == "${kind}"
    assert [field.path for field in draft.fields] == [("id",)]
    with pytest.raises(UsageError, match=r"has no column `knd`; columns: `sku`, `kind`") as refused:
        draft_from_rows(rows, tmp_path / "m.yaml", "knd")
    assert refused.value.hint == "did you mean `kind`?"
    with pytest.raises(UsageError, match=r"the column `a}b` can't be the prompt"):
        draft_from_rows(rows, tmp_path / "m.yaml", "a}b")


def test_many_rows_are_checked_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for all fields, and not beyond the first rows; how many were not checked is known."""
    passes = []

    def counted(*given: Any, **options: Any) -> Any:
        passes.append(options)
        return load_source(*given, **options)

    monkeypatch.setattr(trial_module, "MOST_CHECKED", 4)
    monkeypatch.setattr(trial_module, "load_source", counted)
    wrong = [(f"b-{index % 2}", "A boat", f"{index} s", "1:1", "x") for index in range(6)]
    rows = table(
        tmp_path, ("id", "prompt", "duration", "ratio", "kind"), *wrong, ("b-1", "A cat", "5", "", "")
    )
    draft, trial = drafted(rows, tmp_path / "m.yaml")
    assert (trial.tasks, trial.unchecked, trial.errors) == (7, 3, ())
    assert [field.path[-1] for field in draft.fields if field.doubt] == ["id", "duration"]
    assert passes == [{"most": 4, "objects": None}] * len(passes)
    assert len(passes) <= 3


def test_fields_that_the_cells_do_not_fit_become_comments_with_the_reason(tmp_path: Path) -> None:
    """Equal ids and a duration that is no number: the manifest is valid without them."""
    rows = table(
        tmp_path,
        ("name", "prompt", "duration", "kind"),
        ("a", "A boat", "5", "x"),
        ("a", "A cat", "7 s", "y"),
    )
    draft, trial = drafted(rows, tmp_path / "m.yaml")
    assert trial.tasks == 2
    doubts = {field.path[-1]: field.doubt for field in draft.fields}
    assert "duplicate id" in doubts["id"]
    assert 'not "7 s"' in doubts["duration"]
    assert doubts["kind"] == ""
    text = (tmp_path / "m.yaml").read_text(encoding="utf-8")
    assert '# duration: "${duration}" # not used: ' in text


def test_a_picture_that_is_missing_is_an_error_rather_than_a_video_without_it(tmp_path: Path) -> None:
    """The field stays, for it changes what is paid for."""
    shutil.copy(PICTURES / "boat.jpg", tmp_path)
    rows = table(tmp_path, ("prompt", "image"), ("A boat", "boat.jpg"), ("A cat", "gone.jpg"))
    _, trial = drafted(rows, tmp_path / "m.yaml")
    assert [problem.place.row for problem in trial.errors] == [2]
    assert 'image: "${image}"' in (tmp_path / "m.yaml").read_text(encoding="utf-8")


HOSTILE = (
    "a: b",
    "# x",
    '"',
    "'",
    "a\\b",
    "a\nb",
    "yes",
    "- x",
    "\u202eevil",
    "=1+1",
    "<script>",
    "名称",
    "a.b",
    "a|split:;",
    "$$",
    "💥",
    "x" * 120,
    "\x1b[31m",
    "null",
)


@pytest.mark.parametrize("name", [*HOSTILE, "a}b", "${prompt}", "{"])
def test_hostile_column_names_do_no_harm(tmp_path: Path, name: str) -> None:
    """As a label they fill it or are left out; the manifest is valid, and what it shows is harmless."""
    rows = table(tmp_path, ("prompt", name), ("A boat", "cell"))
    (task,) = loaded(rows, tmp_path / "m.yaml").plan.tasks
    assert task.content.request["prompt"] == "A boat"
    assert set(task.labels.values()) <= {"cell"}
    text = (tmp_path / "m.yaml").read_text(encoding="utf-8")
    assert not any(char in text for char in "\x1b\u202e")
    (tmp_path / "m.yaml").unlink()


@pytest.mark.parametrize("name", [name for name in HOSTILE if ";" not in name])
def test_hostile_names_may_be_the_prompts(tmp_path: Path, name: str) -> None:
    """A file with one column is usable whatever the column is called."""
    rows = table(tmp_path, (name,), ("A boat",))
    assert [one["prompt"] for one in requests(loaded(rows, tmp_path / "m.yaml"))] == ["A boat"]


@given(columns=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4, unique=True))
@settings(max_examples=150)
def test_any_json_keys_lead_to_a_valid_manifest_or_a_refusal(tmp_path: Path, columns: list[str]) -> None:
    """Never to a crash, or to a manifest that does not load."""
    rows, manifest = tmp_path / "rows.jsonl", tmp_path / "m.yaml"
    rows.write_text(json.dumps({name: f"A boat {index}" for index, name in enumerate(columns)}))
    try:
        _, trial = drafted(rows, manifest)
    except (UsageError, ManifestError):
        return
    assert trial.tasks == len(load_manifest(manifest).plan.tasks) == 1


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"prompt;kind\r\nA boat;a\r\nA cat;b\r\n", 'delimiter: ";"'),
        ("prompt\tkind\nA boat\ta\nA cat\tb\n".encode("utf-16"), 'encoding: "utf-16"'),
        ("prompt,kind\n海上的一只纸船,a\n月亮上的猫,b\n".encode("gb18030"), 'encoding: "gb18030" # a guess'),
        (b"\xef\xbb\xbfsep=|\nprompt|kind\nA boat|a\nA cat|b\n", "prompt:"),
    ],
)
def test_encoding_and_separator_are_found(tmp_path: Path, data: bytes, key: str) -> None:
    """As Excel and other programs write them; a guess says that it is one."""
    rows = tmp_path / "rows.csv"
    rows.write_bytes(data)
    tasks = list(loaded(rows, tmp_path / "m.yaml").plan.tasks)
    assert [task.labels for task in tasks] == [{"kind": "a"}, {"kind": "b"}]
    assert key in (tmp_path / "m.yaml").read_text(encoding="utf-8")


def test_an_unreadable_file_is_refused_with_its_problems(tmp_path: Path) -> None:
    """They name the file and the line."""
    rows = tmp_path / "rows.csv"
    rows.write_text('prompt,kind\n"A boat,a\n')
    with pytest.raises(ManifestError) as refused:
        draft_from_rows(rows, tmp_path / "m.yaml")
    assert "unbalanced quotes" in refused.value.problems[0].message


def test_lines_of_a_text_file_are_prompts(tmp_path: Path) -> None:
    """Without an id: one made of line numbers would change with every line added above."""
    rows = tmp_path / "prompts.txt"
    rows.write_text("# comment\nA boat\nA cat\n")
    found = loaded(rows, tmp_path / "m.yaml")
    assert [one["prompt"] for one in requests(found)] == ["A boat", "A cat"]


def test_inner_values_are_told(tmp_path: Path) -> None:
    """A template can reach into them, which a guess can't."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "A boat", "cam": {"move": "slow"}, "seed": 7}\n')
    draft, trial = drafted(rows, tmp_path / "m.yaml")
    assert trial.tasks == 1
    assert any("`cam` holds lists or objects" in note for note in draft.notes)


def pictures(folder: Path, *names: str) -> Path:
    """A folder of pictures."""
    for index, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PICTURES / ("boat.jpg", "water.jpg")[index % 2], folder / name)
    return folder


def test_each_picture_of_a_folder_is_a_task(tmp_path: Path) -> None:
    """With the same prompt, where none stands beside it; other files and hidden ones are left out."""
    folder = pictures(tmp_path / "in [1] a*", "a.jpg", "b.JPG", ".hidden.jpg")
    (folder / "notes.md").write_text("x")
    tasks = list(loaded(folder, tmp_path / "m.yaml").plan.tasks)
    assert [task.id for task in tasks] == ["a", "b"]
    assert all("image" in task.content.request for task in tasks)
    assert tasks[0].content.request["metadata"]["ratio"] == "adaptive"


def test_texts_beside_pictures_are_their_prompts(tmp_path: Path) -> None:
    """If every picture has one; if only some have, nothing is guessed."""
    folder = pictures(tmp_path / "in", "a.jpg", "b.jpg")
    (folder / "a.txt").write_text("A boat")
    with pytest.raises(UsageError, match=r"1 picture of 2 without a prompt: b.jpg"):
        draft_from_folder(folder, tmp_path / "m.yaml")
    (folder / "b.txt").write_text("Water")
    assert [one["prompt"] for one in requests(loaded(folder, tmp_path / "m.yaml"))] == ["A boat", "Water"]


def test_equal_names_in_folders_get_ids_that_differ(tmp_path: Path) -> None:
    """By extension or by folder."""
    folder = pictures(tmp_path / "in", "x/a.jpg", "y/a.jpg")
    assert {task.id for task in loaded(folder, tmp_path / "m.yaml").plan.tasks} == {"x-a", "y-a"}


def test_a_folder_of_texts_is_a_folder_of_prompts(tmp_path: Path) -> None:
    """One task each; an empty folder is refused."""
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        draft_from_folder(folder, tmp_path / "m.yaml")
    (folder / "a.txt").write_text("A boat\non a lake\n")
    (task,) = loaded(folder, tmp_path / "m.yaml").plan.tasks
    assert (task.id, task.content.request["prompt"]) == ("a", "A boat\non a lake")


def test_files_elsewhere_are_named_by_their_whole_path(tmp_path: Path) -> None:
    """A manifest may not leave its folder by a relative one."""
    (tmp_path / "there").mkdir()
    rows = table(tmp_path, ("prompt",), ("A boat",))
    assert len(loaded(rows, tmp_path / "there/m.yaml").plan.tasks) == 1
    assert json.dumps(str(rows)) in (tmp_path / "there/m.yaml").read_text()


def test_the_example_is_valid(tmp_path: Path) -> None:
    """Without a problem; the entries in its comments are valid, too, once their files are there."""
    manifest = tmp_path / "m.yaml"
    text = example_text("m.yaml", "m")
    assert check_text(manifest, text) == Trial(1, ())
    table(tmp_path, ("sku", "prompt"), ("b-1", "A cat"), name="prompts.csv")
    pictures(tmp_path / "photos", "cat.jpg", "dog.jpg")
    head, _, tasks = text.partition("tasks:\n")
    opened = "\n".join(
        line.replace("  # ", "  ", 1) if line.startswith(("  # - ", "  #   ")) else line
        for line in tasks.split("\n")
    )
    problems = check_text(manifest, f"{head}tasks:\n{opened}").problems
    assert ["duplicate id `cat`" in problem.message for problem in problems] == [True]
