"""Derives the seeds of attempts, so that a run's paid tasks can be recognised from its run ID."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from batchrunner.core.model import Request, TaskKey

ATTEMPTS_AHEAD = 20
"""How many attempts beyond those in the ledger are searched for: some may have been refused."""
SALTS = 2
"""How many salts are searched for: a second one is needed only if two seeds in a ledger collide."""


def derived_seed(run_id: str, key: TaskKey, number: int, salt: int = 0) -> int:
    """The seed of an attempt: the first 31 bits of a SHA-256.

    `number` counts the task's attempts from 1; `salt` counts from 0 the seeds that were already taken.
    """
    text = f"{run_id}\n{key}\n{number}\n{salt}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def seeds_ahead(run_id: str, key: TaskKey, attempts: int) -> Iterator[tuple[int, int]]:
    """Seed and number of each attempt that may have been submitted after these `attempts`."""
    for number in range(attempts + 1, attempts + ATTEMPTS_AHEAD + 1):
        for salt in range(SALTS):
            yield derived_seed(run_id, key, number, salt), number


def given_seed(request: Request) -> int | None:
    """The seed set in the manifest, if any."""
    metadata = request.get("metadata")
    seed = metadata.get("seed") if isinstance(metadata, Mapping) else None
    return seed if isinstance(seed, int) else None
