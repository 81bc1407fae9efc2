"""Several accounts outside of a run: what shows them, and the other commands that use their keys."""

import re
from collections import Counter
from typing import Any

from tests.harness.accounts import (
    SCENARIO,
    arguments,
    by_account,
    check,
    check_rows,
    give,
    run,
)
from tests.harness.run_directory import lose_ledger


def test_who_made_a_video_is_shown(desk: Any, sim: Any) -> None:
    """In results.csv, its rows as JSON, and the report."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write("ant", "bee", "cat", "doe")
    check(desk, run(desk), 0)
    assert sorted(by_account(sim)) == ["first", "second"]
    check_rows(desk, sim)
    place = desk.directory.name
    shown = desk.do("results", place, "--json", key=None).json
    assert [row["account"] for row in shown["rows"]] == [row["account"] for row in desk.rows()]
    assert desk.do("report", place, key=None).code == 0
    page = (desk.directory / "report.html").read_text(encoding="utf-8")
    assert Counter(re.findall(r'"account": ?"(\w+)"', page)) == by_account(sim)


def test_each_attempt_has_its_own_account(desk: Any, sim: Any) -> None:
    """The history shows all of them, results.csv the latest."""
    sim.start({"on": "generate", "do": "fail"}, **SCENARIO)
    give(desk, first={"price_factor": 0.5})
    desk.write("ant", max_attempts=1)
    check(desk, run(desk), 1)
    check_rows(desk, sim)
    sim.start(**SCENARIO)
    assert desk.do("retry", desk.directory.name, "ant", key=None).code == 0
    give(desk, "second")
    check(desk, run(desk), 0)
    assert desk.row("ant")["account"] == "second"
    story = desk.do("status", desk.directory.name, "ant", key=None).stdout
    assert re.findall(r"attempt \d: \w+, account (\w+)", story) == [one["key"] for one in sim.charges()]
    attempts = desk.do("status", desk.directory.name, "ant", "--json", key=None).json["all_attempts"]
    assert [one["account"] for one in attempts] == [one["key"] for one in sim.charges()]


def test_a_single_key_has_no_name(desk: Any, sim: Any) -> None:
    """Its column is empty, and the history of a task doesn't mention it."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    assert desk.row("ant")["account"] == ""
    assert "account" not in desk.do("status", desk.directory.name, "ant").stdout


def test_accounts_of_a_lost_ledger_are_known_from_the_rows(desk: Any, sim: Any) -> None:
    """Videos whose tasks the gateway doesn't show any more are recognised by results.csv alone."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write("ant", "bee", "cat", "doe")
    check(desk, run(desk), 0)
    lose_ledger(desk.directory)
    (desk.directory / "run.log").unlink()
    sim.start(**SCENARIO, usage_log=False)
    done = desk.do("recover", desk.manifest.name, "-o", str(desk.directory), *arguments(desk)[2:], key=None)
    check(desk, done, 0)
    check_rows(desk, sim)
