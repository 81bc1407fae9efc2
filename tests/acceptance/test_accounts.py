"""Several accounts in one run: a task stays with the account that it was submitted with."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.harness.accounts import (
    KEYS,
    REVOKED,
    SCENARIO,
    arguments,
    by_account,
    check,
    check_rows,
    give,
    run,
)
from tests.harness.workspace import Workspace

LONG = SCENARIO | {"generation_seconds": 3000}


def started_on_both(desk: Workspace, sim: Any, tasks: int) -> Any:
    """A run that has filled the two slots of both accounts, with generations that take their time."""
    sim.start(**LONG)
    give(desk)
    desk.write(*(f"t{number}" for number in range(tasks)))
    started = desk.start(*arguments(desk), key=None).reached(4, "accepted")
    assert by_account(sim) == {"first": 2, "second": 2}
    return started


def test_the_slots_of_both_accounts_are_used(desk: Any, sim: Any) -> None:
    """As many at once as both together allow, and every video is fetched with the key of its account."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write(*(f"t{number}" for number in range(10)))
    done = run(desk)
    assert "10 tasks to do, 4 at once with 2 accounts" in done.stderr
    check(desk, done, 0)
    assert sorted(by_account(sim)) == ["first", "second"]
    check_rows(desk, sim)
    assert all(most_at_once(sim, name) == 2 for name in KEYS)
    desk.check_all_made(10)


def most_at_once(sim: Any, account: str) -> int:
    """How many generations of an account the gateway had at the same time."""
    lives = [charge["life"] for charge in sim.charges() if charge["key"] == account]
    times = [life["created_at"] for life in lives]
    return max(sum(life["created_at"] <= at < life["ended_at"] for life in lives) for at in times)


def test_the_cheaper_account_comes_first(desk: Any, sim: Any) -> None:
    """The other one gets tasks only while it has no slot; budget and question are about the higher price."""
    sim.start(**SCENARIO)
    give(desk, first={"price_factor": 2}, second={"price_factor": 0.5})
    desk.sections = {"pricing": {"currency": "EUR", "per_million_tokens": {"dreamina-seedance-2-0-fast": 10}}}
    desk.write("a", "b")
    done = run(desk)
    check(desk, done, 0)
    assert by_account(sim) == {"second": 2}
    tokens = sum(int(row["tokens"]) for row in desk.rows())
    assert f"{tokens:,} tokens · {tokens * 20 / 1e6:.2f} EUR" in done.stderr
    assert sum(float(row["cost"]) for row in desk.rows()) == pytest.approx(tokens * 5 / 1e6)
    desk.write("a", "b", "c", "d", "e")
    check(desk, run(desk), 0)
    assert by_account(sim) == {"second": 4, "first": 1}


def test_an_account_that_is_refused_stops_alone(desk: Any, sim: Any) -> None:
    """The other one makes the rest; what was in flight is collected once the key works again."""
    started = started_on_both(desk, sim, 8)
    sim.start(**REVOKED | {"generation_seconds": 20})
    stopped = started.ended()
    assert "account first: the gateway refuses the key from" in stopped.stderr
    assert "the other accounts go on" in stopped.stderr
    check(desk, stopped, 4)
    assert Counter(desk.states().values()) == {"generating": 2, "done": 6}
    assert by_account(sim) == {"first": 2, "second": 6}
    for told in (stopped.stdout, desk.do("status", desk.directory.name, key=None).stdout):
        assert "account first: 2 generating" in told
        assert "account second: 6 done" in told
    accounts = desk.do("status", desk.directory.name, "--json", key=None).json["accounts"]
    assert accounts == {"first": {"generating": 2}, "second": {"done": 6}}
    sim.start(**SCENARIO)
    check(desk, run(desk), 0)
    desk.check_all_made(8)


def test_first_videos_of_a_refused_account_do_not_hold_up_the_others(desk: Any, sim: Any) -> None:
    """Nobody knows when they come; another account makes other first videos."""
    sim.start(**LONG)
    give(desk, first={"price_factor": 0.5}, second={"concurrency": 20})
    desk.write(*(f"t{number}" for number in range(22)))
    started = desk.start(*arguments(desk), key=None).reached(2, "accepted")
    assert by_account(sim) == {"first": 2}
    sim.start(**REVOKED | {"generation_seconds": 20})
    check(desk, started.ended(), 4)
    assert by_account(sim) == {"first": 2, "second": 20}


def test_a_refused_account_that_leaves_nothing_is_no_failure(desk: Any, sim: Any) -> None:
    """The run says so, and the other one has made everything."""
    sim.start(**REVOKED)
    give(desk)
    desk.write("a", "b", "c")
    done = run(desk)
    assert "account first: the gateway refuses the key from" in done.stderr
    check(desk, done, 0)
    assert by_account(sim) == {"second": 3}
    status = desk.do("status", desk.directory.name, key=None)
    assert (status.code, "the last run stopped" in status.stdout) == (0, False)


def test_an_account_that_is_empty_stops_alone(desk: Any, sim: Any) -> None:
    """Its balance has room for three tasks, one after the other; the other account makes the rest."""
    sim.start(**SCENARIO, users={"second": {"balance": 1_000_000}})
    give(desk, first={"concurrency": 1}, second={"price_factor": 0.5})
    desk.write(*(f"t{number}" for number in range(10)))
    done = run(desk)
    assert "account second: balance too low for another task" in done.stderr
    check(desk, done, 0)
    assert by_account(sim) == {"first": 7, "second": 3}


