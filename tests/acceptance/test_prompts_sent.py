"""What is sent as a prompt is what was meant as one; the charge book is asked."""

import json
from typing import Any

TEXT = """version: 1
defaults: {model: dreamina-seedance-2-0-fast, duration: 4, metadata: {resolution: 480p}}
tasks:
  - {rows: prompts.txt, id: "line-${line}", prompt: "${prompt}"}
"""


def test_a_json_manifest_with_escapes_asks_for_the_same_videos(desk: Any, sim: Any) -> None:
    """`json.dump` writes surrogate pairs; with and without escapes it is one request, paid once."""
    sim.start()
    desk.write({"id": "cat", "prompt": "一只猫 😀 on a \\ud83d wall"})
    readable = desk.manifest.read_text(encoding="utf-8")
    desk.manifest.write_text(json.dumps(json.loads(readable), indent="\t"), encoding="utf-8")
    desk.check(desk.run(), 0)
    desk.manifest.write_text(readable, encoding="utf-8")
    desk.check(desk.run(), 0)
    assert [charge["prompt"] for charge in sim.charges()] == ["一只猫 😀 on a \\ud83d wall"]


def test_comments_of_a_txt_are_not_paid_for(desk: Any, sim: Any) -> None:
    """Lines that begin with # are no prompts, and what looks like none is warned of before it is paid for."""
    sim.start()
    desk.manifest.write_text(TEXT, encoding="utf-8")
    lines = ["# first night", "A cat walks", "#A dog walks", r"\#cats", "TODO", ""]
    (desk.folder / "prompts.txt").write_text("\n".join(lines), encoding="utf-8")
    done = desk.run("--strict")
    assert done.code == 2
    assert (
        "prompts.txt: row 3: error: the prompt is only `TODO`, which looks like a placeholder" in done.stderr
    )
    assert sim.charges() == []
    (desk.folder / "prompts.txt").write_text("\n".join(lines).replace("TODO", ""), encoding="utf-8")
    desk.planned = 2
    desk.check(desk.run("--strict"), 0)
    assert sorted(charge["prompt"] for charge in sim.charges()) == ["#cats", "A cat walks"]


def test_a_txt_whose_lines_nothing_uses_is_refused(desk: Any, sim: Any) -> None:
    """Each line would be paid for, and make the same video."""
    sim.start()
    desk.manifest.write_text(TEXT.replace('"${prompt}"', "A cat walks"), encoding="utf-8")
    (desk.folder / "prompts.txt").write_text("A cat\nA dog\n", encoding="utf-8")
    done = desk.run()
    assert done.code == 2
    assert "error: nothing in the entry uses `${prompt}`, the text of the lines" in done.stderr
    assert sim.charges() == []


def test_the_order_of_files_costs_nothing(desk: Any, sim: Any) -> None:
    """Files come 2 before 10, and a task is the same wherever it stands."""
    sim.start()
    text = TEXT.replace('rows: prompts.txt, id: "line-${line}"', "files: shots/*.txt").replace(
        "prompt}", "stem}"
    )
    desk.manifest.write_text(text, encoding="utf-8")
    (desk.folder / "shots").mkdir()
    for number in (1, 10):
        (desk.folder / "shots" / f"shot {number}.txt").touch()
    desk.planned = 2
    desk.check(desk.run(), 0)
    (desk.folder / "shots" / "shot 2.txt").touch()
    desk.planned = 3
    desk.check(desk.run(), 0)
    assert [row["id"] for row in desk.rows()] == ["shot 1", "shot 2", "shot 10"]
    assert sorted(charge["prompt"] for charge in sim.charges()) == ["shot 1", "shot 10", "shot 2"]
