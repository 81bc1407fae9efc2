"""Checks, free of charge, that a gateway at a new address is the one that was paid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import Sighting
from batchrunner.core.errors import AccountError, UsageError
from batchrunner.core.identity import Address
from batchrunner.core.outcome import NotVisible
from batchrunner.core.text import count
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings
from batchrunner.ledger import Ledger, LedgerReader

MOST_ASKED = 5
"""Of the tasks accepted last, how many are asked for."""
WAITS = (0.0, 5.0, 15.0, 30.0)
"""Nominal seconds before each try to get an answer."""


@dataclass(frozen=True, slots=True)
class GivenAddress:
    """The address that a command uses, and what its user said of it."""

    origin: str
    settings: GatewaySettings
    key: Callable[[], ApiKey]
    is_named: bool = True
    """Whether somebody named it; the key goes to no other but the ledger's own."""
    is_same: bool = False
    """A person's word that the gateway there is the one that was paid."""


def refused(bound: str, given: GivenAddress, can_be_shown: bool) -> UsageError | None:
    """Why a run at an unknown address can't begin; None where the address can be asked."""
    if given.is_same:
        return None
    what = f"this run directory belongs to the gateway {bound}, not to {given.origin}"
    if not given.is_named:
        return UsageError(what, f"--base-url {bound} resumes there; no address was given")
    if not can_be_shown:
        hint = f"--base-url {bound} resumes there; if it is the same gateway under a new address, "
        why = f"{what}, and there is no accepted task to check this with"
        return UsageError(why, f"{hint}pass --same-gateway")
    return None


async def check_address_of(ledger: LedgerReader, given: GivenAddress) -> bool:
    """Whether the address must show by its tasks that it is the gateway's; nothing is asked yet.

    Raises:
        UsageError: a run could not begin there.
    """
    if await ledger.address(given.origin) is not Address.UNKNOWN:
        return False
    can_be_shown = bool(await ledger.newest_accepted(1))
    if error := refused((await ledger.binding()).gateway, given, can_be_shown):
        raise error
    return True


async def follow_gateway(
    ledger: Ledger, given: GivenAddress, clock: Clock, notice: Callable[[str], None]
) -> None:
    """Where the address is unknown, find out whether the gateway there is the ledger's, and note it.

    Raises:
        AccountError: there is no key, or nobody answers there.
        UsageError: it isn't, or nothing can show it.
    """
    if not await check_address_of(ledger, given):
        return
    bound = (await ledger.binding()).gateway
    if given.is_same:
        notice(f"{given.origin} is treated as the same gateway as {bound} (--same-gateway)")
    else:
        async with Gateway.open(given.settings, given.key()) as gateway:
            shown = await _shown(ledger, gateway, clock, bound)
        notice(f"{given.origin} shows {shown}, which was paid for at {bound}: it is the same gateway")
    await ledger.moved_to(given.origin)


async def _shown(ledger: LedgerReader, gateway: Gateway, clock: Clock, bound: str) -> str:
    """One of the ledger's tasks that the gateway shows."""
    asked = await ledger.newest_accepted(MOST_ASKED)
    silent = ""
    for wait in WAITS:
        silent = ""
        await clock.sleep(wait)
        for remote_id, model in asked:
            seen = await gateway.sight(remote_id)
            if isinstance(seen, Sighting) and seen.model in ("", model):
                return remote_id
            if not isinstance(seen, Sighting | NotVisible):
                silent = seen.receipt.message or f"HTTP {seen.receipt.status}"
                break
        if not silent:
            raise UsageError(
                f"this run directory belongs to the gateway {bound}; {gateway.origin} shows none of the "
                f"{count(len(asked), 'task')} accepted there last",
                f"--base-url {bound} resumes there. Check that the key belongs to the same account. If you "
                "are sure that it is the same gateway, pass --same-gateway",
            )
    raise AccountError(
        f"this run directory belongs to the gateway {bound}, and {gateway.origin} does not show "
        f"whether it is the same: {silent}",
        f"--base-url {bound} resumes there; or check the address and the key",
    )
