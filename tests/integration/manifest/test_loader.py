"""The whole way from a file to a plan."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.core.errors import ManifestError, UsageError
from batchrunner.core.model import Pricing, RunSettings
from batchrunner.core.problems import Problem
from batchrunner.manifest import LoadedManifest, load_manifest, validation

DATA = Path(__file__).parents[2] / "data"
HEAD = "version: 1\ndefaults: {model: dreamina-seedance-2-0-fast}\n"


def load(folder: Path, text: str) -> LoadedManifest:
    """A manifest with this text."""
    path = folder / "m.yaml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path)


def problems(folder: Path, text: str) -> tuple[Problem, ...]:
    """What is wrong with a manifest."""
    with pytest.raises(ManifestError) as caught:
        load(folder, text)
    return caught.value.problems


def test_sections_become_settings() -> None:
    """Times become seconds, sizes bytes, and prices numbers."""
    plan = load_manifest(DATA / "valid" / "sections.yaml").plan
    assert plan.settings == RunSettings(
        concurrency=3,
        submit_rate=0.5,
        downloads=2,
        submit_timeout=90.0,
        task_deadline=5400.0,
        max_in_doubt=2,
        disk_reserve=1_500_000_000,
        draw_seed=False,
    )
    assert plan.pricing == Pricing("CNY", {"dreamina-seedance-2-0": 46.0, "other": 0.5})
    assert plan.base_url == "http://127.0.0.1:8080/easyrouter"
    assert plan.name == "sections"


def test_omitted_settings_have_their_defaults(tmp_path: Path) -> None:
    """The name is the file's, and the rest is the runner's."""
    plan = load(tmp_path, HEAD + "run:\ntasks:\n  - prompt: A cat\n").plan
    assert (plan.name, plan.manifest) == ("m", str(tmp_path / "m.yaml"))
    assert (plan.settings, plan.pricing, plan.base_url) == (RunSettings(), Pricing(), "")


def test_the_plan_is_the_same_from_every_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor sources nor paths depend on where the command was started."""
    from_afar = load_manifest(DATA / "valid" / "rows.yaml").plan
    monkeypatch.chdir(DATA / "valid")
    nearby = load_manifest(Path("rows.yaml")).plan
    assert replace(nearby, tasks=from_afar.tasks) == from_afar
    for one, other in zip(nearby.tasks, from_afar.tasks, strict=True):
        assert one._replace(content=other.content) == other
        assert one.request == other.request


def test_rows_become_tasks() -> None:
    """Cells have found their places and types; a task knows its row."""
    a, b, c, line1, line2 = load_manifest(DATA / "valid" / "rows.yaml").plan.tasks
    assert a.request["prompt"] == "A cat costs $5 or $5, not ${prompt}"
    assert a.request["metadata"] == {"seed": 7, "watermark": True, "resolution": "480p", "duration": 4}
    assert a.labels == {"sku": "a", "note": "two\nlines"}
    assert b.labels == {"sku": "b"}
    assert b.request["metadata"] == {"watermark": False, "duration": 5}
    assert (c.id, c.source, c.position) == ("c", "rows/typed.csv: row 3", 2)
    assert (line1.id, line1.labels) == ("line-1", {"sku": "1"})
    assert line2.request["prompt"] == "A 🐈"


def test_rows_of_every_format_and_encoding_become_tasks() -> None:
    """Whatever a spreadsheet or an editor has saved."""
    tasks = load_manifest(DATA / "valid" / "rows-formats.yaml").plan.tasks
    assert [(task.id.partition("-")[0], task.request["prompt"]) for task in tasks] == [
        ("mug", 'A mug, "red"'),
        ("lamp", 'A "wild"\tlamp'),
        ("line", "一只猫"),
        ("line", "A dog"),
        ("甲", "夜里的港口"),
        ("一位老人在下棋", "一位老人在下棋"),
        ("u", "一只狐狸"),
        ("月光下的貓", "月光下的貓"),
    ]
    assert [task.source for task in tasks][2:4] == ["rows/prompts.txt: row 1", "rows/prompts.txt: row 2"]


def test_pictures_that_are_made_to_fit_are_the_same_tasks(tmp_path: Path) -> None:
    """Switching `images` on or off, or changing its bounds, costs nothing."""
    picture = (DATA / "valid" / "media" / "huge.png").read_bytes()
    (tmp_path / "a.png").write_bytes(picture)
    entries = "tasks:\n  - {prompt: A cat, image: a.png}\n"
    keys = {
        load(tmp_path, f"{HEAD}images: {{fit: {side}}}\n{entries}").plan.tasks[0].key for side in (750, 6000)
    }
    assert len(keys) == 1
    (warning,) = problems(tmp_path, HEAD + entries)
    assert "6400 x 3200 pixels" in warning.message


def test_numbers_without_a_fraction_are_whole() -> None:
    """JSON Schema takes 5.0 for an integer, the gateway does not."""
    (task,) = load_manifest(DATA / "valid" / "json.yaml").plan.tasks
    assert repr(task.request["metadata"]) == "{'seed': 5, 'duration': 5}"


