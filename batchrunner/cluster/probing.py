"""Whether a worker sees a folder of the machine that decides."""

from __future__ import annotations

from pathlib import Path


def sees(folder: Path, probe: str) -> bool:
    """Whether a folder is that of the deciding process, shown by the file that it wrote there."""
    try:
        return (folder / probe).read_text(encoding="utf-8") == probe
    except (OSError, UnicodeDecodeError):
        return False
