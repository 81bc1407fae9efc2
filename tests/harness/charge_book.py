"""The simulator's charge book, which says what was paid for, and the promises about charges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REFUNDED = {"failed", "moderated"}
"""Endings of generations for which the gateway gives the money back."""


def read(state: Path, task_id: str = "") -> list[dict[str, Any]]:
    """The charges in a simulator's state folder, oldest first; for one task, which its prompt begins with."""
    book = state / "charges.jsonl"
    lines = book.read_text(encoding="utf-8").splitlines(keepends=True) if book.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    charges = [line for line in found if line["kind"] == "charge"]
    return [charge for charge in charges if task_id in ("", charge["prompt"].partition(" ")[0])]


def check_charges(
    charges: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, str]],
    again: Mapping[str, int],
    former: Sequence[str],
) -> None:
    """Assert at most one charge a task, and that each charge has its row or a task in doubt.

    A generation that the model failed is refunded, and may have been submitted once more. `again` says how
    many further charges a prompt may have; `former` lists prompts that are no longer in the manifest.
    """
    wanted = Counter(row["prompt"] for row in rows) + Counter(again) + Counter(former)
    kept = [charge for charge in charges if charge["life"]["ending"] not in REFUNDED]
    charged = Counter(charge["prompt"] for charge in kept)
    assert not charged - wanted, f"charged more often than wanted: {charged - wanted}"
    submitted = Counter(charge["prompt"] for charge in charges)
    assert not submitted - wanted - wanted, f"accepted more often than allowed: {submitted}"
    in_rows = {row["remote_id"] for row in rows}
    unowned = Counter(charge["prompt"] for charge in kept if charge["remote_id"] not in in_rows)
    excused = Counter(row["prompt"] for row in rows if row["state"] == "in_doubt")
    lost = unowned - excused - Counter(again) - Counter(former)
    assert not lost, f"charged, but neither in a row nor in doubt: {lost}"
