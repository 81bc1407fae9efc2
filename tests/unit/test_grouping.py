"""Problems with one cause are shown together."""

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.core.grouping import FEW, grouped, where
from batchrunner.core.problems import Place, Problem, Severity


def problem(row: int, message: str = "is empty", hint: str = "", **other: object) -> Problem:
    """A problem of one row."""
    place = Place(str(other.get("file", "a.csv")), row + 1, 0, row)
    return Problem(Severity(str(other.get("severity", "error"))), place, message, hint)


def test_equal_problems_stand_together_at_the_place_of_the_first() -> None:
    """The order is that of the first of each kind, and nothing is lost."""
    many = [problem(row) for row in range(1, 10)]
    other = problem(5, "is a list")
    found = list(grouped([*many[:4], other, *many[4:]]))
    assert found == [tuple(many), (other,)]


def test_a_few_problems_are_listed_separately_in_order() -> None:
    """What is short enough is shown in full."""
    few = [problem(row) for row in range(1, FEW + 1)]
    other = problem(1, "is a list")
    assert list(grouped([few[0], other, *few[1:]])) == [(one,) for one in [few[0], other, *few[1:]]]


@pytest.mark.parametrize(
    "messages",
    [
        [f'`duration` must be a whole number, not "x{n} \\" y" (column `length`)' for n in range(5)],
        [f"makes videos of 4 to 15 seconds, not {n}" for n in range(5)],
        [f"there is no file photos/{name}.jpg" for name in ("cat", "dog", "fox", "hen")],
        [f"a.csv: row {n + 7}: the same request as a.csv: row {n}: both are made" for n in range(5)],
    ],
)
def test_different_values_are_the_same_mistake(messages: list[str]) -> None:
    """A column in which each cell is wrong in its own way is one mistake."""
    assert len(list(grouped([problem(row, text) for row, text in enumerate(messages, start=1)]))) == 1


@pytest.mark.parametrize(
    "others",
    [
        [{"message": f"`{name}` is missing"} for name in ("prompt1", "prompt2", "a.b", "a.c")],
        [{"hint": f"did you mean {name}?"} for name in ("cat", "dog", "fox", "hen")],
        [{"message": name} for name in ("is empty", "is a list", "is a mapping", "is damaged")],
    ],
)
def test_problems_with_different_fixes_stay_apart(others: list[dict[str, str]]) -> None:
    """Other fields, other hints, other words."""
    assert len(list(grouped([problem(1, **other) for other in others]))) == len(others)


def test_errors_and_warnings_are_never_mixed() -> None:
    """A warning does not hold a run back."""
    mixed = [problem(row, severity=kind) for row in range(1, 6) for kind in ("error", "warning")]
    assert [len(group) for group in grouped(mixed)] == [5, 5]


def test_the_first_places_are_named_as_short_as_can_be() -> None:
    """Rows and lines by their numbers, where all are of one file."""
    assert where([problem(row) for row in (1, 2, 5, 8)]) == "rows 1, 2, 5, …"
    assert where([problem(1), problem(2, file="b.csv")]) == "a.csv: row 1, b.csv: row 2"
    lines = [Problem(Severity.ERROR, Place("m.yaml", line, 3), "x") for line in (4, 5)]
    assert where(lines) == "lines 4, 5"
    files = [Problem(Severity.ERROR, Place(name), "x") for name in ("a.png", "b.png")]
    assert where(files) == "a.png, b.png"


def test_a_single_problem_is_its_own_group() -> None:
    """Not `1 problems`."""
    assert str(ManifestError((problem(1),))) == "1 problem in the manifest"
    assert str(ManifestError((problem(1), problem(2)), "scenario")) == "2 problems in the scenario"
