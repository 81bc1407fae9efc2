"""Carries out a run in a thread of its own, for a host whose event loop has other things to do."""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from batchrunner.api.errors import python_words
from batchrunner.api.rows import TaskRows
from batchrunner.cli.connection import Connection
from batchrunner.cli.paid_tasks import collect_despite
from batchrunner.cli.run_directory import Whereabouts
from batchrunner.cli.run_job import collecting, run_or_collect
from batchrunner.core.errors import UsageError
from batchrunner.core.text import count
from batchrunner.engine.job import Job
from batchrunner.engine.session import run as run_job
from batchrunner.output.summary import Summary


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


def _for_python(summary: Summary) -> Summary:
    """The summary with the rows of results.csv, and with arguments where the command would name options."""
    stop = summary.stop
    if stop:
        stop = replace(stop, why=python_words(stop.why), hint=python_words(stop.hint))
    notices = tuple(map(python_words, summary.notices))
    return replace(summary, stop=stop, notices=notices, tasks=TaskRows(summary.directory, summary.videos_url))


def _collected(values: Mapping[str, Any]) -> str:
    """What became of the paid tasks of a run that could not begin."""
    waiting = count(values["waiting"], "paid task")
    if failure := values.get("not_collected"):
        return f"{waiting} could not be collected: {failure['error']}"
    return f"{waiting} {'was' if values['waiting'] == 1 else 'were'} polled and downloaded as far as possible"


class HostThread:
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
        if options.simulate and options.scenario:
            _check_scenario(options.scenario)

        def carry_out(job: Job, _: Whereabouts) -> Summary:
            return _for_python(self._run(run_job(job)))

        return run_or_collect(options, carry_out, partial(self._only_collect, options))

    def _only_collect(self, options: argparse.Namespace, mistake: UsageError) -> NoReturn:
        """Collect what is paid for although nothing can be submitted: links expire after a day.

        Raises:
            UsageError: the mistake itself, with a note about what was collected.
        """

        def carry_out(gateway: Connection, directory: Path) -> tuple[int, dict[str, object]]:
            return self._run(run_job(collecting(gateway, directory, options))).exit_code, {}

        _, values = collect_despite(mistake, options, carry_out, silent=True)
        mistake.add_note(_collected(values))
        raise mistake

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
