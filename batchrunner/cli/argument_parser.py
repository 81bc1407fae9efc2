"""A parser whose mistakes are told like all others: what is wrong, then a hint."""

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
    """Raises what argparse would print before it exits."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line.

        Raises:
            UsageError: always.
        """
        hint = f"`{self.prog} --help` lists what there is"
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
        """Every option of this parser and of the commands below it."""
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser._options() if isinstance(parser, Parser) else ()
