"""A real ledger in a folder of its own, and a second connection that sees only what is on disk."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.model import Plan, TaskKey
from batchrunner.core.plan import WantedTask
from batchrunner.ledger import LEDGER_NAME, Ledger
from tests.harness.plans import plan_tasks, wanted_task


class OnDisk:
    """The ledger's file, read by a connection that is not the program's."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / LEDGER_NAME

    def all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()

    def one(self, query: str, *values: object) -> Any:
        """The first value of the first row."""
        return self.all(query, *values)[0][0]

    def states(self) -> dict[str, str]:
        """Each task's state by its id."""
        return dict(self.all("SELECT id, state FROM tasks"))


@pytest.fixture
def on_disk(tmp_path: Path) -> OnDisk:
    return OnDisk(tmp_path)


def wanted(task_id: str, prompt: str = "", **metadata: object) -> WantedTask:
    """A wanted task; without a prompt of its own it wants what its id says."""
    return wanted_task({"model": "fast", "prompt": prompt or task_id, "metadata": metadata}, id=task_id)


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Makes a plan from ids, or from wanted tasks."""

    def make(*tasks: str | WantedTask, name: str = "night") -> Plan:
        return Plan(
            name,
            f"/a/{name}.yaml",
            plan_tasks([wanted(task) if isinstance(task, str) else task for task in tasks]),
        )

    return make


@pytest.fixture
def want() -> Callable[..., WantedTask]:
    return wanted


@pytest.fixture
def in_ledger(tmp_path: Path) -> Callable[..., Any]:
    """Runs a story with the ledger of `tmp_path` open; calls of one test share the file."""

    def run(story: Callable[[Ledger], Awaitable[Any]], **options: Any) -> Any:
        async def go() -> Any:
            async with Ledger.open(tmp_path, **options) as ledger:
                return await story(ledger)

        return asyncio.run(go())

    return run


@pytest.fixture
def filled(in_ledger: Callable[..., Any], plan: Callable[..., Plan]) -> Callable[..., list[TaskKey]]:
    """Enters tasks with these ids and returns their keys."""

    def fill(*ids: str) -> list[TaskKey]:
        tasks = plan(*ids)

        async def story(ledger: Ledger) -> None:
            await ledger.reconcile(tasks, frozenset())

        in_ledger(story)
        return [task.key for task in tasks.tasks]

    return fill
