"""Binds a ledger to one gateway, at any address, and one manifest, at any path."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from batchrunner.core.errors import UsageError
from batchrunner.core.identity import SIMULATOR, Address, judged_address, paid_again, wanted_again
from batchrunner.core.model import Plan
from batchrunner.ledger.glance import PAID_REQUESTS


def bind_gateway(db: sqlite3.Connection, gateway: str) -> None:
    """Bind the ledger to a gateway, or check that this is one of its addresses.

    Until the first submission, it can be bound to another gateway instead.

    Raises:
        UsageError: it belongs to another gateway.
    """
    bound = _meta(db, "gateway")
    submitted = _has_attempts(db)
    if judged_address(gateway, bound, _former(db), submitted) is not Address.OURS:
        raise other_gateway(bound, gateway)
    move_gateway(db, gateway)


def other_gateway(bound: str, gateway: str) -> UsageError:
    """The error for a gateway that the ledger is not bound to."""
    hint = f"--base-url {bound} resumes there"
    if SIMULATOR in (bound, gateway):
        hint = "simulated and real runs use separate run directories: name another one with -o"
    return UsageError(f"this run directory belongs to the gateway {bound}, not to {gateway}", hint)


def move_gateway(db: sqlite3.Connection, gateway: str) -> None:
    """Record the gateway's new address; former ones are kept."""
    bound = _meta(db, "gateway")
    if bound == gateway:
        return
    if bound and _has_attempts(db):
        former = [one for one in dict.fromkeys([*_former(db), bound]) if one != gateway]
        _set(db, "former_gateways", json.dumps(former))
    _set(db, "gateway", gateway)


def bind_videos(db: sqlite3.Connection, url: str) -> str:
    """Bind the ledger to a place for its videos, or check that it is bound to it; return the place's URL.

    An empty URL stands for the place that it is bound to: the run directory, unless another one was named.

    Raises:
        UsageError: its videos are elsewhere.
    """
    bound = _meta(db, "videos")
    if not url or url == bound:
        return bound
    if _has_attempts(db):
        where = bound or "in its own folder"
        again = f"use --videos {bound}" if bound else "remove --videos, and `run.videos` from the manifest,"
        raise UsageError(
            f"this run directory has its videos {'at ' if bound else ''}{where}, not at {url}",
            f"{again} to resume there",
        )
    _set(db, "videos", url)
    return url


def name_account(db: sqlite3.Connection, account: str) -> None:
    """Give what was submitted with an account that had no name to this one."""
    db.execute("UPDATE attempts SET account = ? WHERE account = ''", (account,))


def bind_manifest(db: sqlite3.Connection, plan: Plan) -> str:
    """Bind the ledger to a manifest, or check that it is bound to this one; see `Ledger.bind`."""
    bound, shared = _meta(db, "manifest"), shared_with(db, plan)
    _set(db, "manifest", plan.name)
    _set(db, "manifest_named", "yes" if plan.named else "no")
    return bound if shared else ""


def shared_with(db: sqlite3.Connection, plan: Plan) -> int:
    """The number of this plan's tasks that the ledger paid for under another name; 0 if the names agree.

    Raises:
        UsageError: there are none, so the ledger belongs to another manifest.
    """
    bound, kind = _meta(db, "manifest"), _meta(db, "manifest_named")
    # Ledgers of earlier versions don't say where their name came from.
    by_name = kind == "yes" or (not kind and plan.named)
    if not by_name or not bound or bound == plan.name or not _has_attempts(db):
        return 0
    paid = Counter(first for (first,) in db.execute(PAID_REQUESTS))
    shared = paid_again(wanted_again(plan.tasks, paid), paid)
    if not shared:
        raise UsageError(
            f"this run directory belongs to the manifest named {bound}, not to {plan.name}, "
            "and no task that was paid for here is in this manifest",
            f"write `name: {bound}` in the manifest to use this run directory anyway",
        )
    return shared


def _has_attempts(db: sqlite3.Connection) -> bool:
    return bool(list(db.execute("SELECT 1 FROM attempts LIMIT 1")))


def _former(db: sqlite3.Connection) -> list[str]:
    return list(json.loads(_meta(db, "former_gateways") or "[]"))


def _meta(db: sqlite3.Connection, name: str) -> str:
    rows = list(db.execute("SELECT value FROM meta WHERE name = ?", (name,)))
    return str(rows[0][0]) if rows else ""


def _set(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
