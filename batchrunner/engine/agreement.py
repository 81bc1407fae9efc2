"""Holds a run to what the user knows of it: what was shown before it began, and what was confirmed."""

from __future__ import annotations

from dataclasses import replace

from batchrunner.core.confirmation import Agreement
from batchrunner.core.errors import UsageError
from batchrunner.core.estimate import REFERENCE_CURRENCY
from batchrunner.core.model import Plan
from batchrunner.core.text import count
from batchrunner.ledger import (
    Ledger,
    charged_unpriced,
    committed_so_far,
    newest_attempt,
    note_confirmed,
)


async def within_agreement(ledger: Ledger, plan: Plan, agreement: Agreement | None) -> Plan:
    """The plan, limited to what the user has agreed to; a confirmation is recorded.

    Call after the attempts of earlier runs were estimated in the currency of the plan's prices.

    Raises:
        UsageError: the figures that were shown are out of date, or a cost limit can't count all attempts.
        StorageError: the confirmation can't be recorded.
    """
    if plan.budget.limits_cost:
        await _check_prices(ledger, plan.pricing.currency or REFERENCE_CURRENCY)
    if agreement is None:
        return plan
    if await newest_attempt(ledger) != agreement.newest_attempt:
        raise UsageError(
            "another run has submitted tasks of this manifest meanwhile",
            "run the same command again: it shows what is still to be submitted",
        )
    committed = await committed_so_far(ledger)
    confirmed = await note_confirmed(ledger, agreement.total(committed), agreement.edited)
    limits = (*plan.budget.limits, *agreement.limits(committed, confirmed))
    return replace(plan, budget=replace(plan.budget, limits=limits))


async def _check_prices(ledger: Ledger, currency: str) -> None:
    for model, number in sorted((await charged_unpriced(ledger)).items()):
        raise UsageError(
            f"a cost limit can't count {count(number, 'earlier submission')} of {model or 'no model'}, "
            f"which have no price in {currency}",
            "add the price to `pricing.per_million_tokens`, or limit `budget.tokens` instead",
        )
