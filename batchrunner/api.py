"""The Python API: what the command line does, for scripts and notebooks.

    summary = await run("cats.yaml", simulate=True)

It prints nothing, asks nothing, and leaves signals, locale and event loop to its host.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, overload

from batchrunner.cli.arguments import invalid_key
from batchrunner.cli.confirmation import NotConfirmed
from batchrunner.cli.connection import Connection
from batchrunner.cli.loading import load
from batchrunner.cli.main import parser
from batchrunner.cli.paid_tasks import collect_despite
from batchrunner.cli.problem_lines import long_lines
from batchrunner.cli.run import MOST_MONEY
from batchrunner.cli.run_job import check_simulation, collecting, prepared, selected
from batchrunner.core.errors import BatchrunnerError, ManifestError, UsageError
from batchrunner.core.redaction import redacted
from batchrunner.core.summary import Summary
from batchrunner.engine.session import run as run_job
from batchrunner.gateway import ApiKey
from batchrunner.ledger import ResultRow, ResultRows, Unreadable
from batchrunner.ledger.glance import asked
from batchrunner.manifest import LoadedManifest
from batchrunner.manifest import load_manifest as read_manifest
from batchrunner.output.results import json_values

T = TypeVar("T")
AT_ONCE = 500
"""Rows read together."""
_OPTION = re.compile(r"(?:^| )-(?:o|-[a-z])")
_ARGUMENTS = "in Python, the command's options are arguments of the same name, and `-o` is `directory`"


def load_manifest(path: str | Path) -> LoadedManifest:
    """Read, check and expand a manifest and the files that it names; sends nothing.

    The result can be given to `run`; its `warnings` are those of `batchrunner validate`.

    Raises:
        ManifestError: it has errors; `problems` has all of them, and the traceback shows them.
        UsageError: the file can't be read.
    """
    try:
        return read_manifest(Path(path))
    except BatchrunnerError as error:
        raise _for_python(error) from None


async def run(  # noqa: PLR0913  the options of the command
    manifest: str | Path | LoadedManifest,
    *,
    directory: str | Path | None = None,
    simulate: bool = False,
    scenario: str | Path | None = None,
    only: str | Sequence[str] = (),
    limit: int | None = None,
    max_cost: float | None = None,
    yes: bool = False,
    new: bool = False,
    strict: bool = False,
    base_url: str | None = None,
    api_key: str | None = None,
    api_key_file: str | Path | None = None,
    insecure: bool = False,
    same_gateway: bool = False,
    time_scale: float | None = None,
) -> Summary:
    """Run a manifest to completion, or resume it, as `batchrunner run` does; return its summary.

    The arguments are the options of `batchrunner run`, which its `--help` explains. `manifest` is a path, or
    what `load_manifest` returned, for one run at a time. `directory` is `-o`: the run directory if not the
    manifest's own, also a pattern such as `nightly/{date}`. `only` is an ID, `label=value`, or several of
    them. Whatever the command would ask on a terminal is refused without `yes`.

    The run has a thread and an event loop of its own, so the host's loop may be busy. Cancelling it is like
    Ctrl-C: unanswered submissions are awaited for up to a minute, and the same call resumes; cancelled again,
    it doesn't wait for them. A second run of the same directory raises BusyError while the first one is on.
    `summary.tasks` are the rows of results.csv, with the absolute `path` of each video; they are read from
    the ledger when they are asked for.

    Raises:
        UsageError: the manifest, the arguments or the run directory are wrong, or the run must be confirmed.
            What an earlier run has paid for is collected first; nothing is submitted.
        BatchrunnerError: the run could not begin.
    """
    key, refusal = None, None
    if api_key is not None:
        api_key = api_key.strip()
        key, refusal = ApiKey(api_key, "`api_key`"), invalid_key(api_key, "`api_key`")
    api_key = None  # some tracebacks show local variables
    if refusal:
        raise _for_python(refusal)
    for name, number in (("limit", limit), ("max_cost", max_cost)):
        if number is not None and not (isinstance(number, int | float) and 0 < number <= MOST_MONEY):
            raise UsageError(
                f"{name}={number!r} is not a number above 0", f"leave `{name}` out to have no limit"
            )
    path = Path(manifest.plan.manifest if isinstance(manifest, LoadedManifest) else manifest).absolute()
    options = parser().parse_args(["run", "--quiet", "--", str(path)])
    given: dict[str, object] = {
        "manifest": path,
        "loaded": manifest if isinstance(manifest, LoadedManifest) else None,
        "api_key": key,
        "simulate": simulate,
        "only": [only] if isinstance(only, str) else list(only),
        "limit": limit,
        "max_cost": max_cost,
        "yes": yes,
    }
    given |= {"new": new, "strict": strict, "base_url": base_url, "insecure": insecure}
    given |= {"same_gateway": same_gateway, "time_scale": time_scale}
    paths = {"output": directory, "scenario": scenario, "api_key_file": api_key_file}
    # Absolute: the host may change its working folder while the run is on.
    given |= {name: None if path is None else Path(path).absolute() for name, path in paths.items()}
    vars(options).update(given | {"may_ask": False})
    try:
        return await _Thread().carry_out(options)
    except BatchrunnerError as error:
        raise _for_python(error) from None


def _for_python(error: BatchrunnerError) -> BatchrunnerError:
    """The error with its hint and its problems in its traceback, and without secrets."""
    error.args, error.hint = (redacted(str(error)),), redacted(error.hint)
    for line in long_lines(error.problems, every=False) if isinstance(error, ManifestError) else ():
        error.add_note(line)
    if error.hint:
        error.add_note(f"hint: {error.hint}")
    if _OPTION.search(f"{error} {error.hint}"):
        error.add_note(_ARGUMENTS)
    return error


def _check_scenario(path: Path) -> None:
    """Check a scenario before the simulator does, whose words would be printed.

    Raises:
        UsageError: it can't be used.
    """
    from batchrunner.simulator.scenario_file import load_scenario  # noqa: PLC0415  few have one

    try:
        load_scenario(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"the scenario {path} can't be used: {error}") from error


class TaskRows(Sequence[Mapping[str, object]]):
    """The rows of results.csv as they are in the ledger when they are read, in parts: there may be a million.

    Iterate over them, or take one or a slice by its position.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    def __repr__(self) -> str:
        return f"TaskRows({str(self._directory)!r})"

    def __len__(self) -> int:
        return self._asked(lambda ledger: ledger.number())

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        labels, after = self._asked(lambda ledger: ledger.labels()), -1
        while rows := self._part(after, AT_ONCE):
            yield from (self._values(row, labels) for row in rows)
            after += len(rows)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, object]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, object]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, object] | Sequence[Mapping[str, object]]:
        """One row by its position in the manifest, or several; only these are read."""
        wanted = range(len(self))[index]
        labels = self._asked(lambda ledger: ledger.labels())
        if isinstance(wanted, int):
            return self._values(self._part(wanted - 1, 1)[0], labels)
        if not wanted:
            return []
        first, last = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
        rows = self._part(first - 1, last - first + 1)
        return [self._values(rows[position - first], labels) for position in wanted]

    def _part(self, after: int, most: int) -> list[ResultRow]:
        # A run gives the tasks of its plan the positions from 0 on, without gaps.
        return self._asked(lambda ledger: ledger.part(after, most))

    def _values(self, row: ResultRow, labels: Sequence[str]) -> Mapping[str, object]:
        values = json_values(row, labels)
        name = values["file_name"]
        return values | {"path": str(self._directory / str(name)) if name else None}

    def _asked(self, question: Callable[[ResultRows], T]) -> T:
        """Ask the ledger.

        Raises:
            UsageError: it is gone, or can't be read.
        """
        try:
            found = asked(self._directory, lambda db: (question(ResultRows(db, planned_only=True)),))
        except Unreadable as error:
            raise UsageError(f"the ledger in {self._directory} can't be read: {error}") from error
        if found is None:
            raise UsageError(f"{self._directory} has no ledger of batchrunner")
        return found[0]


