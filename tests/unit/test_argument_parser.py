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
    assert "did you mean" not in hint("validate", "m.yaml", "second.yaml")


def test_options_are_not_abbreviated() -> None:
    """`--api-key` is not `--api-key-file`: the key would be taken for a file, and shown."""
    for given in ("--sim", "--api-key-f=x", "--js"):
        assert "did you mean `--" in hint("run", "m.yaml", given)


@pytest.mark.parametrize("option", ["--api-key", "--apikey", "--key", "--token", "--password", "--API-KEY"])
@pytest.mark.parametrize("form", ["{}=c4n4ry", "{} c4n4ry"])
def test_a_secret_given_as_an_argument_is_not_repeated(option: str, form: str) -> None:
    """Only the option is named, and where the key goes."""
    with pytest.raises(UsageError) as refused:
        parser().parse_args(["run", "m.yaml", *form.format(option).split()])
    assert "--api-key-file" in refused.value.hint
    assert "c4n4ry" not in f"{refused.value} {refused.value.hint}"


def test_options_before_the_command_are_told_where_they_go() -> None:
    """They are options of the command, or of none."""
    assert "write options after the command: `batchrunner status --json`" in hint("--json", "status", "d")
    assert "did you mean `--version`?" in hint("--versoin")


def test_a_misspelt_command_is_recognised() -> None:
    """The nearest command is named."""
    assert "did you mean `validate`?" in hint("validat", "m.yaml")


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


def test_unknown_command_is_one_short_line() -> None:
    """All commands in one line would hide what is wrong."""
    with pytest.raises(UsageError, match=r"^no such command: rum$"):
        parser().parse_args(["rum"])
