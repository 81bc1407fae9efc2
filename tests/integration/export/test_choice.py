"""Which videos go into a set, and what is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.errors import UsageError
from batchrunner.core.splits import parse_splits, split_of
from tests.harness.finished_runs import Made
from tests.integration.export.conftest import tree


def ids(export: Any) -> set[str]:
    """The IDs in the names of a folder's videos."""
    return {path.stem.rpartition("-")[0] for path in export.out.glob("train/*.mp4")}


def test_several_runs_are_one_set_and_the_first_one_wins(export: Any) -> None:
    """The same request in two runs is one row; if the first run has lost its file, the other's is taken."""
    one = export.make(Made("ant", "ant", b"first"), Made("bee", "bee", b"first"))
    two = export.make(
        Made("ANT", "ant", b"second"), Made("bee", "bee", b"second"), Made("cat", "c"), run="two"
    )
    (one / "videos/bee.mp4").unlink()
    done = export("--format", "hf", runs=[one, two])
    assert (done["videos"], done["duplicates"], done["skipped"]) == (3, 1, [])
    contents = {path.stem.rpartition("-")[0]: path.read_bytes() for path in export.out.glob("train/*.mp4")}
    assert contents == {"ant": b"first", "bee": b"second", "cat": b"video"}


def test_missing_and_changed_videos_are_named_and_decide_the_exit_code(export: Any) -> None:
    """They are added as soon as they are back; nothing in the run directory is touched."""
    tasks = [Made(name, name, name.encode()) for name in ("ant", "bee", "cat", "dog")]
    export.make(*tasks)
    (export.run / "videos/ant.mp4").unlink()
    (export.run / "videos/bee.mp4").write_bytes(b"BEE")
    (export.run / "videos/cat.mp4").write_bytes(b"longer")
    before = tree(export.run / "videos")
    done = export("--format", "hf", code=1)
    assert {Path(one["file"]).name: one["reason"] for one in done["skipped"]} == {
        "ant.mp4": "moved or deleted",
        "bee.mp4": "changed or replaced after the download",
        "cat.mp4": "changed or replaced after the download",
    }
    assert ids(export) == {"dog"}
    assert tree(export.run / "videos") == before
    (export.run / "videos/ant.mp4").write_bytes(b"ant")
    assert [Path(one["file"]).name for one in export("--format", "hf", code=1)["skipped"]] == [
        "bee.mp4",
        "cat.mp4",
    ]
    assert ids(export) == {"ant", "dog"}
    (export.run / "videos/dog.mp4").unlink()
    assert len(export("--format", "hf", code=1)["skipped"]) == 2  # what is exported may go


def test_where_chooses_by_id_and_label_as_only_does(export: Any) -> None:
    """Entries add up; one that fits nothing is an error rather than an empty set."""
    export.make(
        Made("ant", "a", labels={"kind": "small"}),
        Made("bee", "b", labels={"kind": "small"}),
        Made("cow", "c"),
    )
    assert "--where kind=smal matches no task of these runs; did you mean kind=small?" in export.refused(
        "--format", "hf", "--where", "kind=smal"
    )
    assert not export.out.exists()
    assert export("--format", "hf", "--where", "co", "--where", "kind=small")["videos"] == 3


def test_tasks_no_longer_in_the_manifest_are_exported_with_all(export: Any) -> None:
    """As in results.csv."""
    export.make(Made("ant", "ant"), Made("bee", "bee", planned=False))
    assert export("--format", "hf")["videos"] == 1
    assert export("--format", "hf", "--all", out=export.folder / "all")["videos"] == 2


def test_rejected_videos_are_left_out(export: Any) -> None:
    """A verdict is about one version in one run; without one, or with a note alone, a video is exported."""
    one = export.make(*(Made(name, name, name.encode()) for name in ("ant", "bee", "cat", "dog")))
    two = export.make(Made("bee", "bee", b"other bee"), Made("elk", "elk"), run="two")
    verdicts = export.folder / "verdicts.csv"

    def judge(**given: str) -> None:
        rows = [
            f"{run_id(one)},{Made(name, name).key},{name},videos/{name}.mp4,{verdict},a note"
            for name, verdict in given.items()
        ]
        verdicts.write_text("\n".join(["run,fingerprint,id,file_name,verdict,note", *rows]), encoding="utf-8")

    judge(ant="reject", bee="reject", cat="keep", dog="")
    options = ("--format", "hf", "--verdicts", str(verdicts))
    done = export(*options, runs=[one, two])
    assert (done["videos"], done["rejected"], done["rejected_since"], done["duplicates"]) == (4, 2, 0, 0)
    contents = {path.stem.rpartition("-")[0]: path.read_bytes() for path in export.out.glob("train/*.mp4")}
    assert contents == {"bee": b"other bee", "cat": b"cat", "dog": b"dog", "elk": b"video"}
    judge(ant="reject", cat="reject")
    done = export(*options, runs=[one, two])
    assert (done["videos"], done["rejected"], done["rejected_since"]) == (4, 2, 1)
    assert export("--format", "csv", "--verdicts", str(verdicts), out=export.folder / "rows")["videos"] == 2
    assert "was exported with --verdicts, and this is without --verdicts" in export.refused("--format", "hf")
    assert "is about these runs" in export.refused(*options, runs=[two])


def run_id(directory: Path) -> str:
    """The ID of a run directory."""
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as db:
        ((found,),) = db.execute("SELECT value FROM meta WHERE name = 'run_id'")
    return str(found)


def test_a_video_made_again_stays_as_it_was_exported(export: Any) -> None:
    """The set only grows; the summary counts what is newer elsewhere."""
    export.make(Made("ant", "ant", b"old"))
    export("--format", "hf")
    again = export.make(Made("ant", "ant", b"new"), run="again")
    before = tree(export.out)
    done = export("--format", "hf", runs=[again])
    assert (done["added"], done["made_again"]) == (0, 1)
    assert tree(export.out) == before


