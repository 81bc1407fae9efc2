"""JSON manifests: whatever a JSON writer writes is read as it was meant."""

import json

import pytest

from batchrunner.manifest.json_reader import read_json
from batchrunner.manifest.nodes import Node, place_of, plain
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.source import Source
from batchrunner.manifest.yaml_parser import MAX_DEPTH
from batchrunner.manifest.yaml_reader import read_yaml


def read(text: str) -> tuple[Node | None, list[str]]:
    """The value of a text, and what is wrong with it, with its place and hint."""
    report = Report()
    node = read_yaml(Source("m.json", text, is_yaml=True), report)
    return node, [f"{one.place}: {one.message}: {one.hint}" for one in report.problems()]


@pytest.mark.parametrize("indent", [None, 1, 4, "\t"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_output_of_json_dump_is_read(indent: int | str | None, ascii_only: bool) -> None:
    """Escapes, surrogate pairs, tabs, long keys and long lines."""
    written = {
        "prompt": '😀 𝄞 \\ud83d " / \b\f\n\r\t \x7f\u2028\x85 #: - é',
        "k" * 2000: "x" * 10_000,
        "list": [[], {}, [1, -0, 1.5, 2e20, -3e-7], True, False, None, "16:9", "no", ""],
    }
    node, wrong = read(json.dumps(written, indent=indent, ensure_ascii=ascii_only))
    assert wrong == []
    assert node is not None
    assert plain(node) == written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('\t{"a": 1}\n\t', {"a": 1}),
        ('{"a"\n:\n1}', {"a": 1}),
        (r'{"a":"\/x\u002F"}', {"a": "/x/"}),
        (r'["\\ud83d\\ude00"]', [r"\ud83d\ude00"]),
        ("{a: 1}", {"a": 1}),
        ('{"a": 1,}  # a comment', {"a": 1}),
    ],
)
def test_json_and_what_is_nearly_json_are_read(text: str, expected: object) -> None:
    """What YAML alone would stumble over, and what JSON alone would."""
    node, wrong = read(text)
    assert wrong == []
    assert node is not None
    assert plain(node) == expected


def test_json_values_have_their_places() -> None:
    """Line and column count characters from 1."""
    node = read_json(
        Source("m.json", '{"a": [1,\n  {"猫": 2}],\r\n\t"c": "\\ud83d\\ude00", "d": 3}'), Report()
    )
    assert node is not None
    assert place_of(node, ("a",)) == (1, 2)
    assert place_of(node, ("a", 1, "猫")) == (2, 9)
    assert place_of(node, ("c",), on_key=True) == (3, 2)
    assert place_of(node, ("d",)) == (3, 28)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (r'{"a": "x\ud83d"}', "m.json:1:9: half of a \\u surrogate pair is missing"),
        (r'{"a": "\ud83d\ude00 \uDE00"}', "m.json:1:21: half of a \\u surrogate pair is missing"),
        (r'{"a": "\ud83d\ud83d\ude00"}', "m.json:1:8: half of a \\u surrogate pair is missing"),
        ('{"a": 1,\n "a": 2}', "m.json:2:2: duplicate key `a`"),
        ("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH, f"m.json:1:65: nested more than {MAX_DEPTH} levels deep"),
        ("[" * 100_000, f"m.json:1:65: nested more than {MAX_DEPTH} levels deep"),
        ('{"a": "x', "m.json:1:7: the quoted text is not closed"),
        ('{"a": 1', "m.json:1:1: a `[` or `{` is not closed, or a comma is missing"),
    ],
)
def test_a_json_error_is_reported_at_its_place(text: str, wrong: str) -> None:
    """JSON that can't be used is an error, not another value."""
    _, found = read(text)
    assert [one.rpartition(": ")[0] for one in found] == [wrong]


def test_a_pair_of_escapes_in_yaml_is_answered_with_its_character() -> None:
    """YAML has no surrogate pairs; whoever copied one from JSON learns what to write."""
    _, found = read('a: "x \\ud83d\\ude00"\n')
    assert found == [
        r"m.json:1:7: `\ud83d\ude00` is a JSON escape that YAML does not support: write 😀 itself"
    ]
