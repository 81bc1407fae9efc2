"""The `batchrunner` command: builds the parser, runs a command, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from batchrunner.cli import process, streams
from batchrunner.cli.argument_parser import Parser
from batchrunner.cli.crash import explained
from batchrunner.core.errors import ExitCode
from batchrunner.version import __version__

EPILOG = """\
exit codes:
  0  every task done                        4  the account: key, permission or balance
  1  some tasks failed or uncollected       5  disk or file permission
  2  bad command line, manifest or ledger   75  unfinished: run the same command again
  3  tasks in doubt: you must decide        129, 130, 143  stopped by a signal; resumable
"""

COMMANDS = (
    ("init", "init", "write a manifest to begin with, from a file of prompts or a folder of pictures"),
    ("run", "run", "submit, poll and download the videos of a manifest; resumes an earlier run"),
    ("validate", "validate", "check a manifest without sending anything"),
    ("plan", "plan", "show what a run would do, why, and what it may cost, without sending anything"),
    ("status", "status", "show the progress of a run, also while it is running"),
    ("set", "set", "change the limits of a run in progress"),
    ("collect", "run", "poll and download paid tasks; never submits"),
    ("recover", "recover", "rebuild a lost or outdated ledger and collect paid tasks; never submits"),
    ("retry", "retry", "reset failed tasks to pending; the next run submits them"),
    ("resolve", "resolve", "look up or settle tasks in doubt"),
    ("results", "results", "rewrite results.csv from the ledger"),
    ("report", "report", "write a page that shows all videos, failures and charts, for a web browser"),
    ("export", "export", "make a dataset or films from the finished videos of run directories"),
    ("doctor", "doctor", "check what a run needs: versions, disk, clock, key, network, gateway"),
    ("simulator", "simulator", "run a simulated gateway on this machine"),
    ("schema", "validate", "print a JSON Schema"),
    ("completion", "completion", "print a script that completes commands and options in a shell"),
)
"""Each command, its module, whose `add_COMMAND` adds its arguments, and its help."""


def parser() -> Parser:
    """The whole command line. A command's module is loaded only if the command is used."""
    top = Parser(
        prog="batchrunner",
        description="Run batches of Seedance video generations from a manifest; resumes, never pays twice.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"batchrunner {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, module, text in COMMANDS:
        commands.add_parser(name, help=text, add_arguments=partial(_add_arguments, module, name))
    return top


def _add_arguments(module: str, command: str, to: Parser) -> None:
    getattr(import_module(f"batchrunner.cli.{module}"), f"add_{command}")(to)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to this process's command line."""
    process.open_standard_descriptors()
    streams.install()
    return streams.exit_code(_carried_out(arguments))


def _carried_out(arguments: Sequence[str] | None) -> int:
    options = argparse.Namespace()
    try:
        if arguments is None:
            process.restart_in_utf8()
        top = parser()
        options = top.parse_args(arguments)
        options.typed = tuple(sys.argv[1:] if arguments is None else arguments)
        if options.command is None:
            top.print_help(sys.stderr)
            return ExitCode.USAGE
        _forbid_core_dumps()
        return int(options.run(options))
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except KeyboardInterrupt:
        if getattr(options, "command", "") in ("run", "collect"):  # before or after the run itself
            sys.stderr.write("interrupted: run the same command again; nothing that is paid for is lost\n")
        return ExitCode.INTERRUPTED
    except Exception as error:
        from batchrunner.cli.console import show_error  # noqa: PLC0415  `--help` is faster without
        from batchrunner.cli.loading import is_short, lists_each, wants_every  # noqa: PLC0415

        told = explained(error)
        as_json = getattr(options, "json", False)
        show_error(told, as_json, is_short(options), wants_every(options), lists_each(options))
        return told.exit_code


def _forbid_core_dumps() -> None:
    """Disable core dumps: they would contain the key. A limit of 1 byte also stops piped dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    size = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (size, size))
