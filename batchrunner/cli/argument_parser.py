"""An argument parser whose errors look like all others: message, then hint."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Self

from batchrunner.core.errors import UsageError
from batchrunner.core.text import closest

_SECRET = re.compile(r"--?(api-?)?(key|token|secret|password)", re.IGNORECASE)
_NO_SECRETS = (
    "everyone on this machine can read arguments: set EASYROUTER_API_KEY, or pass a file with --api-key-file"
)
_CHOICE = re.compile(r"invalid choice: '([^']*)'")


class Parser(argparse.ArgumentParser):
    """Raises a UsageError where argparse would print its message and exit; options may appear anywhere."""

    _is_intermixing = False

    def __init__(
        self, *args: Any, add_arguments: Callable[[Parser], None] = lambda parser: None, **options: Any
    ) -> None:
        """Like argparse's own, but options can't be abbreviated: `--api-key` must not be `--api-key-file`.

        `add_arguments` is called when the arguments are needed.
        """
        super().__init__(*args, **options | {"allow_abbrev": False})
        self._add_arguments = add_arguments

    def complete(self) -> None:
        """Add the arguments that were left for later."""
        add, self._add_arguments = self._add_arguments, lambda parser: None
        add(self)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """The parsed command line; `command` is None if nothing at all was given.

        Raises:
            UsageError: it is invalid.
        """
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            raise self._unrecognized(options.command, unknown)
        return options

    @property
    def prepared(self) -> Self:
        """The same, with the arguments of all commands added."""
        self.complete()
        for parser in self.commands().values():
            parser.complete()
        return self

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """The parsed command line and the unrecognized arguments; options may appear between arguments."""
        self.complete()
        if self._is_intermixing or self.commands():
            return super().parse_known_args(args, namespace)
        self._is_intermixing = True
        try:
            return super().parse_known_intermixed_args(args, namespace)
        finally:
            self._is_intermixing = False

    def error(self, message: str) -> NoReturn:
        """Report what is wrong with the command line.

        Raises:
            UsageError: always.
        """
        listed = "commands and options" if self.commands() else "its options"
        hint = f"`{self.prog} --help` lists {listed}"
        if close := self._meant(message):
            hint = f"did you mean `{close}`? {hint}"
        if self.commands() and (unknown := _CHOICE.search(message)):
            message = f"no such command: {unknown[1]}"  # the list of all of them would hide it
        raise UsageError(message, hint)

    def _meant(self, message: str) -> str:
        found = _CHOICE.search(message)
        words = [str(word) for action in self._actions for word in action.choices or ()]
        return closest(found[1], words) if found else ""

    def _unrecognized(self, command: str | None, unknown: Sequence[str]) -> UsageError:
        """The error for an unknown option: suggests a similar one, or the commands that have it."""
        name, commands = unknown[0].partition("=")[0], self.prepared.commands()
        if _SECRET.fullmatch(name):
            return UsageError(f"unrecognized argument: {name}", _NO_SECRETS)
        if command is None:
            close = closest(name, self._option_string_actions)
            hint = f"`{self.prog} --help` lists commands and options"
            return UsageError(
                f"unrecognized arguments: {' '.join(unknown)}",
                f"did you mean `{close}`? {hint}" if close else hint,
            )
        own = commands[command]._option_string_actions
        hint = f"`{self.prog} {command} --help` lists its options"
        if name in own:
            hint = f"write options after the command: `{self.prog} {command} {name}`"
        elif having := [
            f"`{other}`" for other, parser in commands.items() if name in parser._option_string_actions
        ]:
            hint = f"`{command}` has no {name}; it is an option of {', '.join(having)}. {hint}"
        elif name.startswith("-") and (close := closest(name, own)):
            hint = f"did you mean `{close}`? {hint}"
        return UsageError(f"unrecognized arguments: {' '.join(unknown)}", hint)

    def commands(self) -> Mapping[str, Parser]:
        """The parsers of the subcommands, by name."""
        return {
            name: parser
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for name, parser in action.choices.items()
        }
