"""Which task `status DIR ID` tells about."""

import asyncio
from pathlib import Path

import pytest

from batchrunner.cli.task_story import tell_story
from batchrunner.core.errors import UsageError
from batchrunner.core.model import Plan
from batchrunner.ledger import Ledger
from tests.harness.plans import plan_tasks, wanted_task


def told(directory: Path, name: str, *ids: str) -> int:
    """The exit code of the history of a task among these."""

    async def story() -> int:
        tasks = [wanted_task({"model": "fast", "prompt": f"a {one}"}, id=one) for one in ids]
        async with Ledger.open(directory) as ledger:
            await ledger.reconcile(Plan("night", "/a/night.yaml", plan_tasks(tasks)), frozenset())
            return await tell_story(ledger, name, False)

    return asyncio.run(story())


def test_the_beginning_of_several_ids_is_not_enough(tmp_path: Path) -> None:
    """There may be thousands: some are named, to choose from."""
    with pytest.raises(UsageError) as refused:
        told(tmp_path, "night-", "night-1", "night-2", "noon")
    assert str(refused.value) == "night- matches 2 tasks"
    assert refused.value.hint == "use more of the ID: night-1, night-2"


@pytest.mark.parametrize("name", ["noo", "night-1"])
def test_one_that_can_only_mean_one_is_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A beginning, or a whole ID with which others begin."""
    assert told(tmp_path, name, "night-1", "night-12", "noon") == 0
    assert name in capsys.readouterr().out.splitlines()[0]
