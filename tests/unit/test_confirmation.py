"""When a run must be confirmed, and what a confirmation covers."""

import pytest

from batchrunner.core.budget import Amount, Figure
from batchrunner.core.confirmation import Agreement, Confirmed, Consent, reasons_to_ask, total
from batchrunner.core.forecast import Forecast


def needed(micros: int = 10_000_000, tokens: int = 100, tasks: int = 2, *unpriced: str) -> Forecast:
    return Forecast(tasks, tokens, micros, "USD", 0, unpriced, (), {})


@pytest.mark.parametrize(("above", "asks"), [(None, False), (10.0, False), (9.999999, True), (0.0, True)])
def test_only_more_than_the_amount_is_asked_about(above: float | None, asks: bool) -> None:
    """To the millionth; without an amount nobody is asked."""
    assert bool(reasons_to_ask(above, needed(), [], Amount(), None)) is asks


def test_nothing_to_submit_is_nothing_to_ask() -> None:
    """Not even about edited tasks."""
    assert reasons_to_ask(0.0, needed(0, 0, 0), ["a"], Amount(), None) == []


def test_what_is_spent_and_what_is_left_must_fit_the_confirmed_total() -> None:
    """Exactly, and in the same currency."""
    agreed = total(needed(), Amount())
    rest = needed(4_000_000, 40, 1)
    assert reasons_to_ask(1.0, rest, [], Amount(cost=6_000_000), agreed) == []
    assert reasons_to_ask(1.0, rest, [], Amount(cost=6_000_001), agreed) != []
    other = Confirmed("EUR", agreed.cost, agreed.tokens, ())
    assert reasons_to_ask(1.0, rest, [], Amount(), other) != []


def test_what_is_not_known_in_this_currency_is_in_no_total() -> None:
    """Prices in another currency than those of earlier runs: the question comes again."""
    agreed = Confirmed("USD", 10**9, 10**9, ())
    assert reasons_to_ask(1.0, needed(), [], None, agreed) != []


def test_an_edit_counts_even_within_the_confirmed_total() -> None:
    """It is newer than what was agreed to."""
    agreed = Confirmed("USD", 10**9, 10**9, ())
    assert reasons_to_ask(100.0, needed(), ["a"], Amount(), agreed) != []


def test_without_a_price_tokens_bound_what_was_agreed_to() -> None:
    """And only for models that were part of it."""
    agreed = total(needed(0, 100, 2, "new"), Amount())
    assert reasons_to_ask(9.0, needed(0, 60, 1, "new"), [], Amount(tokens=40), agreed) == []
    assert reasons_to_ask(9.0, needed(0, 60, 1, "new"), [], Amount(tokens=41), agreed) != []
    assert reasons_to_ask(9.0, needed(0, 60, 1, "other"), [], Amount(), agreed) != []


def test_a_later_smaller_confirmation_does_not_shrink_the_total() -> None:
    """Both were agreed to; in another currency the new one counts alone."""
    earlier, later = Confirmed("USD", 50, 5, ("a",)), Confirmed("USD", 20, 9, ("b",))
    assert later.including(earlier) == Confirmed("USD", 50, 9, ("a", "b"))
    assert later.including(Confirmed("EUR", 50, 5, ())) == later


# --- what a run may spend without asking again -----------------------------------------------------------


SPENT = Amount(tokens=50, cost=2_000_000, tasks=1)


def most(consent: Consent, confirmed: Confirmed | None, *unpriced: str) -> dict[Figure, tuple[int, str]]:
    """The limits of a run that needs 10 USD and 100 tokens, by figure; 4 USD need no confirmation."""
    agreement = Agreement(needed(10_000_000, 100, 2, *unpriced), consent, 4.0, 7)
    together = agreement.total(SPENT)
    limits = agreement.limits(SPENT, together.including(confirmed) if together else confirmed)
    return {limit.figure: (limit.most, limit.name) for limit in limits}


def test_what_was_shown_on_the_terminal_is_a_limit() -> None:
    """Beside what was spent before; and what was agreed to earlier, if that is more."""
    shown = {Figure.COST: (12_000_000, "confirmed total")}
    assert most(Consent.GIVEN, None) == shown
    assert most(Consent.GIVEN, Confirmed("USD", 11_000_000, 9, ())) == shown
    assert most(Consent.GIVEN, Confirmed("USD", 13_000_000, 9, ()))[Figure.COST][0] == 13_000_000
    assert most(Consent.GIVEN, Confirmed("EUR", 13_000_000, 9, ())) == shown


def test_what_nobody_was_asked_about_stays_below_the_amount() -> None:
    """On top of what was spent; within an earlier total, that total is the limit."""
    unasked = {Figure.COST: (6_000_000, "amount that needs no confirmation")}
    assert most(Consent.NOT_ASKED, None) == unasked
    assert most(Consent.NOT_ASKED, Confirmed("EUR", 10**9, 9, ())) == unasked
    assert most(Consent.NOT_ASKED, Confirmed("USD", 12_000_000, 9, ())) == {
        Figure.COST: (12_000_000, "confirmed total")
    }


def test_without_a_price_the_tokens_that_were_shown_are_a_limit() -> None:
    """The cost limit says nothing about such models."""
    assert most(Consent.GIVEN, None, "new")[Figure.TOKENS] == (150, "confirmed total")
    agreement = Agreement(needed(), Consent.GIVEN, 4.0, 7)
    (cost,) = agreement.limits(SPENT, agreement.total(SPENT))
    assert not cost.takes_unpriced  # none was part of it
    agreement = Agreement(needed(10, 100, 2, "new"), Consent.GIVEN, 4.0, 7)
    assert agreement.limits(SPENT, agreement.total(SPENT))[0].takes_unpriced


def test_yes_in_advance_limits_nothing() -> None:
    """It is given to whatever the run needs; `budget` is there for limits."""
    assert most(Consent.ANY, None, "new") == {}
