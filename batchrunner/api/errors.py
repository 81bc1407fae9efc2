"""Errors of the command line, as exceptions for Python."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from batchrunner.cli.confirmation import NotConfirmed
from batchrunner.cli.crash import foreseen
from batchrunner.cli.problem_lines import long_lines
from batchrunner.core.errors import BatchrunnerError, ManifestError
from batchrunner.core.redaction import redacted

_COMMAND = re.compile(r"(`[^`]* [^`]*`)")
"""In backticks, a command is to be typed as it stands."""
_VALUE = r"""((?:'[^']*'|"[^"]*"|[^\s;,`'"])+(?<!\.))"""
"""A word as a shell reads it."""
_AGAIN = re.compile(r"\brun the same command again\b", re.IGNORECASE)
_FLAG = re.compile(r"--(simulate|yes|new|strict|insecure|same-gateway)(?![\w-])")
_ADDRESS = re.compile(rf"--base-url (?=http){_VALUE}")
_DIRECTORY = re.compile(rf"(?<![\w-])-o (?=[.~/\w'\"]){_VALUE}")
_NAME = re.compile(
    r"--(only|limit|max-cost|videos|collect-on|base-url|api-key-file|accounts|scenario|time-scale)(?![\w-])"
)
_OUTPUT = re.compile(r"(?<![\w-])-o(?![\w-])")
_EVERY = "(--all lists each)"


@contextmanager
def in_python() -> Iterator[None]:
    """Raise the errors of a command as they are shown to the users of Python; a bug keeps its traceback."""
    try:
        yield
    except Exception as error:
        if told := foreseen(error):
            raise for_python(told) from None  # the traceback of the cause may hold the key
        raise


def for_python(error: BatchrunnerError) -> BatchrunnerError:
    """The error with its hint and its problems in its traceback, without secrets, in words of Python."""
    if isinstance(error, NotConfirmed):
        error.hint = "pass yes=True to confirm; `batchrunner plan` shows the details"
    error.args, error.hint = (python_words(redacted(str(error))),), python_words(redacted(error.hint))
    if isinstance(error, ManifestError):
        error.problems = tuple(
            replace(one, message=python_words(one.message), hint=python_words(one.hint))
            for one in error.problems
        )
        for line in long_lines(error.problems, every=False):
            error.add_note(line.replace(_EVERY, "(the exception's `problems` has each)"))
    if error.hint:
        error.add_note(f"hint: {error.hint}")
    return error


def python_words(text: str) -> str:
    """A message of the command with the arguments of `run` in place of its options."""
    parts = _COMMAND.split(text)
    return "".join(part if index % 2 else _translated(part) for index, part in enumerate(parts))


def _translated(text: str) -> str:
    text = _AGAIN.sub("call `run` again", text)
    text = _FLAG.sub(lambda found: f"{found[1].replace('-', '_')}=True", text)
    text = _ADDRESS.sub(lambda found: f"base_url={_unquoted(found[1])!r}", text)
    text = _DIRECTORY.sub(
        lambda found: "`directory`" if found[1] == "DIR" else f"directory={_unquoted(found[1])!r}", text
    )
    text = _NAME.sub(lambda found: f"`{found[1].replace('-', '_')}`", text)
    return _OUTPUT.sub("`directory`", text)


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:  # a quote that is part of a name
        return word
