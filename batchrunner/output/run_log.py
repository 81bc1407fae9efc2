"""run.log: one JSON line for each event of the ledger and each notice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import LOG_NAME
from batchrunner.core.redaction import redacted
from batchrunner.core.text import iso
from batchrunner.ledger import LedgerEvent
from batchrunner.output.event_stream import EventSink
from batchrunner.storage.log_files import rotate

_IF_KNOWN = ("seed", "remote_id", "account")
_encoded = json.JSONEncoder(ensure_ascii=False).encode
_FIELDS = tuple(field.name for field in fields(LedgerEvent) if field.name not in ("at", *_IF_KNOWN))


class RunLog:
    """The open log of a run directory; later runs append, or start another one if it is large."""

    def __init__(self, directory: Path, also: EventSink | None = None) -> None:
        """`also` gets the same events and notices."""
        self._directory, self._also = directory, also
        self._path = directory / LOG_NAME
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        rotate(self._path)
        try:
            self._file = self._path.open("a", encoding="utf-8", errors="replace")
        except OSError as error:
            raise StorageError(f"can't write {self._path}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            with suppress(OSError):
                self._file.close()

    def event(self, event: LedgerEvent) -> None:
        """Log an event."""
        values = {name: getattr(event, name) for name in _FIELDS} | {"message": redacted(event.message)}
        values |= {name: value for name in _IF_KNOWN if (value := getattr(event, name)) not in (None, "")}
        self._write(event.at, values)
        self._pass_on("task", event.at, values)

    def began(self, run_id: str) -> None:
        """Log the run ID, from which the seeds of this run's attempts are derived."""
        now = datetime.now(UTC).timestamp()
        self._write(now, {"run_id": run_id})
        self._pass_on("began", now, {"run_id": run_id, "directory": str(self._directory)})

    def notice(self, text: str) -> None:
        """Log a notice."""
        now, values = datetime.now(UTC).timestamp(), {"notice": redacted(text)}
        self._write(now, values)
        self._pass_on("notice", now, values)

    def _pass_on(self, kind: str, at: float, values: Mapping[str, object]) -> None:
        if self._also:
            self._also.write(kind, at, values)

    def _write(self, at: float, line: Mapping[str, object]) -> None:
        # The log is a convenience: on a full disk, the ledger's error ends the run.
        with suppress(OSError):
            if self._file:
                self._file.write(_encoded({"at": iso(at), **line}) + "\n")
                self._file.flush()
