"""Values of a YAML file with their source positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
"""The path of a value inside another: keys and indexes."""


class Node(NamedTuple):
    """A value with its position; `line` and `column` count from 1."""

    value: Scalar | list[Node] | dict[str, Node]
    line: int
    column: int
    keys: Mapping[str, tuple[int, int]]
    """Line and column of each key of a mapping."""
    size: int
    """The number of nodes in it, with aliases expanded."""
    height: int
    """Its depth, with aliases expanded; 1 for a scalar."""
    text: str = ""
    """The source text of a scalar."""

    def child(self, key: str | int) -> Node | None:
        """The value under a key or index."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            item: Node = self.value[key]
            return item
        return None


def collection(
    place: tuple[int, int],
    value: list[Node] | dict[str, Node],
    children: list[Node],
    keys: Mapping[str, tuple[int, int]],
) -> Node:
    """A mapping or list with its content."""
    size = 1 + sum(child.size for child in children)
    height = 1 + max((child.height for child in children), default=0)
    return Node(value, *place, keys, size, height)


def plain(node: Node) -> object:
    """The value as plain dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def descend(node: Node, path: Sequence[str | int]) -> tuple[Node, int]:
    """The node at `path`, or its last existing ancestor, and the number of steps to it."""
    for steps, key in enumerate(path):
        child = node.child(key)
        if child is None:
            return node, steps
        node = child
    return node, len(path)


def place_of(node: Node, path: Sequence[str | int], on_key: bool = False) -> tuple[int, int]:
    """Line and column of the value at `path` or of its key; of the nearest ancestor if it is missing.

    For a mapping or list it is the key's position, since its content starts on the next line.
    """
    found, steps = descend(node, path)
    if path and steps == len(path) and (on_key or isinstance(found.value, dict | list)):
        parent, _ = descend(node, path[:-1])
        return parent.keys.get(str(path[-1]), (found.line, found.column))
    return found.line, found.column
