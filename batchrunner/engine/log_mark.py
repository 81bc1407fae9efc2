"""How far run.log is known to agree with the ledger: a run of a hundred thousand tasks writes 100 MB of it.

A line is written after its event is on disk. So a ledger that records a mark has everything that stands
before it, and so has every copy of that ledger with the mark; an older copy has an earlier mark, or none.
A mark counts the bytes from the beginning of the oldest part of a rotated log, so rotation doesn't move it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from batchrunner.storage import log_files

_TAIL = 4096
"""How many bytes before the mark must be the same."""


@dataclass(frozen=True, slots=True)
class LogMark:
    """A place in run.log."""

    size: int = 0
    """Bytes before it."""
    tail: str = ""
    """The SHA-256 of the last of them."""
    run_ids: tuple[str, ...] = ()
    """All run IDs before it."""
    names_any: bool = False
    """Whether a remote ID stands before it."""

    @classmethod
    def at_end(cls, path: Path, run_ids: frozenset[str], names_any: bool) -> LogMark:
        """The end of the file as it is now; the beginning if it can't be read."""
        with suppress(OSError):
            size = log_files.size(path) if log_files.parts(path) else None
            return cls() if size is None else cls(size, _tail(path, size), tuple(sorted(run_ids)), names_any)
        return cls()

    @classmethod
    def from_text(cls, text: str) -> LogMark:
        """Restore a mark from `to_text`; the beginning if there is none."""
        values = json.loads(text) if text else {}
        return cls(**{**values, "run_ids": tuple(values.get("run_ids", ()))})

    def to_text(self) -> str:
        """The mark as JSON."""
        return json.dumps(asdict(self))

    def in_file(self, path: Path) -> LogMark:
        """The same mark, or the beginning if this is not the file in which it was made."""
        with suppress(OSError):
            if log_files.size(path) >= self.size and _tail(path, self.size) == self.tail:
                return self
        return LogMark()


def _tail(path: Path, size: int) -> str:
    return hashlib.sha256(log_files.read(path, max(0, size - _TAIL), min(size, _TAIL))).hexdigest()
