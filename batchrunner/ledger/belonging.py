"""Binds a ledger to one gateway, at any address, and one manifest, at any path."""

from __future__ import annotations

import json
from collections import Counter

import aiosqlite

from batchrunner.core.errors import UsageError
from batchrunner.core.identity import SIMULATOR, Address, judged_address, paid_again
from batchrunner.core.model import Plan
from batchrunner.core.plan import fingerprint
from batchrunner.ledger.glance import PAID_REQUESTS


async def bind_gateway(db: aiosqlite.Connection, gateway: str) -> None:
    """Tie the ledger to a gateway, or check that this is one of its addresses.

    Until a first submission has left, another gateway may take the place of the first.

    Raises:
        UsageError: it belongs to another gateway.
    """
    bound = await _meta(db, "gateway")
    submitted = await _has_attempts(db)
    if judged_address(gateway, bound, await _former(db), submitted) is not Address.OURS:
        raise other_gateway(bound, gateway)
    await move_gateway(db, gateway)


def other_gateway(bound: str, gateway: str) -> UsageError:
    """The refusal of a gateway that the ledger is not tied to."""
    hint = f"--base-url {bound} resumes there"
    if SIMULATOR in (bound, gateway):
        hint = "simulated and real runs use separate run directories: remove -o"
    return UsageError(f"this run directory belongs to the gateway {bound}, not to {gateway}", hint)


async def move_gateway(db: aiosqlite.Connection, gateway: str) -> None:
    """Note the address at which the gateway is now; the former ones stay known."""
    bound = await _meta(db, "gateway")
    if bound == gateway:
        return
    if bound and await _has_attempts(db):
        former = [one for one in dict.fromkeys([*await _former(db), bound]) if one != gateway]
        await _set(db, "former_gateways", json.dumps(former))
    await _set(db, "gateway", gateway)


async def bind_manifest(db: aiosqlite.Connection, plan: Plan) -> str:
    """Tie the ledger to a manifest, or check that it is this one's; as `Ledger.bind`."""
    bound, shared = await _meta(db, "manifest"), await shared_with(db, plan)
    await _set(db, "manifest", plan.name)
    await _set(db, "manifest_named", "yes" if plan.named else "no")
    return bound if shared else ""


async def shared_with(db: aiosqlite.Connection, plan: Plan) -> int:
    """How much of what the ledger paid for under another name is wanted by this plan; 0 where names agree.

    Raises:
        UsageError: none of it, so the ledger belongs to another manifest.
    """
    bound, kind = await _meta(db, "manifest"), await _meta(db, "manifest_named")
    # Ledgers of earlier versions don't say where their name came from.
    by_name = kind == "yes" or (not kind and plan.named)
    if not by_name or not bound or bound == plan.name or not await _has_attempts(db):
        return 0
    requests = [json.loads(row[0]) for row in await db.execute_fetchall(PAID_REQUESTS)]
    shared = paid_again(plan.tasks, Counter(fingerprint(request) for request in requests))
    if not shared:
        raise UsageError(
            f"this run directory belongs to the manifest named {bound}, not to {plan.name}, "
            "and no task that was paid for here is in this manifest",
            f"write `name: {bound}` in the manifest to use this run directory anyway",
        )
    return shared


async def _has_attempts(db: aiosqlite.Connection) -> bool:
    return bool(list(await db.execute_fetchall("SELECT 1 FROM attempts LIMIT 1")))


async def _former(db: aiosqlite.Connection) -> list[str]:
    return list(json.loads(await _meta(db, "former_gateways") or "[]"))


async def _meta(db: aiosqlite.Connection, name: str) -> str:
    rows = list(await db.execute_fetchall("SELECT value FROM meta WHERE name = ?", (name,)))
    return str(rows[0][0]) if rows else ""


async def _set(db: aiosqlite.Connection, name: str, value: str) -> None:
    await db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
