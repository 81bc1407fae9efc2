"""The account: its prices, and whether its balance may last. All of it best effort, and never fatal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from batchrunner.core.estimate import REFERENCE_CURRENCY, worst_case
from batchrunner.core.model import Pricing, TaskKey
from batchrunner.core.settlement import QUOTA_PER_USD, Prices
from batchrunner.core.text import count
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger
from batchrunner.ledger.history import shows_settled

_UNIT = "quota_per_usd"
"""The ledger's name for the unit that the gateway has last shown."""


class Account:
    """What is known about the key's account."""

    def __init__(self, gateway: Gateway, prices: Prices) -> None:
        self._gateway = gateway
        self.prices = prices
        """What costs are computed from."""

    async def look(self, ledger: Ledger) -> None:
        """Ask for the gateway's unit of money."""
        unit = await self._gateway.quota_per_usd()
        if unit:
            await ledger.set_meta(_UNIT, repr(unit))
        elif known := await ledger.meta(_UNIT):
            unit = float(known)
        settles = await ledger.ask_history(shows_settled)
        self.prices = replace(self.prices, quota_per_usd=unit or QUOTA_PER_USD, settles=settles)

    async def balance(self) -> float | None:
        """What it may still spend, in USD; None if unlimited or not shown."""
        return await self._gateway.balance()


async def warn_of_balance(
    ledger: Ledger,
    accounts: Sequence[Account],
    selected: frozenset[TaskKey] | None,
    notice: Callable[[str], None],
) -> None:
    """Warn of a balance that is too small for what may be submitted; those of all accounts are added up.

    `selected` limits which pending tasks may be submitted. The balance is in USD: where the manifest's
    prices are not, list prices count.
    """
    balances = [await account.balance() for account in accounts]
    known = [balance for balance in balances if balance is not None]
    if len(known) < len(balances) or not known:
        return
    prices = max((account.prices for account in accounts), key=lambda prices: prices.pricing.factor)
    pricing, tasks, most = prices.pricing, 0, 0.0
    if pricing.currency != REFERENCE_CURRENCY:
        pricing = Pricing(factor=pricing.factor)
    for request, number in (await ledger.pending_requests(selected)).items():
        tasks += number
        most += number * (worst_case(json.loads(request), prices.limits, pricing).cost or 0.0)
    if most > sum(known):
        left = f"{sum(known):,.2f} {REFERENCE_CURRENCY}"
        needed = f"{count(tasks, 'task')}, up to {most:,.2f} {REFERENCE_CURRENCY}"
        whose = "the balance of" if len(accounts) == 1 else "the balances of all accounts, together"
        notice(f"warning: {whose} {left} may not last for {needed}")
