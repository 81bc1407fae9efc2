"""Several accounts in the Python API: from a file, or with the keys that a program has."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.accounts import KEYS, SCENARIO, by_account, check_rows, give
from tests.harness.commands import Ended
from tests.harness.processes import PATIENCE, clean_environment

ROOT = Path(__file__).parents[2]
START = "import asyncio, json, os, sys\nfrom batchrunner import AccountKey, AccountError, UsageError, run\n"
BOTH = "[AccountKey(name, os.environ[name], concurrency=2) for name in ('first', 'second')]"


def program(desk: Any, code: str, **environment: str) -> Ended:
    """Run a program in the workspace's folder, with the keys in variables of its own."""
    script = desk.folder / "program.py"
    script.write_text(START + code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=desk.folder,
        env=clean_environment(desk.folder, PYTHONPATH=str(ROOT), **KEYS, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 5,
    )
    assert all(key not in done.stdout + done.stderr for key in KEYS.values())
    return Ended(done.returncode, done.stdout, done.stderr, 0.0)


def call(desk: Any, accounts: str, **options: Any) -> str:
    """A call of `run` at the simulated gateway."""
    given = {"base_url": desk.gateway.url, "time_scale": desk.gateway.scale} | options
    return f"run('batch.yaml', accounts={accounts}, **{given!r})"


@pytest.mark.parametrize("accounts", ["'accounts.yaml'", BOTH], ids=["file", "keys"])
def test_both_accounts_are_used(desk: Any, sim: Any, accounts: str) -> None:
    """The rows say which one made a video; the keys are in no file and in no repr."""
    sim.start(**SCENARIO | {"generation_seconds": 500})
    give(desk)
    desk.write(*(f"t{number}" for number in range(10)))
    code = f"""
given = {accounts}
summary = asyncio.run({call(desk, "given")})
print(int(summary.exit_code), len({{task["account"] for task in summary.tasks}}), given, summary)
"""
    done = program(desk, code)
    assert (done.code, done.stdout[:4], done.stderr) == (0, "0 2 ", "")
    assert sorted(by_account(sim)) == ["first", "second"]
    check_rows(desk, sim)
    desk.check_all_made(10)
    for key in KEYS.values():
        desk.check_key(key)


def test_a_second_call_finds_the_keys_of_variables(desk: Any, sim: Any) -> None:
    """A program keeps its variables: the same call resumes."""
    sim.start(**SCENARIO)
    path = give(desk, "first")
    path.write_text("accounts: [{name: first, key_env: first}]")
    desk.write("ant", "bee")
    again = call(desk, repr(path.name))
    code = f"""
one = asyncio.run({call(desk, repr(path.name), limit=1)})
two = asyncio.run({again})
print(int(one.exit_code), int(two.exit_code), "first" in os.environ)
"""
    done = program(desk, code)
    assert (done.stdout, done.stderr) == ("0 0 True\n", "")
    assert by_account(sim) == {"first": 2}


@pytest.mark.parametrize(
    ("accounts", "kind", "words"),
    [
        ("[AccountKey(os.environ['first'], 'x')]", "UsageError", "name of an account"),
        (
            "[AccountKey('a', os.environ['first'] + ' ' + os.environ['first'])]",
            "AccountError",
            "key of account a",
        ),
        ("[AccountKey('a', None)]", "UsageError", "must be a str"),
        ("[AccountKey('a', os.environ['first'], concurrency=0)]", "UsageError", "`concurrency`"),
        (
            "[AccountKey(name, os.environ['first']) for name in 'ab']",
            "UsageError",
            "a and b have the same key",
        ),
        ("[AccountKey('a', os.environ[name]) for name in ('first', 'second')]", "UsageError", "two accounts"),
    ],
)
def test_what_is_wrong_is_raised_without_the_key(
    desk: Any, sim: Any, accounts: str, kind: str, words: str
) -> None:
    """Neither the message nor a local variable of the traceback shows it; nothing is sent."""
    sim.start(**SCENARIO)
    desk.write("ant")
    code = f"""
import traceback
try:
    asyncio.run({call(desk, accounts)})
except {kind} as error:
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    print(*found.format())
"""
    done = program(desk, code)
    assert words in done.stdout
    assert sim.requests().total() == 0


def test_accounts_are_simulated_without_their_keys(desk: Any) -> None:
    """A list of accounts works with `simulate=True`, too."""
    desk.write("ant", "bee")
    code = f"""
summary = asyncio.run(run("batch.yaml", accounts={BOTH}, simulate=True, time_scale=0.002))
print(int(summary.exit_code), {{task["account"] for task in summary.tasks}} <= {{"first", "second"}})
"""
    assert program(desk, code).stdout == "0 True\n"
    for key in KEYS.values():
        desk.check_key(key)
