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
