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
"""How many of the last accepted tasks to query."""
WAITS = (0.0, 5.0, 15.0, 30.0)
"""Nominal seconds before each try."""


@dataclass(frozen=True, slots=True)
class GivenAddress:
    """The address that a command uses, and what the user said about it."""

    origin: str
    settings: GatewaySettings
    key: Callable[[], ApiKey]
    is_named: bool = True
    """Whether the user set it; if not, the key is sent only to the ledger's own address."""
    is_same: bool = False
    """Set by the user: the gateway there is the one that was paid."""


def refused(bound: str, given: GivenAddress, can_be_shown: bool) -> UsageError | None:
    """Why a run at an unknown address can't begin; None if the address can be checked."""
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
    """Whether the address must be verified by its tasks; sends no request itself.

    Raises:
        UsageError: a run can't begin there.
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
    """If the address is unknown, verify that the gateway there is the ledger's, and record it.

    Raises:
        AccountError: there is no key, or no answer.
        UsageError: it is another gateway, or this can't be verified.
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
    """Return one of the ledger's tasks that the gateway shows, or raise."""
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
