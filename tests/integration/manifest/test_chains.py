"""References to other tasks' outputs: linked, refused with their place, and part of the fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.core.model import PlannedTask
from batchrunner.core.problems import Problem
from batchrunner.core.task_outputs import outputs_in
from batchrunner.manifest import load_manifest

HEAD = "version: 1\ndefaults: {model: dreamina-seedance-2-0-fast}\ntasks:\n"
SHOTS = """
  - {id: ant, prompt: A, image: "task:bee/last_frame"}
  - {id: bee, prompt: B}
  - {id: cat, prompt: C, image: "task:ant/last_frame"}
"""


def tasks(folder: Path, entries: str) -> list[PlannedTask]:
    """The tasks of a manifest with these entries."""
    path = folder / "m.yaml"
    path.write_text(HEAD + entries, encoding="utf-8")
    return list(load_manifest(path).plan.tasks)


def problems(folder: Path, entries: str) -> tuple[Problem, ...]:
    """What is wrong with these entries."""
    with pytest.raises(ManifestError) as caught:
        tasks(folder, entries)
    return caught.value.problems


def needs(found: list[PlannedTask]) -> dict[str, list[str]]:
    """The IDs of the tasks that each task needs."""
    ids = {task.key: task.id for task in found}
    return {task.id: [ids[output.task] for _, output in outputs_in(task.request)] for task in found}


def keys(found: list[PlannedTask]) -> dict[str, str]:
    """The key of each task, by ID."""
    return {task.id: task.key for task in found}


def test_a_task_needs_another_wherever_that_stands(tmp_path: Path) -> None:
    """Before or after it, through any number of steps; the reference is shown as it was written."""
    found = tasks(tmp_path, SHOTS)
    assert needs(found) == {"ant": ["bee"], "bee": [], "cat": ["ant"]}
    assert found[2].content.form.inputs == '["task:ant/last_frame"]'


def test_an_edit_changes_the_fingerprints_of_what_follows(tmp_path: Path) -> None:
    """The first shot's prompt is part of all that follow, the last one's only of its own; IDs are of none."""
    before = keys(tasks(tmp_path, SHOTS))
    after = keys(tasks(tmp_path, SHOTS.replace("prompt: B", "prompt: other")))
    assert [name for name in before if before[name] == after[name]] == []
    after = keys(tasks(tmp_path, SHOTS.replace("prompt: C", "prompt: other")))
    assert [name for name in before if before[name] == after[name]] == ["ant", "bee"]
    renamed = keys(tasks(tmp_path, SHOTS.replace("bee", "bumblebee")))
    assert sorted(renamed.values()) == sorted(before.values())


def test_whole_families_of_chains(tmp_path: Path) -> None:
    """A matrix fills the name; the values in it are those of ids, where some letters are replaced."""
    found = tasks(
        tmp_path,
        """
  - {id: "${s}-1", prompt: "${s}", matrix: {s: [sea, "16:9"]}}
  - {id: "${s}-2", prompt: "on in ${s}", image: "task:${s}-1/last_frame", matrix: {s: [sea, "16:9"]}}
""",
    )
    assert needs(found) == {"sea-1": [], "16x9-1": [], "sea-2": ["sea-1"], "16x9-2": ["16x9-1"]}


def test_repeats_are_linked_one_by_one(tmp_path: Path) -> None:
    """With the same `repeat`, each has its own; one that is made once is shared; one can be named."""
    found = tasks(
        tmp_path,
        """
  - {id: a, prompt: A, repeat: 2}
  - {id: b, prompt: B, image: "task:a/last_frame", repeat: 2}
  - {id: c, prompt: C, image: "task:a-2/last_frame", repeat: 2}
  - {id: d, prompt: D, image: "task:a/last_frame"}
