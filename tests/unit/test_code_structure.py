"""The structure of the package: one place decides, modules stay small, and class names are unique."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "batchrunner"
MODULES = sorted(PACKAGE.rglob("*.py"))


def names(path):
    """The module's path below the package, for the message of a failure."""
    return path.relative_to(PACKAGE).as_posix()


def calls(tree, name):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_only_the_policy_makes_moves(path):
    """What a task does next is decided in one place."""
    if "policy" not in path.parts:
        assert not calls(ast.parse(path.read_text(encoding="utf-8")), "Move")


def test_modules_and_the_flow_stay_small():
    """No module has more than 300 lines, and the order of a run needs at most 12 of ours."""
    lengths = {names(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
    flow = ast.parse((PACKAGE / "engine/flow.py").read_text(encoding="utf-8"))
    ours = [
        node.module
        for node in ast.walk(flow)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("batchrunner")
    ]
    assert 0 < len(ours) <= 12


def test_no_two_classes_share_a_name():
    """A name says which class is meant."""
    found = [
        (node.name, names(path))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    once = dict(found)
    assert [pair for pair in found if once[pair[0]] != pair[1]] == []
