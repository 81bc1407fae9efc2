"""Finds paid attempts missing from an outdated ledger, before anything is submitted.

A ledger that was restored, copied or lost is behind the gateway. One free look-up in the usage log, together
with run.log and results.csv, finds the missing attempts; they are added and followed, not paid for again.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import UsageRow, reaches_back
from batchrunner.core.doubts.restored import (
    Paid,
    can_know,
    followed,
    lookalikes,
    recognized,
    strange_ids,
    unaccounted,
)
from batchrunner.core.errors import ExitCode
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.outcome import UsageLog, UsageOutcome
from batchrunner.core.policy import FOUND_DONE, FOUND_GENERATING, SUBMISSION_LOST_TRACK_OF, AttemptFacts
from batchrunner.core.seeds import derived_seed
from batchrunner.core.states import TaskState, TransitionRefused
from batchrunner.core.submission.decision import Stop
from batchrunner.core.text import count, printable
from batchrunner.engine.accounts import UsageLogs
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.evidence import Evidence, as_attempt, names_video, proven
from batchrunner.engine.former_versions import add_former_versions, paid_for_others
from batchrunner.engine.unknown_tasks import Missed, UnknownTasks
from batchrunner.ledger import Ledger, LostAttempt, PaidAttempt, RemoteIdTaken, TaskRecord
from batchrunner.ledger.history import LOOKED_AT, VOUCHED_AT, accounted, accounts, history, models_in

PATIENCE = 1800.0
"""Nominal seconds that submission waits for tasks that can't be identified as ours or not yet."""
BETWEEN_LOOKS, BETWEEN_LATER_LOOKS, LATER = 90.0, 300.0, 600.0
"""Nominal seconds between look-ups, first and after `LATER`: the limit is 20 in 20 min per IP address."""
LATEST = 3600.0
"""Maximum nominal seconds from a submission's claim to its arrival at the gateway."""
MOST_NAMED = 5
COULD_BECOME_PENDING = (TaskState.PENDING, TaskState.IN_DOUBT, TaskState.GENERATING)


