"""Several accounts outside of a run: what shows them, and the other commands that use their keys."""

import json
import re
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
from tests.harness.charge_book import read
from tests.harness.run_directory import lose_ledger


def test_who_made_a_video_is_shown(desk: Any, sim: Any) -> None:
    """In results.csv, its rows as JSON, and the report."""
    sim.start(**SCENARIO | {"generation_seconds": 500})
    give(desk)
    desk.write(*(f"t{number}" for number in range(10)))
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


def simulate(desk: Any, *options: str) -> Any:
    """Run with the accounts and a simulated gateway, without any key."""
    return desk.do(
        "run",
        "batch.yaml",
        "--simulate",
        "--time-scale",
        "0.002",
        "--accounts",
        "accounts.yaml",
        *options,
        key=None,
    )


def test_accounts_can_be_tried_without_their_keys(desk: Any) -> None:
    """The keys of a simulated run are made from the names, so that a scenario can give each its limits."""
    path = desk.folder / "accounts.yaml"
    named = [{"name": "first", "key_file": "nowhere.key"}, {"name": "second", "key_env": "NOT_SET"}]
    path.write_text(json.dumps({"accounts": [one | {"concurrency": 2} for one in named]}))
    path.chmod(0o600)
    keys = {f"sk-simulated-{name}": {"name": name, "user": name} for name in ("first", "second")}
    users = {"first": {"balance": 0}, "second": {"capacity": 1}}
    (desk.folder / "limits.yaml").write_text(json.dumps({"keys": keys, "users": users}))
    desk.directory = desk.folder / "batch.simulated"
    desk.write("ant", "bee", "cat", "doe")
    done = simulate(desk, "--limit", "3")
    assert "3 tasks to do, 4 at once with 2 accounts" in done.stderr
    assert done.code == 0
    charges = read(desk.directory / ".simulator")
    accounts = {row["remote_id"]: row["account"] for row in desk.rows() if row["remote_id"]}
    pairs = {(charge["key"], accounts[charge["remote_id"]]) for charge in charges}
    assert len(pairs) == len(set(accounts.values()))
    done = simulate(desk, "--scenario", "limits.yaml")
    assert "account first: balance too low" in done.stderr
    desk.check(done, 0)
    assert read(desk.directory / ".simulator")[-1]["key"] == "second"
    assert desk.row("doe")["account"] == "second"


def test_a_simulated_run_is_collected_with_its_accounts(desk: Any) -> None:
    """`collect` starts the same simulator; without the accounts, their tasks wait."""
    give(desk)
    desk.directory = desk.folder / "batch.simulated"
    desk.write("ant", "bee", "cat")
    scale = ("--time-scale", "0.02", "--json")
    named = ("--accounts", "accounts.yaml")
    desk.start("run", "batch.yaml", "--simulate", *scale, *named, key=None).reached(3, "accepted").killed()
    alone = desk.do("collect", "batch.simulated", *scale, key=None)
    assert "submitted with the account first: neither polled" in alone.stderr
    assert alone.json["counts"]["done"] == 0
    desk.check(desk.do("collect", "batch.simulated", *named, *scale, key=None), 0)
    assert set(desk.states().values()) == {"done"}


def examined(desk: Any, *options: str) -> tuple[int, dict[str, list[Any]]]:
    """The exit code of `doctor`, and its findings by subject."""
    options = (*(options or ("--accounts", "accounts.yaml")), "--base-url", desk.gateway.url)
    done = desk.do("doctor", desk.manifest.name, "--json", *options, key=None)
    found: dict[str, list[Any]] = {}
    for one in done.json["findings"]:
        found.setdefault(one["subject"], []).append(one)
    assert all(key not in done.output for key in KEYS.values())
    return done.code, found


def test_doctor_examines_each_account(desk: Any, sim: Any) -> None:
    """Whether its key is accepted, and its balance; nothing is submitted, and the others are examined."""
    limited = {KEYS["second"]: {"name": "second", "user": "second", "quota": 1_000_000}}
    sim.start(**SCENARIO | {"keys": SCENARIO["keys"] | limited})
    give(desk)
    desk.write("ant")
    code, found = examined(desk)
    assert (code, found["accounts"][0]["facts"]["names"]) == (0, ["first", "second"])
    assert "key" not in found
    assert [one["facts"]["account"] for one in found["account"]] == ["first", "second"]
    assert all(one["facts"]["models"] for one in found["account"])
    (balance,) = found["balance"]
    assert (balance["facts"]["account"], balance["facts"]["balance_usd"]) == ("second", 2.0)
    sim.start(**REVOKED)
    code, found = examined(desk)
    assert [one["health"] for one in found["account"]] == ["problem", "ok"]
    assert (code, found["account"][0]["text"].startswith("first: the gateway refuses the key")) == (4, True)
    assert sim.posts() == 0


def test_doctor_examines_the_accounts_of_a_service(desk: Any, sim: Any) -> None:
    """A systemd credential is an accounts file, too."""
    sim.start(**SCENARIO)
    desk.write("ant")
    give(desk).rename(desk.folder.parent / "easyrouter_accounts")
    desk.environment["CREDENTIALS_DIRECTORY"] = str(desk.folder.parent)
    code, found = examined(desk, "--insecure")
    assert (code, found["accounts"][0]["facts"]["from"]) == (0, "the credential easyrouter_accounts")
    assert [one["health"] for one in found["account"]] == ["ok", "ok"]


