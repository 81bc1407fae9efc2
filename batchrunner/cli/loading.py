"""The manifest of a command: its options, and what is wrong with it told as they say."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.output import show_problems
from batchrunner.core.errors import ManifestError
from batchrunner.core.problems import Severity

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

    loaded = load_manifest(options.manifest, with_urls=options.check_urls)
    if options.check_urls:
        from batchrunner.manifest.urls import check_urls  # noqa: PLC0415

        asked = asyncio.run(check_urls(loaded))
        found = sorted(asked + loaded.warnings, key=lambda problem: problem.severity is Severity.WARNING)
        loaded = replace(loaded, warnings=tuple(found))
    errors = any(problem.severity is Severity.ERROR for problem in loaded.warnings)
    if errors or (loaded.warnings and options.strict):
        raise ManifestError(loaded.warnings)
    if loaded.warnings and not getattr(options, "quiet", False):
        show_problems(loaded.warnings, is_short(options))
    return loaded


def is_short(options: argparse.Namespace) -> bool:
    """Whether problems shall be one line each."""
    return getattr(options, "format", "long") == "short"
