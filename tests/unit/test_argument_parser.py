"""The command line: where options may stand, and what is said of those that a command lacks."""

import itertools
import subprocess
import sys

import pytest

from batchrunner.cli.main import parser
from batchrunner.core.errors import UsageError


def hint(*arguments: str) -> str:
    """The hint of a command line that is refused."""
    with pytest.raises(UsageError) as refused:
        parser().parse_args(arguments)
    return refused.value.hint


@pytest.mark.parametrize("words", list(itertools.permutations(("d", "a", "--again"))))
def test_options_may_stand_anywhere(words: tuple[str, ...]) -> None:
    """Before, between and after the arguments, which keep their order."""
    options = parser().parse_args(["retry", *words])
    directory, task = (word for word in words if word != "--again")
    assert (str(options.directory), options.tasks, options.again) == (directory, [task], True)


def test_an_option_with_a_value_may_stand_between_arguments() -> None:
    """The value is not taken for an argument."""
    options = parser().parse_args(["resolve", "d", "--adopt", "task_1", "a"])
    assert (str(options.directory), options.task, options.adopt) == ("d", "a", "task_1")


def test_the_commands_that_have_an_option_are_named() -> None:
    """Rather than the option that was typed."""
    assert "`validate` has no --limit; it is an option of `run`, `plan`" in hint(
        "validate", "m.yaml", "--limit", "3"
    )
    assert "`batchrunner validate --help`" in hint("validate", "m.yaml", "--limit", "3")


def test_a_misspelt_option_is_one_of_the_command() -> None:
    """The nearest one that would be taken there."""
    assert "did you mean `--limit`?" in hint("run", "m.yaml", "--limt=3")
    assert "did you mean" not in hint("run", "m.yaml", "second.yaml")


def test_missing_arguments_are_those_that_are_required() -> None:
    """IDs may be left out."""
    with pytest.raises(UsageError, match=r"required: DIR$"):
        parser().parse_args(["retry"])


def test_help_loads_no_command() -> None:
    """The list of commands is shown at once, whatever the commands need."""
    code = "import sys; from batchrunner.cli.main import main; main(['--help']); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    shown, _, loaded = ended.stdout.partition("exit codes:")
    assert "simulator" in shown
    ours = {name.rpartition(".")[2] for name in loaded.split() if name.startswith("batchrunner.cli.")}
    assert ours == {"main", "process", "streams", "argument_parser", "crash"}