class _Thread:
    """Runs a job in a thread with an event loop of its own, which is not held up by the host's."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    async def carry_out(self, options: argparse.Namespace) -> Summary:
        """Do it all in the thread; if this is cancelled, the run ends in an orderly way first."""
        result: Future[Summary] = Future()
        thread = threading.Thread(target=self._work, args=(options, result), name="batchrunner")
        thread.start()
        waiting = asyncio.wrap_future(result)
        was_cancelled = False
        try:
            while not waiting.done():
                try:
                    await asyncio.wait({waiting})
                except asyncio.CancelledError:
                    was_cancelled = True
                    self._cancel()
        finally:
            if not waiting.done():  # the host's loop was closed without cancelling this
                self._cancel()
        if was_cancelled:
            waiting.exception()  # whoever cancels a run doesn't want to know how it would have ended
            raise asyncio.CancelledError
        return waiting.result()

    def _work(self, options: argparse.Namespace, result: Future[Summary]) -> None:
        try:
            result.set_result(self._summary(options))
        except BaseException as error:  # it belongs to the caller
            result.set_exception(error)

    def _summary(self, options: argparse.Namespace) -> Summary:
        check_simulation(options)
        if options.scenario:
            _check_scenario(options.scenario)
        try:
            chosen = selected(options, load(options))
        except UsageError as mistake:
            self._collect(mistake, options)
            raise
        try:
            with prepared(options, chosen) as (job, _):
                return replace(self._run(run_job(job)), tasks=TaskRows(job.directory))
        except NotConfirmed as refusal:
            self._collect(refusal, options)
            raise NotConfirmed(str(refusal), "pass yes=True to confirm") from None

    def _collect(self, mistake: UsageError, options: argparse.Namespace) -> None:
        """Collect what is paid for although nothing can be submitted: links expire after a day."""

        def carry_out(gateway: Connection, directory: Path) -> tuple[int, dict[str, object]]:
            return self._run(run_job(collecting(gateway, directory, options))).exit_code, {}

        collect_despite(mistake, options, carry_out, silent=True)

    def _run(self, work: Coroutine[Any, Any, Summary]) -> Summary:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            return runner.run(self._watched(work))

    async def _watched(self, work: Coroutine[Any, Any, Summary]) -> Summary:
        self._task = asyncio.current_task()
        if self._is_cancelled:  # before it could be reached
            work.close()
            raise asyncio.CancelledError
        return await work

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._loop and self._task:
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._task.cancel)
