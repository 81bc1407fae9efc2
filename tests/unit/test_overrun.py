"""What is learned from charges above the worst case."""

import pytest

from batchrunner.core.budget import Amount, WorstCase
from batchrunner.core.overrun import Overruns

WORST = WorstCase(1000, 2.0, "USD")


def learned(*charges: Amount) -> Overruns:
    """All that these charges of the same worst case teach."""
    known = Overruns()
    for charged in charges:
        known = known.including(WORST, charged)
    return known


def test_the_highest_factor_counts_for_each_figure_by_itself() -> None:
    """Tokens and money are raised apart, rounded up, and survive being stored."""
    known = learned(Amount(1500, 2_000_000), Amount(1000, 5_000_000), Amount(1200, 4_000_000))
    assert Overruns.from_text(known.to_text()) == known
    assert known.raised(WORST) == Amount(1500, 5_000_000, 1)
    assert known.raised(WorstCase(333, 0.666, "USD")) == Amount(500, 1_665_000, 1), "at the same price"


@pytest.mark.parametrize("charged", [Amount(1000, 2_000_000), Amount(10, 20), Amount(1000, 2_000_001)])
def test_a_charge_within_the_worst_case_teaches_nothing(charged: Amount) -> None:
    """Not even one that is above it by what rounding adds."""
    assert not learned(charged)
    assert learned(charged).raised(WORST) == Amount(1000, 2_000_000, 1)


@pytest.mark.parametrize("other", [WorstCase(1000, 3.0, "USD"), WorstCase(1000, 2.0, "EUR")])
def test_another_price_is_another_estimate(other: WorstCase) -> None:
    """Once the manifest has the right price, only more tokens than the worst case raise the cost."""
    assert learned(Amount(1000, 3_000_000)).raised(other).cost == round((other.cost or 0) * 1e6)
    twice = learned(Amount(2000, 9_000_000)).raised(other)
    assert (twice.tokens, twice.cost) == (2000, 2 * round((other.cost or 0) * 1e6))
    unpriced = WorstCase(1000, None, "USD")
    assert Overruns().including(unpriced, Amount(1500, 0)).raised(unpriced) == Amount(1500, 0, 1)


def test_it_is_said_in_words() -> None:
    """With two digits, as long as these mean something."""
    assert learned().in_words == ""
    assert learned(Amount(1001, 2_000_000)).in_words == "", "what a gateway rounds up is no news"
    assert "up to 1.50 times the worst case" in learned(Amount(1500, 2_000_000)).in_words
    assert "up to 1,500 times the worst case" in learned(Amount(1_500_000, 0)).in_words
