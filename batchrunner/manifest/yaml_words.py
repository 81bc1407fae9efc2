"""The YAML parser's complaints in words that say what to do."""

from __future__ import annotations

import json
import re

from yaml import MarkedYAMLError, YAMLError

from batchrunner.manifest.source import Source, TextFault
from batchrunner.manifest.typos import Slip, slip_in

_NO_COLON = (
    "expected ':'",
    "this line has no colon, so it is not `key: value`",
    "write `key: value`, or indent the line further if it goes on with the text above",
)
_SAYINGS = (
    (
        "mapping values are not allowed",
        "a `: ` is not expected here",
        'put text that holds ": " in quotes, or look for a missing colon or a wrong indentation above',
    ),
    _NO_COLON,
    (
        "block sequence entries are not allowed",
        "a `- ` is not expected here",
        "begin the list on a line of its own, or put the text in quotes",
    ),
    ("mapping keys are not allowed", "a text can't begin with `? ` here", "put it in quotes"),
    (
        "expected ',' or",
        "a `[` or `{` is not closed, or a comma is missing",
        "close it, or put text that holds brackets in quotes",
    ),
    (
        "expected node content",
        "a value is missing here, or a bracket or comma is too many",
        "write the value, or put text that begins with such a sign in quotes",
    ),
    (
        "did not find expected '-'",
        "this line does not fit the list above it",
        "begin it with `- `, or indent it",
    ),
    (
        "did not find expected key",
        "this line does not fit what stands above it",
        "indent it as its neighbours are, and put text with special characters in quotes",
    ),
    (
        "unexpected end of stream",
        "a quoted text is not closed",
        "write the closing quote; inside single quotes, write two for one",
    ),
    ("nesting", "this is nested too deeply", "a manifest needs five levels or so"),
    (
        "unexpected document indicator",
        "a quoted text is not closed before this line",
        "write the closing quote; inside single quotes, write two for one",
    ),
    (
        "unknown escape",
        "this backslash means nothing in double quotes",
        "use single quotes, or write two backslashes for one",
    ),
    (
        "expected hexdecimal number",
        "this backslash names no character",
        "use single quotes, or write two backslashes for one",
    ),
    (
        "expected escape sequence",  # libyaml says: expected hexdecimal number
        "this backslash names no character",
        "use single quotes, or write two backslashes for one",
    ),
    ("escape code", "this escape names no character", "write the character itself"),
    (
        "expected chomping",
        "no text can follow `|` or `>` in the same line",
        "begin the text in the next line, or put it in quotes",
    ),
    (
        "expected comment or line break",
        "no text can follow `|` or `>` in the same line",
        "begin the text in the next line, or put it in quotes",
    ),
    ("indentation indicator", "`|0` and `>0` mean nothing", "write `|` or `>` alone"),
    ("tab character", "a tab stands where only blanks may indent", "indent with blanks"),
    ("incompatible YAML document", "this version of YAML is not known", "delete the `%YAML` line"),
    ("<document start>", "this line does not fit what stands above it", "indent it as its neighbours are"),
)
_OTHER = ("this can't be read as YAML", "put text with special characters in quotes")
_SIGNS = {"an alias": "*", "an anchor": "&", "a tag": "!", "a directive": "%", "a %": "%"}
"""What a text began with, by what the parser took it for."""
_HALF = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_AFTER_ALIAS = re.compile(r"(?:^|[:\-,\[{]\s+)(?P<sign>[*&])[\w-]+\s+$")


def explained(error: YAMLError, source: Source) -> TextFault:
    """A parser's error as one sentence with its place."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    if mark is None or not isinstance(error, MarkedYAMLError):
        return TextFault(*_OTHER)
    problem, context, start = error.problem or "", error.context or "", error.context_mark
    if "expected <block end>" in problem:  # PyYAML's own parser speaks otherwise than libyaml
        problem = "did not find expected " + ("key" if "mapping" in context else "'-' indicator")
    line, column = mark.line + 1, mark.column + 1
    if start is not None and "expected ':'" in problem:  # told where the next line begins
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
        # where it was opened says more than where it ended
        line, column = start.line + 1, start.column + 1
    return TextFault(message, hint, line, column)


def _slip(source: Source, line: int, column: int, problem: str) -> TextFault | None:
    """A sign that only looks right, in the line at fault or in the one that it was taken to go on with."""
    found: Slip | None = None
    if "cannot start any token" not in problem:
        found = slip_in(source.line(line))
    if found is None and "mapping values" in problem and ": " not in source.line(line)[: column - 1]:
        line = _above(source, line)
        found = slip_in(source.line(line)) or _no_colon(source, line)
    return TextFault(found.message, found.hint, line, found.column) if found else None


def _half(text: str, line: int, column: int) -> TextFault | None:
    """An escape that JSON writes for half of a character, before or at `column`."""
    for found in _HALF.finditer(text):
        if found.start() < column <= found.end() + 1:
            written = found["pair"]
            char = json.loads(f'"{written}"') if written else ""
            message = f"`{written or found.group()}` is an escape of JSON, which YAML does not know"
            hint = f"write {char or 'the character'} itself"
            return TextFault(message, hint, line, found.start() + 1)
    return None


def _above(source: Source, line: int) -> int:
    """The number of the line above in which something stands; 0 at the top."""
    line -= 1
    while line > 0 and (not (text := source.line(line).strip()) or text.startswith("#")):
        line -= 1
    return line


def _no_colon(source: Source, line: int) -> Slip | None:
    """Whether a line, to which the next was taken to belong, is a key that lacks its colon."""
    text, before = source.line(line), source.line(_above(source, line)).rstrip()
    begins = text.lstrip().startswith("- ") or before.endswith(":") or not before
    if not text or ":" in text or not begins:
        return None
    return Slip(_NO_COLON[1], _NO_COLON[2], len(text) - len(text.lstrip("- \t")) + 1)


def _bad_start(char: str, line: int, column: int) -> TextFault:
    if char == "\t":
        return TextFault("a tab stands where only blanks may indent", "indent with blanks", line, column)
    sign = "a backtick" if char == "`" else f"`{char}`"
    return TextFault(f"a text can't begin with {sign} here", "put it in quotes", line, column)


def _after_the_end(text: str, line: int, column: int) -> TextFault | None:
    """Why text goes on where a value has come to its end in the same line."""
    before = text[: column - 1].rstrip()
    if found := _AFTER_ALIAS.search(text[: column - 1]):
        return _bad_start(found["sign"], line, found.start("sign") + 1)
    if before.endswith('"'):
        hint = 'write \\" for a quote within the text, or put single quotes around the whole'
    elif before.endswith("'"):
        hint = "write '' for a quote within the text, or put double quotes around the whole"
    elif before.endswith(("]", "}")):
        return TextFault("more text follows the closing bracket", "put the whole in quotes", line, column)
    else:
        return None
    return TextFault("more text follows the closing quote", hint, line, column)
