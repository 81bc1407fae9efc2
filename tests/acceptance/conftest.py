"""The real command as a subprocess, a simulated gateway beside it, the promises asked of book and disk."""

import csv
import hashlib
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.harness.media import whole_video
from tests.harness.nursery import PATIENCE, Forked, Nursery, Process, clean_environment, until

KEY = "sk-canary-5f0c77aa91d2e4"
SCALE = 0.002
FAST = "dreamina-seedance-2-0-fast"
DEFAULTS = {"model": FAST, "duration": 4, "metadata": {"resolution": "480p", "ratio": "16:9"}}
ALONG = "walks along the shore"

READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "HOME", "TMPDIR")
"""Beginnings of the names of what the interpreter, or a library that it loads, reads once and for all."""
REFUNDED = {"failed", "moderated"}
"""How generations end whose hold the gateway gives back."""
UNFINISHED = {"pending", "submitting", "generating", "collecting"}
UNCHECKED_CODES = {4, 5, 129, 130, 143}
"""Exit codes that say more than the rows can: the account, the disk, a signal."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def charges_in(state: Path) -> list[dict[str, Any]]:
    """The charges in a simulator's state folder, oldest first."""
    book = state / "charges.jsonl"
    lines = book.read_text(encoding="utf-8").splitlines(keepends=True) if book.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in found if line["kind"] == "charge"]


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Any:
        """Its stdout, which must be JSON and nothing else."""
        return json.loads(self.stdout)


