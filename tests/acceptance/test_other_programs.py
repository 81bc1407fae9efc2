"""What other programs learn of a run: `--events`, `--on-end` and `--notify`. None of it changes the run."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from batchrunner.core.states import TaskState
from batchrunner.ledger import LedgerEvent
from batchrunner.manifest import schema_text

TELL = 'cat > summary.json; env > environment; echo "$BATCHRUNNER_EXIT_CODE" >> codes; echo heard'


class Hook:
    """A web server that is told the summary."""

    def __init__(self) -> None:
        hook = self
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.location = 200, ""
        self.answers = threading.Event()
        self.answers.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.heard.append((self.path, dict(self.headers), body))
                hook.answers.wait()
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("Location", hook.location)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_port}"

    @property
    def summary(self) -> Any:
        """What it was told, which must be once."""
        ((_, _, body),) = self.heard
        return json.loads(body)


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.answers.set()
    hook.server.shutdown()
    hook.server.server_close()


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of events, each as the schema has it."""
    found = [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]
    for line in found:
        jsonschema.validate(line, json.loads(schema_text("events")), jsonschema.Draft202012Validator)
    return found


def test_events_tell_the_whole_run_in_the_form_of_the_schema(desk: Any, sim: Any) -> None:
    """From `began` to `ended`, also of a second run, and whatever is in a prompt or an id."""
    sim.start()
    hostile = "\u202e<script>\u2028=1+1;\x85"
    desk.write("ant", {"prompt": hostile}, {"id": "猫 =1+1", "prompt": "猫"})
    desk.run("--events", "events.jsonl")
    found = lines(desk.folder / "events.jsonl")
    assert [found[0]["type"], found[-1]["type"]] == ["began", "ended"]
    collected = [line["id"] for line in found if line.get("event") == "collected"]
    assert sorted(collected) == sorted(row["id"] for row in desk.rows())
    assert found[-1]["summary"]["counts"]["done"] == 3
    assert desk.run("--events", "events.jsonl").code == 0
    again = lines(desk.folder / "events.jsonl")
    assert again[: len(found)] == found
    assert [line["type"] for line in again].count("ended") == 2
    desk.check_key()


def test_an_error_before_the_run_is_an_event_too(desk: Any) -> None:
    """The last line has the error, the hint and the exit code."""
    desk.manifest.write_text("version: 1\ntasks: 7\n")
    assert desk.do("run", "batch.yaml", "--events", "events.jsonl").code == 2
    (line,) = lines(desk.folder / "events.jsonl")
    assert (line["type"], line["exit_code"]) == ("ended", 2)
    assert line["summary"]["problems"]


@pytest.mark.parametrize("name", ["batch.yaml", "notes.txt", "batch.run/ledger.sqlite", "batch.run/lock"])
def test_events_overwrite_nothing(desk: Any, sim: Any, name: str) -> None:
    """A file with other content, or of the run itself, is refused before anything is sent."""
    sim.start()
    desk.write("ant")
    (desk.folder / "notes.txt").write_text("my notes\n")
    before = desk.manifest.read_bytes()
    ended = desk.run("--events", name)
    assert (ended.code, sim.posts(), desk.directory.exists()) == (2, 0, False)
    assert name in ended.stderr
    assert desk.manifest.read_bytes() == before


def test_a_reader_that_is_slow_or_gone_does_not_hold_up_a_run(desk: Any, sim: Any) -> None:
    """A pipe without a reader is refused; one that nobody empties loses lines, which is reported."""
    sim.start()
    desk.write(*(f"task-{number}" for number in range(60)))
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    refused = desk.run("--events", "pipe")
    assert (refused.code, sim.posts()) == (2, 0)
    assert "nobody reads the pipe pipe" in refused.stderr
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    ended = desk.run("--events", "pipe")
    desk.check(ended, 0)
    assert "--events pipe: the reader was too slow; lines are missing" in ended.stderr
    heard = b""
    while part := os.read(reader, 1 << 16):
        heard += part
    os.close(reader)
    assert all(json.loads(line) for line in heard.split(b"\n")[:-1])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_events_on_a_full_disk_change_no_exit_code(desk: Any, sim: Any) -> None:
    """One line says what is missing."""
    sim.start()
    desk.write("ant")
    ended = desk.run("--events", "/dev/full")
    desk.check(ended, 0)
    assert ended.stderr.splitlines()[-1].startswith("--events /dev/full: No space left on device")


@pytest.mark.parametrize("by", ["option", "manifest"])
def test_a_command_gets_the_summary_at_the_end_and_no_key(desk: Any, sim: Any, by: str) -> None:
    """Once, as JSON on its stdin, with the exit code; its output goes to stderr."""
    sim.start({"on": "generate", "do": "fail"})
    desk.environment = {"OTHER_NAME": desk.key, "CREDENTIALS_DIRECTORY": "/run/credentials"}
    desk.write("ant", **({"on_end": TELL} if by == "manifest" else {}))
    ended = desk.run("--json", *(("--on-end", TELL) if by == "option" else ()))
    assert ended.code == 1
    assert json.loads((desk.folder / "summary.json").read_text()) == ended.json
    assert (desk.folder / "codes").read_text() == "1\n"
    assert "heard" in ended.stderr.splitlines()
    environment = (desk.folder / "environment").read_text()
    assert "PATH=" in environment
    assert not any(text in environment for text in (desk.key, "CREDENTIALS_DIRECTORY", "EASYROUTER_API_KEY"))
    desk.check_key()


