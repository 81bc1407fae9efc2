"""The manifest of a command: its options, and what is wrong with it told as they say."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.console import show_problems
from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Problem, Severity

if TYPE_CHECKING:
    from batchrunner.manifest import LoadedManifest


def add_manifest(parser: argparse.ArgumentParser, checks: bool = True) -> None:
    """The manifest and how its problems are told; with `checks`, how closely it is looked at."""
    parser.add_argument("manifest", metavar="MANIFEST", type=Path)
    parser.add_argument(
        "--format",
        choices=("long", "short"),
        default="long",
        help="problems with the line they stand in, or as one line each, for editors",
    )
    parser.add_argument(
        "--all", dest="every_problem", action="store_true", help="show equal problems one by one"
    )
    parser.set_defaults(strict=False, check_urls=False)
    if checks:
        parser.add_argument(
            "--strict", action="store_true", help="treat warnings about the manifest as errors"
        )
        parser.add_argument(
            "--check-urls", action="store_true", help="ask for each URL among the inputs, once"
        )


def load(options: argparse.Namespace) -> LoadedManifest:
    """The manifest, checked; its warnings are told.

    Raises:
        ManifestError: it has errors, or warnings with --strict.
    """
    from batchrunner.manifest import load_manifest  # noqa: PLC0415

    try:
        loaded = load_manifest(options.manifest, with_urls=options.check_urls)
    except ManifestError as error:
        raise ManifestError(_judged(error.problems, options.strict)) from error
    if options.check_urls:
        from batchrunner.operations.check_urls import check_urls  # noqa: PLC0415

        asked = asyncio.run(check_urls(loaded))
        both = sorted(asked + loaded.warnings, key=lambda problem: problem.severity is Severity.WARNING)
        loaded = replace(loaded, warnings=tuple(both))
    found = _judged(loaded.warnings, options.strict)
    if any(problem.severity is Severity.ERROR for problem in found):
        raise ManifestError(found)
    if loaded.warnings and not getattr(options, "quiet", False):
        show_problems(loaded.warnings, is_short(options), every=wants_every(options))
    return loaded


def _judged(problems: tuple[Problem, ...], strict: bool) -> tuple[Problem, ...]:
    """With `strict`, warnings as errors that say why they are."""
    if not strict:
        return problems
    return tuple(
        replace(problem, severity=Severity.ERROR, message=f"{problem.message} (a warning, but for --strict)")
        if problem.severity is Severity.WARNING
        else problem
        for problem in problems
    )


def is_short(options: argparse.Namespace) -> bool:
    """Whether to show each problem in one line."""
    return getattr(options, "format", "long") == "short"


def wants_every(options: argparse.Namespace) -> bool:
    """Whether to show equal problems one by one, as commands without a manifest do."""
    return getattr(options, "every_problem", True)
