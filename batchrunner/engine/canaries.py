"""Judges the first videos of each kind, and remembers in the ledger which kinds came back as requested."""

from __future__ import annotations

import json
from collections.abc import Callable

from batchrunner.core.comparison import not_as_requested
from batchrunner.core.estimate import tokens
from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.policy import AttemptFacts
from batchrunner.core.rules.limits import Limits
from batchrunner.core.states import TaskState
from batchrunner.core.submission.canary import CanaryGate
from batchrunner.core.text import printable
from batchrunner.ledger import Ledger, LedgerEvent, TaskRecord

PROVEN_KINDS = "proven_kinds"
"""The ledger's name for the list of them."""
_MAKES_ROOM = frozenset({TaskState.PENDING, TaskState.FAILED})


class Canaries:
    """Tells the gate what became of the first tasks of each kind."""

    def __init__(
        self, ledger: Ledger, gate: CanaryGate, limits: Limits, decide_again: Callable[[], None]
    ) -> None:
        """`decide_again` is called when another task may have become possible or impossible."""
        self._ledger, self._gate, self._limits = ledger, gate, limits
        self._decide_again = decide_again
        self._proven: list[Kind] = []

    async def begin(self) -> None:
        """Recall which kinds were proven in earlier runs."""
        known = json.loads(await self._ledger.meta(PROVEN_KINDS) or "[]")
        self._proven = [Kind(*kind) for kind in known]
        for kind in self._proven:
            self._gate.proved(kind)

    def observe(self, event: LedgerEvent) -> None:
        """A task that failed makes room for another canary; a video that can't be had is a bad sign."""
        if event.to_state in _MAKES_ROOM:
            self._gate.back(event.key)
        elif event.to_state is TaskState.UNCOLLECTED:
            self._gate.uncollected(event.key, f"not downloaded: {event.code} ({printable(event.id)})")
        else:
            return
        self._decide_again()

    async def collected(self, task: TaskRecord, facts: AttemptFacts) -> None:
        """A video is verified: `facts` are those of the file."""
        kind = kind_of(task.request)
        if not (self._gate.is_proven(kind) or self._gate.is_stopped(kind)):
            if different := self._differences(task, facts):
                self._gate.wrong(kind, f"{', '.join(different)} ({printable(task.id)})")
            else:
                self._gate.proved(kind)
                self._proven.append(kind)
                await self._ledger.set_meta(PROVEN_KINDS, json.dumps(self._proven, ensure_ascii=False))
        self._gate.back(task.key)
        self._decide_again()

    def _differences(self, task: TaskRecord, facts: AttemptFacts) -> tuple[str, ...]:
        return not_as_requested(
            task.metadata,
            duration=facts.duration or 0.0,
            width=facts.width or 1,
            height=facts.height or 1,
            tokens=task.tokens,
            estimate=tokens(task.request, self._limits),
            model=self._limits.of(task.request),
        )
