"""Finds what a simulator has left in a run directory."""

from __future__ import annotations

from pathlib import Path

from batchrunner.core.file_names import OLDER_SIMULATOR_STATE, SIMULATOR_STATE


def simulator_state(directory: Path) -> Path:
    """The folder of a run directory's simulator; it exists only in simulated ones."""
    older = directory / OLDER_SIMULATOR_STATE
    return older if older.is_dir() else directory / SIMULATOR_STATE