class Command:
    """A command under way."""

    def __init__(
        self,
        arguments: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        log: Path,
        prefix: Sequence[str] = (),
        nursery: Nursery | None = None,
    ) -> None:
        self._said = cwd / "said"
        self._said.mkdir(exist_ok=True)
        name = f"{len(list(self._said.iterdir())) // 2:04}"
        self._out, self._err = self._said / f"{name}.out", self._said / f"{name}.err"
        self._log, self._heard = log, len(log_lines(log))
        self._began = time.monotonic()
        self.process: Process
        if nursery:
            self._out.touch()
            self._err.touch()
            files = {"stdin": Path(os.devnull), "stdout": self._out, "stderr": self._err}
            self.process = nursery.start(arguments, cwd, environment, **files)
            return
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "batchrunner", *arguments],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return self._err.read_text(encoding="utf-8")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The lines that it has added to run.log so far: all, or the events of these names."""
        new = log_lines(self._log)[self._heard :]
        return [line for line in new if "event" in line and (not names or line["event"] in names)]

    def reached(self, count: int, *names: str) -> "Command":
        """Wait until so many events of these names have happened."""

        def there() -> bool:
            running = self.process.poll() is None
            return len(self.events(*names)) >= count or not running

        until(there, f"{count} of {names or 'any event'}")
        assert len(self.events(*names)) >= count, f"it ended before {count} of {names}: {self.stderr}"
        return self

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self) -> Done:
        """Wait for its end."""
        code = self.process.wait(PATIENCE)
        seconds = time.monotonic() - self._began
        done = Done(code, self.stdout, self.stderr, seconds)
        assert "Traceback" not in done.stderr, done.stderr
        assert "unexpected error" not in done.stderr, done.stderr
        assert "never retrieved" not in done.stderr, done.stderr
        return done

    def killed(self) -> Done:
        """SIGKILL."""
        self.send(signal.SIGKILL)
        return self.ended()

    def clear_away(self) -> None:
        """End it if a failed test has left it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def log_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a run.log."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Sim:
    """`batchrunner simulator` as a process of its own, which outlives the runs."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self._folder, self._nursery, self.state = folder, nursery, folder / "gateway"
        self.state.mkdir(parents=True)
        (self.state / "pictures").symlink_to(nursery.pictures)
        self.scale, self.url = SCALE, ""
        self._process: Forked | None = None
        self._leash = 0
        os.mkfifo(folder / "stdin")

    def start(self, *faults: Mapping[str, Any], scale: float | None = None, **scenario: Any) -> "Sim":
        """Start, or start again on the same state with another scenario."""
        self.stop()
        self.scale = scale or self.scale
        values = {"seed": 7, "generation_seconds": 20, "generation_sigma": 0, "faults": list(faults)}
        scenario_file = self._folder / "scenario.yaml"
        scenario_file.write_text(json.dumps(values | scenario), encoding="utf-8")
        arguments = ["simulator", "--json", "--until-stdin-closes", "--time-scale", str(self.scale)]
        arguments += ["--state-dir", str(self.state), "--scenario", str(scenario_file)]
        files = {name: self._folder / name for name in ("stdin", "stdout", "stderr")}
        files["stdout"].write_text("")
        self._leash = os.open(files["stdin"], os.O_RDWR | os.O_CLOEXEC)  # held open until it shall end
        environment = clean_environment(self._folder)
        self._process = self._nursery.start(arguments, self._folder, environment, **files)
        until(lambda: files["stdout"].read_text().endswith("\n") or not self._runs(), "the simulator")
        self.url = json.loads(files["stdout"].read_text() or files["stderr"].read_text())["url"]
        return self

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process:
            os.close(self._leash)
            self._process.wait()
            self._process = None

    def die(self) -> None:
        """SIGKILL; `start` brings it back at the same address, with all that it knew."""
        assert self._process
        self._process.kill()
        self.stop()

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def charges(self, task_id: str = "") -> list[dict[str, Any]]:
        """The charge book: all of it, or the charges for one task, whose prompt begins with its id."""
        return [c for c in charges_in(self.state) if task_id in ("", c["prompt"].partition(" ")[0])]

    def requests(self) -> Counter[str]:
        """How often each route was asked since the last start."""
        with urlopen(f"{self.url}/simulator/requests") as answer:
            return Counter(json.load(answer)["requests"])

    def ask(self, path: str, body: Mapping[str, Any] | None = None, key: str = KEY) -> Any:
        """What another program with the same key gets: a GET, or a POST of `body`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}{path}", data, headers)) as answer:
            return json.load(answer)

    def settled(self) -> bool:
        """Whether every charge's task has ended."""
        ids = [charge["remote_id"] for charge in self.charges()]
        tasks = [self.ask(f"/v1/video/generations/{remote_id}")["data"] for remote_id in ids]
        return all(task["status"] in ("SUCCESS", "FAILURE") for task in tasks)

    def posts(self) -> int:
        """How many POSTs have reached it since the last start, wherever they went."""
        return sum(count for route, count in self.requests().items() if route.startswith("POST"))

    def downloads(self) -> int:
        """How often a video was asked for since the last start."""
        asked = self.requests()
        return asked["GET /v1/videos/{id}/content"] + asked["GET file server"]


