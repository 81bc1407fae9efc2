"""Adds what was paid for before the current video of a task: versions that a rebuilt ledger doesn't have."""

from __future__ import annotations

from contextlib import suppress

from batchrunner.engine.evidence import Evidence
from batchrunner.engine.unknown_tasks import UnknownTasks
from batchrunner.ledger import Ledger, PaidAttempt, RemoteIdTaken
from batchrunner.ledger.history import accepted_videos, names_of_tasks


async def paid_for_others(ledger: Ledger, evidence: Evidence) -> int:
    """How many submissions of tasks that are not in the ledger run.log shows to have been accepted."""
    keys = (await ledger.ask_history(names_of_tasks)).keys()
    return sum(len(ids) for key, ids in evidence.named.items() if key not in keys)


async def add_former_versions(ledger: Ledger, evidence: Evidence, unknown: UnknownTasks) -> None:
    """Add them to the ledger, so that they count in what was spent, and none is taken for a new version.

    What was submitted after a task's current video is not among them: it is paid for, and waits to be wanted.
    What the gateway shows to have failed was refunded.
    """
    ours, made = await ledger.remote_ids(), await ledger.ask_history(accepted_videos)
    former = {
        remote_id: key
        for key, remote_ids in sorted(evidence.named.items())
        for remote_id in sorted(remote_ids - ours)
        if key in made and evidence.accepted_at.get(remote_id, made[key]) < made[key]
    }
    await unknown.look_at(former)
    for remote_id, key in former.items():
        seen = unknown.seen.get(remote_id)
        if seen and seen.succeeded is False:
            continue
        number = 1 + max(one["number"] for one in await ledger.attempts(key))
        seed, account = seen.seed if seen else None, evidence.accounts.get(key, "")
        accepted_at = evidence.accepted_at[remote_id]
        paid = PaidAttempt(number, seed, remote_id, accepted_at, former=True, account=account)
        with suppress(RemoteIdTaken):
            await ledger.bring_back(key, [paid])
