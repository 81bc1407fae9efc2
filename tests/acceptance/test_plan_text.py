"""What `plan` shows: one line per group with reasons and cost, the tasks only if asked for."""

from typing import Any

import pytest


@pytest.fixture
def mixed(desk: Any, sim: Any) -> Any:
    """A desk on which bee has failed, ant and dog are done, ant is edited, cat removed and elk added."""
    sim.start()
    bee = {"id": "bee", "prompt": "ark:moderated"}
    desk.write("ant", bee, "cat", "dog", max_attempts=1)
    assert desk.run().code == 1
    desk.write({"id": "ant", "prompt": "ant sleeps"}, bee, "dog", "elk", max_attempts=1)
    return desk


def test_each_group_has_one_line_with_its_reasons(mixed: Any, sim: Any) -> None:
    """New, changed and in which fields, failed and why, removed; not task by task, and nothing is written."""
    before = {path: path.read_bytes() for path in mixed.directory.iterdir() if path.is_file()}
    posts = sim.posts()
    lines = mixed.do("plan", "batch.yaml").stdout.splitlines()
    group = {line.split()[1].rstrip(":"): line for line in lines[1:] if line[:8].strip().isdecimal()}
    assert list(group) == ["new", "changed", "done", "failed", "removed"]
    assert "changed: prompt ×1; the old videos are kept · " in group["changed"]
    assert "failed: OutputVideoSensitiveContentDetected ×1" in group["failed"]
    assert "removed: was done ×1" in group["removed"]
    assert "USD" in group["new"]
    assert "USD" not in group["failed"]
    assert "1 task was edited although its old version is paid: ant" in "\n".join(lines)
    assert not any("batch.yaml:" in line for line in lines)
    assert {path: path.read_bytes() for path in before} == before
    assert sim.posts() == posts


def test_tasks_are_listed_one_by_one(mixed: Any) -> None:
    """With --tasks, each with its reason and its place."""
    lines = mixed.do("plan", "batch.yaml", "--tasks").stdout.splitlines()
    listed = {line.split()[0]: line for line in lines if line.startswith(" " * 12)}
    assert listed.keys() == {"ant", "bee", "cat", "dog", "elk"}
    assert "differs in prompt" in listed["ant"]
    assert "batch.yaml:" in listed["elk"]


def test_json_has_groups_and_tasks(mixed: Any) -> None:
    """The groups' tokens and cost add up to the totals."""
    plan = mixed.do("plan", "batch.yaml", "--json").json
    groups = {group["change"]: group for group in plan["groups"]}
    assert groups["changed"]["reasons"] == {"prompt": 1}
    assert groups["failed"]["reasons"] == {"OutputVideoSensitiveContentDetected": 1}
    assert sum(group["tokens"] for group in groups.values()) == plan["forecast"]["tokens"] > 0
    assert sum(group["cost"] for group in groups.values()) == pytest.approx(plan["forecast"]["cost"])
    assert {task["id"] for task in plan["tasks"] if task["old_version_paid"]} == {"ant"}
    assert plan["submitted"] == 2


def test_a_selection_is_that_of_a_run(desk: Any, sim: Any) -> None:
    """What `plan --only … --limit …` says is what the run with the same options is charged."""
    sim.start()
    desk.write("ant", "bee", {"id": "cat", "prompt": "cat runs", "labels": {"kind": "pet"}})
    for options in (["--only", "kind=pet"], ["--limit", "2"]):
        plan = desk.do("plan", "batch.yaml", "--json", *options).json
        before = sum(charge["tokens"] for charge in sim.charges())
        assert desk.run(*options).code == 0
        assert plan["forecast"]["tokens"] == sum(charge["tokens"] for charge in sim.charges()) - before
    assert desk.do("plan", "batch.yaml", "--json", "--limit", "2").json["submitted"] == 0
    refused = desk.do("plan", "batch.yaml", "--only", "dog")
    assert refused.code == 2
    assert "matches no task" in refused.stderr


def test_the_time_is_that_of_finished_tasks_of_the_same_kind(desk: Any, sim: Any) -> None:
    """What took long here is expected to take long again, and another model is not."""
    sim.start(generation_seconds=700, generation_sigma=0)
    desk.write("ant")
    first = desk.do("plan", "batch.yaml", "--json").json["forecast"]["seconds"]
    assert first == {"8": 100.0, "3": 100.0, "10": 100.0}
    assert desk.run().code == 0
    desk.write("ant", "bee")
    took = float(desk.row("ant")["generation_seconds"])
    again = desk.do("plan", "batch.yaml", "--json").json["forecast"]["seconds"]["3"]
    assert again == pytest.approx(took, abs=1) != 100.0
    desk.write("ant", {"id": "bee", "prompt": "bee", "model": "dreamina-seedance-2-0"})
    assert desk.do("plan", "batch.yaml", "--json").json["forecast"]["seconds"]["3"] == 100.0


def test_each_task_says_what_it_needs(desk: Any, sim: Any) -> None:
    """`after` and the IDs in plan order; in JSON as a list; a task that needs nothing says nothing."""
    sim.start()
    content = [
        {"type": "image_url", "role": "reference_image", "image_url": {"url": f"task:{name}/last_frame"}}
        for name in ("bee", "ant")
    ]
    needy = {"id": "cat", "prompt": "cat joins both", "metadata": {"content": content}}
    desk.write("ant", needy, "bee", {"id": "dog", "prompt": "dog", "image": "task:cat/last_frame"})
    for _ in range(2):  # without a ledger, and with one
        lines = desk.do("plan", "batch.yaml", "--tasks").stdout.splitlines()
        listed = {line.split()[0]: line.split("  ")[-2] for line in lines if " (batch.yaml:" in line}
        assert listed.keys() == {"ant", "cat", "bee", "dog"}
        after = {name: text for name, text in listed.items() if text.startswith("after ")}
        assert after == {"cat": "after ant, bee", "dog": "after cat"}
        tasks = desk.do("plan", "batch.yaml", "--json").json["tasks"]
        needs = {task["id"]: task["needs"] for task in tasks}
        assert needs == {"ant": [], "cat": ["ant", "bee"], "bee": [], "dog": ["cat"]}
        assert desk.run("--limit", "1").code == 0
