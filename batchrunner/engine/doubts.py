"""Acts on usage-log look-ups: follows what was found, and resubmits what was not charged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.doubts.resubmission import resubmission
from batchrunner.core.model import AttemptId, OnDoubt, RunSettings, TaskKey
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.text import printable
from batchrunner.engine.adopter import Adopter, LogLook, describe_look
from batchrunner.engine.dispatch import Dispatch
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.operations.overrides import declare_lost


class Doubts:
    """Looks up submissions in doubt for the duration of a run."""

    def __init__(
        self,
        ledger: Ledger,
        adopter: Adopter,
        dispatch: Dispatch,
        settings: RunSettings,
        may_submit: Callable[[TaskKey], bool],
        follow: Callable[[TaskRecord], None],
        notice: Callable[[str], None],
    ) -> None:
        """`may_submit` tells whether this run may submit a task; `follow` is called for each task found."""
        self._ledger, self._adopter, self._dispatch = ledger, adopter, dispatch
        self._settings, self._may_submit = settings, may_submit
        self._follow, self._notice = follow, notice
        self._kept: dict[AttemptId, str] = {}
        """The last reason shown for not resubmitting a doubt."""

    async def keep_looking(self) -> None:
        """Keep looking up doubts; never returns."""
        await self._adopter.keep_looking(self.on_look)

    async def on_look(self, look: LogLook, given_up: Sequence[Unowned]) -> None:
        """Act on a look-up; `given_up` are the doubts that no run should wait for any longer."""
        if look.adopted or look.advice:
            self._notice(describe_look(look))
        for doubt, _ in look.adopted:
            self._follow(await self._ledger.task(doubt.key))
        if self._settings.on_doubt is OnDoubt.RESUBMIT:
            await self._resubmit(look, given_up)
        self._dispatch.look_again()

    async def _resubmit(self, look: LogLook, given_up: Sequence[Unowned]) -> None:
        wanted = frozenset(one.key for one in given_up if self._may_submit(one.key))
        decided = resubmission(given_up, look.silent, wanted, self._settings.max_attempts)
        if decided.again:
            lost = [await self._ledger.task(key) for key in decided.again]
            await declare_lost(self._ledger, lost)
            for task in lost:
                self._dispatch.put(Waiting.of(task.position, task.key, task.request))
        said = {one.attempt: text for one, text in look.advice}
        for one in decided.kept:
            why = said[one.attempt]
            if self._kept.get(one.attempt) != why:
                self._kept[one.attempt] = why
                self._notice(f"{printable(one.id)} is not resubmitted: {why}")
