"""The gateway under another address: shown by its tasks, for free, or said by a person; paid only once."""

import json
from typing import Any

import pytest

from batchrunner.core.errors import ExitCode


@pytest.fixture
def paid(desk: Any, sim: Any) -> Any:
    """A desk with one video that is done; its manifest now wants a second one."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    desk.write("ant", "bee")
    return desk


def by_name(desk: Any) -> str:
    """The simulated gateway's address with the machine's name in it."""
    return str(desk.gateway.url).replace("127.0.0.1", "localhost")


def test_same_gateway_under_another_address_goes_on_and_is_remembered(paid: Any) -> None:
    """What was paid for is seen there: the run says so; afterwards both addresses are the gateway's."""
    done = paid.do("run", "batch.yaml", *paid.at_gateway(by_name(paid)))
    assert "it is the same gateway" in done.stderr
    paid.check(done, 0)
    assert len(paid.gateway.charges()) == 2
    for url in (paid.gateway.url, by_name(paid)):
        again = paid.do("run", "batch.yaml", *paid.at_gateway(url))
        assert (again.code, "same gateway" in again.stderr) == (0, False)
    assert len(paid.gateway.charges()) == 2


@pytest.mark.parametrize("command", [["collect", "batch.run"], ["resolve", "batch.run", "--auto"]])
def test_other_commands_recognise_the_gateway_too(paid: Any, command: list[str]) -> None:
    """`collect` and `resolve --auto` find out likewise."""
    done = paid.do(*command, *paid.at_gateway(by_name(paid)))
    assert (done.code, "it is the same gateway" in done.stderr) == (0, True)


def test_gateway_that_shows_none_of_the_tasks_gets_no_post(paid: Any, make_desk: Any) -> None:
    """Another gateway: exit 2 after free questions; a person's word, and only that, lets it be paid."""
    other = make_desk()
    other.gateway.start(seed=8)
    elsewhere = paid.at_gateway(other.gateway.url)
    done = paid.do("run", "batch.yaml", *elsewhere)
    assert done.code == ExitCode.USAGE
    for said in ("shows none of the 1 task", f"--base-url {paid.gateway.url}", "--same-gateway"):
        assert said in done.stderr
    assert other.gateway.posts() == 0
    assert "(--same-gateway)" in paid.do("run", "batch.yaml", *elsewhere, "--same-gateway").stderr
    assert [charge["prompt"].split()[0] for charge in other.gateway.charges()] == ["bee"]
    other.clear_away()


def test_a_gateway_that_can_not_be_recognized_is_asked_nothing(desk: Any, sim: Any, web_page: Any) -> None:
    """The only submission is in doubt: `run` and `plan` exit 2 in the same error, and nobody is asked."""
    sim.start({"on": "submit", "do": "cut_after_accept"}, usage_log=False)
    desk.write("ant")
    assert desk.run().code == ExitCode.IN_DOUBT
    address = ("--base-url", web_page.url)
    run, plan = desk.do("run", "batch.yaml", *address), desk.do("plan", "batch.yaml", *address)
    assert (run.code, plan.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert run.stderr == plan.stderr
    assert "--same-gateway" in run.stderr
    assert web_page.methods == []
    assert len(sim.charges()) == 1


def test_address_that_nobody_named_gets_no_key(paid: Any) -> None:
    """Without an address the run goes nowhere but where the ledger's gateway is: exit 2 says which."""
    done = paid.do("run", "batch.yaml")
    assert (done.code, f"--base-url {paid.gateway.url}" in done.stderr) == (ExitCode.USAGE, True)


def test_simulated_and_real_runs_are_kept_apart_in_plan_and_run(paid: Any) -> None:
    """`--simulate` in a real run's directory is refused in the same error by both."""
    command = ("batch.yaml", "--simulate", "-o", "batch.run")
    run, plan = paid.do("run", *command), paid.do("plan", *command)
    assert (run.code, plan.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert run.stderr == plan.stderr
    assert json.loads(paid.do("plan", *command, "--json").stdout)["exit_code"] == ExitCode.USAGE


@pytest.mark.parametrize("ending", ["/", "/v1", "/v1/", "/v1/video/generations"])
def test_address_with_the_path_of_the_api_is_taken_as_meant(paid: Any, ending: str) -> None:
    """As clients of OpenAI-like gateways take it: the same gateway, nothing asked of a wrong path."""
    done = paid.do("run", "batch.yaml", *paid.at_gateway(paid.gateway.url + ending))
    assert "same gateway" not in done.stderr
    paid.check(done, 0)


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ('"sk-canary-5f0c77aa91d2e4"', "quotes"),
        ("“sk-canary-5f0c77aa91d2e4”", "quotes"),
        ("Bearer sk-canary-5f0c77aa91d2e4", "Bearer"),
        ("EASYROUTER_API_KEY=sk-canary-5f0c77aa91d2e4", "variable name"),
    ],
)
def test_text_copied_along_with_the_key_is_named_without_the_key(
    desk: Any, web_page: Any, key: str, fault: str
) -> None:
    """Exit 4 says what is wrong with it; nothing is asked."""
    desk.write("ant")
    done = desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url), key=key)
    assert (done.code, fault in done.stderr) == (ExitCode.ACCOUNT, True)
    assert web_page.methods == []
    desk.check_key()
