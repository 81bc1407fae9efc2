"""`batchrunner completion`: what the shells make of its scripts."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from batchrunner.cli.main import COMMANDS

BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
[[ $(complete -p batchrunner) =~ -F\\ ([^ ]+) ]]
"${BASH_REMATCH[1]}" batchrunner "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
NAMES = [name for name, _, _ in COMMANDS]


@pytest.fixture
def script(desk: Any) -> Any:
    """Writes a shell's script into a file."""

    def written(shell: str) -> Path:
        done = desk.do("completion", shell, key=None)
        assert (done.code, done.stderr) == (0, "")
        path: Path = desk.folder / f"completion.{shell}"
        path.write_text(done.stdout, encoding="utf-8")
        return path

    return written


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ([""], NAMES),
        (["val"], ["validate"]),
        (["run", "--max"], ["--max-cost"]),
        (["run", "m.yaml", "--format", ""], ["long", "short"]),
        (["schema", "ta"], ["task"]),
        (["run", "--out"], ["--output"]),
        (["status", "ba"], ["batch.run", "batch.yaml"]),
        (["run", "m.yaml", "-o", "ba"], ["batch.run"]),
    ],
)
def test_bash_completes_commands_options_choices_and_paths(
    desk: Any, script: Any, words: list[str], completed: list[str]
) -> None:
    """As pressing Tab at the end of the line does."""
    desk.manifest.touch()
    desk.directory.mkdir()
    command = ["bash", "--norc", "-c", BASH, "bash", str(script("bash")), "batchrunner", *words]
    done = subprocess.run(command, cwd=desk.folder, capture_output=True, encoding="utf-8", check=True)
    assert sorted(done.stdout.split()) == sorted(completed)
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_accept_their_script(script: Any, shell: str) -> None:
    """Help texts with quotes and backticks stay texts."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-n", str(script(shell))], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_in_the_script(script: Any, shell: str) -> None:
    """It is made from the parser, so nothing is forgotten."""
    text = script(shell).read_text(encoding="utf-8")
    assert [name for name in NAMES if name not in text] == []
    assert [
        option for option in ("api-key-file", "check-urls", "max-cost", "offline") if option not in text
    ] == []


def test_batchrunner_alone_shows_its_help(desk: Any) -> None:
    """On stderr, and exit 2: a script that lost its arguments must not go on."""
    done = desk.do(key=None)
    assert (done.code, done.stdout) == (2, "")
    assert "exit codes:" in done.stderr
    assert all(name in done.stderr for name in NAMES)
