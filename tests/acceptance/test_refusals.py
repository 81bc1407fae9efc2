"""What must not begin: each is refused by name, with the way out, before any POST."""

import itertools
import json
import socket
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from batchrunner.core.errors import ExitCode

WRONG = {
    "an unknown key": '{"version": 1, "tasks": [{"promt": "a cat"}]}',
    "no YAML": "version: 1\ntasks: [",
    "an id twice": '{"version": 1, "defaults": {"model": "dreamina-seedance-2-0-fast"}, '
    '"tasks": [{"id": "a", "prompt": "a"}, {"id": "a", "prompt": "b"}]}',
    "no tasks": "version: 1\n",
    "a wrong value": '{"version": 1, "tasks": [{"prompt": "a", "model": "m", "duration": "long"}]}',
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def told(done: Any, code: int) -> str:
    """What a refused command said, once its exit code is as wanted."""
    assert done.code == code, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


def at_once(desk: Any, command: Any, done: Any) -> bool:
    """Whether a refusal took no second, beyond what other work on this machine holds any process up."""
    seconds = itertools.chain([done.seconds], (desk.do(*command).seconds for _ in range(2)))
    return any(taken < 1.0 or taken < 1.0 + 4 * desk.do("--version").seconds for taken in seconds)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_manifest_is_refused_with_its_place_and_nothing_is_made(
    desk: Any, web_page: Any, wrong: str
) -> None:
    """Exit 2 with file and line; no folder, and not one request leaves."""
    desk.manifest.write_text(WRONG[wrong], encoding="utf-8")
    said = told(desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url)), ExitCode.USAGE)
    assert "batch.yaml:" in said
    assert "nothing was sent" in said
    assert not desk.directory.exists()
    assert web_page.methods == []


def test_a_missing_manifest_is_refused_by_name(desk: Any) -> None:
    """Exit 2, and no folder is made for a manifest that isn't there."""
    assert "batch.yaml" in told(desk.do("run", "batch.yaml"), ExitCode.USAGE)
    assert not desk.directory.exists()


def test_without_a_key_nothing_is_asked_and_no_folder_is_made(desk: Any, web_page: Any) -> None:
    """Exit 4 says where a key may come from."""
    desk.write("ant")
    said = told(desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url), key=None), ExitCode.ACCOUNT)
    assert "EASYROUTER_API_KEY" in said
    assert "--api-key-file" in said
    assert not desk.directory.exists()
    assert web_page.methods == []


def test_a_key_file_that_others_can_read_is_refused(desk: Any, web_page: Any) -> None:
    """Exit 4 with the command that mends it; with it mended the key is used."""
    desk.write("ant")
    secret = desk.folder.parent / "key"
    secret.write_text("sk-canary-in-a-file\n", encoding="utf-8")
    secret.chmod(0o644)
    command = ("run", "batch.yaml", *desk.at_gateway(web_page.url), "--api-key-file", str(secret))
    assert "chmod 600" in told(desk.do(*command, key=None), ExitCode.ACCOUNT)
    assert web_page.methods == []
    secret.chmod(0o600)
    told(desk.do(*command, key=None), ExitCode.ACCOUNT)
    assert web_page.methods == ["GET"]
    desk.check_key("sk-canary-in-a-file")


def test_a_key_that_the_gateway_does_not_know_sends_nothing(desk: Any, sim: Any) -> None:
    """Exit 4 from the free first question; not one POST, all tasks pending, the key not shown."""
    sim.start()
    desk.write("ant", "bee")
    done = desk.do("run", "batch.yaml", *desk.at_gateway(), key="sk-unknown")
    assert "key" in told(done, ExitCode.ACCOUNT)
    assert sim.posts() == 0
    assert desk.states() == {"ant": "pending", "bee": "pending"}
    desk.check_key("sk-unknown")
    desk.check(desk.run(), 0)


def test_an_address_that_shows_a_web_page_for_everything_gets_no_post(desk: Any, web_page: Any) -> None:
    """Some servers answer any path with 200 and HTML, POSTs too: exit 4 before one is sent."""
    desk.write("ant", "bee")
    said = told(desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url)), ExitCode.ACCOUNT)
    assert "--base-url" in said
    assert set(web_page.methods) == {"GET"}
    assert desk.states() == {"ant": "pending", "bee": "pending"}
    desk.check_key()