def test_doctor_names_what_is_wrong_with_the_accounts_file(desk: Any, sim: Any) -> None:
    """As a problem among others, with the exit code that a run would have."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write("ant")
    (desk.folder.parent / "second.key").unlink()
    code, found = examined(desk)
    assert (code, "can't read the key" in found["accounts"][0]["text"]) == (4, True)
    assert "`key_file` of account second" in found["accounts"][0]["hint"]
    assert found["gateway"][0]["health"] == "ok"
    (desk.folder / "accounts.yaml").write_text("accounts: []")
    assert examined(desk)[0] == 2


def test_plan_needs_no_key_and_forecasts_what_a_run_with_accounts_says(desk: Any, sim: Any) -> None:
    """The slots of all accounts, and the highest price; a run agrees."""
    sim.start(**SCENARIO)
    path = give(desk, first={"price_factor": 2}, second={"price_factor": 0.5, "concurrency": 3})
    desk.sections = {"pricing": {"currency": "EUR", "per_million_tokens": {"dreamina-seedance-2-0-fast": 10}}}
    desk.write(*(f"t{number}" for number in range(10)))
    keys = [desk.folder.parent / f"{name}.key" for name in KEYS]
    for key in keys:
        key.rename(key.with_suffix(".away"))
    plan = desk.do("plan", "batch.yaml", "--accounts", path.name, key=None)
    assert plan.code == 0
    assert " at concurrency 5" in plan.stdout
    told = "first, second; the cost is with price_factor 2, the highest (lowest: 0.5)"
    assert f"accounts {told}" in plan.stdout
    values = desk.do("plan", "batch.yaml", "--accounts", path.name, "--json", key=None).json
    alone = desk.do("plan", "batch.yaml", "--json", key=None).json
    assert values["forecast"]["cost"] == pytest.approx(2 * alone["forecast"]["cost"])
    assert values["accounts"] == [
        {"name": "first", "concurrency": 2, "price_factor": 2.0},
        {"name": "second", "concurrency": 3, "price_factor": 0.5},
    ]
    assert (alone["accounts"], sim.requests().total()) == ([], 0)
    for key in keys:
        key.with_suffix(".away").rename(key)
    done = run(desk)
    check(desk, done, 0)
    assert f"{values['forecast']['cost']:,.2f} EUR" in done.stderr


def test_other_commands_need_no_key_or_ask_for_the_accounts(desk: Any, sim: Any) -> None:
    """`collect` and `resolve --auto` use the key of each task's own account."""
    sim.start({"on": "submit", "do": "cut_after_accept"}, **SCENARIO)
    path = give(desk, *KEYS, first={"concurrency": 1}, second={"concurrency": 1})
    desk.write("ant", "bee")
    desk.start(*arguments(desk), key=None).reached(2, "unknown").killed()
    sim.start(**SCENARIO)
    place = desk.directory.name
    codes = {name: desk.do(name, place, key=None).code for name in ("status", "results", "report", "resolve")}
    assert codes == {"status": 3, "results": 0, "report": 0, "resolve": 0}
    named = ("--accounts", path.name, *desk.at_gateway())
    for command in ("resolve", place, "--auto"), ("collect", place):
        refused = desk.do(*command, key=None)
        assert (refused.code, "several keys with --accounts" in refused.stderr) == (4, True)
        assert desk.do(*command, *named, key=None).code == 0
    check(desk, run(desk), 0)
    check_rows(desk, sim)
    desk.check_all_made(2)


def test_no_other_program_gets_a_key_under_whatever_name(desk: Any, sim: Any) -> None:
    """What is started at the end has no variable in which a key of an account is."""
    sim.start(**SCENARIO)
    give(desk)
    desk.environment |= {"COPY": KEYS["first"], "HEADER": f"Authorization: Bearer {KEYS['second']}"}
    desk.write("ant")
    check(desk, desk.do(*arguments(desk), "--on-end", "env > ../end.env", key=None), 0)
    left = (desk.folder.parent / "end.env").read_text()
    assert "PATH=" in left
    assert not any(key in left for key in KEYS.values())


def test_an_accounts_file_in_a_folder_of_manifests_is_none(desk: Any, sim: Any) -> None:
    """It lies beside the manifests in the examples."""
    sim.start(**SCENARIO)
    give(desk)
    desk.write("ant")
    ended = desk.do("run", ".", *arguments(desk)[2:], key=None)
    check(desk, ended, 0)
    assert len(sim.charges()) == 1


def test_the_slots_of_fixed_and_automatic_accounts_are_counted(desk: Any) -> None:
    """An automatic one counts with a few."""
    give(desk, first={"concurrency": 20}, second={"concurrency": "auto"})
    desk.write(*(f"t{number}" for number in range(100)))
    shown = desk.do("plan", desk.manifest.name, "--accounts", "accounts.yaml", "--json", key=None).json
    assert next(iter(shown["forecast"]["seconds"])) == "23", shown["forecast"]
