"""Small readers for the scenario's values: each takes a value and its place, and raises ValueError."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[object, str], Any]


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """`value` as a mapping with text keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{where}: must be a mapping of names to values, not {value!r}")
    return value


def known_keys(fields: Mapping[str, Any], allowed: Collection[str], where: str) -> None:
    """Refuse a key that nobody reads: a misspelt fault would silently be no fault."""
    for key in fields:
        if key not in allowed:
            raise ValueError(f"{where}: unknown key {key!r}; use one of: {', '.join(sorted(allowed))}")


def text(value: object, where: str) -> str:
    """`value` as text."""
    if not isinstance(value, str):
        raise ValueError(f"{where}: must be text, not {value!r}")
    return value


def flag(value: object, where: str) -> bool:
    """`value` as true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{where}: must be true or false, not {value!r}")
    return value


def one_of(choices: tuple[str, ...]) -> Callable[[object, str], str]:
    """A reader for one word out of `choices`; 429 stands for "429", as YAML reads it."""

    def check(value: object, where: str) -> str:
        word = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(word, str) or word not in choices:
            raise ValueError(f"{where}: must be one of {', '.join(choices)}; not {value!r}")
        return word

    return check


def whole(least: int, most: int | None = None) -> Callable[[object, str], int]:
    """A reader for a whole number of at least `least`, and at most `most`."""
    allowed = f"of at least {least}" if most is None else f"from {least} to {most}"

    def check(value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{where}: must be a whole number {allowed}, not {value!r}")
        if value < least or (most is not None and value > most):
            raise ValueError(f"{where}: must be a whole number {allowed}, not {value!r}")
        return value

    return check


def number(least: float, most: float = 1e9) -> Callable[[object, str], float]:
    """A reader for a number from `least` to `most`."""

    def check(value: object, where: str) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        raise ValueError(f"{where}: must be a number from {least:g} to {most:g}, not {value!r}")

    return check


def ordinals(value: object, where: str) -> tuple[int, ...]:
    """A list of ordinals from 1, or a single one."""
    items = value if isinstance(value, list | tuple) else [value]
    check = whole(1)
    return tuple(check(item, where) for item in items)


def names(value: object, where: str) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: must be a list of texts, not {value!r}")
    return tuple(text(item, where) for item in value)


def span(value: object, where: str) -> tuple[float, float]:
    """Two numbers [from, to], in nominal seconds."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{where}: must be two numbers [from, to], not {value!r}")
    check = number(0)
    start, end = (check(item, where) for item in value)
    if start >= end:
        raise ValueError(f"{where}: must begin before it ends, not {value!r}")
    return start, end
