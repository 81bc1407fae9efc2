"""Errors of the command line, as exceptions for Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from batchrunner.cli.crash import foreseen
from batchrunner.cli.problem_lines import long_lines
from batchrunner.core.errors import BatchrunnerError, ManifestError
from batchrunner.core.redaction import redacted

_OPTION = re.compile(r"(?:^| )-(?:o|-[a-z])")
_ARGUMENTS = "in Python, the command's options are arguments of the same name, and `-o` is `directory`"


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
    """The error with its hint and its problems in its traceback, and without secrets."""
    error.args, error.hint = (redacted(str(error)),), redacted(error.hint)
    for line in long_lines(error.problems, every=False) if isinstance(error, ManifestError) else ():
        error.add_note(line)
    if error.hint:
        error.add_note(f"hint: {error.hint}")
    if _OPTION.search(f"{error} {error.hint}"):
        error.add_note(_ARGUMENTS)
    return error
