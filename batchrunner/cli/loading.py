"""Loads a command's manifest and reports its problems in the requested format."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.console import show_problems
from batchrunner.cli.process import run_async
from batchrunner.cli.shown_progress import ShownProgress
from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Problem, Severity
from batchrunner.core.text import printable

if TYPE_CHECKING:
    from batchrunner.manifest import LoadedManifest

TELL_EVERY = 5.0
"""Seconds between two lines that say how many tasks have been read."""


def add_manifest(parser: argparse.ArgumentParser, checks: bool = True, several: bool = False) -> None:
    """Add the manifest, or `several`, and the format of problems; with `checks`, also the stricter checks."""
    if several:
        text = "several, or their folder, share the account's slots by `run.weight`"
        parser.add_argument("manifests", metavar="MANIFEST", type=Path, nargs="+", help=text)
    else:
        parser.add_argument("manifest", metavar="MANIFEST", type=Path)
    parser.add_argument(
        "--format",
        choices=("long", "short"),
        default="long",
        help="show problems with their source line, or one per line for editors",
    )
    parser.add_argument(
        "--all", dest="every_problem", action="store_true", help="list every problem, even repeated ones"
    )
    parser.set_defaults(strict=False, check_urls=False)
    if checks:
        parser.add_argument("--strict", action="store_true", help="treat manifest warnings as errors")
        parser.add_argument(
            "--check-urls",
            action="store_true",
            help="request each input URL once to check that it is reachable",
        )


def load(options: argparse.Namespace) -> LoadedManifest:
    """Load and check the manifest, and show its warnings.

    Raises:
        ManifestError: it has errors, or warnings with --strict.
    """
    from batchrunner.manifest import load_manifest  # noqa: PLC0415
    from batchrunner.storage import open_inputs  # noqa: PLC0415

    try:
        known: LoadedManifest | None = getattr(options, "loaded", None)  # only the Python API has it
        place = getattr(options, "videos", None) or ""
        told = ShownProgress(f"tasks of {printable(options.manifest.name)}", TELL_EVERY, is_quiet(options))
        loaded = known or load_manifest(options.manifest, options.check_urls, open_inputs, place, told)
    except ManifestError as error:
        raise ManifestError(_judged(error.problems, options.strict)) from error
    if options.check_urls:
        from batchrunner.operations.check_urls import check_urls  # noqa: PLC0415

        asked = run_async(check_urls(loaded))
        both = sorted(asked + loaded.warnings, key=lambda problem: problem.severity is Severity.WARNING)
        loaded = replace(loaded, warnings=tuple(both))
    found = _judged(loaded.warnings, options.strict)
    if any(problem.severity is Severity.ERROR for problem in found):
        raise ManifestError(found)
    if loaded.warnings and not is_quiet(options):
        show_problems(loaded.warnings, is_short(options), wants_every(options), lists_each(options))
    return loaded


def _judged(problems: tuple[Problem, ...], strict: bool) -> tuple[Problem, ...]:
    """The problems, with warnings turned into errors if `strict`."""
    if not strict:
        return problems
    return tuple(
        replace(
            problem,
            severity=Severity.ERROR,
            message=f"{problem.message} (a warning, made an error by --strict)",
        )
        if problem.severity is Severity.WARNING
        else problem
        for problem in problems
    )


def is_quiet(options: argparse.Namespace) -> bool:
    """Whether the user wants only the result."""
    return getattr(options, "quiet", False)


def is_short(options: argparse.Namespace) -> bool:
    """Whether to show each problem on one line."""
    return getattr(options, "format", "long") == "short"


def wants_every(options: argparse.Namespace) -> bool:
    """Whether to list equal problems one by one."""
    return getattr(options, "every_problem", False)


def lists_each(options: argparse.Namespace) -> str:
    """The option with which the command lists equal problems one by one; empty if it has none."""
    return "--all" if hasattr(options, "every_problem") else "--json" if hasattr(options, "json") else ""
