"""One entry, many tasks: matrix, rows, files and repetition, alone and together."""

from pathlib import Path

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.core.model import PlannedTask
from batchrunner.core.problems import Problem
from batchrunner.manifest import LoadedManifest, load_manifest, multiples

HEAD = "version: 1\ndefaults: {model: dreamina-seedance-2-0-fast}\ntasks:\n"
PNG = (Path(__file__).parents[2] / "data" / "valid" / "media" / "dot.png").read_bytes()


def load(folder: Path, entries: str) -> LoadedManifest:
    """A manifest with these entries."""
    path = folder / "m.yaml"
    path.write_text(HEAD + entries, encoding="utf-8")
    return load_manifest(path)


def tasks(folder: Path, entries: str) -> tuple[PlannedTask, ...]:
    """The tasks of these entries."""
    return load(folder, entries).plan.tasks


def problems(folder: Path, entries: str) -> tuple[Problem, ...]:
    """What is wrong with these entries."""
    with pytest.raises(ManifestError) as caught:
        load(folder, entries)
    return caught.value.problems


def prompts(found: tuple[PlannedTask, ...]) -> list[object]:
    """What each task asks to see."""
    return [task.request["prompt"] for task in found]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two pictures, one of them in a subfolder."""
    (tmp_path / "photos" / "best").mkdir(parents=True)
    (tmp_path / "photos" / "b.png").write_bytes(PNG)
    (tmp_path / "photos" / "best" / "a.png").write_bytes(PNG + b"\0")
    return tmp_path


def test_a_matrix_is_every_combination(tmp_path: Path) -> None:
    """The first key changes most slowly, as in nested loops; each task knows which combination it is."""
    found = tasks(
        tmp_path,
        """
  - id: "${animal}-${n}"
    prompt: "A ${animal}"
    labels: {kind: "${animal}", n: "${n}"}
    matrix: {animal: [cat, fox], n: [1, 2.5, true]}
""",
    )
    assert [task.id for task in found] == ["cat-1", "cat-2.5", "cat-true", "fox-1", "fox-2.5", "fox-true"]
    assert found[4].labels == {"kind": "fox", "n": "2.5"}
    assert [found[0].source, found[5].source] == ["m.yaml:5, combination 1", "m.yaml:5, combination 6"]


def test_a_key_with_a_dot_sets_a_field(tmp_path: Path) -> None:
    """It takes the field's type, and can be used as a name too; null leaves the field away."""
    found = tasks(
        tmp_path,
        """
  - id: "cat-${metadata.seed}"
    prompt: A cat
    metadata: {ratio: "1:1"}
    matrix: {metadata.seed: [1, "2", null]}
""",
    )
    assert [task.request["metadata"] for task in found] == [
        {"ratio": "1:1", "seed": 1, "duration": 5},
        {"ratio": "1:1", "seed": 2, "duration": 5},
        {"ratio": "1:1", "duration": 5},
    ]
    assert [task.id for task in found] == ["cat-1", "cat-2", "cat-"]


def test_a_matrix_can_choose_among_inputs(tmp_path: Path) -> None:
    """A value may be a list: the pictures and videos to work from."""
    (tmp_path / "cat.png").write_bytes(PNG)
    found = tasks(
        tmp_path,
        """
  - prompt: A cat
    matrix:
      metadata.content:
        - [{type: image_url, image_url: {url: cat.png}}]
        - [{type: video_url, video_url: {url: https://example.com/a.mp4}}]
""",
    )
    assert len({task.key for task in found}) == 2


def test_repeat_makes_replicas(tmp_path: Path) -> None:
    """The same request, wanted several times: with a seed or without, and nobody is warned of it."""
    entries = "  - {id: cat, prompt: A cat, repeat: 3}\n  - {prompt: A dog, metadata: {seed: 7}, repeat: 2}\n"
    loaded = load(tmp_path, entries)
    found = loaded.plan.tasks
    assert loaded.warnings == ()
    assert [task.id for task in found][:3] == ["cat", "cat-2", "cat-3"]
    assert [task.replica for task in found] == [1, 2, 3, 1, 2]
    assert len({task.key for task in found}) == 5
    assert found[0].key == tasks(tmp_path, "  - {prompt: A cat}\n")[0].key


