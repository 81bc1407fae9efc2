"""Durable changes of the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from batchrunner.core.model import Plan, RemoteId, TaskKey
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.ledger import Ledger
from tests.benchmarks.figures import Figure, Measure, at_least_times
from tests.benchmarks.manifests import SMALL
from tests.benchmarks.stage import Stage
from tests.harness.plans import plan_tasks, wanted_task

WAITING = 50
CHANGES = 4
"""Of each task: claimed, accepted, succeeded, collected."""


def transitions(stage: Stage) -> Iterator[Figure]:
    """Changes a second, when 50 callers wait for theirs to be on disk."""
    tasks, taken, floors = stage.size(2_000, 60), [], []
    for _ in range(stage.times(3)):
        taken.append(asyncio.run(_changed(stage.place("run"), tasks)))
        floors.append(float(stage.floor("transitions", stage.place("floor.sqlite"), tasks, WAITING).out))
    what = "durable transitions a second, 50 waiting"
    yield Figure("ledger.rate", what, median(taken), "1/s", median(floors), at_least_times(0.4))


async def _changed(directory: Path, tasks: int) -> float:
    """Take all tasks to their end; return the changes per second."""
    directory.mkdir()
    wanted = [wanted_task({**SMALL, "prompt": f"a thing {n}"}, id=f"t{n}") for n in range(tasks)]
    plan = Plan("benchmark", f"{directory}.yaml", plan_tasks(wanted))
    async with Ledger.open(directory) as ledger:
        await ledger.reconcile(plan, frozenset())
        keys = iter([task.key for task in plan.tasks])

        async def work() -> None:
            for key in keys:
                await _story(ledger, key)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(WAITING)))
        return tasks * CHANGES / (time.perf_counter() - began)


async def _story(ledger: Ledger, key: TaskKey) -> None:
    attempt = await ledger.claim(key, None, lambda run_id, task, number, salt: hash((task, salt)))
    accepted = AttemptFacts(outcome="accepted", remote_id=RemoteId(f"task_{key}"), accepted_at=time.time())
    collected = AttemptFacts(collected_at=time.time(), size=1, sha256="0" * 64, duration=4.0)
    for move in (
        Move(Event.ACCEPTED, TaskState.GENERATING, facts=accepted),
        Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=AttemptFacts(finished_at=time.time(), tokens=1)),
        Move(Event.COLLECTED, TaskState.DONE, facts=collected),
    ):
        await ledger.move(key, move, attempt.id)


MEASURES = (Measure("transitions", "durable transitions a second, 50 waiting", transitions),)
