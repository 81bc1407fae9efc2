"""The steps of one run with an up-to-date ledger: paid tasks first, then new submissions.

check the gateway ─▶ poll and collect what is paid for ─▶ submit while admission allows it ─▶ drain
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext, suppress

from batchrunner.core.errors import AccountError, StorageError
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.submission.decision import Stop
from batchrunner.engine.accounts import GivenAccount, open_gateways
from batchrunner.engine.chains import note_why_waiting
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.hours import keep_hours
from batchrunner.engine.parts import Parts
from batchrunner.engine.preparation import check_videos_writable
from batchrunner.engine.shutdown import StopRequest, handle_signals, supervise
from batchrunner.engine.startup import (
    ask_all,
    beginning,
    collect_by_links,
    look_at_money,
    name_left_alone,
    note_beginning,
    put_pending,
    submit_all,
    take_up,
)
from batchrunner.engine.wiring import Wiring


class Flow:
    """One run, from its first request to the gateway to the last video."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring, self._job, self._reporter = wiring, wiring.job, wiring.reporter
        self._ledger, self._clock = wiring.ledger, wiring.clock
        self._request = StopRequest()
        self._parts: Parts | None = None

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return self._parts is None

    @property
    def stop(self) -> Stop | None:
        """What stopped submission for good, if anything."""
        return self._parts.dispatch.stop if self._parts else None

    @property
    def signal(self) -> int:
        """The signal that ended the run, or 0."""
        return self._request.signal

    async def to_the_end(self) -> str:
        """Do all work, and write results.csv; if there is nothing to do, use neither key nor network.

        Returns what could not be written to disk; empty if everything was.
        """
        await self._reporter.begin()
        try:
            if accounts := self._accounts():
                check_videos_writable(self._job.directory)
                async with (
                    open_gateways(self._job.gateway, accounts) as gateways,
                    self._wiring.cluster(gateways) as cluster,
                ):
                    keys = {given: gateways[given.name] for given in accounts}
                    self._parts = self._wiring.connect(keys, self._request.by_error, cluster)
                    await self._supervised(self._parts)
            await note_why_waiting(self._ledger, self._job.plan)
        except StorageError as error:
            await self._reporter.try_to_write_results()
            return f"{error}: {error.hint}"
        return await self._reporter.write_results()

    def _accounts(self) -> tuple[GivenAccount, ...]:
        """The accounts, if any is needed; doubts alone need none, and are then looked up only with a key.

        Raises:
            AccountError: the key is needed but missing.
        """
        wanted, everything = self._reporter.wanted, self._reporter.everything
        if (self._job.plan and wanted[TaskState.PENDING]) or any(everything[state] for state in PAID_FOR):
            return self._job.accounts or (GivenAccount("", self._job.key()),)
        with suppress(AccountError):
            if everything[TaskState.IN_DOUBT]:
                return self._job.accounts or (GivenAccount("", self._job.key()),)
        return ()

    async def _supervised(self, parts: Parts) -> None:
        self._reporter.show(parts.dispatch)
        notice = self._reporter.notice
        notice(beginning(self._job, self._reporter.wanted, self._wiring.binding.settings))
        try:
            with self._heeding_signals():
                await supervise(self._work(parts), parts.dispatch, self._request, notice)
            await self._reporter.show_money()
        finally:
            parts.dispatch.leave()
            await parts.budget.leave()
            if self._job.together:
                await self._job.together.siblings.leave(self._ledger)
            self._reporter.close()

    def _heeding_signals(self) -> AbstractContextManager[None]:
        if self._job.together:  # a signal ends all of them
            self._job.together.stops.add(self._request)
            return nullcontext()
        return handle_signals(self._request, self._reporter.close, self._reporter.notice)

    async def _work(self, parts: Parts) -> None:
        notice = self._reporter.notice
        await self._reporter.waiting_for("checking the key with the gateway")
        await name_left_alone(self._ledger, [lane.name for lane in parts.lanes], notice)
        answered = await ask_all(parts, self._clock, notice)
        if answered:
            submits = self._job.submits and bool(self._reporter.wanted[TaskState.PENDING])
            await look_at_money(parts.lanes, self._ledger, submits, self._wiring.selected, notice)
        await self._reporter.waiting_for("")
        async with parts.group as group:
            await group.guarded(self._carry_out if answered else self._collect_by_links, parts)

    async def _collect_by_links(self, parts: Parts) -> None:
        """Collect by link if gateway or key can't be used: links need neither, and last only a day."""
        await collect_by_links(self._ledger, parts.collect_by_link)
        await parts.group.collected()

    async def _carry_out(self, parts: Parts) -> None:
        """Process paid tasks first, then submit, until nothing is left to wait for."""
        dispatch, group = parts.dispatch, parts.group
        group.chore(self._reporter.keep_results_fresh)
        group.chore(self._reporter.keep_ticking, dispatch)
        group.chore(parts.limits.keep_watching)
        for lane in parts.lanes:
            group.chore(lane.doubts.keep_looking)
        hours = self._wiring.hours
        group.chore(keep_hours, hours, self._clock, dispatch, self._request.by_hours)
        await parts.canaries.begin()
        await take_up(self._ledger, parts, self._clock)
        wanted = self._job.submits and self._reporter.wanted[TaskState.PENDING]
        if self._job.recovers or wanted:
            await parts.recovery.look()
        if self._job.submits:
            # Even with nothing pending, a failed generation or a doubt may be resubmitted.
            await note_beginning(self._ledger, parts.lanes, is_new=self._wiring.evidence is None)
            await parts.chains.begin()
            await self._queue_pending(dispatch)
        await submit_all(parts)
        if hours.detaches and not hours.is_open(self._clock.now(), self._clock.wall()):
            # The run was started out of hours: what had ended is collected, the rest is left.
            await group.collected()
            self._request.by_hours()
        await dispatch.drained()
        await group.collected()
        # What is left is past its deadline and polled without a slot: the next run resumes it.
        group.dismiss()

    async def _queue_pending(self, dispatch: Dispatch) -> None:
        plan, watches = self._job.plan, self._wiring.binding.settings.canary
        # Of a million tasks: dropped once they are queued, as the run may take weeks.
        kinds = await asyncio.to_thread(plan.tasks.kinds) if plan and watches else {}
        await put_pending(self._ledger, dispatch, self._clock, self._wiring.selected, kinds)
