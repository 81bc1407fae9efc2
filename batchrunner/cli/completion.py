"""`batchrunner completion`: prints a shell's completion script, made from the parser itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from batchrunner.cli.argument_parser import Parser
from batchrunner.cli.console import say
from batchrunner.cli.run_directory import run_folder

SHELLS = ("bash", "zsh", "fish")


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `completion`."""
    parser.epilog = (
        'bash: put `eval "$(batchrunner completion bash)"` into ~/.bashrc; zsh: the same with zsh into '
        "~/.zshrc, after compinit; fish: save the script as ~/.config/fish/completions/batchrunner.fish"
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=" or ".join(SHELLS))
    parser.set_defaults(run=completion)


def completion(options: argparse.Namespace) -> int:
    """Print the script for one shell."""
    import shtab  # noqa: PLC0415

    from batchrunner.cli.main import COMMANDS, parser  # noqa: PLC0415

    top = parser().prepared
    for name, _, text in COMMANDS:
        top.commands()[name].description = text  # the short one, beside each command
        _name_paths(top.commands()[name], {"file": shtab.FILE, "folder": shtab.DIRECTORY})
    say(shtab.complete(top, options.shell).rstrip())
    return 0


def _name_paths(parser: Parser, kinds: dict[str, Any]) -> None:
    """Mark the arguments that are paths, so that the shell completes them."""
    for action in parser._actions:
        if action.type in (Path, run_folder):
            is_folder = bool(action.option_strings) and action.metavar == "DIR"
            action.complete = kinds["folder" if is_folder else "file"]  # type: ignore[attr-defined]
