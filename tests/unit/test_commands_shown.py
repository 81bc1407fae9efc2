"""The commands that are shown to the user."""

from argparse import Namespace

from batchrunner.cli.run_summary import resuming_command


def test_what_makes_a_new_run_directory_does_not_resume_it() -> None:
    """`--new` is refused once the directory is there."""
    typed = ("run", "my film.yaml", "-o", "fresh", "--new", "--notify", "https://user:secret@host/")
    assert resuming_command(Namespace(typed=typed)) == "batchrunner run 'my film.yaml' -o fresh"
