"""scenario.schema.json and the code that reads scenarios say the same."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchrunner.simulator import Scenario
from batchrunner.simulator.api_keys import Key
from batchrunner.simulator.disregard import Disregard
from batchrunner.simulator.faults import FAULTS, conditions
from batchrunner.simulator.kinds import KindTimes
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.users import User

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/scenario.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
DEFS = SCHEMA["$defs"]
NAMES = sorted({field.name for field in fields(Rule)} - {"on", "do"})
A_VALUE: dict[str, Any] = {
    **{"prompt": "*cat*", "per_task": True, "nth": [1, 2], "every": 2, "chance": 0.5, "times": 1, "first": 1},
    **{"between": [0, 5], "source": "url", "seconds": 1, "date": True, "factor": 2, "status": 504},
    **{"body": "empty", "shape": "task", "code": "invalid_response", "word": "cancelled"},
}
# Not among them: 5.0, which JSON Schema takes for a whole number, and a span that ends before it begins.
PROBES: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 399, 400, 503, 599, 600, -0.5, 0.0005, 0.5, 1.5, 3.5, 10**9, 10**10),
    *("", "x", "1", "recorded", "html", "openai", "cancelled", "url", "do_request_failed", "2026-11-22"),
    *([], [1], [0, 2], [1, 2], [1, 2, 3], [-1, 2], ["x"], [None], [[1]], [{}], {}, {"x": 1}),
    *([{"seconds": 1}], [{"on": "poll", "do": "cut"}], {"sk-a": None}, {"sk-a": {"quota": 1}}, {"sk-a": 1}),
]


def agree(value: Any) -> bool:
    """Whether both take a scenario, or both refuse it; raises where they do not agree."""
    try:
        Scenario.from_dict(value)
    except ValueError:
        taken = False
    else:
        taken = True
    assert VALIDATOR.is_valid(value) is taken, value
    return taken


def test_the_scenario_schema_is_a_valid_json_schema() -> None:
    """It holds to the standard, and takes the ordinary night."""
    Draft202012Validator.check_schema(SCHEMA)
    assert agree(None)
    assert agree({})
    assert not agree([])


@pytest.mark.parametrize("name", [*SCHEMA["properties"], "sed"])
def test_a_field_takes_the_same_values(name: str) -> None:
    """Every field takes something, and refuses something."""
    taken = [agree({name: probe}) for probe in PROBES]
    assert any(taken) is (name in SCHEMA["properties"])
    assert not all(taken)


@pytest.mark.parametrize("name", [*DEFS["kind"]["properties"], "second"])
def test_a_kind_takes_the_same_values(name: str) -> None:
    """`seconds` is needed, and every field is checked."""
    taken = [agree({"kinds": [{"seconds": 1} | {name: probe}]}) for probe in PROBES]
    assert any(taken) is (name in DEFS["kind"]["properties"])
    assert not agree({"kinds": [{"sigma": 1}]})


@pytest.mark.parametrize("name", [*DEFS["makes"]["properties"], "durations"])
def test_what_the_model_makes_takes_the_same_values(name: str) -> None:
    """Every field is checked."""
    taken = [agree({"makes": {name: probe}}) for probe in [*PROBES, "720p", "4:3"]]
    assert any(taken) is (name in DEFS["makes"]["properties"])
    assert not all(taken)


@pytest.mark.parametrize("name", [*DEFS["key"]["properties"], "quta"])
def test_a_key_takes_the_same_values(name: str) -> None:
    """Every field of a key is checked."""
    taken = [agree({"keys": {"sk-a": {name: probe}}}) for probe in PROBES]
    assert any(taken) is (name in DEFS["key"]["properties"])


@pytest.mark.parametrize("name", [*DEFS["user"]["properties"], "quota"])
def test_a_user_takes_the_same_values(name: str) -> None:
    """Every field of a user is checked."""
    taken = [agree({"users": {"second": {name: probe}}}) for probe in [*PROBES, [[0, 2]]]]
    assert any(taken) is (name in DEFS["user"]["properties"])
    assert not all(taken)


@pytest.mark.parametrize("on", FAULTS)
def test_each_fault_takes_what_belongs_to_it(on: str) -> None:
    """The faults of one kind of request, each with its own conditions and parameters and no others."""
    everywhere = sorted({do for faults in FAULTS.values() for do in faults} | {"cutt"})
    assert [do for do in everywhere if agree({"faults": [{"on": on, "do": do}]})] == sorted(FAULTS[on])
    for do, parameters in FAULTS[on].items():
        rules = [{"on": on, "do": do, name: A_VALUE[name]} for name in NAMES]
        taken = [name for name, rule in zip(NAMES, rules, strict=True) if agree({"faults": [rule]})]
        assert taken == sorted({*conditions(on), *parameters})
    assert not agree({"faults": [{"on": on}]})


@pytest.mark.parametrize("name", NAMES)
def test_a_condition_takes_the_same_values(name: str) -> None:
    """Every condition and parameter of a rule is checked where it belongs."""
    on, do = next(
        (on, do) for on in FAULTS for do, own in FAULTS[on].items() if name in (*conditions(on), *own)
    )
    taken = [agree({"faults": [{"on": on, "do": do, name: probe}]}) for probe in [*PROBES, A_VALUE[name]]]
    assert any(taken)
    assert not all(taken)


def test_a_fault_may_be_written_as_a_number() -> None:
    """YAML reads 429 as one."""
    assert all(agree({"faults": [{"on": "submit", "do": do}]}) for do in (429, "429", 401, 402))
    assert not agree({"faults": [{"on": "submit", "do": 430}]})


@pytest.mark.parametrize("place", ["kinds", "faults", "keys"])
def test_a_span_that_ends_before_it_begins_is_refused_by_the_code(place: str) -> None:
    """A schema has no words for that."""
    values: dict[str, Any] = {
        "kinds": [{"seconds": 1, "duration": [5, 1]}],
        "faults": [{"on": "poll", "do": "cut", "between": [5, 1]}],
        "keys": {"sk-a": {"revoked": [5, 1]}},
    }
    with pytest.raises(ValueError, match="must begin before it ends"):
        Scenario.from_dict({place: values[place]})


@pytest.mark.parametrize(
    ("own", "described"),
    [
        (Scenario, SCHEMA["properties"]),
        (KindTimes, DEFS["kind"]["properties"]),
        (Key, DEFS["key"]["properties"]),
        (User, DEFS["user"]["properties"]),
        (Disregard, DEFS["makes"]["properties"]),
        (Rule, {name: DEFS[name] for name in NAMES}),
    ],
)
def test_the_defaults_are_those_of_the_code(own: Any, described: dict[str, Any]) -> None:
    """What the schema calls the default is what an absent field means."""
    known = {field.name: field for field in fields(own)}
    assert set(described) <= set(known)
    given = {name: node["default"] for name, node in described.items() if "default" in node}
    assert given == {name: plain_default(known[name]) for name in given}


def plain_default(field: Field[Any]) -> Any:
    assert field.default is not MISSING
    return list(field.default) if isinstance(field.default, tuple) else field.default


def test_every_field_and_fault_is_described() -> None:
    """An editor can explain each of them, and shows an example of what is free to choose."""
    for place, node in properties(SCHEMA, "scenario"):
        assert len(node.get("description", "")) > 8, place
        if "const" not in node and "enum" not in node and node.get("type") in ("integer", "number", "array"):
            assert node["examples"], place
        whole = VALIDATOR.evolve(schema=node | {"$defs": DEFS})
        assert all(whole.is_valid(example) for example in node.get("examples", ())), place
    for on in FAULTS:
        assert all(len(branch["description"]) > 8 for branch in DEFS[on]["properties"]["do"]["anyOf"])


def properties(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every property and definition under a schema, with its place."""
    for name, child in node.get("properties", {}).items():
        yield f"{place}.{name}", DEFS[child["$ref"].rpartition("/")[2]] if "$ref" in child else child
    for name, child in node.get("$defs", {}).items():
        yield name, child
        yield from properties(child, name)
