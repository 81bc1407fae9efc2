"""`batchrunner validate` and `schema`: send nothing and create nothing."""

from __future__ import annotations

import argparse

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import as_values, say, say_json
from batchrunner.cli.loading import add_manifest, load
from batchrunner.core.text import count, printable


def add_validate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `validate`."""
    add_manifest(parser)
    shared.add_json(parser)
    parser.set_defaults(run=validate)


def add_schema(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `schema`."""
    names = ("manifest", "task", "results", "scenario", "models", "events")
    parser.add_argument("name", nargs="?", default="manifest", choices=names)
    parser.set_defaults(run=schema)


def validate(options: argparse.Namespace) -> int:
    """Check a manifest and print how many tasks it has."""
    loaded = load(options)
    tasks = loaded.plan.tasks
    if options.json:
        say_json({"tasks": len(tasks), "warnings": as_values(loaded.warnings)})
    else:
        say(f"{printable(str(options.manifest))}: {count(len(tasks), 'task')}, no errors")
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print a JSON Schema."""
    from batchrunner.manifest import schema_text  # noqa: PLC0415

    say(schema_text(options.name).rstrip())
    return 0
