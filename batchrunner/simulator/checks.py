"""Small validators for scenario values: each takes a value and its place, and raises Wrong."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[object, str], Any]


class Wrong(ValueError):
    """The faults of a scenario: place and text of each."""

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__("\n".join(f"{where}: {what}" for where, what in faults))
        self.faults = faults


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """`value` as a mapping with text keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Wrong((where, f"must be a mapping of names to values, not {value!r}"))
    return value


def fields(
    value: Mapping[str, Any], readers: Mapping[str, Check], where: str, allowed: Collection[str] = ()
) -> dict[str, Any]:
    """Read each value with the reader for its name; raise all faults at once.

    Unknown keys and keys that are not `allowed` are refused: a misspelt fault would silently do nothing.
    """
    known, read = allowed or readers.keys(), {}
    faults: list[tuple[str, str]] = []
    for name, item in value.items():
        place = f"{where}.{name}"
        try:
            if name not in known:
                raise Wrong((place, f"unknown key {name!r}; use one of: {', '.join(sorted(known))}"))
            if name in readers:
                read[name] = readers[name](item, place)
        except Wrong as error:
            faults += error.faults
    if faults:
        raise Wrong(*faults)
    return read


def each(value: object, read: Check, where: str, what: str) -> tuple[Any, ...]:
    """Read each item of a list; raise all faults at once."""
    if not isinstance(value, list | tuple):
        raise Wrong((where, f"must be a list of {what}, not {value!r}"))
    items = []
    faults: list[tuple[str, str]] = []
    for index, item in enumerate(value):
        try:
            items.append(read(item, f"{where}[{index}]"))
        except Wrong as error:
            faults += error.faults
    if faults:
        raise Wrong(*faults)
    return tuple(items)


def text(value: object, where: str) -> str:
    """`value` as text."""
    if not isinstance(value, str):
        raise Wrong((where, f"must be text, not {value!r}"))
    return value


def flag(value: object, where: str) -> bool:
    """`value` as true or false."""
    if not isinstance(value, bool):
        raise Wrong((where, f"must be true or false, not {value!r}"))
    return value


def one_of(choices: tuple[str, ...]) -> Callable[[object, str], str]:
    """A reader for one of the words in `choices`; 429 counts as "429", since YAML reads it as a number."""

    def check(value: object, where: str) -> str:
        word = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(word, str) or word not in choices:
            raise Wrong((where, f"must be one of {', '.join(choices)}; not {value!r}"))
        return word

    return check


def whole(least: int, most: int | None = None) -> Callable[[object, str], int]:
    """A reader for a whole number of at least `least`, and at most `most`."""
    allowed = f"of at least {least}" if most is None else f"from {least} to {most}"

    def check(value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Wrong((where, f"must be a whole number {allowed}, not {value!r}"))
        if value < least or (most is not None and value > most):
            raise Wrong((where, f"must be a whole number {allowed}, not {value!r}"))
        return value

    return check


def number(least: float, most: float = 1e9) -> Callable[[object, str], float]:
    """A reader for a number from `least` to `most`."""

    def check(value: object, where: str) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        raise Wrong((where, f"must be a number from {least:g} to {most:g}, not {value!r}"))

    return check


def ordinals(value: object, where: str) -> tuple[int, ...]:
    """A list of ordinals from 1, or a single one."""
    items = value if isinstance(value, list | tuple) else [value]
    check = whole(1)
    return tuple(check(item, where) for item in items)


def names(value: object, where: str) -> tuple[str, ...]:
    """A list of texts."""
    return each(value, text, where, "texts")


def span(value: object, where: str) -> tuple[float, float]:
    """Two different numbers [from, to], such as times."""
    start, end = closed_span(value, where)
    if start == end:
        raise Wrong((where, f"must begin before it ends, not {value!r}"))
    return start, end


def closed_span(value: object, where: str) -> tuple[float, float]:
    """Two numbers [from, to], both included."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Wrong((where, f"must be two numbers [from, to], not {value!r}"))
    start, end = (number(0)(item, where) for item in value)
    if start > end:
        raise Wrong((where, f"must begin before it ends, not {value!r}"))
    return start, end
