"""Translates the YAML parser's errors into messages with hints."""

from __future__ import annotations

import json
import re

from yaml import MarkedYAMLError, YAMLError

from batchrunner.manifest.source import Source, TextFault
from batchrunner.manifest.typos import Slip, slip_in

_NO_COLON = (
    "expected ':'",
    "this line has no colon, so it is not `key: value`",
    "write `key: value`, or indent the line further if it continues the text above",
)
_SAYINGS = (
    (
        "mapping values are not allowed",
        "unexpected `: `",
        'quote text that contains ": ", or look for a missing colon or wrong indentation above',
    ),
    _NO_COLON,
    (
        "block sequence entries are not allowed",
        "unexpected `- `",
        "start the list on a new line, or quote the text",
    ),
    ("mapping keys are not allowed", "text can't start with `? ` here", "quote it"),
    (
        "expected ',' or",
        "a `[` or `{` is not closed, or a comma is missing",
        "close it, or quote text that contains brackets",
    ),
    (
        "expected node content",
        "missing value, or an extra bracket or comma",
        "write the value, or quote text that starts with such a character",
    ),
    (
        "did not find expected '-'",
        "this line does not fit the list above it",
        "start it with `- `, or indent it",
    ),
    (
        "did not find expected key",
        "this line does not fit the lines above it",
        "indent it like its neighbours, and quote text with special characters",
    ),
    (
        "unexpected end of stream",
        "the quoted text is not closed",
        "write the closing quote; inside single quotes, write two for one",
    ),
    ("nesting", "nested too deeply", "a manifest needs about five levels"),
    (
        "unexpected document indicator",
        "the quoted text above is not closed before this line",
        "write the closing quote; inside single quotes, write two for one",
    ),
    (
        "unknown escape",
        "invalid escape in double quotes",
        "use single quotes, or write two backslashes for one",
    ),
    (
        "expected hexdecimal number",
        "invalid escape in double quotes",
        "use single quotes, or write two backslashes for one",
    ),
    (
        "expected escape sequence",  # libyaml says: expected hexdecimal number
        "invalid escape in double quotes",
        "use single quotes, or write two backslashes for one",
    ),
    ("escape code", "this escape is not a character", "write the character itself"),
    (
        "expected chomping",
        "text can't follow `|` or `>` on the same line",
        "start the text on the next line, or quote it",
    ),
    (
        "expected comment or line break",
        "text can't follow `|` or `>` on the same line",
        "start the text on the next line, or quote it",
    ),
    ("indentation indicator", "`|0` and `>0` are invalid", "use `|` or `>` alone"),
    ("tab character", "tabs can't be used for indentation", "indent with spaces"),
    ("incompatible YAML document", "unsupported YAML version", "delete the `%YAML` line"),
    ("<document start>", "this line does not fit the lines above it", "indent it like its neighbours"),
)
_OTHER = ("invalid YAML", "quote text with special characters")
_SIGNS = {"an alias": "*", "an anchor": "&", "a tag": "!", "a directive": "%", "a %": "%"}
"""The first character of a text, by what the parser took it for."""
_HALF = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_AFTER_ALIAS = re.compile(r"(?:^|[:\-,\[{]\s+)(?P<sign>[*&])[\w-]+\s+$")


def explained(error: YAMLError, source: Source) -> TextFault:
    """Translate a parser's error into a fault with its place."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    if mark is None or not isinstance(error, MarkedYAMLError):
        return TextFault(*_OTHER)
    problem, context, start = error.problem or "", error.context or "", error.context_mark
    if "expected <block end>" in problem:  # PyYAML's own parser words it differently from libyaml
        problem = "did not find expected " + ("key" if "mapping" in context else "'-' indicator")
    line, column = mark.line + 1, mark.column + 1
    if start is not None and "expected ':'" in problem:  # the parser reports the start of the next line
        line, column = start.line + 1, start.column + 1
    if found := _slip(source, line, column, problem):
        return found
    if "cannot start any token" in problem:
        return _bad_start(source.line(line)[column - 1 : column], line, column)
    for taken_for, sign in _SIGNS.items():
        if context.startswith(("while scanning " + taken_for, "while parsing " + taken_for)) and start:
            return _bad_start(sign, start.line + 1, start.column + 1)
    if found := _half(source.line(line), line, column):
        return found
    if "undefined tag" in problem:
        return _bad_start("!", line, column)
    if "expected key" in problem and (found := _after_the_end(source.line(line), line, column)):
        return found
    if "node content" in problem and not source.line(line):  # the end of the file
        problem = "expected ',' or"
    message, hint = next((words for part, *words in _SAYINGS if part in problem), _OTHER)
    if start is not None and ("end of stream" in problem or "expected ',' or" in problem):
        # the opening position is more helpful than the end
        line, column = start.line + 1, start.column + 1
    return TextFault(message, hint, line, column)


def _slip(source: Source, line: int, column: int, problem: str) -> TextFault | None:
    """A look-alike character in the faulty line, or in the line that it was read as continuing."""
    found: Slip | None = None
    if "cannot start any token" not in problem:
        found = slip_in(source.line(line))
    if found is None and "mapping values" in problem and ": " not in source.line(line)[: column - 1]:
        line = _above(source, line)
        found = slip_in(source.line(line)) or _no_colon(source, line)
    return TextFault(found.message, found.hint, line, found.column) if found else None


def _half(text: str, line: int, column: int) -> TextFault | None:
    """A JSON surrogate escape before or at `column`."""
    for found in _HALF.finditer(text):
        if found.start() < column <= found.end() + 1:
            written = found["pair"]
            char = json.loads(f'"{written}"') if written else ""
            message = f"`{written or found.group()}` is a JSON escape that YAML does not support"
            hint = f"write {char or 'the character'} itself"
            return TextFault(message, hint, line, found.start() + 1)
    return None


def _above(source: Source, line: int) -> int:
    """The number of the nearest line above that is not blank or a comment; 0 at the top."""
    line -= 1
    while line > 0 and (not (text := source.line(line).strip()) or text.startswith("#")):
        line -= 1
    return line


def _no_colon(source: Source, line: int) -> Slip | None:
    """The missing colon of a line that is a key, but was read as continued by the next."""
    text, before = source.line(line), source.line(_above(source, line)).rstrip()
    begins = text.lstrip().startswith("- ") or before.endswith(":") or not before
    if not text or ":" in text or not begins:
        return None
    return Slip(_NO_COLON[1], _NO_COLON[2], len(text) - len(text.lstrip("- \t")) + 1)


def _bad_start(char: str, line: int, column: int) -> TextFault:
    if char == "\t":
        return TextFault("tabs can't be used for indentation", "indent with spaces", line, column)
    sign = "a backtick" if char == "`" else f"`{char}`"
    return TextFault(f"text can't start with {sign} here", "quote it", line, column)


def _after_the_end(text: str, line: int, column: int) -> TextFault | None:
    """The fault for text that follows a complete value on the same line."""
    before = text[: column - 1].rstrip()
    if found := _AFTER_ALIAS.search(text[: column - 1]):
        return _bad_start(found["sign"], line, found.start("sign") + 1)
    if before.endswith('"'):
        hint = 'write \\" for a quote inside the text, or put the whole in single quotes'
    elif before.endswith("'"):
        hint = "write '' for a quote inside the text, or put the whole in double quotes"
    elif before.endswith(("]", "}")):
        return TextFault("text after the closing bracket", "quote the whole", line, column)
    else:
        return None
    return TextFault("text after the closing quote", hint, line, column)
