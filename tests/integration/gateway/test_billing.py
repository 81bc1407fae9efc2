"""What is read of the status page and the billing routes; anything odd is as good as nothing."""

import json

import pytest

from batchrunner.gateway.billing import balance, quota_per_usd
from batchrunner.gateway.wire import Answer


def answer(body: object, status: int = 200) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (answer({"success": True, "data": {"quota_per_unit": 500_000}}), 500_000.0),
        (answer({"data": {"quota_per_unit": 0}}), None),
        (answer({"data": {"quota_per_unit": 1}}), None),  # a charge would be half a million USD
        (answer({"data": {"quota_per_unit": 1000}}), 1000.0),
        (answer({"data": {"quota_per_unit": 2e9}}), None),
        (answer({"data": {"quota_per_unit": 1e300}}), None),
        (answer({"data": {"quota_per_unit": "500000"}}), None),
        (answer({"data": {"quota_per_unit": True}}), None),
        (answer({"data": {"quota_per_unit": 500_000}}, 500), None),
        (answer({"data": None}), None),
        (answer(b"<html>"), None),
    ],
)
def test_the_unit_of_money(told, expected):
    """A number of quota units in one USD."""
    assert quota_per_usd(told) == expected


GRANTED, USED = {"hard_limit_usd": 20.5}, {"object": "list", "total_usage": 820}


@pytest.mark.parametrize(
    ("granted", "used", "left"),
    [
        (answer(GRANTED), answer(USED), 12.3),
        (answer(GRANTED), answer({"total_usage": 3000}), -9.5),
        (answer({"hard_limit_usd": 100_000_000}), answer(USED), None),
        (answer({"error": {"message": "database is locked"}}), answer(USED), None),
        (answer(GRANTED), answer({"error": {"message": "database is locked"}}), None),
        (answer({"hard_limit_usd": "20"}), answer(USED), None),
        (answer(GRANTED, 401), answer(USED), None),
        (answer(GRANTED), answer(b"<html>", 502), None),
    ],
)
def test_the_balance(granted, used, left):
    """What was granted less what was used, which is told in cents; None if unlimited or not shown."""
    assert balance(granted, used) == (None if left is None else pytest.approx(left))
