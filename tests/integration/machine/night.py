"""What may happen around one run directory: the program started and killed, the gateway in its moods."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from batchrunner.core.budget import Budget, Figure, Limit, Per
from batchrunner.core.model import OnDoubt, Plan, RunSettings
from batchrunner.core.outcome import Preflight
from batchrunner.engine import session
from batchrunner.engine.job import Job
from batchrunner.gateway import ApiKey, GatewaySettings
from batchrunner.manifest.limits_file import load_limits
from batchrunner.output.summary import Summary
from tests.integration.machine import chains, fates
from tests.integration.machine.gateway import Client, World
from tests.integration.machine.promises import Promises
from tests.integration.machine.virtual import Process, VirtualLoop, replaced

FAST_DISK = Path("/dev/shm")
MOMENTS = ("submitting", "answered", "polled", "fetching", "fetched")

IDS = ("one", "two", "three", "four", "five")


def _entries(prompts: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    some = st.tuples(st.sampled_from(prompts), st.sampled_from(IDS))
    return st.lists(some, min_size=1, max_size=len(IDS), unique_by=lambda entry: entry[1])


entries = st.one_of(_entries("aaabcsde"), _entries("aaae" + chains.FOLLOWS))
"""Prompt and id of each wanted task; equal prompts are twins. `s` has a seed of the user's own."""


