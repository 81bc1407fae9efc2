"""The Python API: what the command line does, for scripts and notebooks.

    summary = await run("cats.yaml", simulate=True)

It prints nothing, asks nothing, and leaves signals, locale and event loop to its host.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchrunner.cli.confirmation import NotConfirmed
from batchrunner.cli.connection import Connection
from batchrunner.cli.loading import load
from batchrunner.cli.main import parser
from batchrunner.cli.paid_tasks import collect_despite
from batchrunner.cli.run_job import check_simulation, collecting, prepared, selected
from batchrunner.core.errors import UsageError
from batchrunner.core.summary import Summary
from batchrunner.engine.session import run as run_job
from batchrunner.ledger import ResultRows
from batchrunner.ledger.glance import asked
from batchrunner.output.results import json_values


async def run(  # noqa: PLR0913  the options of the command
    manifest: str | Path,
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

    The arguments are the options of `batchrunner run`, which its `--help` explains. `directory` is `-o`: the
    run directory if not the manifest's own, also a pattern such as `nightly/{date}`. `only` is an ID,
    `label=value`, or several of them. Whatever the command would ask on a terminal is refused without `yes`.

    The run has a thread and an event loop of its own, so the host's loop may be busy. Cancelling it is like
    Ctrl-C: unanswered submissions are awaited for up to a minute, and the same call resumes. A second run of
    the same directory raises BusyError while the first one is on. `summary.tasks` are the rows of
    results.csv, with the absolute `path` of each video; each iteration reads them from the ledger.

    Raises:
        UsageError: the manifest, the arguments or the run directory are wrong, or the run must be confirmed.
            What an earlier run has paid for is collected first; nothing is submitted.
        BatchrunnerError: the run could not begin.
    """
    for name, number in (("limit", limit), ("max_cost", max_cost)):
        if number is not None and not (isinstance(number, int | float) and number > 0):
            raise UsageError(
                f"{name}={number!r} is no number above 0", f"leave `{name}` out to have no limit"
            )
    options = parser().parse_args(["run", "--quiet", "--", str(manifest)])
    given = {
        "simulate": simulate,
        "only": [only] if isinstance(only, str) else list(only),
        "limit": limit,
        "max_cost": max_cost,
        "yes": yes,
    }
    given |= {"new": new, "strict": strict, "base_url": base_url, "insecure": insecure}
    given |= {"same_gateway": same_gateway, "time_scale": time_scale, "manifest": Path(manifest).absolute()}
    paths = {"output": directory, "scenario": scenario, "api_key_file": api_key_file}
    # Absolute: the host may change its working folder while the run is on.
    given |= {name: None if path is None else Path(path).absolute() for name, path in paths.items()}
    given |= {"may_ask": False, "api_key": (lambda: api_key) if api_key else None}
    vars(options).update(given)
    return await _Thread().carry_out(options)


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


class TaskRows(Collection[Mapping[str, object]]):
    """The rows of results.csv, read from the ledger each time that they are iterated over."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    def __repr__(self) -> str:
        return f"TaskRows({str(self._directory)!r})"

    def __len__(self) -> int:
        return len(self._rows()[1])

    def __contains__(self, row: object) -> bool:
        return any(row == other for other in self)

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        labels, rows = self._rows()
        for row in rows:
            values = json_values(row, labels)
            name = values["file_name"]
            yield values | {"path": str(self._directory / str(name)) if name else None}

    def _rows(self) -> tuple[list[str], list[Any]]:
        def read(db: Any) -> tuple[list[str], list[Any]]:
            source = ResultRows(db, planned_only=True)
            return source.labels(), list(source.all())

        return asked(self._directory, read) or ([], [])


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
        while not waiting.done():
            try:
                await asyncio.wait({waiting})
            except asyncio.CancelledError:
                was_cancelled = True
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