def test_comments_order_ids_and_labels_do_not_change_keys(tmp_path: Path) -> None:
    """Editing what is not asked for costs nothing."""
    first = load(
        tmp_path, HEAD + "tasks:\n  - {id: a, prompt: A cat}\n  - {prompt: A dog, duration: 6}\n"
    ).plan
    text = "tasks:\n  - {seconds: '6', prompt: A dog}\n  # changed\n  - {prompt: A cat, labels: {x: 1}}\n"
    second = load(tmp_path, HEAD + "run: {concurrency: 1}\n" + text).plan
    assert {task.key for task in first.tasks} == {task.key for task in second.tasks}


def test_defaults_merge_deeply_and_lists_replace(tmp_path: Path) -> None:
    """A task says only what differs."""
    text = """
version: 1
defaults:
  model: dreamina-seedance-2-0
  metadata: {ratio: "1:1", content: [{type: video_url, video_url: {url: https://example.com/a.mp4}}]}
tasks:
  - prompt: A cat
    metadata: {seed: 1, content: [{type: video_url, video_url: {url: https://example.com/b.mp4}}]}
"""
    (task,) = load(tmp_path, text).plan.tasks
    assert task.request["metadata"] == {
        "ratio": "1:1",
        "seed": 1,
        "duration": 5,
        "content": [{"type": "video_url", "video_url": {"url": "https://example.com/b.mp4"}}],
    }


def test_a_problem_shows_the_line_it_stands_in(tmp_path: Path) -> None:
    """The snippet is the line's text, and the column leads to the value in it."""
    (problem,) = problems(tmp_path, HEAD + "tasks:\n  - prompt: 猫\n    duration: long\n")
    assert problem.place.snippet[problem.place.column - 1 :] == "long"


def test_a_problem_in_a_row_shows_the_row(tmp_path: Path) -> None:
    """The snippet is the line in which the row begins."""
    (tmp_path / "r.csv").write_text('p,d\nA cat,4\n"A\ndog",x\n')
    (problem,) = problems(tmp_path, HEAD + "tasks:\n  - {rows: r.csv, prompt: '${p}', duration: '${d}'}\n")
    assert (problem.place.row, problem.place.snippet) == (2, '"A')


def test_no_message_shows_a_key(tmp_path: Path) -> None:
    """Whatever looks like an API key is blotted out, in the line shown and in the words."""
    key = "sk-" + "a1B2" * 12
    found = problems(tmp_path, f"version: {key}\ngateway: {{api_key: {key}}}\nname: [{key}]\ntasks: {key}\n")
    assert len(found) == 4
    assert key not in repr(found)


def test_a_line_can_not_move_the_cursor(tmp_path: Path) -> None:
    """Control characters of a rows file don't reach the terminal."""
    (tmp_path / "r.csv").write_text("p\n\x1b[2J\x1b]0;x\x07\n")
    (problem,) = problems(tmp_path, HEAD + "tasks:\n  - {rows: r.csv, id: '${p}', prompt: x}\n")
    assert "\x1b" not in problem.place.snippet + problem.message


@pytest.mark.parametrize("name", ["missing.yaml", ".", "m.yaml/x"])
def test_a_file_that_is_not_there_is_a_usage_error(name: str, tmp_path: Path) -> None:
    """It is told apart from a manifest with problems, and says what to do."""
    (tmp_path / "m.yaml").touch()
    with pytest.raises(UsageError, match="can't be read") as caught:
        load_manifest(tmp_path / name)
    assert not isinstance(caught.value, ManifestError)
    assert caught.value.hint


def test_a_line_break_at_the_end_is_not_overlooked(tmp_path: Path) -> None:
    """To Python's `$` it would be nothing."""
    text = 'name: "foo\\n"\ntasks:\n  - {prompt: A cat, seconds: "5\\n", labels: {"a\\n": x}}\n'
    assert [problem.place.line for problem in problems(tmp_path, HEAD + text)] == [3, 5, 5]


def test_a_prompt_counts_in_the_size_of_the_request(tmp_path: Path) -> None:
    """The gateway takes no more than 64 MB in all."""
    (tmp_path / "p.txt").write_text("x" * 64_000_001 + "\n")
    found = problems(tmp_path, HEAD + "tasks: [{rows: p.txt, prompt: '${prompt}'}]\n")
    assert "the request would be 64.0 MB; the limit is" in found[0].message


@pytest.mark.parametrize("name", [b"caf\xe9.yaml", b"d\xe9/m.yaml"])
def test_a_name_that_is_no_text_is_refused(name: bytes, tmp_path: Path) -> None:
    """It could neither be shown nor kept; the message itself can be."""
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEAD + "tasks: [{prompt: A cat}]\n")
    with pytest.raises(UsageError, match="is not valid text") as caught:
        load_manifest(path)
    assert str(caught.value).encode()


