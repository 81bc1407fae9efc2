"""Holds back tasks until what they need of others is done. Plain values; time is an argument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from batchrunner.core.model import TaskKey
from batchrunner.core.states import TaskState

if TYPE_CHECKING:
    from batchrunner.core.submission.backlog import Waiting


class ChainGate:
    """The tasks of a run that need others, and those that still wait for them."""

    def __init__(self, needs: Mapping[TaskKey, Collection[TaskKey]] = MappingProxyType({})) -> None:
        """`needs` has the tasks that need others, each with those that it needs."""
        self.needs = needs
        self._states: dict[TaskKey, TaskState] = {}
        """Of the tasks that are needed; only what has happened so far in this run, until `begin`."""
        self._collecting: set[TaskKey] = set()
        """Those of them whose videos are being collected."""
        self._held: dict[TaskKey, tuple[Waiting, float]] = {}
        self._followers: dict[TaskKey, list[TaskKey]] = defaultdict(list)
        for key, each in needs.items():
            for needed in each:
                self._followers[needed].append(key)

    def begin(self, states: Mapping[TaskKey, TaskState]) -> list[tuple[Waiting, float]]:
        """Learn the states that the ledger has; what happened while they were read is newer.

        Returns the tasks that may go now, each with its earliest time.
        """
        for key in self._followers.keys() & states.keys() - self._states.keys():
            self._note(key, states[key])
        return [self._held.pop(key) for key in list(self._held) if self._is_ready(key)]

    def is_needed(self, key: TaskKey) -> bool:
        """Whether another task needs this one."""
        return key in self._followers

    def follows(self, key: TaskKey) -> bool:
        """Whether a task goes on with what others made."""
        return key in self.needs

    def hold(self, task: Waiting, not_before: float) -> bool:
        """Keep a task back if something that it needs isn't done; return whether that is so."""
        if task.key not in self.needs or self._is_ready(task.key):
            return False
        self._held[task.key] = task, not_before
        return True

    def moved(self, key: TaskKey, to: TaskState) -> Iterator[tuple[Waiting, float]]:
        """A task has changed its state: the tasks that may go now, each with its earliest time."""
        if key not in self._followers:
            return
        self._note(key, to)
        if to is TaskState.DONE:
            for follower in self._followers[key]:
                if follower in self._held and self._is_ready(follower):
                    yield self._held.pop(follower)

    @property
    def is_awaited(self) -> bool:
        """Whether a task is held back only because a video is still being collected."""
        return any(key in self._held for needed in self._collecting for key in self._followers[needed])

    def _note(self, key: TaskKey, state: TaskState) -> None:
        self._states[key] = state
        if state is TaskState.COLLECTING:
            self._collecting.add(key)
        else:
            self._collecting.discard(key)

    def _is_ready(self, key: TaskKey) -> bool:
        return all(self._states.get(needed) is TaskState.DONE for needed in self.needs[key])
