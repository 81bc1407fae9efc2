"""`batchrunner retry --again --from verdicts.csv`: new versions of the videos that a person rejects."""

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_directory import sha256_of

COLUMNS = ("run", "fingerprint", "id", "file_name", "verdict", "note")
SIX = ("ant", "bee", "cat", "dog", "eel", "fox")
AGAIN = ("retry", "batch.run", "--again", "--from", "verdicts.csv", "--json")


def save(desk: Any, verdicts: Mapping[str, str], **changed: str) -> list[dict[str, str]]:
    """Save a verdicts.csv about the videos that are there, as the report does; return its rows.

    `changed` replaces cells of every row.
    """
    run = (desk.directory / "videos" / ".run-id").read_text().strip()
    found = {row["id"]: row for row in desk.rows()}
    rows = [
        {
            "run": run,
            "fingerprint": found[name]["fingerprint"],
            "id": name,
            "file_name": found[name]["file_name"],
            "verdict": verdict,
            "note": f'\'=about {name}, "quoted"',
        }
        | changed
        for name, verdict in verdicts.items()
    ]
    write(desk.folder / "verdicts.csv", rows)
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as a verdicts.csv."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def reasons(done: Any) -> dict[str, str]:
    """Why videos were skipped, by ID, according to `--json`."""
    return {one["id"]: one["reason"] for one in done.json["skipped"]}


def test_rejected_videos_are_made_again_once(desk: Any, sim: Any) -> None:
    """Two of six rejected: two further charges, old and new files; the same CSV never pays again."""
    sim.start()
    desk.write(*SIX)
    desk.check(desk.run(), 0)
    old = {row["id"]: (desk.directory / row["file_name"], row["sha256"]) for row in desk.rows()}
    save(desk, dict.fromkeys(SIX, "keep") | {"bee": "reject", "eel": "reject", "fox": ""})

    done = desk.do(*AGAIN)
    assert (done.code, [task["id"] for task in done.json["tasks"]]) == (0, ["bee", "eel"])
    assert desk.states() == dict.fromkeys(SIX, "done") | {"bee": "pending", "eel": "pending"}
    assert sim.posts() == 6, "a verdict alone sends nothing"
    assert reasons(desk.do(*AGAIN)) == {"bee": "already_requested", "eel": "already_requested"}

    desk.check(desk.run(), 0, again={"bee": 1, "eel": 1})
    assert len(sim.charges()) == 8
    assert [desk.row(name)["file_name"] for name in ("bee", "eel")] == [
        "videos/bee-v2.mp4",
        "videos/eel-v2.mp4",
    ]
    assert all(sha256_of(path) == before for path, before in old.values())
    assert len(list((desk.directory / "videos").glob("*.mp4"))) == 8

    same = desk.do(*AGAIN)
    assert (same.code, same.json["tasks"]) == (0, [])
    assert reasons(same) == {"bee": "newer_version", "eel": "newer_version"}
    desk.check(desk.run(), 0, again={"bee": 1, "eel": 1})
    assert len(sim.charges()) == 8


def test_a_verdict_about_the_new_version_makes_another_one(desk: Any, sim: Any) -> None:
    """Rejected twice, each time after looking: three versions, each paid once."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    first = save(desk, {"ant": "reject"})
    assert len(desk.do(*AGAIN).json["tasks"]) == 1
    desk.check(desk.run(), 0, again={"ant": 1})
    second = save(desk, {"ant": "reject"})
    write(desk.folder / "verdicts.csv", [*first, *second, *second])  # both reports, and a row twice
    done = desk.do(*AGAIN)
    assert (len(done.json["tasks"]), reasons(done)) == (1, {"ant": "newer_version"})
    desk.check(desk.run(), 0, again={"ant": 2})
    assert len(sim.charges()) == 3
    assert desk.row("ant")["file_name"] == "videos/ant-v3.mp4"


def test_a_new_version_that_failed_is_not_requested_by_the_same_verdict(desk: Any, sim: Any) -> None:
    """The verdict was about the first version: `retry --failed` is for the second one."""
    sim.start({"on": "generate", "do": "fail", "nth": [2, 3]})
    desk.write("ant")
    desk.check(desk.run(), 0)
    save(desk, {"ant": "reject"})
    assert desk.do(*AGAIN).code == 0
    assert desk.run().code == 1
    assert desk.states() == {"ant": "failed"}
    assert reasons(desk.do(*AGAIN)) == {"ant": "already_requested"}
    assert desk.states() == {"ant": "failed"}


def test_with_an_older_ledger_the_same_verdict_pays_nothing(desk: Any, sim: Any, tmp_path: Path) -> None:
    """The ledger knows of no new version, so it is requested again: the paid one is found and collected."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    save(desk, {"ant": "reject"})
    shutil.copy2(desk.directory / "ledger.sqlite", tmp_path / "older.sqlite")
    assert desk.do(*AGAIN).code == 0
    desk.check(desk.run(), 0, again={"ant": 1})
    newest = desk.row("ant")
    for path in desk.directory.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copy2(tmp_path / "older.sqlite", desk.directory / "ledger.sqlite")
    assert len(desk.do(*AGAIN).json["tasks"]) == 1
    desk.check(desk.run(), 0, again={"ant": 1})
    assert len(sim.charges()) == 2
    assert desk.row("ant")["remote_id"] == newest["remote_id"]


