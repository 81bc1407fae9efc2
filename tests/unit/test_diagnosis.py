"""What `doctor` thinks of the figures that it finds."""

import pytest

from batchrunner.core.diagnosis import (
    Finding,
    Health,
    Version,
    exit_code,
    of_balance,
    of_clock,
    of_space,
    of_sqlite,
    of_sync,
)
from batchrunner.core.errors import ExitCode


@pytest.mark.parametrize(
    ("version", "health"),
    [
        ((3, 36, 0), Health.PROBLEM),
        ((3, 37, 0), Health.NOTE),
        ((3, 40, 1), Health.NOTE),
        ((3, 44, 5), Health.NOTE),
        ((3, 44, 6), Health.OK),
        ((3, 45, 0), Health.NOTE),
        ((3, 50, 6), Health.NOTE),
        ((3, 50, 7), Health.OK),
        ((3, 51, 2), Health.NOTE),
        ((3, 51, 3), Health.OK),
        ((3, 53, 1), Health.OK),
    ],
)
def test_sqlite_versions_with_faults_are_known(version: Version, health: Health) -> None:
    """Too old for strict tables is a problem; the WAL-reset bug only worth knowing with one writer."""
    assert of_sqlite(version).health is health


@pytest.mark.parametrize(
    ("ahead", "shown"), [(0.4, "agrees"), (-61.0, "61 s ahead of"), (7200.0, "2 h 00 min behind")]
)
def test_a_clock_that_differs_by_more_than_a_minute_is_a_warning(ahead: float, shown: str) -> None:
    """And says which way: a gateway that is ahead means that this machine is behind."""
    found = of_clock(ahead)
    assert shown in found.text
    assert (found.health is Health.OK) == (abs(ahead) < 60)


def test_a_disk_at_its_reserve_is_a_problem_and_a_slow_one_a_warning() -> None:
    """A run would submit nothing on the first."""
    assert of_space(1_000_000_000, 1_000_000_000).exit_code is ExitCode.STORAGE
    assert of_space(1_000_000_000, 1_000_000_000).health is Health.PROBLEM
    assert of_space(2_000_000_000, 1_000_000_000).health is Health.OK
    assert (of_sync(0.01).health, of_sync(0.6).health) == (Health.OK, Health.WARNING)


@pytest.mark.parametrize(
    ("usd", "health"), [(0.01, Health.OK), (0.0, Health.WARNING), (-2.5, Health.WARNING)]
)
def test_an_empty_balance_is_a_warning(usd: float, health: Health) -> None:
    """What is paid for can still be collected."""
    assert (of_balance(usd).health, of_balance(usd).text) == (health, f"{usd:.2f} USD")


def test_the_first_problem_gives_the_exit_code() -> None:
    """Warnings and notes don't."""
    warned = Finding("a", "b", Health.WARNING, exit_code=ExitCode.STORAGE)
    key, disk = (
        Finding("a", "b", Health.PROBLEM, exit_code=code) for code in (ExitCode.ACCOUNT, ExitCode.STORAGE)
    )
    assert exit_code([warned]) == ExitCode.DONE
    assert exit_code([warned, key, disk]) == ExitCode.ACCOUNT
