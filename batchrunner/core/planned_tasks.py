"""The tasks of a plan, as the rest of the program sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from batchrunner.core.kinds import Kind
from batchrunner.core.model import PlannedTask, Request, TaskKey


class PlannedTasks(Protocol):
    """The tasks of a plan, in order: they may be too many for memory."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[PlannedTask]: ...

    def __getitem__(self, position: int) -> PlannedTask: ...

    def find(self, key: TaskKey) -> PlannedTask | None:
        """The task with this key, if there is one."""

    def keys(self) -> Iterator[tuple[int, TaskKey]]:
        """The position and the key of every task."""

    def digest(self) -> str:
        """A hash of all tasks and their order."""

    def kinds(self) -> Mapping[TaskKey, Kind]:
        """The kind of every task."""

    def counted(
        self, is_meant: Callable[[int, TaskKey], bool] | None = None
    ) -> Iterator[tuple[Request, int]]:
        """Every distinct request as in `requests`, with how many tasks have it.

        With `is_meant`, only the tasks count for whose position and key it is true.
        """

    def requests(self) -> Iterator[Request]:
        """Every distinct request, without its prompt and seed."""

    def repeated(self) -> frozenset[TaskKey]:
        """The requests that are in the plan more than once, by the key of their first task."""

    def of_requests(self, firsts: Iterable[TaskKey]) -> list[PlannedTask]:
        """The tasks with these requests, in plan order."""

    def assign(self, keys: Mapping[int, TaskKey]) -> bool:
        """Give the tasks at these positions other keys, and with them those that need them.

        Returns whether there are any that need them.
        """

    def needs(self) -> Mapping[TaskKey, Collection[TaskKey]]:
        """The tasks that need others, each with those that it needs; empty for most plans."""

    def frames_needed(self) -> frozenset[TaskKey]:
        """The tasks whose last frame is needed."""