def test_verdicts_after_the_ledger_was_rebuilt(desk: Any, sim: Any) -> None:
    """It has both versions: an old verdict is used up, and a new one asks for the third."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    save(desk, {"ant": "reject"})
    assert desk.do(*AGAIN).code == 0
    desk.check(desk.run(), 0, again={"ant": 1})
    for path in desk.directory.glob("ledger.sqlite*"):
        path.unlink()
    recovered = desk.do("recover", "batch.yaml", "-o", "batch.run", "--base-url", sim.url)
    assert (recovered.code, desk.row("ant")["file_name"]) == (0, "videos/ant-v2.mp4")
    used = desk.do(*AGAIN)
    assert (used.code, used.json["tasks"], reasons(used)) == (0, [], {"ant": "newer_version"})
    save(desk, {"ant": "reject"})
    assert len(desk.do(*AGAIN).json["tasks"]) == 1
    desk.check(desk.run(), 0, again={"ant": 2})
    assert desk.row("ant")["file_name"] == "videos/ant-v3.mp4"


def test_a_newer_video_that_the_ledger_does_not_know_is_named(desk: Any, sim: Any) -> None:
    """Before it is paid for again; a task with such a name is no version of another one."""
    sim.start()
    desk.write("ant", "ant-v3")
    desk.check(desk.run(), 0)
    save(desk, {"ant": "reject", "ant-v3": "reject"})
    assert "the ledger doesn't know" not in desk.do(*AGAIN).stderr
    desk.write("ant", "ant-v3", "bee")
    desk.check(desk.run(), 0, again={"ant": 1, "ant-v3": 1})
    (desk.directory / "videos/bee-v2.mp4").write_bytes(b"from a backup")
    save(desk, {"bee": "reject"})
    done = desk.do(*AGAIN)
    assert "the ledger doesn't know the newest video of bee in the folder of videos" in done.stderr
    assert len(done.json["tasks"]) == 1


def test_it_says_in_two_lines_what_it_did(desk: Any, sim: Any) -> None:
    """What will be made and paid for on stdout, what was skipped on stderr."""
    sim.start()
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    rows = save(desk, {"ant": "reject", "bee": "keep"})
    write(desk.folder / "verdicts.csv", [*rows, rows[0] | {"run": "0" * 32}])
    done = desk.do(*AGAIN[:-1])
    paid = "1 video will be made again as a new version; the next run will submit and pay for it\n"
    paid += "  40,594 tokens · 0.23 USD\n"
    assert (done.code, done.stdout, done.stderr) == (0, paid, "skipped: 1 row of other runs\n")
    same = desk.do(*AGAIN[:-1])
    assert (same.code, same.stdout) == (0, "no video to make again; nothing changed\n")
    assert same.stderr == "skipped: 1 with a new version already requested, 1 row of other runs\n"


def test_a_video_that_no_run_would_make_is_skipped(desk: Any, sim: Any) -> None:
    """Not downloaded yet: `collect` is free. No longer in the manifest: nothing would be submitted."""
    sim.start({"on": "download", "do": "404", "source": "both", "prompt": "bee*"}, scale=0.001)
    desk.write("ant", "bee")
    desk.check(desk.run(), 1)
    names = {"ant": "videos/ant.mp4", "bee": "videos/bee.mp4"}
    rows = save(desk, dict.fromkeys(names, "reject"))
    write(desk.folder / "verdicts.csv", [row | {"file_name": names[row["id"]]} for row in rows])
    desk.write("bee")
    assert desk.run().code == 1
    done = desk.do(*AGAIN)
    assert (done.code, done.json["tasks"]) == (0, [])
    assert reasons(done) == {"ant": "not_in_manifest", "bee": "downloadable"}
    assert len(sim.charges()) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"run": "0" * 32}, ["no row of verdicts.csv is about the run in batch.run", "hint: "]),
        ({"fingerprint": "1-00"}, ["verdicts.csv:2: error", "verdicts.csv:3: error", "1-00 (bee)"]),
        ({"file_name": "videos/cat.mp4"}, ["verdicts.csv:3: error: videos/cat.mp4 is not a video of", "bee"]),
        (
            {"verdict": "rejected"},
            ['verdicts.csv:2: error: "rejected" is not a verdict', "write keep or reject"],
        ),
        ({"fingerprint": ""}, ["verdicts.csv:2: error: `fingerprint` is empty"]),
    ],
)
def test_a_wrong_file_changes_nothing(desk: Any, sim: Any, changed: dict[str, str], said: list[str]) -> None:
    """Exit 2, every wrong row is named with its line, and no task is pending: nothing is paid for."""
    sim.start()
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    save(desk, {"ant": "reject", "bee": "reject"}, **changed)
    done = desk.do(*AGAIN[:-1])
    assert (done.code, done.stdout) == (2, "")
    assert [words for words in said if words not in done.stderr] == []
    assert "nothing was sent" not in done.stderr
    assert set(desk.states().values()) == {"done"}


def test_of_many_wrong_rows_the_first_hundred_are_shown(desk: Any, sim: Any) -> None:
    """Equal ones once, with their lines; `--json` lists each."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    (row,) = save(desk, {"ant": "reject"})
    unknown = [row | {"fingerprint": f"1-{a}{b}"} for a in "abcdefghij" for b in "abcdefghijklmno"]
    words = [row | {"verdict": f"no {number}"} for number in range(4)]
    write(desk.folder / "verdicts.csv", unknown)
    *shown, last = desk.do(*AGAIN[:-1]).stderr.splitlines()
    assert sum("no task of this run has the fingerprint" in line for line in shown) == 100
    assert (shown[-1], last) == ("… and 50 more (--json lists each)", "150 errors; nothing was changed")
    write(desk.folder / "verdicts.csv", words)
    *_, where, last = desk.do(*AGAIN[:-1]).stderr.splitlines()
    assert where == "      = 4 of these: lines 2, 3, 4, … (--json lists each)"
    assert last == "4 errors; nothing was changed"
    assert len(desk.do(*AGAIN).json["problems"]) == 4


