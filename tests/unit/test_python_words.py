"""Hints of the command, in the words of the Python API."""

import inspect
import re

import pytest

from batchrunner.api import run
from batchrunner.api.errors import python_words
from batchrunner.cli.main import parser


@pytest.mark.parametrize(
    ("command", "python"),
    [
        ("add --yes to confirm", "add yes=True to confirm"),
        ("remove --base-url and --api-key-file", "remove `base_url` and `api_key_file`"),
        ("use -o a/b.run to resume; --new pays", "use directory='a/b.run' to resume; new=True pays"),
        ("resume with -o 'my runs/b'; then", "resume with directory='my runs/b'; then"),
        ("choose a shorter path with -o DIR", "choose a shorter path with `directory`"),
        ("name it with -o", "name it with `directory`"),
        ("--base-url https://a.b:1 resumes there", "base_url='https://a.b:1' resumes there"),
        ("raise --max-cost, then run the same command again", "raise `max_cost`, then call `run` again"),
        ("`batchrunner recover m.yaml -o b.run --simulate` rebuilds it", None),
        ("start Python with -X utf8; a well-o file, --news, a -old one, don't", None),
    ],
)
def test_options_become_arguments_and_commands_stay(command: str, python: str | None) -> None:
    """What is in backticks is a command for a terminal."""
    assert python_words(command) == (python or command)


def test_every_option_of_the_command_that_is_an_argument_is_translated() -> None:
    """A new argument must be known to the hints."""
    options = {
        word: action.dest
        for action in parser().prepared.commands()["run"]._actions
        for word in action.option_strings
        if word.startswith("--")
    }
    arguments = set(inspect.signature(run).parameters)
    found = [word for word, name in options.items() if name in arguments]
    assert len(found) >= 12
    assert [word for word in found if re.search(r"--|-o", python_words(f"see {word}."))] == []
