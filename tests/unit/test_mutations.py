"""The mutations follow the code: each can be made, and the tests that must notice it are there."""

from pathlib import Path

import pytest

from tests.mutations import Mutation, from_files

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", from_files(), ids=lambda mutation: mutation.name)
def test_a_mutation_can_be_made_and_names_tests(mutation: Mutation) -> None:
    """What it changes stands exactly once in its file; its tests exist."""
    for file, old, _ in mutation.changes:
        assert (ROOT / file).read_text(encoding="utf-8").count(old) == 1, file
    assert [name for name in mutation.tests.split() if not (ROOT / name).exists()] == []
    assert mutation.tests
