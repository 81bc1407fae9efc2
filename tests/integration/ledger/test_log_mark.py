"""What run.log says beyond the ledger: read from the mark on, and as a whole where the mark does not fit."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.file_names import LEDGER_NAME, LOG_NAME, VIDEOS
from batchrunner.engine.evidence import Evidence, mark_log, read_evidence
from batchrunner.engine.log_mark import LogMark
from batchrunner.ledger import Ledger
from batchrunner.storage import log_files
from batchrunner.storage.log_files import parts, rotate

CLAIMED = {"at": "2026-11-01T10:00:00.000+00:00", "key": "1-a", "event": "claimed", "to_state": "submitting"}
ACCEPTED = CLAIMED | {"event": "accepted", "to_state": "generating", "remote_id": "task_1"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / VIDEOS).mkdir()
    path = tmp_path / LOG_NAME
    path.write_text(json.dumps({"at": CLAIMED["at"], "run_id": "ab"}) + "\n", encoding="utf-8")
    return path


def add(log: Path, *lines: dict[str, Any]) -> None:
    """Write lines as a run does."""
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def read(directory: Path, everything: bool = False, marks: bool = False) -> Evidence:
    """What the files say; with `marks`, the ledger then records how far."""

    async def go() -> Evidence:
        async with Ledger.open(directory) as ledger:
            found = await read_evidence(directory, ledger, everything)
            if marks:
                await mark_log(directory, ledger, found)
            return found

    return asyncio.run(go())


def test_lines_before_the_mark_are_not_read_again(tmp_path: Path, log: Path) -> None:
    """Their run IDs are remembered; with `everything`, they are read."""
    before = read(tmp_path, marks=True)
    add(log, CLAIMED, ACCEPTED)
    found = read(tmp_path)
    assert "ab" in found.run_ids == before.run_ids
    assert (list(found.claims), found.named, found.names_any) == (["1-a"], {"1-a": {"task_1"}}, True)
    assert found.under_way == {"1-a"}
    changed = log.read_text(encoding="utf-8").replace("ab", "xy")
    log.write_text(changed, encoding="utf-8")
    assert "xy" in read(tmp_path).run_ids, "it is another file, so all of it counts"


def test_everything_is_read_on_request(tmp_path: Path, log: Path) -> None:
    """Whatever the mark says: somebody looks for what is lost."""
    read(tmp_path, marks=True)
    add(log, CLAIMED)
    with log.open("r+b") as file:
        file.write(b"x")  # the first line can't be read any more
    assert list(read(tmp_path, everything=True).claims) == ["1-a"]
    assert "ab" not in read(tmp_path, everything=True).run_ids


def test_what_the_ledger_lacks_is_never_left_behind(tmp_path: Path, log: Path) -> None:
    """No mark is set behind a claim that the ledger does not have, however often it is read."""
    add(log, CLAIMED)
    for _ in range(3):
        assert list(read(tmp_path, marks=True).claims) == ["1-a"]


def test_an_older_ledger_reads_what_was_written_since(tmp_path: Path, log: Path) -> None:
    """Its mark is as old as itself."""
    read(tmp_path, marks=True)
    older = (tmp_path / LEDGER_NAME).read_bytes()
    add(log, {"at": CLAIMED["at"], "notice": "ended"})
    read(tmp_path, marks=True)
    add(log, CLAIMED)
    (tmp_path / LEDGER_NAME).write_bytes(older)
    assert list(read(tmp_path).claims) == ["1-a"]


def test_a_mark_fits_only_its_file(tmp_path: Path) -> None:
    """Cut, replaced or gone, the file is read from its beginning."""
    path = tmp_path / "run.log"
    path.write_bytes(b"x" * 10_000)
    mark = LogMark.at_end(path, frozenset({"b", "a"}), names_any=True)
    assert LogMark.from_text(mark.to_text()) == mark == mark.in_file(path)
    assert (mark.size, mark.run_ids) == (10_000, ("a", "b"))
    path.write_bytes(b"x" * 10_000 + b"more")
    assert mark.in_file(path) == mark
    for other in (b"x" * 9_999, b"x" * 9_999 + b"y" + b"more", b""):
        path.write_bytes(other)
        assert mark.in_file(path) == LogMark()
    path.unlink()
    assert mark.in_file(path) == LogMark() == LogMark.at_end(path, frozenset(), names_any=False)
    assert LogMark.from_text("") == LogMark()


def test_rotation_moves_no_mark_and_hides_nothing(tmp_path: Path, log: Path) -> None:
    """A ledger of before reads what follows its mark, in older parts, too; the present one reads nothing."""
    read(tmp_path, marks=True)
    older = (tmp_path / LEDGER_NAME).read_bytes()
    add(log, {"at": CLAIMED["at"], "notice": "ended"})
    read(tmp_path, marks=True)
    present = (tmp_path / LEDGER_NAME).read_bytes()
    for _ in range(3):
        rotate(log, above=0)
        assert not log.exists()
        (tmp_path / LEDGER_NAME).write_bytes(present)
        assert read(tmp_path).adds_nothing
        add(log, CLAIMED, ACCEPTED)
        (tmp_path / LEDGER_NAME).write_bytes(older)
        found = read(tmp_path)
        assert (found.named, "ab" in found.run_ids) == ({"1-a": {"task_1"}}, True)
        log.unlink()
        add(log, {"at": CLAIMED["at"], "notice": "of the next night"})
    assert [path.name for path in parts(log)] == ["run.log.1.gz", "run.log.2.gz", "run.log.3.gz", "run.log"]


def test_rotated_parts_read_as_the_file_they_were(tmp_path: Path) -> None:
    """Their bytes and lines, from any place on; a part is never changed, and ten follow nine."""
    log, written = tmp_path / LOG_NAME, b""
    for number in range(11):
        text = b"".join(b"line %d of %d\n" % (line, number) for line in range(3))
        log.write_bytes(text)
        written += text
        before = {path: path.read_bytes() for path in parts(log) if path != log}
        rotate(log, above=0)
        assert {path: path.read_bytes() for path in before} == before
    log.write_bytes(b"the end\n")
    written += b"the end\n"
    assert log_files.size(log) == len(written)
    for start in range(0, len(written) + 2, 7):
        assert b"".join(log_files.lines(log, start)) == written[start:]
        assert log_files.read(log, start, 50) == written[start : start + 50]
    rotate(log)
    assert log.exists(), "it is small"


@pytest.mark.parametrize("left", ["renamed", "compressed", "other"])
def test_an_interrupted_rotation_is_completed(tmp_path: Path, left: str) -> None:
    """Killed after the rename, or before the uncompressed part was deleted: nothing is read twice."""
    log = tmp_path / LOG_NAME
    log.write_bytes(b"first\n" * 10)
    rotate(log, above=0)
    packed = log.with_name("run.log.1.gz")
    if left == "renamed":
        packed.unlink()
    if left == "other":
        packed.write_bytes(b"not what it was")
    log.with_name("run.log.1").write_bytes(b"first\n" * 10)
    log.write_bytes(b"second\n")
    assert list(log_files.lines(log)) == [b"first\n"] * 10 + [b"second\n"]
    rotate(log)
    assert list(log_files.lines(log)) == [b"first\n"] * 10 + [b"second\n"]
    assert log.with_name("run.log.1").exists() == (left == "other"), "what is not understood is kept"


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "deleted"])
def test_a_damaged_part_hides_no_other(tmp_path: Path, damage: str) -> None:
    """What follows it is read, from any mark on, and no mark in or behind it fits."""
    log = tmp_path / LOG_NAME
    log.write_bytes(b"".join(b"%d\n" % number for number in range(5000)))
    mark = LogMark.at_end(log, frozenset(), names_any=False)
    rotate(log, above=0)
    packed = log.with_name("run.log.1.gz")
    data = packed.read_bytes()
    if damage == "deleted":
        packed.unlink()
    else:
        packed.write_bytes({"cut": data[:2000], "changed": data[:2000] + b"?" * 99, "empty": b""}[damage])
    log.write_bytes(b"next\n")
    assert mark.in_file(log) == LogMark()
    assert b"next\n" in list(log_files.lines(log))


@pytest.mark.parametrize("kind", ["symlink", "folder", "none"])
def test_only_a_file_is_rotated(tmp_path: Path, kind: str) -> None:
    """A link to a log elsewhere stays a link."""
    log = tmp_path / LOG_NAME
    (tmp_path / "elsewhere").write_bytes(b"text\n")
    {"symlink": lambda: log.symlink_to("elsewhere"), "folder": log.mkdir, "none": lambda: None}[kind]()
    rotate(log, above=0)
    assert log.is_symlink() == (kind == "symlink")
    assert [path for path in parts(log) if path != log] == []
