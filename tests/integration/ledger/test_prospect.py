"""What is known of a ledger before a run, and what the account is remembered by."""

from batchrunner.core.budget import Amount, WorstCase
from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.core.model import Pricing
from batchrunner.core.rules.limits import Limits
from batchrunner.core.settlement import QUOTA_PER_USD, Prices
from batchrunner.engine.account import Account
from batchrunner.ledger import prospect
from batchrunner.manifest import load_limits

USD = {"worst_of": lambda request: WorstCase(1000, 2.0, "USD")}


def test_what_was_spent_is_known_in_its_own_currency_alone(in_ledger, filled, tmp_path):
    """In another one it is not added up with anything, and so is in no confirmed total."""
    (key,) = filled("a")

    async def story(ledger):
        await ledger.claim(key, None, None)

    in_ledger(story, **USD)
    assert (tmp_path / LEDGER_NAME).exists()
    known = prospect(tmp_path, [key], "USD")
    assert (known.committed, known.newest_attempt) == (Amount(1000, 2_000_000, 1), 1)
    assert prospect(tmp_path, [key], "CNY").committed is None


class Told:
    """A gateway of which only the unit of money is known, or not even that."""

    def __init__(self, unit: float | None) -> None:
        self.unit = unit

    async def quota_per_usd(self) -> float | None:
        return self.unit

    async def balance(self) -> None:
        raise AssertionError("nothing is to be submitted")


def test_the_unit_of_money_is_remembered(in_ledger):
    """A status page that can't be read once does not change what quotas are worth."""

    def units(*told: float | None) -> list[float]:
        async def story(ledger):
            found = []
            for unit in told:
                prices = Prices(Pricing(), limits)
                account = Account(Told(unit), prices)
                await account.look(ledger)
                found.append(account.prices.quota_per_usd)
            return found

        return in_ledger(story)

    limits: Limits = load_limits()
    assert units(None, 1000.0, None) == [QUOTA_PER_USD, 1000.0, 1000.0]
    assert units(None, 500_000.0) == [1000.0, 500_000.0]
