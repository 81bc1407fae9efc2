"""What a YAML file says: plain values that know where they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
"""Where a value stands in another: keys and indexes."""


class Node(NamedTuple):
    """One value with its place; `line` and `column` count from 1."""

    value: Scalar | list[Node] | dict[str, Node]
    line: int
    column: int
    keys: Mapping[str, tuple[int, int]]
    """Line and column of each key of a mapping."""
    size: int
    """How many nodes it stands for, aliases expanded."""
    height: int
    """How deep it goes, aliases expanded; 1 for a scalar."""
    text: str = ""
    """Of a scalar, as it was written."""

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
    """A mapping or list with what stands in it."""
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
    """The node that `path` leads to, or the last one that exists on the way, and how many steps led there."""
    for steps, key in enumerate(path):
        child = node.child(key)
        if child is None:
            return node, steps
        node = child
    return node, len(path)


def place_of(node: Node, path: Sequence[str | int], on_key: bool = False) -> tuple[int, int]:
    """Line and column of the value at `path`, or of its key; of what is nearest where it is missing.

    A mapping or list is found by its key, since it only begins in the next line.
    """
    found, steps = descend(node, path)
    if path and steps == len(path) and (on_key or isinstance(found.value, dict | list)):
        parent, _ = descend(node, path[:-1])
        return parent.keys.get(str(path[-1]), (found.line, found.column))
    return found.line, found.column