def test_all_accounts_are_refused(desk: Any, sim: Any) -> None:
    """That is as with one key that is refused."""
    sim.start(**SCENARIO | {"keys": {key: {"name": name, "valid": False} for name, key in KEYS.items()}})
    give(desk)
    desk.write("a")
    done = run(desk)
    assert (done.code, sim.posts()) == (4, 0)
    assert "the gateway refuses the key from" in done.stdout


def test_a_killed_run_resumes_with_the_accounts_in_another_order(desk: Any, sim: Any) -> None:
    """What counts is the name in the ledger, not the place in the file."""
    started_on_both(desk, sim, 6).killed()
    give(desk, "second", "first")
    sim.start(**SCENARIO)
    check(desk, run(desk), 0)
    desk.check_all_made(6)


def test_tasks_of_an_account_that_is_missing_wait_for_it(desk: Any, sim: Any) -> None:
    """They are neither polled with another key nor submitted again, and the run says what to do."""
    started_on_both(desk, sim, 4).killed()
    give(desk, "second")
    sim.start(**SCENARIO)
    missing = run(desk)
    assert "2 tasks submitted with the account first: neither polled with another key nor" in missing.stderr
    check(desk, missing, 75)
    assert Counter(desk.states().values()) == {"generating": 2, "done": 2}
    alone = desk.run()
    assert "2 tasks submitted with the account first" in alone.stderr
    check(desk, alone, 75)
    give(desk)
    check(desk, desk.do(*arguments(desk)), 0)
    desk.check_all_made(4)


def test_the_default_account_gets_what_had_none(desk: Any, sim: Any) -> None:
    """A run directory of a single key goes on with an accounts file that has the same key."""
    sim.start(**LONG)
    desk.write("a", "b")
    desk.start(*desk.run_arguments(), key=KEYS["first"]).reached(2, "accepted").killed()
    sim.start(**SCENARIO)
    give(desk)
    waiting = run(desk)
    assert "2 tasks submitted without --accounts: neither polled" in waiting.stderr
    check(desk, waiting, 75)
    assert {row["account"] for row in desk.rows()} == {""}
    give(desk, first={"default": True})
    check(desk, run(desk), 0)
    desk.check_all_made(2)
    check_rows(desk, sim)


def test_a_doubt_is_looked_up_with_its_own_account_only(desk: Any, sim: Any) -> None:
    """Another account's log shows nothing of it, so it is not even read."""
    cut = {"on": "submit", "do": "cut_after_accept", "nth": 1}
    sim.start(cut, **SCENARIO)
    give(desk, first={"price_factor": 0.5})
    desk.write("a")
    desk.start(*arguments(desk), key=None).reached(1, "unknown").killed()
    sim.start(**SCENARIO)
    give(desk, "second")
    check(desk, run(desk), 3)
    assert sim.requests()["GET /api/log/token"] == 0
    assert desk.states() == {"a": "in_doubt"}
    give(desk)
    check(desk, run(desk), 0)
    assert by_account(sim) == {"first": 1}


def test_an_older_ledger_needs_the_logs_of_all_accounts(desk: Any, sim: Any) -> None:
    """Without the key of one, nothing is submitted; with all, what each has paid for is found."""
    sim.start(**SCENARIO)
    cheap, one = {"price_factor": 0.5, "concurrency": 1}, {"concurrency": 1}
    give(desk, first=one, second=cheap)
    desk.write("a", "b", "c", "d")
    assert desk.do(*arguments(desk), "--limit", "2", key=None).code == 0
    ledger = desk.directory / "ledger.sqlite"
    older = ledger.read_bytes()
    check(desk, run(desk), 0)
    assert by_account(sim) == {"first": 2, "second": 2}
    ledger.write_bytes(older)
    (desk.directory / "results.csv").unlink()
    give(desk, "first")
    refused = run(desk)
    assert "the gateway's usage log of the account second can't be read without its key" in refused.stdout
    assert (refused.code, by_account(sim)) == (2, {"first": 2, "second": 2})
    give(desk)
    assert run(desk).code == 0
    desk.check_all_made(4)


def test_a_file_that_others_can_read_is_refused(desk: Any, sim: Any) -> None:
    """Nothing is created and nothing is sent."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write("a")
    (desk.folder / "accounts.yaml").chmod(0o640)
    refused = run(desk)
    assert "accounts.yaml is readable by other users" in refused.stderr
    assert "chmod 600 accounts.yaml" in refused.stderr
    assert not desk.directory.exists()
    assert sim.requests().total() == 0


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "a", "key": KEYS["first"]}, "`key` is unknown"),
        ({"name": "a", "key_env": KEYS["first"]}, "`key_env` must be the name of a variable"),
        ({"name": "a", "key_file": KEYS["first"]}, "`key_file` must be the path of a file"),
        ({"name": KEYS["first"], "key_env": "K"}, "`name` is wrong"),
        (KEYS["first"], "`name` is missing"),
    ],
)
def test_a_key_in_the_file_by_mistake_is_not_repeated(desk: Any, sim: Any, entry: Any, said: str) -> None:
    """Neither in the error nor in any file."""
    sim.start(**SCENARIO)
    desk.write("a")
    path = desk.folder.parent / "accounts.yaml"
    path.write_text(json.dumps({"accounts": [entry]}))
    path.chmod(0o600)
    refused = desk.do(*desk.run_arguments("--accounts", str(path)), key=None)
    assert refused.code == 2
    assert said in refused.stderr
    desk.check_key(KEYS["first"])