def test_a_report_says_which_rows_of_a_file_it_leaves_out_and_why(desk: Any, sim: Any) -> None:
    """In the run directory, a wrong file is left out of the report, which is written all the same."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    (row,) = save(desk, {"ant": "reject"})
    write(desk.directory / "verdicts.csv", [row, row | {"verdict": "perhaps"}])
    done = desk.do("report", "batch.run")
    assert done.code == 0
    first, *rest = done.stderr.splitlines()
    assert first == "the verdicts in batch.run/verdicts.csv are left out:"
    assert rest[0].endswith('batch.run/verdicts.csv:3: error: "perhaps" is not a verdict')
    assert rest[-1] == "1 error"


def test_a_row_that_is_wrong_keeps_the_right_ones_from_being_paid(desk: Any, sim: Any) -> None:
    """All rows are checked before the first task changes."""
    sim.start()
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    rows = save(desk, {"ant": "reject", "bee": "reject"})
    write(desk.folder / "verdicts.csv", [rows[0], rows[1] | {"fingerprint": "1-00"}])
    assert desk.do(*AGAIN).code == 2
    assert desk.states() == {"ant": "done", "bee": "done"}


def test_options_that_contradict_each_other_are_refused(desk: Any, sim: Any) -> None:
    """--from is with --again, and instead of IDs and --failed."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    save(desk, {"ant": "reject"})
    given = ("retry", "batch.run", "--from", "verdicts.csv")
    for options in ((), ("ant", "--again"), ("--failed",), ("--failed", "--again")):
        assert desk.do(*given, *options).code == 2
    assert "--from" in desk.do("retry", "batch.run", "--again").stderr
    assert desk.do("retry", "batch.run", "--again", "--from", "no.csv").code == 2
    refused = desk.do("retry", "batch.run", "--again", "--from", "no.csv", "--json")
    assert "no.csv" in json.loads(refused.stdout)["error"]
    assert desk.states() == {"ant": "done"}
