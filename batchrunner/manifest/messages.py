"""Translates JSON Schema validation errors into messages and hints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from jsonschema import ValidationError

from batchrunner.core.text import closest
from batchrunner.manifest.known_keys import unknown_key
from batchrunner.manifest.nodes import Path
from batchrunner.manifest.typos import slip_in
from batchrunner.manifest.value_faults import ValueFault, dotted, shown

_SHORT = 50
_TEMPLATE = r"\$\{"
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def faults_of(error: ValidationError) -> Iterator[ValueFault]:
    """Translate one validation error into faults."""
    path: Path = tuple(error.absolute_path)
    keyword, wanted = str(error.validator), cast("Any", error.validator_value)
    instance = cast("Any", error.instance)
    if "propertyNames" in error.absolute_schema_path:
        wish = error.schema["patternErrorMessage"] if isinstance(error.schema, Mapping) else ""
        yield ValueFault(
            (*path, str(error.instance)), f"the name {shown(error.instance)} {wish}", on_key=True
        )
    elif keyword == "anyOf":
        yield from _first_branch(error)
    elif keyword == "additionalProperties":
        allowed = tuple(_schema(error).get("properties", ()))
        free = tuple(_schema(error).get("patternProperties", ()))
        extra = (key for key in set(instance) - set(allowed) if not any(re.search(one, key) for one in free))
        for key in sorted(extra, key=str):
            message, hint = unknown_key(str(key), path, allowed)
            yield ValueFault((*path, str(key)), message, hint, on_key=True)
    elif keyword == "required":
        for key in wanted:
            if key not in instance:
                yield ValueFault(
                    (*path, key), f"`{dotted((*path, key))}` is missing", _how_to_add(key), missing=True
                )
    elif not (keyword == "type" and _has_words(_schema(error))):  # the enum's error is more specific
        message, hint = _SENTENCES[keyword](error)
        name = f"`{dotted(path)}`" if path else "this"
        yield ValueFault(path, f"{name} {message}", hint)


def _schema(error: ValidationError) -> Mapping[str, Any]:
    return error.schema if isinstance(error.schema, Mapping) else {}


def _has_words(part: Mapping[str, Any]) -> bool:
    """Whether a value of another type is reported as none of the words."""
    words, *others = part.get("anyOf", [part])
    return "enum" in words and all("type" in other for other in others)


def _first_branch(error: ValidationError) -> Iterator[ValueFault]:
    """The error of an `anyOf`: in our schemas the first branch is the main one."""
    for inner in error.context or ():
        if inner.relative_schema_path[0] == 0:
            yield from faults_of(inner)


def _how_to_add(key: str) -> str:
    if key == "model":
        return "add `model: dreamina-seedance-2-0-fast` to `defaults`, or to the task"
    if key == "version":
        return "add `version: 1` at the top"
    return f"add `{key}:`"


def _type(error: ValidationError) -> tuple[str, str]:
    wanted = cast("Any", error.validator_value)
    names = [name for name in ([wanted] if isinstance(wanted, str) else wanted) if name != "null"]
    if _schema(error).get("pattern") == _TEMPLATE:  # text is only allowed as a template
        names = [name for name in names if name != "string"] or names
    message = f"must be {', or '.join(_TYPES[name] for name in names)}, not {shown(error.instance)}"
    return message, str(_schema(error).get("typeHint", "")) or _retype(names, error.instance, _schema(error))


def _retype(names: list[str], value: object, part: Mapping[str, Any]) -> str:
    """A hint for a value of the wrong type."""
    keys = [f"{key}: " for key in value] if isinstance(value, dict) else []
    for line in [value] if isinstance(value, str) and "object" in names else keys:
        if slip := slip_in(line):
            return f"{slip.message}: {slip.hint}"
    if value is None:
        return "write a value after the colon, or delete the key"
    if "string" in names and isinstance(value, int | float):
        return "put it in quotes"
    if "string" in names:
        return "write one value"
    if "boolean" in names:
        quoted = str(value).lower() in ("true", "false")
        return "write true or false" + (", without quotes" if quoted else "")
    if "array" in names:
        return "write each item on its own line, after `- `"
    if "object" in names:
        return "write `key: value` lines below it, indented"
    if isinstance(value, float):
        return "remove the fraction"
    hint = ("" if "boundHint" in part else _in_bounds(part)) or "write just the number"
    return f"{hint}, without quotes or unit" if isinstance(value, str) else hint


def _enum(error: ValidationError) -> tuple[str, str]:
    choices = [str(choice) for choice in cast("Any", error.validator_value)]
    message = f"can't be {shown(error.instance)}"
    near = _meant(str(error.instance), choices)
    return message, f"did you mean {near}?" if near else f"write one of: {', '.join(choices)}"


def _meant(text: str, choices: list[str]) -> str:
    """The choice meant by 720P, 16x9 or image; empty if none is similar."""
    plain = text.strip(" \t“”‘’").lower()
    begun = [choice for choice in choices if len(plain) > 2 and choice.startswith(plain)]
    as_ratio = re.sub(r"(?<=\d)\s*[x×*/\-：]\s*(?=\d)", ":", plain)
    return begun[0] if len(begun) == 1 else closest(as_ratio, choices, cutoff=0.8)


def _const(error: ValidationError) -> tuple[str, str]:
    wanted = shown(error.validator_value)
    return f"must be {wanted}, not {shown(error.instance)}", f"write {wanted}"


def _pattern(error: ValidationError) -> tuple[str, str]:
    wish = str(_schema(error)["patternErrorMessage"])
    if wish.startswith("is "):
        return wish, "write some text"
    if wish == "must be a list":
        one_picture = error.absolute_path[-1] == "images" and len(shown(error.instance)) < _SHORT
        hint = f"write `[{error.instance}]`" if one_picture else "write each item on its own line, after `- `"
        return f"{wish}, not {shown(error.instance)}", hint
    return f"{wish}, not {shown(error.instance)}", ""


def _bound(word: str) -> Callable[[ValidationError], tuple[str, str]]:
    def sentence(error: ValidationError) -> tuple[str, str]:
        message = f"must be {word} {error.validator_value}, not {shown(error.instance)}"
        return message, _in_bounds(_schema(error))

    return sentence


def _in_bounds(part: Mapping[str, Any]) -> str:
    """A hint for the numbers that a schema accepts; empty if it accepts any."""
    if hint := str(part.get("boundHint", "")):
        return hint
    least, above, most = (part.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if least is not None and most is not None:
        return f"write a number from {least} to {most}"
    bounds = [
        f"{word} {bound}" for word, bound in (("at least", least), ("above", above)) if bound is not None
    ]
    bounds += [f"at most {most}"] if most is not None else []
    return f"write a number {', '.join(bounds)}" if bounds else ""


def _empty(error: ValidationError) -> tuple[str, str]:
    if list(error.absolute_path) == ["tasks"]:
        return "is empty", "add at least one task"
    what = "add at least one item" if isinstance(error.instance, list) else "write some text"
    return "is empty", f"{what}, or delete the key"


def _items(error: ValidationError) -> tuple[str, str]:
    if not error.instance:
        return _empty(error)
    wanted, its = cast("Any", error.validator_value), len(cast("Any", error.instance))
    return f"must have {wanted} items, not {its}", str(_schema(error).get("typeHint", ""))


_SENTENCES: Mapping[str, Callable[[ValidationError], tuple[str, str]]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "minimum": _bound("at least"),
    "maximum": _bound("at most"),
    "exclusiveMinimum": _bound("more than"),
    "minLength": _empty,
    "minItems": _items,
    "maxItems": _items,
    "minProperties": _empty,
}
