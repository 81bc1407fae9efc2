"""YAML: what plain scalars mean, where things stand, and that no text can do harm."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Problem
from batchrunner.manifest import load_manifest, yaml_parser, yaml_reader
from batchrunner.manifest.nodes import Node, place_of, plain
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.scalars import resolved
from batchrunner.manifest.source import Source
from batchrunner.manifest.yaml_parser import MAX_DEPTH
from batchrunner.manifest.yaml_reader import read_yaml


def read(text: str) -> tuple[Node | None, list[str]]:
    """The document in a text, and what is wrong with it."""
    report = Report()
    node = read_yaml(Source("m.yaml", text, is_yaml=True), report)
    return node, [problem.message for problem in report.problems()]


def refusal(path: Path) -> tuple[Problem, ...] | None:
    """Why a manifest is refused; None for one that can be run."""
    try:
        load_manifest(path)
    except ManifestError as error:
        return error.problems
    return None


def value(text: str) -> object:
    """The value of a text without faults."""
    node, wrong = read(text)
    assert wrong == []
    assert node is not None
    return plain(node)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "N", "tRUE", "none")],
        *[
            (word, word)
            for word in ("16:9", "2026-01-01", "12:30:45", "1_000", "0b1", "+", "-", ".", "1e", "=")
        ],
        *[(word, word) for word in (".inf", "-.INF", ".nan", "1e999", "9" * 400, "0x" + "f" * 301)],
        ("12", 12),
        ("-012", -12),
        ("+3", 3),
        ("0o17", 15),
        ("0xFf", 255),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e3", -1500.0),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, expected: object) -> None:
    """Ratios, dates and the words for yes and no are text."""
    found = resolved(text)
    assert found == expected
    assert type(found) is type(expected)


def test_quoted_scalars_are_text() -> None:
    """Quotes, blocks and `!!str` make text of anything."""
    assert value("""{a: "1", b: 'true', c: !!str 5, d: ! 7}""") == {"a": "1", "b": "true", "c": "5", "d": "7"}
    assert value("a: |\n  1\nb: >-\n  2\n") == {"a": "1\n", "b": "2"}


def test_keys_are_text_as_written() -> None:
    """A key is never taken for a number or a boolean."""
    assert value("{01: a, yes: b, true: c, 'd': d}") == {"01": "a", "yes": "b", "true": "c", "d": "d"}


def test_merge_keys_fill_in_missing_values() -> None:
    """What the mapping says itself wins, wherever `<<` stands, and then what is merged first."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd: {'<<': plain key}\n"
    assert value(text) == {
        "a": {"x": 1, "y": 1},
        "b": {"y": 2, "z": 2},
        "c": {"z": 3, "x": 1, "y": 1},
        "d": {"<<": "plain key"},
    }


def test_every_value_and_key_has_its_place() -> None:
    """Lines and columns count characters from 1, Chinese ones too."""
    node, _ = read('题目: 一\nb:\n  - {"狗": 猫, c: [1, 22]}\n')
    assert node is not None
    assert place_of(node, ("题目",)) == (1, 5)
    assert place_of(node, ("b", 0, "狗")) == (3, 11)
    assert place_of(node, ("b", 0, "c", 1)) == (3, 21)
    assert place_of(node, ("b", 0, "c")) == (3, 14)
    assert place_of(node, ("b", 0, "c"), on_key=True) == (3, 14)
    assert place_of(node, ("b", 0, "missing")) == (3, 5)


def test_depth_is_bounded_just_so() -> None:
    """As many levels as are allowed pass, one more is refused."""
    assert value("[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1))
    node, wrong = read("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert node is None
    assert wrong == [f"nested more than {MAX_DEPTH} levels deep"]


@pytest.mark.parametrize("parser", [yaml_parser.Parser, yaml.SafeLoader], ids=["libyaml", "pure"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[" * 5_000, (1, MAX_DEPTH + 1)),
        ("version: 1\ntasks: " + "[" * 5_000 + "x", (2, MAX_DEPTH + 7)),
        ("{a: " * 5_000, (1, MAX_DEPTH * 4 + 1)),
        ("- " * 5_000 + "x", (1, MAX_DEPTH * 2 + 1)),
        ("".join(f"{' ' * n}a:\n" for n in range(1_200)), (MAX_DEPTH + 1, MAX_DEPTH + 1)),
        ("x: [1, 2]\ny: [" + "{}, " * 2_000 + "[" * 5_000, (2, 8_067)),
    ],
    ids=["flow", "tasks", "mappings", "sequences", "indented", "behind"],
)
def test_a_text_that_is_too_deep_is_reported_at_the_first_place(
    text: str, place: tuple[int, int], parser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever limit the parser has itself, and however far it looks ahead."""
    monkeypatch.setattr(yaml_parser, "Parser", parser)
    monkeypatch.setattr(yaml_reader, "Parser", parser)
    report = Report()
    assert read_yaml(Source("m.yaml", text, is_yaml=True), report) is None
    (problem,) = report.problems()
    assert problem.message == f"nested more than {MAX_DEPTH} levels deep"
    assert (problem.place.line, problem.place.column) == place


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 1_000_000,
        "{a: " * 200_000,
        "- " * 200_000,
        "? " * 200_000,
        "a: &a [" * 10_000,
        "&a " * 100_000 + "x",
        "x: &x [" + "a," * 999 + "]\ny: [" + "*x, " * 1_001 + "]",
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 20_000)),
        "a: &a {<<: *a}",
    ],
    ids=["flow", "mappings", "sequences", "keys", "anchors", "one-node", "wide", "ladder", "merge"],
)
def test_a_yaml_bomb_is_refused(bomb: str) -> None:
    """Deep nesting and expanding aliases neither crash nor fill the memory."""
    node, wrong = read(bomb)
    assert node is None
    assert len(wrong) == 1


@settings(max_examples=200)
@given(
    text=st.one_of(
        st.text(),
        st.text(alphabet="ab1:-?&*!|>{}[],'\"#%@`<~$ \n\t", max_size=60).map(
            lambda text: "version: 1\n" + text
        ),
        st.text(alphabet="ab1:-&*{}[],'\"$ \n", max_size=60).map(
            lambda text: "version: 1\ntasks:\n - prompt: " + text
        ),
    )
)
def test_any_text_is_a_plan_or_a_list_of_problems(text: str, tmp_path: Path) -> None:
    """Whatever a file holds, nothing but a ManifestError with problems comes out."""
    path = tmp_path / "m.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    found = refusal(path)
    assert found is None or (found and all(problem.message for problem in found))
