"""The `batchrunner` command: builds the parser, runs a command, turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import resource
from collections.abc import Sequence

from batchrunner.cli import process, streams
from batchrunner.cli.argument_parser import Parser
from batchrunner.cli.console import show_error
from batchrunner.cli.crash import explained
from batchrunner.cli.loading import is_short, wants_every
from batchrunner.cli.recover import add_recover
from batchrunner.cli.resolve import add_resolve
from batchrunner.cli.retry import add_results, add_retry
from batchrunner.cli.run import add_collect, add_run
from batchrunner.cli.set import add_set
from batchrunner.cli.simulator import add_simulator
from batchrunner.cli.status import add_status
from batchrunner.cli.validate import add_plan, add_schema, add_validate
from batchrunner.core.errors import ExitCode
from batchrunner.version import __version__

EPILOG = """\
exit codes:
  0  every task done                        4  the account: key, permission or balance
  1  some tasks failed or uncollected       5  disk or file permission
  2  bad command line, manifest or ledger   75  unfinished: run the same command again
  3  tasks in doubt: you must decide        129, 130, 143  stopped by a signal; resumable
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(
        prog="batchrunner",
        description="Run batches of Seedance video generations from a manifest; resumes, never pays twice.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"batchrunner {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_run(commands)
    add_validate(commands)
    add_plan(commands)
    add_status(commands)
    add_set(commands)
    add_collect(commands)
    add_recover(commands)
    add_retry(commands)
    add_resolve(commands)
    add_results(commands)
    add_simulator(commands)
    add_schema(commands)
    return top


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
        options = parser().parse_args(arguments)
        _forbid_core_dumps()
        return int(options.run(options))
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        told = explained(error)
        as_json = getattr(options, "json", False)
        show_error(told, as_json, short=is_short(options), every_problem=wants_every(options))
        return told.exit_code


def _forbid_core_dumps() -> None:
    """Disable core dumps: they would contain the key. A limit of 1 byte also stops piped dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    size = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (size, size))