class Recovery:
    """Finds paid attempts missing from the ledger; checked before each submission."""

    def __init__(
        self,
        ledger: Ledger,
        logs: UsageLogs,
        clock: Clock,
        directory: Path,
        evidence: Evidence | None,
        follow: Callable[[TaskRecord], None],
        gate: Dispatch,
        notice: Callable[[str], None],
        hint: str = "",
        everything: bool = False,
    ) -> None:
        """`evidence` is None for a new ledger; `everything` reads the log as far back as it goes."""
        self._ledger, self._logs, self._clock, self._directory = ledger, logs, clock, directory
        self._evidence, self._follow, self._gate, self._notice = evidence, follow, gate, notice
        self._hint, self._everything = hint, everything
        self._unknown = UnknownTasks(ledger, logs, notice)
        self._asking = asyncio.Lock()
        self._has_looked = False
        self._is_stopped = False
        self._is_outdated = False
        """Whether something was found that the ledger should have known."""

    async def look(self) -> None:
        """Look up once, before the first submission; adopt what is found, and wait for what may be ours."""
        async with self._asking:
            if self._has_looked or self._evidence is None:
                return
            try:
                await self._look_until_settled(self._evidence)
            finally:
                self._gate.held_for = ""
            self._has_looked = True

    async def is_paid(self, key: TaskKey) -> bool:
        """Whether a task's next attempt was already paid for (and is now adopted), or submission stopped."""
        if self._evidence is None:
            return False
        await self.look()
        if self._is_stopped:
            return True
        async with self._asking:
            # A task found while this call waited for the lock is no longer pending.
            is_pending = await self._ledger.wanted(TaskState.PENDING, keys=[key])
            return not is_pending or await self._adopt(self._evidence, [key])

    async def _look_until_settled(self, evidence: Evidence) -> None:
        await self._unknown.remember()
        await self._take_what_lies_there(evidence)
        await add_former_versions(self._ledger, evidence, self._unknown)
        if self._everything and (others := await paid_for_others(self._ledger, evidence)):
            self._notice(
                f"run.log shows {count(others, 'paid submission')} of tasks that are not in this manifest: "
                "neither what was spent nor a budget includes them; lower the budget by what they cost"
            )
        end, began = self._clock.now() + PATIENCE, self._clock.wall()
        since = 0.0 if self._everything else (await self._ledger.ask_history(history)).since
        while True:
            log = await self._logs.read(self._clock, every=self._needs_all(evidence))
            missed = await self._look_at(log.rows if isinstance(log, UsageLog) else (), evidence, since)
            why = await self._why_unread(log, evidence, since)
            if why or not isinstance(log, UsageLog):
                await self._without_log(evidence, why)
                return
            left = end - self._clock.now()
            if not missed or left <= 0:
                break
            why = f"{missed} may have been paid for by an earlier run: checking again before submitting"
            if why != self._gate.held_for:
                self._notice(why)
            self._gate.held_for = why
            between = BETWEEN_LOOKS if left > PATIENCE - LATER else BETWEEN_LATER_LOOKS
            await self._clock.sleep(min(between, left))
        if missed:
            self._notice(f"{missed}: can't tell whether an earlier run of this directory paid for them")
        await self._doubt_the_rest(evidence)
        await self._say_lookalikes(evidence)
        if self._everything:
            await self.vouch()
        await self._unknown.keep(await self._ledger.remote_ids())
        for name, failure in self._logs.failures.items():
            self._notice(f"the usage log of account {name} can't be read: {failure.receipt.said}")
        if not self._logs.failures:  # the next run checks again what could not be settled
            await self._ledger.set_meta(LOOKED_AT, repr(min(began + log.ahead, missed.since)))

    def _needs_all(self, evidence: Evidence) -> bool:
        """Whether the logs of all accounts are needed, since any may show what this ledger doesn't know."""
        return bool(evidence.newer or self._is_outdated) and not self._everything

    async def _why_unread(self, log: UsageOutcome, evidence: Evidence, since: float) -> str:
        """Why the logs don't show what an earlier run may have submitted; empty if they do."""
        absent = await self._ledger.ask_history(accounts) - self._logs.accounts
        if absent and self._needs_all(evidence):
            named = ", ".join(sorted(absent)) or "without a name"
            return f"of the account {named} can't be read without its key"
        if self._logs.failures and self._needs_all(evidence):
            name, failure = next(iter(self._logs.failures.items()))
            return f"of the account {name} can't be read: {failure.receipt.said}"
        if not isinstance(log, UsageLog):
            return f"can't be read: {log.receipt.said}"
        if not await self._can_know(log, evidence, since):
            return "does not match this ledger, or does not go back far enough"
        return ""

    async def _without_log(self, evidence: Evidence, why: str) -> None:
        """The log is no help: submit nothing if anything is newer than the ledger."""
        if self._needs_all(evidence):
            self._is_stopped = True
            newer = evidence.newer or "paid tasks were missing from it"
            text = f"this ledger is outdated: {newer}; and the gateway's usage log {why}"
            self._gate.give_up(Stop(text, self._hint, ExitCode.USAGE))
            return
        self._notice(f"the gateway's usage log {why}; relying on the files in the run directory")
        await self._doubt_the_rest(evidence)
        if self._everything:
            await self.vouch()

    async def _doubt_the_rest(self, evidence: Evidence) -> None:
        """Mark as in doubt what run.log says was submitted but is found nowhere: it may be charged."""
        doubted = []
        claimed = evidence.under_way & evidence.claims.keys()
        for one in evidence.of(await self._ledger.wanted(TaskState.PENDING, keys=claimed)):
            if not one.claims:
                continue
            seed, number = one.given_seed, one.attempts + len(one.claims)
            if seed is None:
                seed = derived_seed(await self._ledger.run_id(), one.key, number)
            lost = LostAttempt(number, seed, max(one.claims), evidence.accounts.get(one.key, ""))
            with suppress(TransitionRefused):
                await self._ledger.doubt(one.key, lost, SUBMISSION_LOST_TRACK_OF)
                doubted.append(printable(one.id))
        if doubted:
            named = ", ".join(doubted[:MOST_NAMED]) + (", …" if len(doubted) > MOST_NAMED else "")
            self._notice(
                f"run.log says that {count(len(doubted), 'pending task')} were submitted, but their "
                f"outcome is unknown: now in doubt ({named})"
            )

    async def _look_at(self, rows: Sequence[UsageRow], evidence: Evidence, since: float) -> Missed:
        """Query unknown tasks, adopt ours, and return what can't be identified yet."""
        wanted = evidence.of(await self._ledger.wanted(*COULD_BECOME_PENDING, keys=evidence.named))
        ours, unknown = await self._ledger.remote_ids(), self._unknown
        named = sorted({remote_id for one in wanted for remote_id in one.named} - ours)
        await unknown.look_at(dict.fromkeys([*strange_ids(rows, ours, since), *named]))
        await self._adopt(evidence)
        known = await self._ledger.ask_history(accounted)
        unseen = unknown.unseen - known.remote_ids
        models = await self._ledger.ask_history(partial(models_in, states=COULD_BECOME_PENDING))
        left = unaccounted(rows, known, unknown.settled(), unseen, since, self._clock.real(LATEST))
        without_row = unseen - {row.remote_id for row in rows if row.is_submission}
        return Missed(
            submissions=[row for row in left if row.model in models],
            unseen=sorted(without_row),
            since=since if without_row else min((row.at for row in left), default=math.inf),
        )

    async def _can_know(self, log: UsageLog, evidence: Evidence, since: float) -> bool:
        """Whether the log shows what was submitted since then, as far as can be verified."""
        if not self._everything and not reaches_back(log.rows, since):
            return False
        for name, rows in self._logs.rows.items():  # another key's log shows none of an account's submissions
            if not can_know(rows, await self._ledger.ask_history(partial(accounted, account=name))):
                return False
        known = await self._ledger.ask_history(accounted)
        named = {remote_id for ids in evidence.named.values() for remote_id in ids}
        sights = (self._unknown.seen.get(remote_id) for remote_id in named)
        moments = [one.submitted_at for one in sights if one and one.submitted_at is not None]
        return can_know(log.rows, known, evidence.names_any, named, moments)

    async def _adopt(self, evidence: Evidence, keys: Sequence[TaskKey] | None = None) -> bool:
        """Add recognized attempts of pending tasks, or of these only, to the ledger, and follow them.

        Returns whether there were any.
        """
        if not self._unknown.seen:
            return False
        pending = await self._ledger.wanted(TaskState.PENDING, keys=keys)
        ours = await self._ledger.remote_ids()
        strange = [one for one in self._unknown.seen.values() if one.remote_id not in ours]
        found: dict[TaskKey, list[Paid]] = defaultdict(list)
        latest = self._clock.real(LATEST)
        for paid in recognized(evidence.of(pending), strange, evidence.run_ids, latest):
            found[paid.key].append(paid)
        names = {one.key: printable(one.id) for one in pending}
        told = [
            f"{names[key]} as {', '.join(one.seen.remote_id for one in group)}"
            for key, group in found.items()
            if await self._enter(key, group, evidence)
        ]
        if told:
            self._is_outdated = True
            more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
            self._notice(f"paid for but missing from this ledger: {'; '.join(told[:MOST_NAMED])}{more}")
        return bool(told)

    async def _enter(self, key: TaskKey, group: Sequence[Paid], evidence: Evidence) -> bool:
        main = followed(group)
        row = evidence.results.get(key, {})
        attempts = []
        for one in [main, *(other for other in group if other is not main)]:
            same = row.get("remote_id") == one.seen.remote_id and row.get("sha256")
            facts = AttemptFacts(sha256=row["sha256"]) if same else AttemptFacts()
            seen, account = one.seen, await self._logs.owner(one.seen.remote_id)
            paid = (one.number, seen.seed, seen.remote_id, seen.submitted_at)
            attempts.append(PaidAttempt(*paid, facts=facts, account=account))
        try:
            await self._ledger.bring_back(key, attempts, FOUND_GENERATING)
        except (TransitionRefused, RemoteIdTaken):
            return False
        self._follow(await self._ledger.task(key))
        return True

    async def _take_what_lies_there(self, evidence: Evidence) -> None:
        """Mark tasks as done whose verified video matches results.csv, whatever the gateway still shows."""
        named = [key for key, row in evidence.results.items() if names_video(row)]
        for one in await self._ledger.wanted(TaskState.PENDING, keys=named):
            row = evidence.results[one.key]
            if not await asyncio.to_thread(proven, self._directory, row):
                continue
            with suppress(RemoteIdTaken):  # the user wants another version of the same video
                accepted_at = evidence.accepted_at.get(RemoteId(row["remote_id"]))
                paid = as_attempt(self._directory, row, one.attempts + 1, accepted_at)
                paid = replace(paid, account=paid.account or evidence.accounts.get(one.key, ""))
                await self._ledger.bring_back(one.key, [paid], FOUND_DONE)
                self._notice(f"{printable(one.id)} is done: {row['file_name']} matches results.csv")

    async def _say_lookalikes(self, evidence: Evidence) -> None:
        if not self._unknown.seen:
            return
        wanted = evidence.of(await self._ledger.wanted(TaskState.PENDING))
        for one, seen in lookalikes(wanted, self._unknown.seen.values()):
            self._notice(
                f"{seen.remote_id} has the seed that the manifest gives to {printable(one.id)}, but can't be "
                "identified for certain: not adopted"
            )

    async def vouch(self) -> None:
        """Record that the user had everything searched: what was newer than the ledger is known by now."""
        await self._ledger.set_meta(VOUCHED_AT, repr(self._clock.wall()))
