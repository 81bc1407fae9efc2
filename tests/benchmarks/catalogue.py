"""All measures, in the order of the table."""

from __future__ import annotations

from tests.benchmarks.measures import (
    account_slots,
    cluster,
    downloads,
    exports,
    in_flight,
    large,
    ledger,
    planning,
    running,
    slots,
    starting,
)

MEASURES = (
    *running.MEASURES,
    *planning.MEASURES,
    *large.MEASURES,
    *in_flight.MEASURES,
    *ledger.MEASURES,
    *downloads.MEASURES,
    *cluster.MEASURES,
    *exports.MEASURES,
    *starting.MEASURES,
    *slots.MEASURES,
    *account_slots.MEASURES,
)
