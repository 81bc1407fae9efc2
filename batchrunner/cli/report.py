"""`batchrunner report`: writes one page with all videos, for a web browser."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import say, say_json, show_problems, shown_path, talk
from batchrunner.cli.process import run_async, share_memory_pool
from batchrunner.cli.run_directory import existing_run
from batchrunner.cli.shown_progress import ShownProgress
from batchrunner.core.errors import ManifestError, UsageError
from batchrunner.core.text import command, count, iso, printable

if TYPE_CHECKING:
    from batchrunner.core.failure_groups import FailureGroup
    from batchrunner.ledger import LedgerReader
    from batchrunner.output.report import OtherRun, Stored

MOST_NAMED = 3
"""How many broken videos are named."""
_SHOW_EVERY = 1.0
"""Seconds between two lines about the pictures, on a terminal."""


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `report`."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="run directory, or its manifest")
    parser.add_argument(
        "--beside",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="show the videos of another run of the same tasks beside them; may be repeated",
    )
    parser.add_argument(
        "--inputs",
        metavar="FOLDER",
        type=Path,
        help="folder to which local pictures in the manifest are relative",
    )
    parser.add_argument("--all", action="store_true", help="include tasks no longer in the manifest")
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: run_async(_report(options)))


async def _report(options: argparse.Namespace) -> int:
    from batchrunner.core.file_names import PICTURES, REPORT_NAME  # noqa: PLC0415
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415
    from batchrunner.ledger.gallery import read_gallery  # noqa: PLC0415
    from batchrunner.output.report import Pictures, contents, page_of, write_page  # noqa: PLC0415
    from batchrunner.storage.files import remove_part_files  # noqa: PLC0415

    share_memory_pool()
    directory = existing_run(options.directory)
    pictures = Pictures(directory, _input_folders(options, directory))
    progress = ShownProgress("pictures", _SHOW_EVERY)
    with TemporaryDirectory(prefix="batchrunner-") as scratch:
        async with LedgerReader.open_existing(directory) as ledger:
            run_id, stored = await ledger.run_id(), await _stored(ledger, Path(scratch))
            others = await _others([existing_run(path) for path in options.beside], run_id, Path(scratch))
            gallery = await ledger.ask_history(partial(read_gallery, planned_only=not options.all))
            head = await _head(ledger, directory, run_id)
        shown = contents(gallery, directory, run_id, pictures, others, now=time.time(), stored=stored)
        head |= _verdicts(directory)
        remove_part_files(directory, REPORT_NAME)
        remove_part_files(directory / PICTURES)
        broken = pictures.make(progress) | await pictures.make_of_objects(progress)
    head |= {"failures": [_failure(group, directory) for group in shown.troubles], "broken": list(broken)}
    target = directory / REPORT_NAME
    data = head | {"tasks": shown.tasks, "charts": shown.charts, "films": shown.films}
    page = page_of(str(head["name"]), data)
    if kept := write_page(target, page):
        why = "was edited, or is not a report"
        talk(f"{shown_path(target)} {why}; the old file is kept as {printable(kept.name)}")
    for path in list(broken.values())[:MOST_NAMED]:
        talk(f"{shown_path(path)} can't be decoded: it has no picture")
    if options.json:
        values = {"report": str(target), "tasks": len(shown.tasks), "videos": shown.videos}
        say_json(values | {"broken": [str(path) for path in broken.values()]})
    else:
        say(f"{shown_path(target)}: {count(len(shown.tasks), 'task')}, {count(shown.videos, 'video')}")
        say("open it in a web browser; it needs no network")
    return 0


async def _stored(ledger: LedgerReader, scratch: Path) -> Stored | None:
    """The videos of a run that are in a bucket; None if they are in its directory.

    Raises:
        StorageError: the bucket can't be read.
    """
    from batchrunner.core.file_names import VIDEOS  # noqa: PLC0415
    from batchrunner.output.report import Stored  # noqa: PLC0415
    from batchrunner.storage.object_videos import ObjectVideos  # noqa: PLC0415

    url = (await ledger.binding()).videos
    if not url:
        return None
    (scratch / VIDEOS).mkdir(exist_ok=True)
    place = ObjectVideos(url, scratch, asyncio.sleep)
    return Stored(place, await place.listing())


async def _others(directories: Sequence[Path], shown: str, scratch: Path) -> list[OtherRun]:
    """Other runs, whose videos are shown beside those of the run `shown`.

    A verdict names a run and a file in it: with a copy of a run on the page, a verdict about one video would
    also be one about the other, and pay for it.

    Raises:
        UsageError: two of them are the same run.
    """
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415
    from batchrunner.ledger.gallery import read_gallery  # noqa: PLC0415
    from batchrunner.output.report import OtherRun  # noqa: PLC0415

    others: dict[str, OtherRun] = {}
    for directory in directories:
        async with LedgerReader.open_existing(directory) as ledger:
            run_id = await ledger.run_id()
            if run_id == shown or run_id in others:
                raise UsageError(
                    f"--beside {directory} is a run that is already shown, or a copy of it",
                    "name the directory of another run",
                )
            gallery = await ledger.ask_history(partial(read_gallery, planned_only=True))
            stored = await _stored(ledger, scratch)
            others[run_id] = OtherRun.of(gallery, directory, run_id, stored)
    return list(others.values())


def _input_folders(options: argparse.Namespace, directory: Path) -> list[Path]:
    """Where the manifest's local pictures may be: it stands beside the run directory, or above its night."""
    if options.inputs:
        return [options.inputs]
    place = directory.absolute()
    manifest = [options.directory.absolute().parent] if options.directory.is_file() else []
    return list(dict.fromkeys([*manifest, place.parent, place.parent.parent]))


