"""A folder of videos with metadata, read back by the datasets library."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.harness.finished_runs import Made
from tests.integration.export.conftest import HOSTILE, tree

TEXTS = ("id", "prompt", "run", "fingerprint")


def by_key(rows: Any) -> dict[str, dict[str, Any]]:
    """Rows by fingerprint, with the bytes of their videos."""
    found = {}
    for row in rows:
        found[row["fingerprint"]] = row | {"video": Path(row["video"]["path"]).read_bytes()}
    return found


@pytest.mark.parametrize("how", ["as a dataset", "as a folder of videos"])
def test_the_library_reads_every_value_and_every_byte(export: Any, load: Any, how: str) -> None:
    """Hostile texts are read as they are, numbers as numbers, and each video belongs to its row."""
    export.make(*HOSTILE)
    assert export("--format", "hf")["videos"] == len(HOSTILE)
    arguments = {"as a dataset": ([str(export.out)], {})}.get(
        how, (["videofolder"], {"data_dir": export.out})
    )
    rows = by_key(load(*arguments[0], **{name: str(path) for name, path in arguments[1].items()})["train"])
    assert len(rows) == len(HOSTILE)
    for task in HOSTILE:
        row = rows[task.key]
        assert (row["id"], row["prompt"], row["video"]) == (task.id, task.prompt, task.data)
        assert (row["seed"], row["cost"], row["duration"], row["width"]) == (7, task.cost, 4.5, 864)
        assert (row["run"], row["model"], row["bytes"]) == ("cats", "fast", len(task.data))
        assert json.loads(row["parameters"]) == {"model": "fast", "metadata": {"duration": 5}}
        assert row["label.region"] == task.labels.get("region", "")
        assert row["label.a.b"] == task.labels.get("a.b", "")
        assert row["label.source_file_name_"] == task.labels.get("source_file_name", "")


def test_splits_are_stable_and_named(export: Any, load: Any) -> None:
    """Each video is in one split, and stays there when the set grows; replicas are on the same side."""
    tasks = [Made(f"clip-{number}", f"prompt {number}", b"%d" % number) for number in range(60)]
    twins = [Made(f"twin-{number}", f"prompt {number}", b"t%d" % number, replica=2) for number in range(20)]
    export.make(*tasks[:30])
    export("--format", "hf", "--split", "train=0.7,validation=0.2,golden=0.1")
    before = {
        key: row["id"] for split in load(str(export.out)).values() for key, row in by_key(split).items()
    }
    sides = {path.name: path.parent.name for path in export.out.glob("*/*.mp4")}
    export.make(*tasks[30:], *twins)
    assert export("--format", "hf", "--split", "train=0.7,validation=0.2,golden=0.1")["added"] == 50
    now = {path.name: path.parent.name for path in export.out.glob("*/*.mp4")}
    assert sides.items() <= now.items()
    assert set(now.values()) == {"train", "validation", "golden"}
    found = load(str(export.out))
    assert set(found) == {"train", "validation", "golden"}
    after = {key: name for name, split in found.items() for key in by_key(split)}
    assert len(after) == 80
    assert set(before) <= set(after)
    assert all(after[twin.key] == after[twin._replace(replica=1).key] for twin in twins)


def test_linked_videos_are_the_run_directorys_own_files(export: Any) -> None:
    """`--link` takes no space; a video that was changed is skipped."""
    export.make(Made("ant", "ant", b"ant"), Made("bee", "bee", b"bee"), Made("cat", "cat", b"cat"))
    (export.run / "videos/bee.mp4").write_bytes(b"eeb")
    done = export("--format", "hf", "--link", code=1)
    assert (done["added"], [Path(one["file"]).name for one in done["skipped"]]) == (2, ["bee.mp4"])
    (linked,) = export.out.glob("train/ant-*.mp4")
    assert linked.samefile(export.run / "videos/ant.mp4")


def test_a_link_that_looks_unchanged_is_read_with_verify(export: Any) -> None:
    """Same size and time, other content: only `--verify` sees that."""
    export.make(Made("ant", "ant", b"ant"))
    path = export.run / "videos/ant.mp4"
    before = path.stat()
    path.write_bytes(b"tan")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = export("--format", "hf", "--link", "--verify", code=1)
    assert [one["reason"] for one in done["skipped"]] == ["changed or replaced after the download"]


def test_links_across_file_systems_become_copies(export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set is whole in any case, and the summary says that it takes space."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    export.make(Made("ant", "ant", b"ant"))
    assert export("--format", "hf", "--link")["added"] == 1
    assert "1 could not be linked" in export.err
    (copied,) = export.out.glob("train/*.mp4")
    assert (copied.read_bytes(), copied.stat().st_nlink) == (b"ant", 1)


def test_what_a_person_wrote_into_the_card_stays(export: Any, load: Any) -> None:
    """The licence survives the next export, which brings counts and splits up to date."""
    export.make(Made("ant", "ant"))
    export("--format", "hf")
    card = export.out / "README.md"
    text = card.read_text(encoding="utf-8")
    assert "| Videos | 1 (train 1) |" in text
    edited = text.replace("# license: choose one", "license: mit # chosen: one") + "\nAsk Ann first.\n"
    card.write_text(edited, encoding="utf-8")
    export.make(Made("bee", "bee", labels={"kind": "big"}))
    export("--format", "hf")
    text = card.read_text(encoding="utf-8")
    assert "license: mit" in text
    assert text.endswith("Ask Ann first.\n")
    assert "| Videos | 2 (train 2) |" in text
    assert {row["id"]: row["label.kind"] for row in load(str(export.out))["train"]} == {
        "ant": "",
        "bee": "big",
    }


def test_edited_metadata_are_kept_as_a_backup(export: Any) -> None:
    """They are written again from the set, but nobody's work is lost."""
    export.make(Made("ant", "ant"))
    export("--format", "hf")
    path = export.out / "train/metadata.jsonl"
    path.write_text("mine", encoding="utf-8")
    export("--format", "hf")
    assert (export.out / "train/metadata.jsonl.bak").read_text(encoding="utf-8") == "mine"
    assert "metadata.jsonl.bak" in export.err
    before = tree(export.out)
    export("--format", "hf")
    assert tree(export.out) == before


def test_a_chain_is_on_one_side(export: Any) -> None:
    """All shots that follow a task, and those that follow its replicas, are in its split."""
    tasks: list[Made] = []
    for number in range(12):
        first = Made(f"a{number}", f"scene {number}")
        twin = first._replace(id=f"b{number}", replica=2)
        second = Made(f"c{number}", "on", image=first.last_frame)
        tasks += [first, twin, second, Made(f"d{number}", "on", image=twin.last_frame)]
        tasks.append(Made(f"e{number}", "further", image=second.last_frame))
    export.make(*tasks)
    export("--format", "hf", "--split", "train=0.5,test=0.5")
    sides: dict[str, set[str]] = {}
    for split in ("train", "test"):
        for line in (export.out / split / "metadata.jsonl").read_text(encoding="utf-8").splitlines():
            sides.setdefault(json.loads(line)["id"][1:], set()).add(split)
    assert len(sides) == 12
    assert {len(side) for side in sides.values()} == {1}
    assert set().union(*sides.values()) == {"train", "test"}