class Night(RuleBasedStateMachine):
    """One run directory, one gateway, and whatever may happen between them."""

    promises: Any = None

    @initialize(
        tasks=entries,
        concurrency=st.integers(1, 3),
        max_in_doubt=st.integers(1, 4),
        max_attempts=st.integers(1, 3),
        on_doubt=st.sampled_from((OnDoubt.KEEP, OnDoubt.KEEP, OnDoubt.RESUBMIT)),
        draw_seed=st.sampled_from((True, True, True, False)),
        seed=st.integers(0, 99),
        budget=st.sampled_from((None, 1, 2, 4)),
        tokens=st.sampled_from((None, None, 160_000, 200_000, 300_000, 500_000)),
    )
    def begin(
        self,
        tasks: list[tuple[str, str]],
        on_doubt: OnDoubt,
        seed: int,
        budget: int | None = None,
        tokens: int | None = None,
        **others: Any,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=FAST_DISK if FAST_DISK.is_dir() else None))
        self.loop = VirtualLoop()
        self.process = Process(self.loop)
        self.world = World(self.loop)
        self.running: asyncio.Task[Summary] | None = None
        self.ended: list[Summary] = []
        self.tasks = tasks
        self.settings = RunSettings(on_doubt=on_doubt, disk_reserve=0, task_deadline=1800, **others)
        self.promises = self.world.watcher = Promises(self.folder, self.world, self.settings)
        self.promises.budget = {Figure.TASKS: budget, Figure.TOKENS: tokens}
        self.patches = ExitStack()
        self.patches.enter_context(replaced(self.loop, self.process, self.world.open, seed))

    # --- the program -----------------------------------------------------------------------------------

    def job(self, fetch_missing: bool = False, only: str = "", limit: int | None = None) -> Job:
        limits = tuple(
            Limit(figure, most, Per.DIRECTORY, f"budget.{figure}")
            for figure, most in self.promises.budget.items()
            if most is not None
        )
        plan = Plan(
            "night", "/a/night.yaml", chains.planned(self.tasks), self.settings, budget=Budget(limits)
        )
        settings = GatewaySettings(Client.origin)
        return Job(
            self.folder,
            load_limits(),
            settings,
            Client.origin,
            lambda: ApiKey("sk-canary", "a test"),
            plan,
            recollect_all=True,
            fetch_missing=fetch_missing,
            only=(only,) if only else (),
            limit=limit,
        )

    def is_running(self) -> bool:
        if self.running and self.running.done():
            task, self.running = self.running, None
            self.ended.append(task.result())  # an error that ended the run is a failure of the test
            self.promises.run_ended(self.ended[-1])
        return self.running is not None

    @precondition(lambda self: not self.is_running())
    @rule()
    def start(self, fetch_missing: bool = False, only: str = "", limit: int | None = None) -> None:
        chosen = [name for _, name in self.tasks if only in ("", name)][:limit]
        self.promises.new_process(frozenset(chosen) if only or limit is not None else None)
        self.promises.may_fetch_missing = fetch_missing
        self.promises.wanted = Counter(prompt for prompt, _ in self.tasks)
        self.running = self.loop.create_task(session.run(self.job(fetch_missing, only, limit)))
        self.running.add_done_callback(self.loop.interrupt)

    @precondition(lambda self: not self.is_running())
    @rule(data=st.data(), limit=st.sampled_from((None, None, 1, 2, 3)))
    def start_a_part(self, data: st.DataObject, limit: int | None) -> None:
        """Only some of the tasks may be submitted."""
        only = data.draw(st.sampled_from([name for _, name in self.tasks])) if limit is None else ""
        self.start(only=only, limit=limit)

    def keep_running(self) -> None:
        if not self.is_running():
            self.start()

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0, 30.0, 120.0, 350.0, 1000.0, 4000.0)))
    def time_passes(self, seconds: float) -> None:
        self.keep_running()
        self.loop.pass_until(self.loop.time() + seconds)

    @precondition(lambda self: not self.is_running())
    @rule(seconds=st.sampled_from((60.0, 900.0, 8000.0, 90000.0)))
    def nobody_runs_it(self, seconds: float) -> None:
        self.loop.pass_until(self.loop.time() + seconds)

    @rule(moment=st.sampled_from((*MOMENTS, "")), steps=st.integers(0, 40))
    def crash(self, moment: str, steps: int) -> None:
        self.keep_running()
        if moment:
            self.promises.stop_at = (moment, self.loop.interrupt)
            self.loop.pass_until(self.loop.time() + 700)
            self.promises.stop_at = None
        if self.is_running():
            self.loop.pass_steps(steps)
        if self.is_running():
            self.process.kill()
            self.running = None

    @precondition(lambda self: self.is_running())
    @rule(seconds=st.sampled_from((0.0, 1.0, 200.0)))
    def ctrl_c(self, seconds: float) -> None:
        if self.process.stop_request:
            self.process.stop_request.by_signal(2)
        self.loop.pass_until(self.loop.time() + seconds)

    # --- the gateway -----------------------------------------------------------------------------------

    @rule(coming=st.lists(fates.fates, min_size=1, max_size=5))
    def submissions_will(self, coming: list[str]) -> None:
        self.world.fates.extend(fates.FATES[name] for name in coming)

    @rule(coming=st.lists(fates.lives, min_size=1, max_size=3))
    def tasks_will(self, coming: list[str]) -> None:
        self.world.lives.extend(fates.LIVES[name] for name in coming)

    @rule(fault=st.sampled_from(fates.POLL_FAULTS), times=st.integers(1, 4))
    def polls_will(self, fault: str, times: int) -> None:
        self.world.poll_faults.extend([fault] * times)

    @rule(coming=st.lists(st.sampled_from(fates.FETCH_FAULTS), min_size=1, max_size=8))
    def downloads_will(self, coming: list[str]) -> None:
        self.world.fetch_faults.extend(coming)

    @rule(coming=st.lists(st.sampled_from(fates.LOG_FAULTS), min_size=1, max_size=2))
    def the_log_will(self, coming: list[str]) -> None:
        self.world.log_faults.extend(coming)

    @rule(verdict=st.sampled_from((Preflight.UNREACHABLE, Preflight.WRONG_KEY)), times=st.integers(1, 5))
    def preflights_will(self, verdict: Preflight, times: int) -> None:
        self.world.preflights.extend([verdict] * times)

    @precondition(lambda self: self.world.charges)
    @rule(data=st.data(), seconds=st.sampled_from((60.0, 600.0, 9000.0)))
    def a_task_is_hidden(self, data: st.DataObject, seconds: float) -> None:
        some = data.draw(st.lists(st.sampled_from(sorted(self.world.charges)), min_size=1, unique=True))
        self.world.hidden |= dict.fromkeys(some, self.world.now() + seconds)

    def like_a_task(self) -> list[str]:
        """Charges that a stranger may have a like of; one of any length could not be told from ours."""
        charges = self.world.charges.items()
        return sorted(name for name, one in charges if one.body["metadata"]["duration"] > 0)

    @precondition(lambda self: self.like_a_task())
    @rule(data=st.data(), duration=st.sampled_from((4, 12)))
    def a_stranger_submits(self, data: st.DataObject, duration: int) -> None:
        """With the same key and the same seed, but for a video of another length."""
        like = self.world.charges[data.draw(st.sampled_from(self.like_a_task()))].body
        self.world.stranger({**like, "metadata": {**like["metadata"], "duration": duration}})
