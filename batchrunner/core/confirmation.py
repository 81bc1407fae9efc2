"""Decides whether a run must be confirmed by the user before it submits anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.core.budget import Amount, micros
from batchrunner.core.forecast import Forecast


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The most that the user has agreed to spend in a run directory, all runs together."""

    currency: str
    cost: int
    """In millionths of the currency."""
    tokens: int
    unpriced: tuple[str, ...]
    """Models without a price that are part of it: only their tokens are bounded."""

    def including(self, earlier: Confirmed | None) -> Confirmed:
        """This one, and what was agreed to before."""
        if earlier is None or earlier.currency != self.currency:
            return self
        unpriced = tuple(dict.fromkeys((*earlier.unpriced, *self.unpriced)))
        cost, tokens = max(earlier.cost, self.cost), max(earlier.tokens, self.tokens)
        return Confirmed(self.currency, cost, tokens, unpriced)


def total(needed: Forecast, committed: Amount) -> Confirmed:
    """What the run directory may cost with this run; `committed` is what it has, or may have, cost so far."""
    cost, tokens = committed.cost + needed.micros, committed.tokens + needed.tokens
    return Confirmed(needed.currency, cost, tokens, needed.unpriced)


def reasons_to_ask(
    above: float | None,
    needed: Forecast,
    edited: Sequence[str],
    committed: Amount,
    confirmed: Confirmed | None,
) -> list[str]:
    """Why the user must confirm this run; empty if there is no need.

    `above` is the amount up to which nobody is asked, None for any; `edited` are the tasks to submit that
    were edited although their old version is paid.
    """
    if above is None or not needed.tasks:
        return []
    # An edit is new since the last confirmation: it counts even if there is room in that total.
    reasons = ["tasks were edited although their old version is paid"] if edited else []
    if confirmed and _is_within(total(needed, committed), confirmed):
        return reasons
    if needed.micros > micros(above):
        reasons.append(f"more than {above:,.2f} {needed.currency} (run.confirm_above)")
    if needed.unpriced:
        reasons.append(f"no price for {', '.join(needed.unpriced)}, so the cost has no upper bound")
    return reasons


def _is_within(wanted: Confirmed, confirmed: Confirmed) -> bool:
    if wanted.currency != confirmed.currency or wanted.cost > confirmed.cost:
        return False
    return not wanted.unpriced or (
        set(wanted.unpriced) <= set(confirmed.unpriced) and wanted.tokens <= confirmed.tokens
    )
