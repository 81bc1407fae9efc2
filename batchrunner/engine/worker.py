"""One slot: submits a task, polls it until it ends, and updates the ledger."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import assert_never

from batchrunner.clock import Clock
from batchrunner.core.errors import StorageError
from batchrunner.core.model import Attempt, Generation, PlannedTask, RunSettings, TaskKey
from batchrunner.core.outcome import (
    Accepted,
    AccountFault,
    AccountRefused,
    GenerationFailed,
    InProgress,
    NotVisible,
    PollOutcome,
    Receipt,
    SubmitOutcome,
    Succeeded,
    Unknown,
)
from batchrunner.core.policy import (
    ADOPTED,
    LAST_ANSWER_BYTES,
    RELEASED,
    AttemptFacts,
    Move,
    PollTime,
    after_failure,
    after_loss,
    after_submit,
    after_success,
    backoff,
    is_worth_another,
    unsendable,
    with_hold,
)
from batchrunner.core.poll_schedule import STRAGGLER_INTERVAL, PollSchedule, Watch, poll_delay
from batchrunner.core.poll_tracker import (
    Conclusion,
    GoOn,
    PollTracker,
    QueriesRefused,
    Sightings,
    Vanished,
    is_seen,
)
from batchrunner.core.seeds import derived_seed, given_seed
from batchrunner.core.settlement import Prices
from batchrunner.core.states import TaskState
from batchrunner.core.submission.backlog import Permit, Waiting
from batchrunner.core.submission.models import ONE_MODEL
from batchrunner.core.submission.suspects import Judgement
from batchrunner.core.text import command, printable, span
from batchrunner.engine.admission import Admission
from batchrunner.engine.generations import resumed
from batchrunner.engine.queries import Queries
from batchrunner.engine.requests import Requests, Unsendable
from batchrunner.engine.shared_budget import RunBudget
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger, OverBudget, RemoteIdTaken, TaskRecord
from batchrunner.ledger.history import another_finished


class Worker:
    """Shared by all slots; each call of `submit` or `resume` is one slot."""

    def __init__(
        self,
        ledger: Ledger,
        gateway: Gateway,
        clock: Clock,
        admission: Admission,
        settings: RunSettings,
        prices: Callable[[], Prices],
        requests: Requests,
        collect: Callable[[TaskKey], None],
        is_paid: Callable[[TaskKey], Awaitable[bool]],
        notice: Callable[[str], None] = lambda text: None,
        budget: RunBudget | None = None,
        queries: Queries | None = None,
    ) -> None:
        self._ledger, self._gateway, self._clock, self._admission = ledger, gateway, clock, admission
        self._settings, self._prices, self._budget = settings, prices, budget or RunBudget(ledger)
        self._requests, self._collect, self._notice = requests, collect, notice
        self._is_paid, self._settles = is_paid, False
        self._queries = queries or Queries(gateway, clock)
        self._schedule = PollSchedule()
        self._sightings = Sightings()

    async def submit(self, permit: Permit) -> None:
        """Submit the permitted task and, if accepted, follow it to its end."""
        generation = await self._submit(permit)
        if generation and not self._admission.run.closing:
            watch = Watch(generation.kind, generation.began, unfinished=generation.began)
            await self._follow(generation, watch, delay=self._delay(watch))

    async def resume(self, record: TaskRecord, polled: Callable[[], None]) -> None:
        """Follow a generation of an earlier run; `polled` is called when its first poll is answered."""
        generation = resumed(record, self._clock)
        try:
            watch = Watch(generation.kind, generation.began, unfinished=None)
            await self._follow(generation, watch, delay=0.0, polled=polled)
        finally:
            polled()

    async def _submit(self, permit: Permit) -> Generation | None:
        task = self._requests.find(permit.task.key)
        assert task is not None  # noqa: S101  only tasks of the plan are queued
        try:
            ready = await self._ready(task)
        except OverBudget as error:
            self._admission.used_up(permit, error.used_up)
            return None
        except BaseException:
            self._admission.withdraw(permit)
            raise
        if ready is None:
            self._admission.withdraw(permit)
            return None
        attempt, body = ready
        try:
            outcome = await self._gateway.submit(body)
        except asyncio.CancelledError:
            outcome = Unknown(Receipt(code="stopped", message="stopped before the submission was answered"))
            await self._record(permit, task, attempt, outcome)
            raise
        return await self._record(permit, task, attempt, outcome)

    async def _ready(self, task: PlannedTask) -> tuple[Attempt, bytes] | None:
        """Write the intent to disk and return it with the bytes to send; None if nothing is to be sent.

        The body is built first, so that nothing but the POST follows the intent.
        """
        try:
            body = await self._requests.body(task)
        except Unsendable as error:
            await self._ledger.move(task.key, unsendable(str(error), error.code))
            return None
        if body is None or await self._is_paid(task.key):
            return None
        if self._admission.is_shut:
            self._put_back(task)
            return None
        draw, name = derived_seed if self._settings.draw_seed else None, self._admission.name
        async with self._budget.room() as limits:
            attempt = await self._ledger.claim(task.key, given_seed(task.request), draw, limits, name)
        if self._admission.is_shut or self._admission.is_crowded:
            await self._ledger.move(task.key, RELEASED, attempt.id)
            self._put_back(task)
            return None
        return attempt, body.with_seed(attempt.seed)

    def _put_back(self, task: PlannedTask) -> None:
        if not self._admission.run.closing:
            self._admission.run.put(Waiting.of(task.position, task.key, task.request))

    async def _record(
        self, permit: Permit, task: PlannedTask, attempt: Attempt, outcome: SubmitOutcome
    ) -> Generation | None:
        now, judged = self._clock.wall(), self._admission.judge(permit, outcome)
        try:
            move = self._decided(outcome, attempt, now, judged)
            try:
                await self._ledger.move(task.key, move, attempt.id)
                if isinstance(outcome, AccountRefused) and outcome.fault in ONE_MODEL:
                    await self._ledger.note_denied(permit.task.model, move)
            except RemoteIdTaken as error:
                # One ID for two submissions: there is one video, and two may have been charged.
                outcome = Unknown(Receipt(code="remote_id_taken", message=str(error)))
                move = self._decided(outcome, attempt, now, judged)
                await self._ledger.move(task.key, move, attempt.id)
        except Exception as error:
            if not isinstance(outcome, Accepted):
                raise
            # This ID is recorded nowhere else: report it at once.
            told = f"{task.id} was ACCEPTED as {outcome.remote_id}, but the ledger can't be written"
            adopt = command("resolve", self._ledger.directory, task.id, "--adopt", outcome.remote_id)
            fix = f"once it can be written: {adopt}"
            self._notice(f"{told}; {fix}")
            raise StorageError(f"{told}: {error}", fix) from error
        finally:
            self._admission.record(permit, outcome, judged.spares_others)
        if isinstance(outcome, Accepted):
            began = self._clock.now()
            return Generation(task.key, attempt.id, outcome.remote_id, now, began, task.request, attempt.seed)
        if move.to is TaskState.PENDING:
            self._admission.run.put(permit.task, judged.wait)
        return None

    def _decided(self, outcome: SubmitOutcome, attempt: Attempt, now: float, judged: Judgement) -> Move:
        before, wait = attempt.refused, self._clock.real(judged.wait)
        return after_submit(outcome, now=now, counts=judged.counts, refused_before=before, wait=wait)

    async def _follow(
        self, generation: Generation, watch: Watch, delay: float, polled: Callable[[], None] = lambda: None
    ) -> None:
        tracker, holds_slot = PollTracker(), True
        while True:
            await self._clock.sleep(delay)
            answer, asked = await self._queries.poll(generation.remote_id)
            is_news = self._schedule.record(watch, answer, asked, self._clock.now())
            await self._sighted(generation, answer)
            conclusion = tracker.record(answer, self._clock.now())
            if not isinstance(conclusion, GoOn):
                return await self._conclude(generation, conclusion, holds_slot)
            if isinstance(answer, InProgress):
                before, generation = generation, generation.holding(answer.quota)
                if is_news or generation is not before:
                    news = AttemptFacts(hold=generation.hold, last_answer=answer.raw[:LAST_ANSWER_BYTES])
                    await self._ledger.note(generation.attempt, news)
            if not isinstance(answer, NotVisible):  # NotVisible doesn't show that the key sees our tasks
                polled()
            age = self._clock.now() - generation.began
            if age > self._settings.task_deadline and not tracker.is_counting:
                if holds_slot:
                    holds_slot = False
                    self._overdue(generation)
                delay = STRAGGLER_INTERVAL
            else:
                delay = self._delay(watch, conclusion)

    def _overdue(self, generation: Generation) -> None:
        """Free the slot of a task that is over its deadline; name it if others have waited for it."""
        if self._admission.canaries.overdue(generation.key) and (task := self._requests.find(generation.key)):
            named = f"{printable(task.id)} ({generation.remote_id}), one of the first of its kind,"
            late = f"has not ended within {span(self._settings.task_deadline)}"
            self._notice(f"{named} {late}; it is still polled, and another one is tried")
        self._admission.free_slot(generation.key, settled=False)

    async def _sighted(self, generation: Generation, answer: PollOutcome) -> None:
        """Record whether the gateway shows the task; an ID set by the user is confirmed once it does."""
        if generation.named and is_seen(answer) and not self._sightings.ever(generation.key):
            await self._ledger.note(generation.attempt, AttemptFacts(outcome=ADOPTED))
        if isinstance(answer, InProgress):
            self._admission.saw(generation.key, answer)
        is_sure = not (generation.named or generation.given_up)
        self._sightings.record(generation.key, answer, self._clock.now(), is_sure)

    def _delay(self, watch: Watch, so_far: GoOn | None = None) -> float:
        now = self._clock.now()
        if so_far and so_far.failures:
            usual = poll_delay(now - watch.began, watch.polls, None, None, _chance())
            return max(usual + backoff(so_far.failures, _chance()), so_far.retry_after or 0.0)
        return self._schedule.delay(watch, now, _chance(), self._admission.capacity.sees_queue)

    async def _conclude(self, generation: Generation, conclusion: Conclusion, holds_slot: bool) -> None:
        now = self._clock.wall()
        seen = PollTime(generation.accepted_at, now, self._clock.scale)
        settled = True
        if isinstance(conclusion, Vanished) and not self._sightings.vouched(generation.key, conclusion.since):
            await self._look_at_another(generation.key)
        match conclusion:
            case Succeeded():
                move = after_success(conclusion, generation, self._prices(), seen)
                await self._ledger.move(generation.key, move, generation.attempt)
                self._settles |= move.facts.charged_usd is not None
                self._collect(generation.key)
            case GenerationFailed():
                await self._failed(generation, conclusion, seen)
            case Vanished(receipt, since) if self._sightings.is_gone(generation, since):
                move = after_loss(generation, receipt, ever_seen=self._sightings.ever(generation.key))
                await self._ledger.move(generation.key, move, generation.attempt)
            case Vanished(receipt=receipt) | QueriesRefused(receipt=receipt):
                settled = False  # says nothing about the task: the next run resumes it
                self._admission.refuse(AccountFault.KEY, receipt)
                self._admission.canaries.back(generation.key)  # other accounts must not wait for it
            case GoOn():
                raise AssertionError("nothing is concluded")
            case _:
                assert_never(conclusion)
        if holds_slot:
            self._admission.free_slot(generation.key, settled)

    async def _look_at_another(self, key: TaskKey) -> None:
        """Poll one of our finished tasks to see if this key sees any, in case no other is in flight."""
        if another := await self._ledger.ask_history(partial(another_finished, key=key)):
            other, remote_id = another
            answer, _ = await self._queries.poll(remote_id)
            self._sightings.record(other, answer, self._clock.now())

    async def _failed(self, generation: Generation, answer: GenerationFailed, seen: PollTime) -> None:
        answer = with_hold(answer, generation.hold, self._settles or self._prices().settles)
        key, paid = generation.key, await self._ledger.paid_attempts(generation.key)
        wait = backoff(paid, _chance())
        again = is_worth_another(answer, paid, self._settings, generation.adopted)
        move = after_failure(answer, seen, seen.at + self._clock.real(wait) if again else None)
        await self._ledger.move(key, move, generation.attempt)
        if again and (task := self._requests.find(key)):
            self._admission.run.put(Waiting.of(task.position, key, task.request), wait)


def _chance() -> float:
    return random.random()  # noqa: S311  jitter, not a secret
