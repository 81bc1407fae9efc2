"""Decides whether a run must be confirmed by the user before it submits anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from batchrunner.core.budget import Amount, Figure, Limit, Per, micros
from batchrunner.core.forecast import Forecast
from batchrunner.core.model import TaskKey


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


class Consent(StrEnum):
    """How the user agreed to a run."""

    NOT_ASKED = "not_asked"
    """There was no reason to ask."""
    GIVEN = "given"
    """On the terminal: to what was shown, and to no more."""
    ANY = "any"
    """By `--yes`: to whatever the run needs."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a run was found to need before it began, and the user's consent."""

    needed: Forecast
    consent: Consent
    above: float
    """The amount up to which nobody is asked."""
    newest_attempt: int
    """The ledger's newest at that time: with another one, the figures are out of date."""
    edited: tuple[TaskKey, ...] = ()
    """The tasks to submit that were edited although their old version is paid."""

    def total(self, committed: Amount) -> Confirmed | None:
        """What the user has confirmed; None if nobody was asked."""
        return None if self.consent is Consent.NOT_ASKED else total(self.needed, committed)

    def limits(self, committed: Amount, confirmed: Confirmed | None) -> tuple[Limit, ...]:
        """What the run may spend without another confirmation; `confirmed` includes all earlier ones."""
        if self.consent is Consent.ANY:
            return ()
        most, name = committed.cost + micros(self.above), "amount that needs no confirmation"
        unpriced: tuple[Limit, ...] = ()  # of models without a price, only the tokens can be limited
        if confirmed and confirmed.currency == self.needed.currency:
            if confirmed.cost >= most:
                most, name = confirmed.cost, "confirmed total"
            if confirmed.unpriced:
                unpriced = (Limit(Figure.TOKENS, confirmed.tokens, Per.DIRECTORY, name="confirmed total"),)
        cost = Limit(Figure.COST, most, Per.DIRECTORY, currency=self.needed.currency, name=name)
        return (replace(cost, takes_unpriced=bool(unpriced)), *unpriced)


def total(needed: Forecast, committed: Amount) -> Confirmed:
    """What the run directory may cost with this run; `committed` is what it has, or may have, cost so far."""
    cost, tokens = committed.cost + needed.micros, committed.tokens + needed.tokens
    return Confirmed(needed.currency, cost, tokens, needed.unpriced)


def reasons_to_ask(
    above: float | None,
    needed: Forecast,
    edited: Sequence[str],
    committed: Amount | None,
    confirmed: Confirmed | None,
    most: int | None = None,
) -> list[str]:
    """Why the user must confirm this run; empty if there is no need.

    `above` is the amount up to which nobody is asked, None for any; `edited` are the tasks to submit that
    were edited although their old version is paid. `committed` is None if it is not known in this currency.
    `most` is what the budget leaves to spend, in millionths, if that is less.
    """
    if above is None or not needed.tasks:
        return []
    # An edit is new since the last confirmation: it counts even if there is room in that total.
    reasons = ["tasks were edited although their old version is paid"] if edited else []
    if confirmed and committed and _is_within(total(needed, committed), confirmed):
        return reasons
    if min(needed.micros, needed.micros if most is None else most) > micros(above):
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
