"""Plans made of requests, without a manifest."""

from collections.abc import Iterable
from typing import Any

from batchrunner.core.content import split
from batchrunner.core.plan import WantedTask
from batchrunner.manifest.plan_store import PlanStore


def wanted_task(
    request: Any, id: str = "", labels: str = "{}", source: str = "", name: str = ""
) -> WantedTask:
    """A task that wants this request, normalised or not."""
    return WantedTask(split(request), id, labels, source, name)


def plan_tasks(wanted: Iterable[WantedTask]) -> PlanStore:
    """The plan of these tasks."""
    return PlanStore.of(wanted)
