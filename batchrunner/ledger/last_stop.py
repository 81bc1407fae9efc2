"""Remembers what stopped submission in the last run, for `status`."""

from __future__ import annotations

import json

from batchrunner.core.errors import ExitCode
from batchrunner.core.redaction import redacted
from batchrunner.core.submission.decision import Stop
from batchrunner.ledger.ledger import Ledger
from batchrunner.ledger.reader import LedgerReader

_NAME = "last_stop"


async def note_stop(ledger: Ledger, stop: Stop | None) -> None:
    """Record what stopped submission in this run; None if nothing did.

    Raises:
        StorageError: it can't be written.
    """
    text = ""
    if stop:
        values = (redacted(stop.why), redacted(stop.hint), int(stop.exit_code), stop.is_partial)
        text = json.dumps(values, ensure_ascii=False)
    if text != await ledger.meta(_NAME):
        await ledger.set_meta(_NAME, text)


async def last_stop(ledger: LedgerReader) -> Stop | None:
    """What stopped submission in the last run, if anything."""
    text = await ledger.meta(_NAME)
    if not text:
        return None
    why, hint, code, *partial = json.loads(text)  # earlier versions have three values
    return Stop(why, hint, ExitCode(code), any(partial))