def test_a_command_is_started_however_the_run_ends(desk: Any, sim: Any) -> None:
    """A run that could not begin, one that was stopped, one with nothing to do; and the option wins."""
    desk.manifest.write_text("version: 1\ntasks: 7\n")
    assert desk.do("run", "batch.yaml", "--on-end", TELL).code == 2
    assert "problem" in json.loads((desk.folder / "summary.json").read_text())["error"]
    sim.start()
    desk.write("ant", on_end="touch unwanted")
    assert desk.run("--on-end", TELL).code == 0
    assert desk.run("--on-end", TELL).code == 0
    assert (desk.folder / "codes").read_text() == "2\n0\n0\n"
    desk.run("--on-end", "")
    assert not (desk.folder / "unwanted").exists()


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("exit 7", "it exited with 7"),
        ("kill -9 $$", "signal 9 ended it"),
        ("not-there-at-all", "it exited with 127"),
        ("exec 0<&-; exit 3", "it exited with 3"),
    ],
)
def test_a_command_that_fails_is_reported_and_changes_no_exit_code(
    desk: Any, sim: Any, command: str, fault: str
) -> None:
    """One line on stderr, also with -q."""
    sim.start()
    desk.write("ant")
    ended = desk.run("-q", "--on-end", command)
    desk.check(ended, 0)
    assert f"the command to start at the end failed: {fault}" in ended.stderr


def test_a_web_address_is_told_the_summary_without_the_key(desk: Any, sim: Any, hook: Hook) -> None:
    """One POST of the JSON that `--json` prints."""
    sim.start()
    desk.write("ant")
    ended = desk.run("--json", "--notify", f"http://{hook.host}/secret-path?token=1")
    desk.check(ended, 0)
    assert hook.summary == ended.json
    path, headers, _ = hook.heard[0]
    assert (path, headers["Content-Type"]) == ("/secret-path?token=1", "application/json")
    assert "Authorization" not in headers
    assert desk.key not in str(hook.heard)


def test_an_address_that_fails_is_reported_without_its_secrets(desk: Any, sim: Any, hook: Hook) -> None:
    """A refusal, a redirect, nobody there: the run is as it was, and nothing is sent elsewhere."""
    sim.start()
    desk.write("ant")
    hook.status = 500
    ended = desk.run("-q", "--notify", f"http://user:secret@{hook.host}/secret")
    desk.check(ended, 0)
    assert ended.stderr == f"--notify http://{hook.host}: it answered with 500\n"
    hook.status, hook.location = 307, f"http://{hook.host}/elsewhere"
    ended = desk.run("-q", "--notify", f"http://{hook.host}/secret")
    assert (
        ended.stderr == f"--notify http://{hook.host}: it answered with 307, and redirects are not followed\n"
    )
    assert [path for path, _, _ in hook.heard] == ["/secret", "/secret"]
    ended = desk.run("-q", "--notify", "http://127.0.0.1:9/secret")
    assert (ended.code, ended.stderr[:27]) == (0, "--notify http://127.0.0.1:9")
    assert "secret" not in ended.output


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "://x", "http://[", "tgram://", "unknown-service://x"]
)
def test_an_unusable_address_is_refused_before_anything_is_sent(desk: Any, sim: Any, url: str) -> None:
    """Exit 2: nobody wants to learn in the morning that the message could not be sent."""
    sim.start()
    desk.write("ant")
    ended = desk.run("--notify", url)
    assert (ended.code, sim.posts()) == (2, 0)
    assert "--notify" in ended.stderr


def test_apprise_sends_a_short_message(desk: Any, sim: Any, hook: Hook) -> None:
    """By any of its services; here one that POSTs JSON."""
    sim.start()
    desk.write("ant", "bee")
    desk.check(desk.run("-q", "--notify", f"json://{hook.host}/x"), 0)
    assert hook.summary["title"] == "batchrunner: exit code 0"
    assert "2 of 2 tasks done" in hook.summary["message"]
    hook.status = 500
    ended = desk.run("-q", "--notify", f"json://{hook.host}/x")
    assert (ended.code, ended.stderr) == (0, "--notify json: it was not sent\n")


def test_without_apprise_one_line_says_how_to_install_it(desk: Any, sim: Any) -> None:
    """Before anything is sent."""
    sim.start()
    desk.write("ant")
    hidden = desk.folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['apprise'] = None\n")
    desk.environment = {"PYTHONPATH": str(hidden)}
    ended = desk.run("--notify", "tgram://token/chat")
    assert (ended.code, sim.posts()) == (2, 0)
    assert "pip install 'batchrunner[notify]'" in ended.stderr
    assert "token" not in ended.output


def test_the_schema_of_events_has_all_states_and_fields() -> None:
    """It says what the code writes."""
    schema = json.loads(schema_text("events"))
    assert schema["$defs"]["state"]["enum"] == [state.value for state in TaskState]
    (task,) = (form for form in schema["oneOf"] if form["properties"]["type"]["const"] == "task")
    assert set(task["properties"]) - {"type"} == {field.name for field in fields(LedgerEvent)} - {"at"}