def test_a_folder_with_something_else_is_refused(export: Any) -> None:
    """Nothing is written to it."""
    export.make(Made("ant", "ant"))
    export.out.mkdir()
    (export.out / "thesis.txt").write_text("mine", encoding="utf-8")
    assert "contains something else: thesis.txt" in export.refused("--format", "hf")
    assert tree(export.out) == {"thesis.txt": b"mine"}
    assert "is a file" in export.refused("--format", "hf", "-o", str(export.out / "thesis.txt"))
    assert "contains something else" in export.refused("--format", "hf", "-o", str(export.run))


def test_other_options_are_refused_with_what_differs(export: Any) -> None:
    """A set is made in one way."""
    export.make(Made("ant", "ant", labels={"kind": "big"}))
    export("--format", "webdataset", "--shard-count", "2")
    before = tree(export.out)
    assert "was exported with --shard-count 2, and this is with --shard-count 3" in export.refused(
        "--format", "webdataset", "--shard-count", "3"
    )
    assert "was exported with --format webdataset, and this is with --format hf" in export.refused(
        "--format", "hf"
    )
    assert "was exported without --where, and this is with --where kind=big" in export.refused(
        "--format", "webdataset", "--shard-count", "2", "--where", "kind=big"
    )
    assert tree(export.out) == before


def test_the_same_options_may_be_written_otherwise(export: Any) -> None:
    """Blanks, defaults and repetitions make no other set."""
    export.make(Made("ant", "ant"))
    export("--format", "webdataset", "--split", "train=0.5,test=0.5", "--where", "ant")
    same = ("--split", "train=.5, test=0.50", "--shard-size", "1GB", "--where", "ant", "--where", "ant")
    assert export("--format", "webdataset", *same)["videos"] == 1


def test_a_name_that_is_taken_is_never_overwritten(export: Any) -> None:
    """Somebody's file in the set's folder is theirs."""
    export.make(Made("ant", "ant"))
    export("--format", "webdataset")
    (export.out / "train-000001.tar").write_bytes(b"mine")
    export.make(Made("bee", "bee"))
    assert "train-000001.tar is not part of the set" in export.refused("--format", "webdataset")
    assert (export.out / "train-000001.tar").read_bytes() == b"mine"


def test_a_set_that_lost_a_file_is_not_added_to(export: Any) -> None:
    """Its metadata would name a video that is gone."""
    export.make(Made("ant", "ant"))
    export("--format", "hf")
    (video,) = export.out.glob("train/*.mp4")
    video.unlink()
    assert f"lacks train/{video.name}" in export.refused("--format", "hf")
    video.write_bytes(b"another")
    assert f"{video} is not what was exported" in export.refused("--format", "hf")


def test_a_run_without_finished_videos_makes_an_empty_set(export: Any) -> None:
    """As in the first minute of a night; the next export adds what is finished by then."""
    export.make()
    assert export("--format", "hf")["videos"] == 0
    export.make(Made("ant", "ant"))
    assert export("--format", "hf")["videos"] == 1


@pytest.mark.parametrize(
    "text",
    ["train", "train=1,train=0", "train=0.5", "a=0.5,A=0.5", "x/y=1", "train=-1,b=2", "train=1,", "=1"],
)
def test_splits_that_make_no_sense_are_refused(text: str) -> None:
    """With an example."""
    with pytest.raises(UsageError) as caught:
        parse_splits(text)
    assert "train=0.9,test=0.1" in caught.value.hint


def test_splits_get_their_shares() -> None:
    """Within what chance allows, and the same for the same request."""
    splits = parse_splits("train=0.8, test=0.15,golden=0.05")
    names = [split_of(f"1-{number}", splits) for number in range(10_000)]
    assert names == [split_of(f"1-{number}", splits) for number in range(10_000)]
    for split in splits:
        assert abs(names.count(split.name) / 10_000 - float(split.share)) < 0.02


@pytest.mark.parametrize("form", ["hf", "webdataset", "jsonl"])
def test_no_secret_of_an_input_link_is_exported(export: Any, form: str) -> None:
    """Queries and passwords of links are removed, as in results.csv; the prompt is the user's own."""
    url = "https://ann:tQz9pw@host.example/cat.png?X-Amz-Signature=tQz9query"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    export.make(Made("ant", f"see {url}", metadata={"content": content}))
    export("--format", form)
    files = [path.read_bytes() for path in export.out.rglob("*") if path.is_file()]
    assert any(b"https://***@host.example/cat.png" in data for data in files)
    for data in files:
        assert data.replace(url.encode(), b"").count(b"tQz9") == 0


def test_a_video_that_is_unusable_is_taken_from_another_run_directory(export: Any) -> None:
    """Also if that is noticed only after a whole shard was read; it is no duplicate, then."""
    same = [Made(name, name, name.encode()) for name in ("ant", "bee")]
    one, two = export.make(*same, run="one"), export.make(*same, run="two")
    (one / "videos/bee.mp4").write_bytes(b"BEE")
    for form in ("hf", "webdataset"):
        done = export("--format", form, runs=[one, two], out=export.folder / form)
        assert (done["videos"], done["added"], done["duplicates"], done["skipped"]) == (2, 2, 1, [])
    (two / "videos/bee.mp4").write_bytes(b"BEe")
    done = export("--format", "webdataset", runs=[one, two], out=export.folder / "none", code=1)
    assert (done["videos"], done["added"]) == (1, 1)
    assert [Path(skipped["file"]).name for skipped in done["skipped"]] == ["bee.mp4"]
