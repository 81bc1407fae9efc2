"""`batchrunner results`: writes results.csv again from the ledger, and prints its rows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.console import say, shown_path, talk
from batchrunner.cli.process import run_async
from batchrunner.cli.retry import of_run, opened, write_results
from batchrunner.core.errors import StorageError
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.ledger import ResultRows


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `results`."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="run directory, or its manifest")
    parser.add_argument("--all", action="store_true", help="include tasks no longer in the manifest")
    parser.add_argument(
        "--excel",
        action=argparse.BooleanOptionalAction,
        help="add the byte order mark Excel needs to detect UTF-8, also in later runs",
    )
    parser.add_argument("--json", action="store_true", help="print all rows as JSON on stdout")
    parser.set_defaults(run=lambda options: run_async(_results(of_run(options))))


async def _results(options: argparse.Namespace) -> int:
    from batchrunner.core.file_names import RESULTS_NAME  # noqa: PLC0415
    from batchrunner.engine.video_check import look_at_files  # noqa: PLC0415
    from batchrunner.engine.video_place import bucket_of  # noqa: PLC0415

    path, planned_only = options.directory / RESULTS_NAME, not options.all
    async with opened(options.directory) as ledger:
        try:
            bucket = await bucket_of(ledger, options.directory)
            await look_at_files(ledger, options.directory, bucket=bucket)
        except StorageError as error:  # the rows are in the ledger
            talk(f"{error}; the rows show the videos as they were at the last look")
        rows = await write_results(ledger, options.directory, planned_only, options.excel)
        if options.json:
            await ledger.read_results(lambda source: _print_rows(path, source), planned_only)
    if not options.json:
        say(f"{shown_path(path)}: {count(rows, 'row')}")
    return 0


def _print_rows(path: Path, source: ResultRows) -> None:
    """Print one JSON object, a line for each row: there may be a million."""
    from batchrunner.output.results import json_line  # noqa: PLC0415

    labels, before = source.labels(), ""
    say(f'{{"results": {json.dumps(str(path))}, "excel": {json.dumps(source.for_excel)}, "rows": [')
    for row in source.all():
        if before:
            say(f"{before},")
        before = json_line(row, labels)
    say(f"{before}]}}")
