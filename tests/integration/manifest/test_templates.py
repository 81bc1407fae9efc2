"""Templates: types, empty cells, dollars, and never twice."""

from hypothesis import given
from hypothesis import strategies as st

from batchrunner.manifest.nodes import Path
from batchrunner.manifest.preparing import Preparer
from batchrunner.manifest.schema import wanted_types
from batchrunner.manifest.templates import ABSENT, Names, names_behind, names_in


def named(*columns: str) -> Names:
    """The columns of a rows file."""
    return Names(columns, "names no column of rows.csv", "columns")


def prepared(value: object, *columns: str) -> Preparer:
    """A preparer that has seen a value."""
    preparer = Preparer(named(*columns), wanted_types)
    preparer.prepare(value)
    return preparer


def filled(value: object, **cells: object) -> object:
    """A request's value, filled from one row."""
    preparer = Preparer(named(*cells), wanted_types)
    result = preparer.prepare(value).fill(cells)
    assert preparer.faults == []
    return result


def test_an_exact_template_takes_the_wanted_type() -> None:
    """Text from a csv becomes what the request takes there, numbers from a jsonl become text."""
    request = {
        "prompt": "${p}",
        "duration": "${d}",
        "seconds": "${d}",
        "metadata": {"seed": "${s}", "watermark": "${w}"},
    }
    assert filled(request, p=12, d=" 5 ", s="007", w="No") == {
        "prompt": "12",
        "duration": 5,
        "seconds": " 5 ",
        "metadata": {"seed": 7, "watermark": False},
    }


def test_a_value_that_can_not_be_converted_is_left_for_validation() -> None:
    """The schema's check then tells what is wrong with it."""
    assert filled({"duration": "${d}"}, d="5 s") == {"duration": "5 s"}
    assert filled({"duration": "${d}"}, d="9" * 5000) == {"duration": "9" * 5000}
    assert filled({"metadata": "${m}"}, m=[1, {"a": None}]) == {"metadata": [1, {"a": None}]}


def test_an_empty_cell_leaves_its_key_away() -> None:
    """Blank text and null count as empty; a list loses the item, and goes when nothing is left."""
    request = {
        "image": "${a}",
        "images": ["${a}", "x", "${b}"],
        "metadata": {"content": ["${a}"], "seed": "${b}"},
    }
    assert filled(request, a="  ", b=None) == {"images": ["x"], "metadata": {}}


def test_within_a_text_an_empty_cell_is_empty_text() -> None:
    """Only a template that is the whole value can be absent."""
    assert filled("A ${a}cat", a="") == "A cat"
    assert filled("${a}${b}", a="", b=None) == ""


def test_a_dollar_without_braces_is_literal() -> None:
    """`$$` is one dollar sign, and one that stands before nothing special is itself."""
    assert filled("$5, $$5, $$${a}, $${a}, $a $", a="x") == "$5, $5, $x, ${a}, $a $"


def test_names_may_be_any_header() -> None:
    """Blanks around a name don't count; within it, and dots and Chinese, they do."""
    assert (
        filled("${ prompt en }-${a.b}-${提示词}", **{"prompt en": "x", "a.b": "y", "提示词": "z"}) == "x-y-z"
    )


def test_unknown_names_are_reported_with_the_columns() -> None:
    """The likely column is named, and all there are."""
    (fault,) = prepared({"prompt": "${promt}"}, "id", "prompt").faults
    assert fault.message == "in `prompt`, `${promt}` names no column of rows.csv"
    assert fault.hint == "did you mean `${prompt}`? columns: id, prompt"


def test_null_in_the_entry_takes_the_key_away() -> None:
    """That is how a default is undone."""
    assert filled({"duration": None, "metadata": {"seed": None, "ratio": "1:1"}}) == {
        "metadata": {"ratio": "1:1"}
    }


def test_the_column_behind_a_value_is_found_though_a_list_became_shorter() -> None:
    """An index counts what is left; what was written is counted for the place."""
    cells: dict[str, object] = {"a": "", "b": "x"}
    filler = Preparer(named(*cells), wanted_types).prepare({"images": ["${a}", "fixed", "pre-${b}"]})
    path: Path = ("images", 1)
    assert names_behind(filler, cells, path) == (("b",), ("images", 2))
    assert names_behind(filler, cells, ("images", 0)) == ((), ("images", 1))


def test_the_names_in_a_value_are_found() -> None:
    """However deep they stand; the preparer gathers them all."""
    value = {"id": "${a}-x", "images": ["${b}", "fixed"], "metadata": {"seed": "${c}", "ratio": "$${d}"}}
    preparer = Preparer(named("a", "b", "c", "d"), wanted_types)
    assert names_in(preparer.prepare(value)) == preparer.used == {"a", "b", "c"}


def test_keys_keep_their_order() -> None:
    """Labels become columns in the order in which they were written."""
    assert list(filled({"b": "${x}", "a": "fixed", "c": "${x}"}, x="1")) == ["b", "a", "c"]


@given(cell=st.text(alphabet="${}ab ", min_size=1).filter(str.strip), other=st.text(alphabet="${}ab "))
def test_nothing_is_expanded_twice(cell: str, other: str) -> None:
    """A cell's text arrives as it is, whatever it looks like."""
    assert filled("${a}", a=cell, b=other) == cell
    assert filled("<${a}|${b}>", a=cell, b=other) == f"<{cell}|{other}>"


@given(text=st.text(alphabet="${}ab "))
def test_doubled_dollars_can_write_any_text(text: str) -> None:
    """Every text can be asked for."""
    assert filled(text.replace("$", "$$")) == text


def test_absent_differs_from_none() -> None:
    """The mark for an empty cell is a value of its own."""
    assert filled("${a}", a=None) is ABSENT