async def _head(ledger: LedgerReader, directory: Path, run_id: str) -> dict[str, object]:
    """What the page says about the run as a whole."""
    from batchrunner.cli.run_summary import spent_in_words  # noqa: PLC0415
    from batchrunner.core.identity import SIMULATOR  # noqa: PLC0415

    binding = await ledger.binding()
    spent = await ledger.spent()
    return {
        "name": binding.name or directory.name,
        "run": run_id,
        "directory": directory.name,
        "simulated": binding.gateway == SIMULATOR,
        "made": iso(time.time()),
        "spent": spent_in_words(spent),
        "again": f"{command('retry', shown_path(directory))} --again --from verdicts.csv",
        "story": command("status", shown_path(directory)),
    }


def _verdicts(directory: Path) -> dict[str, object]:
    """The verdicts in the run directory, where a person has put them, and when their file was written."""
    from batchrunner.core.file_names import VERDICTS_NAME  # noqa: PLC0415
    from batchrunner.operations.verdicts import read_verdicts  # noqa: PLC0415

    path = directory / VERDICTS_NAME
    if not path.is_file():
        return {"verdicts": [], "verdicts_at": None}
    try:
        written_at, rows = path.stat().st_mtime, read_verdicts(path)
    except UsageError as error:
        talk(f"the verdicts in {shown_path(path)} are left out:")
        if isinstance(error, ManifestError):
            show_problems(error.problems)
        else:
            talk(f"  {error}")
        return {"verdicts": [], "verdicts_at": None}
    verdicts = [
        {
            "run": row.run,
            "fingerprint": row.fingerprint,
            "id": row.id,
            "file_name": row.file_name,
            "verdict": row.verdict.value,
            "note": row.note,
        }
        for row in rows
    ]
    return {"verdicts": verdicts, "verdicts_at": round(written_at * 1000)}


def _failure(group: FailureGroup, directory: Path) -> dict[str, object]:
    """A group of failures as JSON values, with the command that helps."""
    from batchrunner.core.failure_groups import Remedy  # noqa: PLC0415

    place = shown_path(directory)
    commands = {
        Remedy.RETRY: command(
            "retry", place, *(group.ids if len(group.ids) <= MOST_NAMED else ("--failed",))
        ),
        Remedy.COLLECT: command("collect", place),
        Remedy.RESOLVE: command("resolve", place),
        Remedy.NONE: "",
    }
    return {
        "state": group.state.value,
        "code": group.code,
        "message": group.message,
        "meaning": group.cause.meaning,
        "advice": group.cause.advice,
        "command": printable(commands[group.cause.remedy]),
        "then": "then run the manifest again" if group.cause.remedy is Remedy.RETRY else "",
        "keys": group.keys,
        "ids": group.ids[:MOST_NAMED],
        "count": len(group.ids),
    }