class Desk:
    """A folder with one manifest, and the commands that a person types there."""

    until = staticmethod(until)
    key = KEY
    patience = PATIENCE

    def __init__(self, folder: Path, nursery: Nursery | None = None) -> None:
        self.folder = folder
        self._nursery = nursery
        """None: every command is executed anew."""
        self.manifest, self.directory = folder / "batch.yaml", folder / "batch.run"
        self.sim: Sim | None = None
        self.planned = 0
        self.environment: dict[str, str] = {}
        """What the commands find in their environment besides."""
        self.prefix: tuple[str, ...] = ()
        """What stands before the command, such as `nsenter` with its options."""
        self._commands: list[Command] = []

    def write(self, *tasks: str | Mapping[str, Any], **run: Any) -> None:
        """Write the manifest; a bare id stands for a task whose prompt begins with it."""
        entries = [{"id": t, "prompt": f"{t} {ALONG}"} if isinstance(t, str) else dict(t) for t in tasks]
        value = {"version": 1, "run": run, "defaults": DEFAULTS, "tasks": entries}
        self.manifest.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
        self.planned = len(entries)

    def start(self, *arguments: str, key: str | None = KEY) -> Command:
        """Start any command."""
        environment = clean_environment(self.folder, **self.environment)
        environment |= {"EASYROUTER_API_KEY": key} if key else {}
        log = self.directory / "run.log"
        # What the interpreter reads when it starts can't be given to one that has started.
        executed = self.prefix or any(name.startswith(READ_AT_START) for name in self.environment)
        nursery = None if executed else self._nursery
        command = Command(arguments, self.folder, environment, log, self.prefix, nursery)
        self._commands.append(command)
        return command

    def do(self, *arguments: str, key: str | None = KEY) -> Done:
        """Carry any command out."""
        return self.start(*arguments, key=key).ended()

    def at_gateway(self, url: str = "", scale: float = SCALE) -> list[str]:
        """The options that name the gateway and its time."""
        if self.sim:
            url, scale = url or self.sim.url, self.sim.scale
        return ["--base-url", url, "--time-scale", str(scale)]

    def start_run(self, *arguments: str) -> Command:
        """Start `batchrunner run` against the simulated gateway."""
        return self.start("run", self.manifest.name, *self.at_gateway(), *arguments)

    def run(self, *arguments: str) -> Done:
        """Carry `batchrunner run` out, against the simulated gateway."""
        return self.start_run(*arguments).ended()

    def rows(self) -> list[dict[str, str]]:
        """results.csv."""
        with (self.directory / "results.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def row(self, task_id: str) -> dict[str, str]:
        """One row of results.csv."""
        (found,) = [row for row in self.rows() if row["id"] == task_id]
        return found

    def states(self) -> dict[str, str]:
        """The state of every row, by id."""
        return {row["id"]: row["state"] for row in self.rows()}

    def check(
        self,
        done: Done,
        code: int,
        again: Mapping[str, int] | None = None,
        former: Sequence[str] = (),
    ) -> None:
        """Hold book and disk against the promises, after a run that has ended by itself.

        `again` says for which tasks, by id, a person allowed how many further charges; `former` names
        prompts that are no longer in the manifest, and may have been charged once.
        """
        assert done.code == code, f"exit {done.code}, not {code}\n{done.stdout}\n{done.stderr}"
        book = self.sim.charges() if self.sim else charges_in(self.directory / "simulator")
        allowed = {self.row(task_id)["prompt"]: times for task_id, times in (again or {}).items()}
        check_charges(book, self.rows(), allowed, former)
        check_files(self.directory, self.rows())
        assert len(self.rows()) == self.planned
        check_code(code, self.rows())
        self.check_key()

    def check_key(self, key: str = KEY) -> None:
        """The key stands in no file of the folder and in nothing that was said."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                assert key.encode() not in path.read_bytes(), f"the key stands in {path}"

    def clear_away(self) -> None:
        """End what a failed test has left."""
        for command in self._commands:
            command.clear_away()
        if self.sim:
            self.sim.stop()


def check_charges(
    book: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, str]],
    again: Mapping[str, int],
    former: Sequence[str],
) -> None:
    """At most one charge a task; every charge has its row or a task in doubt; every row tells the truth.

    What the model failed is refunded, and may have been tried once more.
    """
    wanted = Counter(row["prompt"] for row in rows) + Counter(again) + Counter(former)
    kept = [charge for charge in book if charge["life"]["ending"] not in REFUNDED]
    charged = Counter(charge["prompt"] for charge in kept)
    assert not charged - wanted, f"charged more often than wanted: {charged - wanted}"
    submitted = Counter(charge["prompt"] for charge in book)
    assert not submitted - wanted - wanted, f"accepted more often than may be: {submitted}"
    told = {row["remote_id"]: row for row in rows if row["remote_id"]}
    unowned = Counter(charge["prompt"] for charge in kept if charge["remote_id"] not in told)
    excused = Counter(row["prompt"] for row in rows if row["state"] == "in_doubt")
    lost = unowned - excused - Counter(again) - Counter(former)
    assert not lost, f"charged, and neither in a row nor in doubt: {lost}"
    known = {charge["remote_id"]: charge for charge in book}
    for remote_id, row in told.items():
        charge = known[remote_id]
        assert (row["prompt"], row["seed"]) == (charge["prompt"], str(charge["seed"])), row
        assert row["tokens"] in ("", "0", str(charge["tokens"])), row


def check_files(directory: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """What is done is there, whole and as its row says; nothing unfinished bears a final name."""
    for row in rows:
        if row["state"] != "done":
            assert not row["file_name"], row
            continue
        path = directory / row["file_name"]
        assert (path.stat().st_size, sha256_of(path)) == (int(row["bytes"]), row["sha256"]), row
        assert row["tokens"], row
        assert row["remote_id"], row
    videos = list((directory / "videos").iterdir())
    videos.remove(directory / "videos" / ".run-id")
    assert [path.name for path in videos if path.suffix != ".mp4" or path.name.startswith(".")] == []
    assert not [fault for path in videos if (fault := whole_video(path))]
    gateway = directory / "simulator"
    ours = (path for path in directory.rglob("*") if gateway not in path.parents)
    assert [path for path in ours if path.name.endswith(".part")] == []


def check_code(code: int, rows: Sequence[Mapping[str, str]]) -> None:
    """The exit code is what the rows say."""
    states = {row["state"] for row in rows}
    if code in UNCHECKED_CODES:
        assert states != {"done"} or code > 128, f"exit {code}, and all is done"
    elif "in_doubt" in states:
        assert code == 3
    elif states & UNFINISHED:
        assert code == 75
    elif states & {"failed", "uncollected"}:
        assert code == 1
    else:
        assert code == 0


@pytest.fixture
def desk(tmp_path: Path, nursery: Nursery, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A folder without a gateway; in files marked `executed`, every command is executed anew."""
    (tmp_path / "desk").mkdir()
    executed = request.node.get_closest_marker("executed")
    desk = Desk(tmp_path / "desk", None if executed else nursery)
    yield desk
    desk.clear_away()


@pytest.fixture(scope="session")
def make_desk(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Callable[[], Desk]:
    """Makes desks with gateways for fixtures that several tests share; these clear them away themselves."""

    def make() -> Desk:
        folder = tmp_path_factory.mktemp("shared")
        (folder / "desk").mkdir()
        desk = Desk(folder / "desk", nursery)
        desk.sim = Sim(folder / "elsewhere", nursery)
        return desk

    return make


@pytest.fixture
def sim(desk: Desk, tmp_path: Path, nursery: Nursery) -> Sim:
    """A simulated gateway, not started yet, which the desk's commands talk to."""
    desk.sim = Sim(tmp_path / "elsewhere", nursery)
    return desk.sim


@pytest.fixture
def relay(sim: Sim) -> Iterator[Any]:
    """A server between the commands and the simulated gateway; see relay.py."""
    relay = runpy.run_path(str(Path(__file__).with_name("relay.py")))["Relay"](sim)
    yield relay
    relay.close()


@dataclass
class WebPage:
    """A server that knows one page and shows it for everything; `%s` in it shows the Authorization header."""

    url: str = ""
    methods: list[str] = field(default_factory=list)
    status: int = 200
    kind: str = "text/html"
    text: str = "<!doctype html><html><body>Welcome</body></html>"

    def show_to(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        self.methods.append(request.command)
        body = self.text.replace("%s", request.headers.get("Authorization", "")).encode()
        request.send_response(self.status)
        request.send_header("Content-Type", self.kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def web_page() -> Iterator[WebPage]:
    """An HTTP server that answers every request, a POST too, with a page of HTML and status 200."""
    page = WebPage()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.show_to(self)

        def do_POST(self) -> None:
            page.show_to(self)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.url = f"http://127.0.0.1:{server.server_port}"
        yield page
        server.shutdown()