def test_a_link_to_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """The file behind it is what is read when it is sent."""
    there = tmp_path / os.fsdecode(b"\xe9.png")
    there.write_bytes((DATA / "valid" / "media" / "dot.png").read_bytes())
    (tmp_path / "a.png").symlink_to(there)
    (problem,) = problems(tmp_path, HEAD + "tasks: [{prompt: A cat, image: a.png}]\n")
    assert "is not valid text" in problem.message
    assert repr(problem).encode()


def test_numbers_in_ids_and_labels_stay_as_written(tmp_path: Path) -> None:
    """007 is an agent, and 1.50 a price; fields of the API are numbers as ever."""
    labels = "labels: {a: 007, b: 1.50, c: 0x1F, d: 1e3, e: true, f: ~, g: x}"
    text = f"tasks:\n  - {{id: 007, prompt: A cat, duration: 05, {labels}}}\n"
    (task,) = load(tmp_path, f"{HEAD}{text}").plan.tasks
    assert task.id == "007"
    assert task.labels == {"a": "007", "b": "1.50", "c": "0x1F", "d": "1e3", "e": "true", "g": "x"}
    assert task.request["metadata"] == {"duration": 5}


def test_values_of_a_matrix_are_made_fit_for_an_id(tmp_path: Path) -> None:
    """A ratio can't be written otherwise, and no file can be named 16:9."""
    (tmp_path / "r.csv").write_text("sku\nb-1\n")
    entry = """tasks:
  - rows: r.csv
    id: "${sku}-${metadata.ratio}-${where}"
    prompt: "${where}"
    matrix: {metadata.ratio: ["16:9", "1:1"], where: [A/B]}
"""
    tasks = load(tmp_path, HEAD + entry).plan.tasks
    assert [task.id for task in tasks] == ["b-1-16x9-A-B", "b-1-1x1-A-B"]
    assert [task.request["prompt"] for task in tasks] == ["A/B", "A/B"]


def test_an_input_without_an_address_is_left_out(tmp_path: Path) -> None:
    """An empty cell drops the item, as it does in `images`; without any, there is no `content`."""
    (tmp_path / "r.csv").write_text("a,b,c\nhttps://example.com/a.png,,\n,https://example.com/b.mp4,\n,,c\n")
    entry = """tasks:
  - rows: r.csv
    prompt: A cat
    metadata:
      content:
        - {type: image_url, role: reference_image, image_url: {url: "${a}"}}
        - {type: video_url, role: reference_video, video_url: {url: "${b}"}}
"""
    requests = [task.request["metadata"] for task in load(tmp_path, HEAD + entry).plan.tasks]
    assert [
        [item["type"] for item in metadata.get("content", [])]
        for metadata in requests
        if isinstance(metadata, dict)
    ] == [["image_url"], ["video_url"], []]


def test_a_manifest_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """Nothing of it is parsed."""
    path = tmp_path / "m.yaml"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 64_000_001)
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert [problem.message for problem in caught.value.problems] == ["the file is larger than 64 MB"]


def test_rows_of_the_same_shape_are_validated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows that differ in prompt, seed, id, labels and picture cost one validation."""
    rows = "".join(f"{n},prompt {n}\n" for n in range(1000))
    (tmp_path / "r.csv").write_text("n,p\n" + rows)
    counted: list[str] = []
    real = validation.check

    def check(part: validation.Part, value: object) -> object:
        counted.append(part)
        return real(part, value)

    monkeypatch.setattr(validation, "check", check)
    text = """tasks:
  - rows: r.csv
    id: "t${n}"
    prompt: "${p}"
    image: "https://example.com/${n}.png"
    metadata: {seed: "${n}"}
    labels: {n: "${n}"}
"""
    assert len(load(tmp_path, HEAD + text).plan.tasks) == 1000
    assert counted == ["entry", "task"]


def test_one_rows_file_serves_several_entries(tmp_path: Path) -> None:
    """What is wrong with it is told once."""
    (tmp_path / "r.csv").write_text("p\nA cat\n")
    text = "tasks:\n  - {rows: r.csv, prompt: '${p}'}\n  - {rows: ./r.csv, prompt: '${p} in Paris'}\n"
    assert [task.source for task in load(tmp_path, HEAD + text).plan.tasks] == [
        "r.csv: row 1",
        "r.csv: row 1",
    ]


def test_a_hundred_mistakes_are_found_in_one_go() -> None:
    """Two in each of fifty tasks."""
    with pytest.raises(ManifestError) as caught:
        load_manifest(DATA / "invalid" / "hundred-mistakes.yaml")
    assert len(caught.value.problems) == 100


def test_how_far_it_has_come_is_told(tmp_path: Path) -> None:
    """Now and then, with the number of tasks so far: a large table takes a while."""
    (tmp_path / "rows.csv").write_text("prompt\n" + "a cat\n" * 2500)
    (tmp_path / "batch.yaml").write_text(
        "version: 1\ndefaults: {model: dreamina-seedance-2-0, duration: 5}\n"
        'tasks: [{rows: rows.csv, prompt: "${prompt}"}]\n'
    )
    told: list[int] = []
    load_manifest(tmp_path / "batch.yaml", progress=told.append)
    assert told == [1000, 2000]
