"""The YAML parser's complaints in words that say what to do."""

from __future__ import annotations

from yaml import MarkedYAMLError, YAMLError

from batchrunner.manifest.source import TextFault

_SAYINGS = (
    (
        "mapping values are not allowed",
        "a `: ` is not expected here",
        'put text that holds ": " in quotes, or look for a missing colon or a wrong indentation above',
    ),
    (
        "block sequence entries are not allowed",
        "a `- ` is not expected here",
        "begin the list on a line of its own, or put the text in quotes",
    ),
    (
        "expected ',' or",
        "a `[` or `{` is not closed, or a comma is missing",
        "close it, or put text that holds brackets in quotes",
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
    (
        "unknown escape",
        "this backslash means nothing in double quotes",
        "use single quotes, or write two backslashes for one",
    ),
    ("escape code", "this escape names no character", "write the character itself"),
    (
        "tab character",
        "a tab stands where only blanks may indent",
        "indent with blanks",
    ),
    ("incompatible YAML document", "this version of YAML is not known", "delete the `%YAML` line"),
)


def explained(error: YAMLError, text: str) -> TextFault:
    """A parser's error as one sentence with its place."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    problem = str(getattr(error, "problem", None) or error)
    if mark is None:
        return TextFault(f"this is not YAML: {problem}", "")
    line, column = mark.line + 1, mark.column + 1
    if "cannot start any token" in problem:
        return _bad_start(_at(text, mark.line, mark.column), line, column)
    for part, message, hint in _SAYINGS:
        if part in problem:
            start = error.context_mark if isinstance(error, MarkedYAMLError) else None
            if start is not None and ("end of stream" in problem or "expected ',' or" in problem):
                line, column = (
                    start.line + 1,
                    start.column + 1,
                )  # where it was opened says more than where it ended
            return TextFault(message, hint, line, column)
    return TextFault(f"this is not YAML: {problem}", "", line, column)


def _at(text: str, line: int, column: int) -> str:
    lines = text.splitlines()
    return lines[line][column : column + 1] if line < len(lines) else ""


def _bad_start(char: str, line: int, column: int) -> TextFault:
    if char == "\t":
        return TextFault("a tab stands where only blanks may indent", "indent with blanks", line, column)
    return TextFault(f"a text can't begin with `{char}` here", "put it in quotes", line, column)
