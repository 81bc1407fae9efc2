"""Accounts and a run directory that was put back as a whole: nothing in it is newer than its ledger."""

import shutil
from typing import Any

import pytest

from tests.harness.accounts import REVOKED, SCENARIO, arguments, check, give, run

TASKS = tuple(f"t{number}" for number in range(6))


@pytest.fixture
def restored(desk: Any, sim: Any) -> Any:
    """A desk whose run directory knows two of six paid tasks; each account paid for some of the others."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write(*TASKS)
    assert desk.do(*arguments(desk), "--limit", "2", key=None).code == 0
    backup = desk.folder.parent / "backup"
    shutil.copytree(desk.directory, backup)
    check(desk, run(desk), 0)
    shutil.rmtree(desk.directory)
    shutil.copytree(backup, desk.directory)
    assert {charge["key"] for charge in sim.charges()[2:]} == {"first", "second"}
    return desk


def test_nothing_is_submitted_without_all_accounts(restored: Any, sim: Any) -> None:
    """What the log of one account shows proves that the ledger is outdated: the other log is needed, too."""
    give(restored, "second")
    ended = run(restored)
    assert ended.code == 2
    assert "account first can't be read without its key" in ended.stderr + ended.stdout
    assert len(sim.charges()) == 6
    give(restored)
    check(restored, run(restored), 0)
    assert len(sim.charges()) == 6


def test_nothing_is_submitted_if_an_account_is_refused(restored: Any, sim: Any) -> None:
    """Its log can't be read, although its key is given."""
    sim.start(**REVOKED)
    ended = run(restored)
    assert ended.code == 2
    assert "the gateway's usage log of the account first can't be read" in ended.stderr + ended.stdout
    assert len(sim.charges()) == 6
    sim.start(**SCENARIO)
    check(restored, run(restored), 0)
    assert len(sim.charges()) == 6
