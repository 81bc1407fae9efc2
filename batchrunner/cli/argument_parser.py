"""An argument parser that reports mistakes the way every other error is reported: message, then hint."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterator
from typing import NoReturn

from batchrunner.core.errors import UsageError

_CHOICE = re.compile(r"invalid choice: '([^']*)'")
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (-\S+)")


class Parser(argparse.ArgumentParser):
    """Raises a UsageError where argparse would print its message and exit."""

    def error(self, message: str) -> NoReturn:
        """Report what is wrong with the command line.

        Raises:
            UsageError: always.
        """
        hint = f"`{self.prog} --help` lists commands and options"
        if close := self._meant(message):
            hint = f"did you mean `{close}`? {hint}"
        raise UsageError(message, hint)

    def _meant(self, message: str) -> str:
        if found := _CHOICE.search(message):
            words = [word for action in self._actions for word in action.choices or ()]
        elif found := _UNRECOGNIZED.search(message):
            words = list(self._options())
        else:
            return ""
        close = difflib.get_close_matches(found[1].partition("=")[0], [str(word) for word in words], 1)
        return close[0] if close else ""

    def _options(self) -> Iterator[str]:
        """Every option of this parser and its subcommands."""
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser._options() if isinstance(parser, Parser) else ()
