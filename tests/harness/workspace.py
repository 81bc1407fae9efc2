"""A folder with one manifest: writes the manifest, runs commands, and checks what came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.harness import charge_book, run_directory
from tests.harness.commands import Command, Ended
from tests.harness.fork_server import ForkServer
from tests.harness.gateway import KEY, SCALE, SimulatedGateway
from tests.harness.processes import PATIENCE, clean_environment, until
from tests.harness.run_directory import Row

ALONG = "walks along the shore"
DEFAULTS: Mapping[str, Any] = {
    "model": "dreamina-seedance-2-0-fast",
    "duration": 4,
    "metadata": {"resolution": "480p", "ratio": "16:9"},
}
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "HOME", "TMPDIR")
"""Beginnings of the names of variables that the interpreter, or a library it loads, reads only once."""
SAID_OTHERWISE = {4, 5, 129, 130, 143}
"""Exit codes that say more than the rows can: the account, the disk, a signal."""


class Workspace:
    """A folder with one manifest, and the commands that are run there."""

    until = staticmethod(until)
    key = KEY
    patience = PATIENCE
    defaults = DEFAULTS
    """The manifest's `defaults:`."""
    sections: Mapping[str, Any] = {}
    """Further sections of the manifest."""
    may_crash = False
    """Whether a crash of a command is for the caller to look at, and does not fail at once."""

    def __init__(self, folder: Path, fork_server: ForkServer | None = None) -> None:
        self.folder = folder
        self._fork_server = fork_server
        """None: every command is executed rather than forked."""
        self.manifest, self.directory = folder / "batch.yaml", folder / "batch.run"
        self.gateway: SimulatedGateway | None = None
        self.planned = 0
        """How many tasks the manifest has."""
        self.environment: dict[str, str] = {}
        """Further variables for the commands."""
        self.prefix: tuple[str, ...] = ()
        """What stands before every command, such as `nsenter` with its options."""
        self._commands: list[Command] = []

    def write(self, *tasks: str | Mapping[str, Any], **run: Any) -> None:
        """Write the manifest; a bare id stands for a task whose prompt begins with it."""
        entries = [{"id": t, "prompt": f"{t} {ALONG}"} if isinstance(t, str) else dict(t) for t in tasks]
        value = {"version": 1, "run": run, **self.sections, "defaults": self.defaults, "tasks": entries}
        self.manifest.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
        self.planned = len(entries)

    def note(self, text: str) -> None:
        """Called with every command line and exit code; does nothing here."""

    def start(
        self, *arguments: str, key: str | None = KEY, prefix: Sequence[str] = (), executed: bool = False
    ) -> Command:
        """Start any command, with another program before it, or `executed` though it could be forked."""
        before = [*self.prefix, *prefix]
        self.note(" ".join([*before, "batchrunner", *arguments]))
        environment = clean_environment(self.folder, **self.environment)
        environment |= {"EASYROUTER_API_KEY": key} if key else {}
        # What the interpreter reads when it starts can't be given to one that has started.
        forked = not (executed or before or any(name.startswith(READ_AT_START) for name in self.environment))
        command = Command(
            arguments,
            self.folder,
            environment,
            log=self.directory / "run.log",
            secret=KEY,
            prefix=before,
            fork_server=self._fork_server if forked else None,
            may_crash=self.may_crash,
            note=self.note,
        )
        self._commands.append(command)
        return command

    def do(self, *arguments: str, key: str | None = KEY) -> Ended:
        """Run any command to its end."""
        return self.start(*arguments, key=key).ended()

    def at_gateway(self, url: str = "", scale: float = SCALE) -> list[str]:
        """The options that name the gateway and its time scale."""
        if self.gateway:
            url, scale = url or self.gateway.url, self.gateway.scale
        return ["--base-url", url, "--time-scale", str(scale)]

    def run_arguments(self, *options: str) -> list[str]:
        """`run`, with the manifest and the simulated gateway."""
        return ["run", self.manifest.name, *self.at_gateway(), *options]

    def start_run(self, *options: str) -> Command:
        """Start `batchrunner run` against the simulated gateway."""
        return self.start(*self.run_arguments(*options))

    def run(self, *options: str) -> Ended:
        """Run `batchrunner run` against the simulated gateway, to its end."""
        return self.start_run(*options).ended()

    def rows(self) -> list[Row]:
        """results.csv."""
        return run_directory.read_rows(self.directory)

    def row(self, task_id: str) -> Row:
        """One row of results.csv."""
        (found,) = [row for row in self.rows() if row["id"] == task_id]
        return found

    def states(self) -> dict[str, str]:
        """The state of every row, by id."""
        return {row["id"]: row["state"] for row in self.rows()}

    def check(
        self,
        ended: Ended,
        code: int,
        again: Mapping[str, int] | None = None,
        former: Sequence[str] = (),
    ) -> None:
        """Check charge book and disk against the promises, after a run that ended with `code`.

        `again` says for which tasks, by id, a person allowed how many further charges; `former` lists
        prompts that are no longer in the manifest, and may have been charged once.
        """
        assert ended.code == code, f"exit {ended.code}, not {code}\n{ended.stdout}\n{ended.stderr}"
        rows = self.rows()
        charges = self.gateway.charges() if self.gateway else charge_book.read(self.directory / ".simulator")
        allowed = {self.row(task_id)["prompt"]: times for task_id, times in (again or {}).items()}
        charge_book.check_charges(charges, rows, allowed, former)
        for row, fault in run_directory.false_rows(self.directory, rows, charges):
            assert not fault, f"{fault}: {row}"
        self._check_files()
        assert len(rows) == self.planned
        if code in SAID_OTHERWISE:
            assert set(self.states().values()) != {"done"} or code > 128, f"exit {code}, and all is done"
        else:
            assert code == run_directory.exit_code_of(rows)
        self.check_key()

    def _check_files(self) -> None:
        """Nothing unfinished has a final name, and nothing half-written is left."""
        pictures = {Path(row["last_frame_file"]).name for row in self.rows()}
        names = [path.name for path in (self.directory / "videos").iterdir() if path.name not in pictures]
        assert [name for name in names if name.startswith(".") or not name.endswith(".mp4")] == [".run-id"]
        assert run_directory.damaged_files(self.directory) == []
        assert run_directory.part_files(self.directory) == []

    def check_key(self, key: str = KEY) -> None:
        """Check that the key is in no file of the folder and in nothing that was printed."""
        assert run_directory.files_with(key, self.folder) == []

    def check_all_made(self, count: int) -> None:
        """Check that so many videos were made, each for the one charge that its row names."""
        assert self.gateway
        charges = self.gateway.charges()
        assert set(self.states().values()) == {"done"}
        assert {row["remote_id"] for row in self.rows()} == {charge["remote_id"] for charge in charges}
        assert len(charges) == count

    def verdict(self, row: Row) -> list[str]:
        """What a person who looks a task in doubt up in the charge book, by its seed, tells `resolve`."""
        assert self.gateway
        charges = self.gateway.charges(row["id"])
        ids = [charge["remote_id"] for charge in charges if str(charge["seed"]) == row["seed"]]
        return ["--adopt", ids[0]] if ids else ["--lost"]

    def clear_away(self) -> None:
        """Stop what a failed test has left running."""
        for command in self._commands:
            command.clear_away()
        if self.gateway:
            self.gateway.stop()