""",
    )
    assert needs(found) == {
        **{"a": [], "a-2": [], "b": ["a"], "b-2": ["a-2"], "c": ["a-2"], "c-2": ["a-2"], "d": ["a"]}
    }
    assert [task.replica for task in found if task.id in ("b-2", "c-2")] == [1, 2]
    assert len({task.key for task in found}) == len(found)


def test_a_text_that_looks_like_a_reference_is_only_one_in_an_input(tmp_path: Path) -> None:
    """A prompt or a label may say `task:ant/last_frame`: it stays what it is."""
    entry = (
        '  - {id: fox, prompt: "task:bee/last_frame", image: "task:bee/last_frame", labels: {a: "task:x"}}'
    )
    found = tasks(tmp_path, SHOTS + entry)
    assert found[3].request["prompt"] == "task:bee/last_frame"
    assert found[3].labels == {"a": "task:x"}


@pytest.mark.parametrize(
    ("entry", "line", "message", "hint"),
    [
        ('{id: x, prompt: X, image: "task:beee/last_frame"}', 7, "no task has the id `beee`", "`bee`"),
        (
            '{id: x, prompt: X, image: "task:other/last_frame"}',
            7,
            "no task has the id `other`",
            "same manifest",
        ),
        ('{id: x, prompt: X, image: "task:bee"}', 7, "doesn't say which part", "task:ID/last_frame"),
        ('{id: x, prompt: X, image: "task:bee/first_frame"}', 7, "doesn't say which part", "/last_frame"),
        (
            '{id: x, prompt: X, image: "task:bee/video"}',
            7,
            "`task:bee/video` is a video, and a picture is needed here",
            "write task:bee/last_frame",
        ),
        (
            "{id: x, prompt: X, metadata: {content: [{type: video_url, role: reference_video,"
            ' video_url: {url: "task:bee/last_frame"}}]}}',
            7,
            "`task:bee/last_frame` is a picture, and a video is needed here",
            "write task:bee/video",
        ),
        ('{id: x, prompt: X, image: "task:x/last_frame"}', 7, "can't need itself: x needs x", "begin"),
        ('{id: x, prompt: X, image: "task:bee/last_frame", repeat: 3}', 0, "", ""),
    ],
)
def test_a_wrong_reference_is_refused_at_its_place(
    tmp_path: Path, entry: str, line: int, message: str, hint: str
) -> None:
    """With the line that has it and what to write; nothing is planned."""
    if not line:
        assert len(tasks(tmp_path, f"{SHOTS}  - {entry}\n")) == 6
        return
    (found,) = problems(tmp_path, f"{SHOTS}  - {entry}\n")
    assert found.place.line == line + 1
    assert message in found.message
    assert hint in found.hint


def test_a_circle_is_told_once_with_all_its_tasks(tmp_path: Path) -> None:
    """However it is entered, and beside other faults."""
    found = problems(tmp_path, SHOTS.replace("prompt: B", 'prompt: B, image: "task:cat/last_frame"'))
    assert [problem.message for problem in found] == [
        "a task can't need itself: ant needs bee needs cat needs ant"
    ]
    assert found[0].place.line == 5


def test_different_repeats_are_refused(tmp_path: Path) -> None:
    """Which of two should the third have? The message names both numbers."""
    (found,) = problems(
        tmp_path,
        """
  - {id: a, prompt: A, repeat: 2}
  - {id: b, prompt: B, image: "task:a/last_frame", repeat: 3}
""",
    )
    assert found.message == "`a` is made 2 times, and this 3 times"
    assert "task:a-2/last_frame" in found.hint


def test_a_video_of_another_task(tmp_path: Path) -> None:
    """It is given as an item of `metadata.content`, and makes the task one with an input video."""
    item = '{type: video_url, role: reference_video, video_url: {url: "task:ant/video"}}'
    found = tasks(tmp_path, f"{SHOTS}  - {{id: fox, prompt: F, metadata: {{content: [{item}]}}}}\n")
    assert needs(found)["fox"] == ["ant"]


def test_a_long_chain_is_linked(tmp_path: Path) -> None:
    """Two thousand shots, each from the one before, with the last one first."""
    shots = [f'  - {{id: s{n}, prompt: S, image: "task:s{n - 1}/last_frame"}}' for n in range(2000, 0, -1)]
    found = tasks(tmp_path, "\n".join([*shots, "  - {id: s0, prompt: S}\n"]))
    assert len({task.key for task in found}) == 2001


def test_videos_that_are_too_long_together_are_refused(tmp_path: Path) -> None:
    """Their lengths are known before they are made: the model would refuse them only then."""
    entries = """
  - {id: a, prompt: A, duration: 8}
  - {id: b, prompt: B, duration: 8}
  - id: c
    prompt: C
    metadata:
      content:
        - {type: video_url, role: reference_video, video_url: {url: "task:a/video"}}
        - {type: video_url, role: reference_video, video_url: {url: "task:b/video"}}