def test_more_of_the_same_costs_only_what_is_added(tmp_path: Path) -> None:
    """Raising `repeat`, or writing the entry twice instead, leaves the first ones what they were."""
    once = {task.key for task in tasks(tmp_path, "  - {prompt: A cat, repeat: 2}\n")}
    more = {task.key for task in tasks(tmp_path, "  - {prompt: A cat, repeat: 3}\n")}
    written = {task.key for task in tasks(tmp_path, "  - {prompt: A cat}\n  - {prompt: A cat}\n")}
    assert once == written
    assert once < more


def test_an_unmeant_twin_is_warned_of_beside_replicas(tmp_path: Path) -> None:
    """Only what `repeat` says is meant."""
    loaded = load(tmp_path, "  - {prompt: A cat, repeat: 2}\n  - {prompt: A cat, repeat: 2}\n")
    (warning,) = loaded.warnings
    assert warning.place.line == 5
    assert warning.message == "same request as m.yaml:4: both will be made and paid for"
    assert len(loaded.plan.tasks) == 4


def test_rows_matrix_and_repeat_combine(tmp_path: Path) -> None:
    """Each row with each combination, each as often as wanted, in that order."""
    (tmp_path / "r.csv").write_text("sku,what\na,mug\nb,lamp\n")
    found = tasks(
        tmp_path,
        """
  - rows: r.csv
    id: "${sku}-${style}"
    prompt: "A ${what}, ${style}"
    matrix: {style: [noir, pop]}
    repeat: 2
""",
    )
    assert prompts(found)[::2] == ["A mug, noir", "A mug, pop", "A lamp, noir", "A lamp, pop"]
    assert [task.id for task in found][:4] == ["a-noir", "a-noir-2", "a-pop", "a-pop-2"]
    assert [task.source for task in found][3:5] == [
        "r.csv: row 1, combination 2",
        "r.csv: row 2, combination 1",
    ]


def test_files_fill_an_entry(photos: Path) -> None:
    """One task a file, in the order of their paths, with four names to use; the stem is its id."""
    found = tasks(
        photos,
        """
  - files: "photos/**/*.png"
    image: "${file}"
    prompt: "${name} of ${folder}"
    labels: {stem: "${stem}"}
""",
    )
    assert [task.id for task in found] == ["b", "a"]
    assert prompts(found) == ["b.png of photos", "a.png of best"]
    assert [task.source for task in found] == ["photos/b.png", "photos/best/a.png"]
    assert found[1].labels == {"stem": "a"}


def test_files_with_a_matrix_are_named_after_stem_and_content(photos: Path) -> None:
    """The stem alone would name several."""
    found = tasks(
        photos,
        """
  - files: photos/*.png
    image: "${file}"
    prompt: Let it ${move}
    matrix: {move: [dance, fly]}
    repeat: 2
""",
    )
    assert len({task.id for task in found}) == 4
    assert all(task.id.startswith("b-") for task in found)


def test_several_patterns_keep_their_order_and_take_a_file_once(photos: Path) -> None:
    """What a later one matches again is not made twice."""
    entry = """
  - files: [photos/best/*, "photos/**/*.png", ./photos/b.png]
    image: "${file}"
    prompt: Let it move
"""
    assert [task.id for task in tasks(photos, entry)] == ["a", "b"]


def test_a_pattern_without_a_match_makes_no_tasks(photos: Path) -> None:
    """It is said, and the rest of the manifest is run."""
    entries = '  - {files: photos/*.PNG, image: "${file}", prompt: x}\n  - {prompt: A cat}\n'
    loaded = load(photos, entries)
    assert [task.request["prompt"] for task in loaded.plan.tasks] == ["A cat"]
    (warning,) = loaded.warnings
    assert warning.message == "`files`: nothing matches photos/*.PNG, so there is nothing to do"


