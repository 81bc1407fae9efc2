"""Reads scenario files."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from batchrunner.simulator.checks import Wrong
from batchrunner.simulator.scenario import Scenario

_ROOT = "scenario"


class _Loader(yaml.SafeLoader):
    """YAML in which `on` is a string: YAML 1.1 would read the rules' `on:` as the key True."""


_Loader.yaml_implicit_resolvers = {
    letter: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:bool" or letter in "tTfF"]
    for letter, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Fault(NamedTuple):
    """One fault of a scenario file; `line` and `column` count from 1, 0 means unknown."""

    line: int
    column: int
    message: str


class ScenarioError(ValueError):
    """A scenario file is invalid; holds all its faults."""

    def __init__(self, path: Path, faults: list[Fault]) -> None:
        lines = (":".join(str(part) for part in (path, one.line, one.column) if part) for one in faults)
        texts = (f"{place}: {one.message}" for place, one in zip(lines, faults, strict=True))
        super().__init__("\n".join(texts))
        self.faults = faults


def load_scenario(path: Path | str | None) -> Scenario:
    """Read a YAML scenario; None and an empty file mean the default scenario.

    Raises ScenarioError, a ValueError that says what is wrong, where, and what to do.
    """
    if path is None:
        return Scenario()
    path = Path(path)
    try:
        loader = _Loader(path.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except OSError as error:
        message = f"cannot be read: {error.strerror}; give a scenario that exists"
        raise ScenarioError(path, [Fault(0, 0, message)]) from error
    except UnicodeDecodeError as error:
        raise ScenarioError(path, [Fault(0, 0, "not a file in UTF-8; save it as UTF-8")]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ScenarioError(path, [_unreadable(error)]) from error
    try:
        return Scenario.from_dict(value, _ROOT)
    except Wrong as error:
        places = dict(_places(node, _ROOT)) if node is not None else {}
        faults = [Fault(*_place(places, where), _told(where, what)) for where, what in error.faults]
        raise ScenarioError(path, sorted(faults, key=lambda fault: fault[:2])) from error


def _unreadable(error: Exception) -> Fault:
    """Translate a parser's error."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    problem = str(getattr(error, "problem", "") or "")
    if "'\\t'" in problem or "tab" in problem:
        return Fault(line, column, "tabs can't be used for indentation; indent with spaces")
    hint = "look for a missing colon, quote or bracket here or above, or a wrong indentation"
    return Fault(line, column, f"this can't be read as YAML; {hint}")


def _places(node: yaml.Node, where: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Line and column of everything in a scenario, by the places used in `checks`."""
    yield where, (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _places(item, f"{where}[{index}]")
    elif isinstance(node, yaml.MappingNode):
        for index, (key, item) in enumerate(node.value):
            yield from _places(item, f"{where}.{key.value}")
            # API keys are never shown: their place is a number
            yield from _places(item, f"{where}[{index}]") if where == f"{_ROOT}.keys" else ()


def _place(places: dict[str, tuple[int, int]], where: str) -> tuple[int, int]:
    """The place of a value, or of its container."""
    while where and where not in places:
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return places.get(where, (0, 0))


def _told(where: str, what: str) -> str:
    inner = where.removeprefix(_ROOT).removeprefix(".")
    return f"{inner}: {what}" if inner else what