"""
    (found,) = problems(tmp_path, entries)
    assert found.message == "the videos that it needs last 16 seconds together; the limit is 15"
    assert found.place.line == 12
    assert len(tasks(tmp_path, entries.replace("B, duration: 8", "B, duration: 7"))) == 3


def test_a_reference_with_a_misspelled_column_is_one_error(tmp_path: Path) -> None:
    """What is wrong is the name in the template, not the task that would be meant without it."""
    entry = '  - {id: "${s}-2", prompt: P, image: "task:${z}-1/last_frame", matrix: {s: [sea]}}\n'
    (found,) = problems(tmp_path, SHOTS + entry)
    assert "`${z}` is not a key of `matrix`" in found.message


def warnings(folder: Path, entries: str) -> list[tuple[int, int, str]]:
    """Line, column and message of each warning about these entries."""
    path = folder / "m.yaml"
    path.write_text(HEAD.replace("fast}", 'fast, metadata: {ratio: "16:9"}}') + entries, encoding="utf-8")
    found = load_manifest(path).warnings
    return [(one.place.line, one.place.column, one.message) for one in found]


def test_shots_that_cannot_be_joined_are_told_once_for_each_chain(tmp_path: Path) -> None:
    """At the first shot that differs, with both sizes; not for each one that follows, nor a fork."""
    entries = """  - {id: a, prompt: A}
  - {id: b, prompt: B, image: "task:a/last_frame"}
  - {id: c, prompt: C, image: "task:b/last_frame", metadata: {resolution: 480p}}
  - {id: d, prompt: D, image: "task:c/last_frame"}
  - {id: e, prompt: E, image: "task:b/last_frame", metadata: {resolution: 480p}}
  - {id: x, prompt: X}
  - {id: y, prompt: Y, image: "task:x/last_frame", metadata: {ratio: "9:16"}}
"""
    assert warnings(tmp_path, entries) == [
        (6, 31, "b (1280×720, 24 fps) and c (864×496, 24 fps) can't be joined to a film"),
        (10, 31, "x (1280×720, 24 fps) and y (720×1280, 24 fps) can't be joined to a film"),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        'image: "task:a/last_frame"',
        'image: "task:a/last_frame", metadata: {ratio: adaptive}',
        'image: "task:a/last_frame", model: dreamina-seedance-2-0',
        "metadata: {resolution: 480p, content: [{type: image_url, role: reference_image,"
        ' image_url: {url: "task:a/last_frame"}}]}',
    ],
)
def test_what_may_be_joined_or_continues_nothing_is_not_warned_of(tmp_path: Path, entry: str) -> None:
    """An adaptive ratio follows the picture; other models have the same sizes; a reference is no film."""
    assert warnings(tmp_path, f"  - {{id: a, prompt: A}}\n  - {{id: b, prompt: B, {entry}}}\n") == []


def test_an_adaptive_ratio_does_not_hide_what_can_never_be_joined(tmp_path: Path) -> None:
    """No ratio of 480p has a size of 720p; and what an adaptive shot may be is bound by those before it."""
    entries = """  - {id: a, prompt: A}
  - {id: b, prompt: B, image: "task:a/last_frame", metadata: {ratio: adaptive}}
  - {id: c, prompt: C, image: "task:b/last_frame", metadata: {ratio: "9:16"}}
"""
    assert [message.partition(" (")[0] for *_, message in warnings(tmp_path, entries)] == ["a"]
    ((_, _, told),) = warnings(tmp_path, entries.replace('"9:16"', "adaptive, resolution: 480p"))
    assert told.startswith("b (one of 6 sizes, such as ")
