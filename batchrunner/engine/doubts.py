"""What a run makes of a look at the log: the found is followed, what was not charged is submitted again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.doubts.resubmission import resubmission
from batchrunner.core.model import AttemptId, OnDoubt, RunSettings, TaskKey
from batchrunner.core.text import printable
from batchrunner.engine.adopter import LogLook, describe_look
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.operations.overrides import declare_lost


class Doubts:
    """Hears of each look; `on_look` is what `Adopter.keep_looking` calls."""

    def __init__(
        self,
        ledger: Ledger,
        settings: RunSettings,
        wanted: frozenset[TaskKey],
        follow: Callable[[TaskRecord], None],
        submit_again: Callable[[frozenset[TaskKey]], Awaitable[None]],
        notice: Callable[[str], None],
    ) -> None:
        self._ledger, self._settings, self._notice = ledger, settings, notice
        self._wanted = wanted
        """The tasks that this run may submit."""
        self._follow, self._submit_again = follow, submit_again
        self._kept: dict[AttemptId, str] = {}
        """Why a doubt is not submitted again, as it was last said."""

    async def on_look(self, look: LogLook, given_up: Sequence[Unowned]) -> None:
        """A look was made; no run should wait any longer for the doubts in `given_up`."""
        if look.adopted or look.advice:
            self._notice(describe_look(look))
        for doubt, _ in look.adopted:
            self._follow(await self._ledger.task(doubt.key))
        if self._settings.on_doubt is OnDoubt.RESUBMIT:
            await self._resubmit(look, given_up)

    async def _resubmit(self, look: LogLook, given_up: Sequence[Unowned]) -> None:
        decided = resubmission(given_up, look.silent, self._wanted, self._settings.max_attempts)
        if decided.again:
            await declare_lost(self._ledger, [await self._ledger.task(key) for key in decided.again])
            await self._submit_again(decided.again)
        said = {one.attempt: text for one, text in look.advice}
        for one in decided.kept:
            why = said[one.attempt]
            if self._kept.get(one.attempt) != why:
                self._kept[one.attempt] = why
                self._notice(f"{printable(one.id)} is not submitted again: {why}")
