"""Which tasks `--only` and `--limit` choose."""

import json

import pytest

from batchrunner.core.content import split
from batchrunner.core.errors import UsageError
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.selection import select

TASKS = tuple(
    PlannedTask(place, TaskKey(name), name, split({}), json.dumps({"kind": kind}))
    for place, (name, kind) in enumerate([("ant", "small"), ("bee", "small"), ("cow", "big"), ("a=b", "big")])
)


@pytest.mark.parametrize(
    ("only", "limit", "chosen"),
    [
        ((), None, None),
        ((), 2, {"ant", "bee"}),
        ((), 9, {"ant", "bee", "cow", "a=b"}),
        (("cow",), None, {"cow"}),
        (("kind=small",), None, {"ant", "bee"}),
        (("kind=big", "ant"), None, {"ant", "cow", "a=b"}),
        (("kind=big", "ant"), 2, {"ant", "cow"}),
        (("a=b",), None, {"a=b"}),
    ],
)
def test_selection_combines_ids_labels_and_limit(only, limit, chosen):
    """Ids and labels add up, and the limit counts in plan order."""
    assert select(TASKS, only, limit) == chosen


@pytest.mark.parametrize(
    ("name", "hint"), [("bees", "bee"), ("kind=smal", "kind=small"), ("zzz", "label=value")]
)
def test_a_name_that_fits_nothing_is_refused(name, hint):
    """A misspelt name does not silently select nothing."""
    with pytest.raises(UsageError) as caught:
        select(TASKS, ["ant", name])
    assert name in str(caught.value)
    assert hint in caught.value.hint
