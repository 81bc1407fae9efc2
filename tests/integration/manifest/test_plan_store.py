"""Plans and rows on disk: they behave as lists do, and a full disk is told."""

import sqlite3
from typing import Any

import pytest

from batchrunner.core.errors import StorageError
from batchrunner.core.model import TaskKey
from batchrunner.manifest import plan_store, row_list, temporary
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.plan_store import PlanStore
from batchrunner.manifest.row_list import RowList
from tests.harness.plans import plan_tasks, wanted_task


def wanted(prompt: str, id: str = "", model: str = "fast", **metadata: Any) -> Any:
    return wanted_task({"model": model, "prompt": prompt, "metadata": metadata}, id=id)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few items are kept in memory before they are written."""
    monkeypatch.setattr(plan_store, "AT_ONCE", 3)
    monkeypatch.setattr(row_list, "TOGETHER", 3)
    monkeypatch.setattr(plan_store, "_FORMS_KEPT", 2)


def test_tasks_come_back_in_order(small_steps: None) -> None:
    """Whatever was written and whatever is still in memory, with many forms."""
    plan = plan_tasks([wanted(f"cat {number}", duration=number % 5 + 4) for number in range(20)])
    assert [task.position for task in plan] == list(range(20)) == [plan[n].position for n in range(20)]
    assert [task.request["prompt"] for task in plan] == [f"cat {number}" for number in range(20)]
    assert [task.request["metadata"] for task in plan] == [{"duration": n % 5 + 4} for n in range(20)]
    assert {str(request["metadata"]) for request in plan.requests()} == {
        str(task.request["metadata"]) for task in plan
    }
    assert all(plan.find(task.key) == plan[task.position] for task in plan)
    assert plan.find(TaskKey("1-0")) is None
    assert plan[-1].position == 19
    with pytest.raises(IndexError):
        plan[20]


def test_replicas_are_numbered_and_found(small_steps: None) -> None:
    """Their keys differ, and each knows the first of them."""
    plan = plan_tasks([wanted("cat", "a"), wanted("dog", "b"), wanted("cat", "c"), wanted("cat", "d")])
    cats = [plan[0], plan[2], plan[3]]
    assert [task.replica for task in plan] == [1, 1, 2, 3]
    assert len({task.key for task in plan}) == 4
    assert plan.repeated() == {cats[0].key}
    assert [task.id for task in plan.of_requests([cats[0].key, plan[1].key])] == ["a", "b", "c", "d"]
    assert [task.id for task in plan.replicas()] == ["c", "d"]


def test_digest_tells_plans_apart(small_steps: None) -> None:
    """Whatever is different, and only then: more tasks than are digested at once, of several forms."""

    def digest(last: Any, *more: Any, first: str = "cat 0") -> str:
        others = [wanted(f"cat {number}", duration=number % 5 + 4) for number in range(1, 7)]
        return plan_tasks([wanted(first), *others, last, *more]).digest()

    request = {"model": "fast", "prompt": "a dog", "metadata": {"seed": 1}}
    last = wanted_task(request, "dog")
    others = [
        digest(wanted_task(request, "puppy")),
        digest(wanted_task(request, "dog", labels='{"a": "b"}')),
        digest(wanted_task(request, "dog", source="row 8")),
        digest(wanted_task(request | {"metadata": {"seed": 2}}, "dog")),
        digest(wanted_task(request | {"prompt": "a wolf"}, "dog")),
        digest(wanted_task(request | {"callback_url": "https://a.example"}, "dog")),
        digest(last, first="cat 8"),
        digest(last, last._replace(id="again")),
        digest(wanted("cat 8"), last),
        digest(last, wanted("cat 8")),
    ]
    assert digest(last) == digest(last)
    assert len({digest(last), *others}) == 1 + len(others)


def test_assigned_keys_change_the_digest() -> None:
    """The ledger knows the tasks by them."""
    plan = plan_tasks([wanted("cat", "a"), wanted("dog", "b")])
    before = plan.digest()
    plan.assign({1: TaskKey("1-" + "0123456789abcdef" * 4)})
    assert plan.digest() != before


def test_assigned_keys_leave_the_request_known() -> None:
    """A task under another key is still one of its request's tasks."""
    plan = plan_tasks([wanted("cat", "a"), wanted("dog")])
    dog, other = plan[1], TaskKey("1-" + "0123456789abcdef" * 4)
    plan.assign({1: other})
    assert (plan[1].key, plan[1].first, plan[1].id) == (other, dog.key, "dog-01234567")
    assert (plan.find(other), plan.find(dog.key)) == (plan[1], None)
    assert plan.of_requests([dog.key]) == [plan[1]]


def test_only_given_ids_are_compared() -> None:
    """Generated ones of equal requests change with their number."""
    plan = PlanStore()
    for task in (wanted("cat"), wanted("cat"), wanted("dog", "a")):
        plan.add(task)
    plan.add_broken("")
    plan.add_broken("a")
    assert plan.with_equal_ids() == [("a", 2), ("a", 4)]


def test_rows_come_back_in_order(small_steps: None) -> None:
    """Cells keep their types."""
    rows = RowList()
    given = [TableRow(n, n + 1, {"a": [n, None, 1.5, {"b": True}], "c": "猫"}) for n in range(10)]
    for row in given:
        rows.append(row)
    assert list(rows) == given == [rows[n] for n in range(10)]
    assert (rows[-1], rows[2:4], len(rows)) == (given[-1], given[2:4], 10)
    with pytest.raises(IndexError):
        rows[10]


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint says which disk it is."""
    opened = temporary.temporary_database

    def small(owner: object) -> sqlite3.Connection:
        db = opened(owner)
        db.execute("PRAGMA max_page_count = 5")
        return db

    monkeypatch.setattr(plan_store, "temporary_database", small)
    with pytest.raises(StorageError, match="temporary files: database or disk is full") as caught:
        plan_tasks([wanted(f"cat {number}" * 100) for number in range(100)])
    assert "SQLITE_TMPDIR" in caught.value.hint