def test_a_picture_that_can_not_be_sent_is_the_place_of_its_fault(photos: Path) -> None:
    """An editor opens it; the manifest's line would be the same for all of them."""
    (photos / "photos" / "c.png").write_bytes(PNG[:300])
    (problem,) = problems(photos, '  - {files: photos/*.png, image: "${file}", prompt: x}\n')
    assert str(problem.place) == str(photos / "photos" / "c.png")
    assert problem.message == "`image`: photos/c.png can't be decoded: it is damaged or incomplete"


def test_a_fault_of_a_matrix_value_is_reported_at_the_value(tmp_path: Path) -> None:
    """Once, however many combinations have it."""
    found = problems(
        tmp_path, '  - {prompt: "A ${a}", duration: "${d}", matrix: {a: [cat, fox], d: [5, long, 7]}}\n'
    )
    (problem,) = found
    assert problem.place.snippet[problem.place.column - 1 :].startswith("long")
    assert problem.message == '`duration` must be a whole number, not "long"'


def test_a_fault_of_row_and_matrix_is_reported_at_the_row(tmp_path: Path) -> None:
    """With the columns that it comes from."""
    (tmp_path / "r.csv").write_text("sku\na/b\n")
    entries = '  - {rows: r.csv, id: "${sku}-${n}", prompt: x, matrix: {n: [1], metadata.seed: [2]}}\n'
    (problem,) = problems(tmp_path, entries)
    assert (problem.place.row, problem.message.endswith("can't contain '/' (column `sku`)")) == (1, True)


def test_a_fault_of_several_matrix_values_is_reported_at_the_matrix(tmp_path: Path) -> None:
    """Neither of them is to blame alone."""
    entries = '  - {id: "${a}${b}", prompt: x, matrix: {a: [.], b: [x], metadata.seed: [1]}}\n'
    (problem,) = problems(tmp_path, entries)
    assert problem.place.snippet[problem.place.column - 1 :].startswith('"${a}${b}"')


def test_values_of_a_matrix_are_no_templates(tmp_path: Path) -> None:
    """They are sent as they stand, and that is said: somebody may have meant something else."""
    loaded = load(tmp_path, '  - {prompt: "A ${a}", matrix: {a: ["${b}"], b: [cat]}, labels: {b: "${b}"}}\n')
    assert prompts(loaded.plan.tasks) == ["A ${b}"]
    (warning,) = loaded.warnings
    assert warning.message == '"${b}" is used literally: values of `matrix` are not templates'


def test_a_manifest_has_no_more_than_a_million_tasks(tmp_path: Path) -> None:
    """The product is looked at before any of it is made."""
    hundred = ", ".join(map(str, range(100)))
    entry = f'  - {{prompt: "${{a}}${{b}}", matrix: {{a: [{hundred}], b: [{hundred}]}}, repeat: 101}}\n'
    (problem,) = problems(tmp_path, entry)
    assert problem.message == "with this entry there are 1,010,000 tasks; the limit is 1,000,000"


def test_the_bound_counts_all_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry that goes over it is the one to change."""
    monkeypatch.setattr("batchrunner.manifest.expand.MAX_TASKS", 3)
    entries = "  - {prompt: A cat, repeat: 3}\n"
    assert len(tasks(tmp_path, entries)) == 3
    (problem,) = problems(tmp_path, entries + "  - {prompt: A dog}\n")
    assert (problem.place.line, "4 tasks" in problem.message) == (5, True)


def test_the_combination_of_a_number_is_the_one_that_was_filled() -> None:
    """Counting back and forth agree, whatever the lengths of the lists."""
    both = multiples.Multiples(matrix={"a": [1, 2], "b": [3], "c": [4, 5, 6]})
    assert [both.filling(one.at) for one in both.fillings()] == [dict(one.values) for one in both.fillings()]
    assert both.count == 6
