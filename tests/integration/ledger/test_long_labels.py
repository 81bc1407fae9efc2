"""A results.csv with a label longer than the csv module reads by itself: it is the only sign of a payment."""

import csv
from pathlib import Path

from batchrunner.engine.evidence import anything_left


def test_a_long_label_does_not_hide_what_was_paid_for(tmp_path: Path) -> None:
    """Its row names a task of the gateway."""
    assert not anything_left(tmp_path)
    with (tmp_path / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["fingerprint", "state", "remote_id", "label.script"])
        writer.writerow(["1-aa", "done", "task_1", "long " * 40_000])
    csv.field_size_limit(131_072)  # as it is in a new process
    assert anything_left(tmp_path)
