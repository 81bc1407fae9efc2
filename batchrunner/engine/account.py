"""The account: its prices, and whether its balance may last. All of it best effort, and never fatal."""

from __future__ import annotations

import json
from collections.abc import Callable
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

    def __init__(self, gateway: Gateway, prices: Prices, notice: Callable[[str], None]) -> None:
        self._gateway, self._notice = gateway, notice
        self.prices = prices
        """What costs are computed from."""

    async def look(self, ledger: Ledger, submits: bool, selected: frozenset[TaskKey] | None) -> None:
        """Ask for the gateway's unit of money; if tasks are to be submitted, warn of a balance too small.

        `selected` limits which pending tasks may be submitted. The balance is in USD: where the manifest's
        prices are not, list prices count.
        """
        unit = await self._gateway.quota_per_usd()
        if unit:
            await ledger.set_meta(_UNIT, repr(unit))
        elif known := await ledger.meta(_UNIT):
            unit = float(known)
        settles = await ledger.ask_history(shows_settled)
        self.prices = replace(self.prices, quota_per_usd=unit or QUOTA_PER_USD, settles=settles)
        balance = await self._gateway.balance() if submits else None
        if balance is None:
            return
        pricing, tasks, most = self.prices.pricing, 0, 0.0
        if pricing.currency != REFERENCE_CURRENCY:
            pricing = Pricing()
        for request, number in (await ledger.pending_requests(selected)).items():
            tasks += number
            most += number * (worst_case(json.loads(request), self.prices.limits, pricing).cost or 0.0)
        if most > balance:
            left = f"{balance:,.2f} {REFERENCE_CURRENCY}"
            needed = f"{count(tasks, 'task')}, up to {most:,.2f} {REFERENCE_CURRENCY}"
            self._notice(f"warning: the balance of {left} may not last for {needed}")