def test_a_key_that_the_gateway_repeats_in_its_answers_is_not_written_down(desk: Any, web_page: Any) -> None:
    """Exit 4 from a 401 that echoes the key: it is masked wherever the answer is shown or kept."""
    web_page.status, web_page.kind = 401, "application/json"
    web_page.text = '{"error": {"message": "we do not know %s", "type": "new_api_error", "code": "%s"}}'
    desk.write("ant")
    said = told(desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url)), ExitCode.ACCOUNT)
    assert "we do not know" in said
    desk.check_key()


def test_an_address_where_nobody_answers_exits_4(desk: Any) -> None:
    """After some tries the run gives up, all tasks pending."""
    desk.write("ant")
    said = told(desk.do("run", "batch.yaml", *desk.at_gateway(f"http://127.0.0.1:{free_port()}")), 4)
    assert "can't be reached" in said
    assert desk.states() == {"ant": "pending"}


def test_a_time_scale_or_plain_http_is_refused_for_a_gateway_elsewhere(desk: Any) -> None:
    """Exit 2: waits are not shortened for a real gateway, and the key does not travel unencrypted."""
    desk.write("ant")
    gateway = ("--base-url", "https://gateway.invalid")
    assert "--time-scale" in told(desk.do("run", "batch.yaml", *gateway, "--time-scale", "0.01"), 2)
    assert "--insecure" in told(desk.do("run", "batch.yaml", "--base-url", "http://gateway.invalid"), 2)
    assert not desk.directory.exists()


@pytest.mark.parametrize("scheme", ["", "//", "https//", "https:/", "https:", "https://[", "https://"])
def test_a_mistyped_address_shows_no_password(desk: Any, scheme: str) -> None:
    """Exit 2, and the password is in nothing that is said: by option, by environment, or in the manifest."""
    url = f"{scheme}bob:S3CRETPW@host"
    desk.write("ant")
    for more in ([], ["--json"]):
        said = told(desk.do("run", "batch.yaml", "--base-url", url, *more), 2)
        assert "S3CRETPW" not in said
    desk.environment["EASYROUTER_BASE_URL"] = url
    assert "S3CRETPW" not in told(desk.do("run", "batch.yaml"), 2)
    text = desk.manifest.read_text().replace('"tasks"', f'"gateway": {{"base_url": "{url}"}}, "tasks"')
    desk.manifest.write_text(text)
    assert "S3CRETPW" not in told(desk.do("validate", "batch.yaml"), 2)


def test_while_a_run_works_every_other_command_that_changes_something_is_refused(desk: Any, sim: Any) -> None:
    """A second run, retry, resolve, results and collect exit 75 within 1 s; status still answers."""
    sim.start(generation_seconds=100_000)
    desk.write("ant", "bee", concurrency=1, task_deadline="1000h")
    run = desk.start_run().reached(1, "accepted")
    charges, events = sim.charges(), len(run.events())
    commands = [
        ("run", "batch.yaml", *desk.at_gateway()),
        ("collect", "batch.run", "--time-scale", str(sim.scale)),
        ("retry", "batch.run", "--failed"),
        ("resolve", "batch.run", "--all", "--lost"),
        ("results", "batch.run"),
    ]
    for command in commands:
        done = desk.do(*command)
        assert "another batchrunner" in told(done, ExitCode.UNFINISHED)
        assert at_once(desk, command, done)
    status = desk.do("status", "batch.run", "--json")
    assert (status.code, status.json["running"]) == (0, True)
    assert (sim.charges(), len(run.events())) == (charges, events)
    run.killed()


@pytest.mark.parametrize("command", [("run", "batch.yaml", "--simulate"), ("collect", "batch.simulated")])
def test_while_a_simulated_run_works_a_second_one_is_refused_at_once(desk: Any, command: Any) -> None:
    """The simulator of the first run is no reason to wait: exit 75, as for a real gateway."""
    desk.directory = desk.folder / "batch.simulated"
    (desk.folder / "night.yaml").write_text("generation_seconds: 100000\n", encoding="utf-8")
    desk.write("ant")
    run = desk.start("run", "batch.yaml", "--simulate", "--scenario", "night.yaml").reached(1, "accepted")
    done = desk.do(*command)
    run.killed()
    assert "another batchrunner" in told(done, ExitCode.UNFINISHED)
    assert done.seconds < 5.0, "it waited for something"


