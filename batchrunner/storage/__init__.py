"""Writes finished files atomically: part file, fsync, rename. Reads inputs from buckets."""

from __future__ import annotations

from batchrunner.media.objects import Objects


def open_inputs() -> Objects:
    """The inputs of one manifest that are in buckets; nothing is loaded for a manifest that has none."""
    from batchrunner.storage.object_inputs import ObjectInputs  # noqa: PLC0415

    return ObjectInputs()