@pytest.mark.parametrize(
    "text",
    ["faults: [{on: submit, do: dance}]", "seed: [", None],
    ids=["an unknown fault", "no YAML", "no file"],
)
def test_a_scenario_that_is_wrong_is_refused_by_name(desk: Any, text: str | None) -> None:
    """Exit 2 names the scenario file and what is wrong with it; no run begins."""
    if text is not None:
        (desk.folder / "night.yaml").write_text(text, encoding="utf-8")
    desk.write("ant")
    done = desk.do("run", "batch.yaml", "--simulate", "--scenario", "night.yaml")
    assert "night.yaml" in told(done, ExitCode.USAGE)
    assert not (desk.folder / "batch.simulated" / "ledger.sqlite").exists()


@pytest.fixture
def finished(desk: Any, sim: Any) -> Any:
    """A desk with one video that is done."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    return desk


def test_the_run_directory_of_another_gateway_is_refused(finished: Any, web_page: Any) -> None:
    """An address that does not show what was paid for gets no POST: the ledger's own is named."""
    finished.write("ant", "bee")
    said = told(finished.do("run", "batch.yaml", *finished.at_gateway(web_page.url)), ExitCode.ACCOUNT)
    assert f"--base-url {finished.gateway.url}" in said
    assert set(web_page.methods) == {"GET"}
    said = told(finished.do("run", "batch.yaml", "--simulate", "-o", "batch.run"), ExitCode.USAGE)
    assert "name another one with -o" in said
    assert len(finished.rows()) == 1


def test_the_run_directory_of_another_manifest_is_refused(finished: Any) -> None:
    """Exit 2 names the manifest that the ledger belongs to, where it shares nothing with this one."""
    value = json.loads(finished.manifest.read_text(encoding="utf-8"))
    for name, prompt in (("pets", "ant walks along the shore"), ("birds", "a robin sings")):
        value |= {"name": name, "tasks": [{"id": "ant", "prompt": prompt}]}
        (finished.folder / f"{name}.yaml").write_text(json.dumps(value), encoding="utf-8")
    told(finished.do("run", "pets.yaml", "-o", "batch.run", *finished.at_gateway()), ExitCode.DONE)
    for command in (("run", "birds.yaml", *finished.at_gateway()), ("plan", "birds.yaml")):
        said = told(finished.do(*command, "-o", "batch.run"), ExitCode.USAGE)
        assert "belongs to the manifest named pets" in said
        assert "another run directory" not in said
    assert finished.gateway.posts() == 1


def test_videos_without_their_ledger_are_not_paid_for_again(finished: Any) -> None:
    """Exit 2 when the ledger is gone and videos are there."""
    for path in finished.directory.glob("ledger.sqlite*"):
        path.unlink()
    assert "ledger" in told(finished.run(), ExitCode.USAGE)
    assert finished.gateway.posts() == 1


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(finished: Any) -> None:
    """Exit 2 for a ledger that this program may misread."""
    with closing(sqlite3.connect(finished.directory / "ledger.sqlite")) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    assert "version" in told(finished.run(), ExitCode.USAGE)
    assert told(finished.do("status", "batch.run"), ExitCode.USAGE)
    assert finished.gateway.posts() == 1


@pytest.mark.parametrize("content", [b"not a database at all" * 400, b""], ids=["damaged", "emptied"])
def test_a_damaged_or_emptied_ledger_is_refused(finished: Any, content: bytes) -> None:
    """Exit 2 for a file that is no ledger any more: its videos would be paid for again."""
    for path in finished.directory.glob("ledger.sqlite-*"):
        path.unlink()
    (finished.directory / "ledger.sqlite").write_bytes(content)
    assert "ledger" in told(finished.run(), ExitCode.USAGE)
    assert finished.gateway.posts() == 1
