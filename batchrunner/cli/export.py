"""`batchrunner export`: makes a dataset from the finished videos of run directories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.connection import binding_of
from batchrunner.cli.console import say, say_json, shown_path, talk
from batchrunner.cli.process import run_async, share_memory_pool
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import AccountError, ExitCode, UsageError, most_urgent
from batchrunner.core.text import count, plain_number

if TYPE_CHECKING:
    from batchrunner.operations.export import Exported
    from batchrunner.output.export.format import SetWriter
    from batchrunner.output.export.localising import Localise
    from batchrunner.output.export.samples import MakesShards, ShardFormat

FORMATS = ("hf", "webdataset", "parquet", "jsonl", "csv")
ROWS_ONLY = ("jsonl", "csv")
"""Formats with one file that is written anew each time."""
FILM = "film"
OPTIONS_OF = {
    "push": FORMATS,
    "verify": FORMATS,
    "shard_size": ("webdataset", "parquet"),
    "shard_count": ("webdataset", "parquet"),
    "on": ("webdataset", "parquet"),
    "embed": ("parquet",),
    "link": ("hf",),
    "split": ("hf", "webdataset", "parquet"),
}
"""The formats that have an option, for options that not all have."""
DEFAULT_SHARD_SIZE = "1GB"
_UNITS = {"KB": 1000, "MB": 1000**2, "GB": 1000**3}
MOST_NAMED = 10
"""How many skipped videos the summary names."""


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `export`."""
    parser.add_argument(
        "directories", metavar="DIR", nargs="+", type=Path, help="run directories, or their manifests"
    )
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument(
        "--format",
        choices=FORMATS,
        help="hf: a folder of videos with metadata, for the datasets library; webdataset: tar files; "
        "parquet: files with the videos or their paths; jsonl, csv: one file of rows with paths",
    )
    form.add_argument(
        "--film",
        action="store_const",
        const=FILM,
        dest="format",
        help="join shots that continue each other to one MP4 file, without encoding them again",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="folder of the dataset or the films; it only grows",
    )
    _add_choice(parser)
    parser.add_argument(
        "--split",
        metavar="NAME=SHARE,…",
        default="",
        help="divide the set, such as 'train=0.9,test=0.1'; no video ever changes sides",
    )
    parser.add_argument(
        "--shard-size",
        metavar="SIZE",
        help="largest size of a file with many videos, such as 500MB (default: 1GB)",
    )
    parser.add_argument("--shard-count", metavar="N", type=shared.positive, help="most videos in such a file")
    shared.add_on(parser)
    parser.add_argument(
        "--embed", action="store_true", help="put the videos into the parquet files, instead of their paths"
    )
    parser.add_argument("--link", action="store_true", help="hard-link the videos instead of copying them")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read videos that are not copied, too, even if size and time show no change",
    )
    parser.add_argument(
        "--push", metavar="REPO", help="also upload it to this dataset on the Hugging Face Hub, made private"
    )
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: run_async(_export(options)))


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the videos."""
    parser.add_argument(
        "--where",
        metavar="ID|LABEL=VALUE",
        action="append",
        default=[],
        help="only these tasks, or films that end with one of them; repeated: any of these",
    )
    parser.add_argument("--all", action="store_true", help="include tasks no longer in the manifest")
    parser.add_argument(
        "--verdicts",
        metavar="FILE",
        type=Path,
        help="leave out videos rejected in this verdicts.csv, and films that contain one",
    )


async def _export(options: argparse.Namespace) -> int:
    from batchrunner.operations.export import choose, export, labels_of  # noqa: PLC0415  for speed
    from batchrunner.output.export.localising import localising  # noqa: PLC0415

    share_memory_pool()
    for name, formats in OPTIONS_OF.items():
        if getattr(options, name) and options.format not in formats:
            option = f"--{name.replace('_', '-')}"
            named = " and ".join(filter(None, (", ".join(formats[:-1]), formats[-1])))
            raise UsageError(f"{option} is an option of --format {named}", "leave it out")
    if options.push:
        _check_push(options)
    directories = list(dict.fromkeys(map(existing_run, options.directories)))
    await _check_places(options, directories)
    if options.format == FILM:
        from batchrunner.cli.films import export_films  # noqa: PLC0415  for speed

        return await export_films(options, directories)
    labels = await labels_of(directories, not options.all) if options.format in ROWS_ONLY else []
    with localising() as localise:
        writer = _writer(options, labels, localise)
        choice = await choose(directories, options.where, not options.all, options.verdicts)
        async with writer.opened():
            done = await export(directories, choice, writer)
    for notice in writer.notices:
        talk(notice)
    pushed, exit_code = _push(options) if options.push and done.videos else ({}, ExitCode.DONE)
    exit_code = most_urgent([exit_code, done.exit_code])
    _tell(options, done, pushed, exit_code)
    return exit_code


async def _check_places(options: argparse.Namespace, directories: Sequence[Path]) -> None:
    """Check that a set that only refers to videos has them on this machine.

    Raises:
        UsageError: they are in a bucket.
    """
    refers = options.format in ROWS_ONLY or (options.format == "parquet" and not options.embed)
    for directory in directories if refers or options.link else ():
        if (await binding_of(directory)).videos:
            raise UsageError(
                f"the videos of {shown_path(directory)} are in a bucket, and this export has only paths",
                "use --format webdataset, hf (without --link), or parquet with --embed, which copy them",
            )


def _writer(options: argparse.Namespace, labels: Sequence[str], localise: Localise) -> SetWriter:
    from batchrunner.core.splits import parse_splits  # noqa: PLC0415
    from batchrunner.output.export.format import SetOptions  # noqa: PLC0415
    from batchrunner.output.export.hf import HfWriter  # noqa: PLC0415
    from batchrunner.output.export.lines import LinesWriter  # noqa: PLC0415
    from batchrunner.output.export.shard_formats import shard_format  # noqa: PLC0415
    from batchrunner.output.export.shards import ShardLimits, ShardWriter  # noqa: PLC0415

    splits = parse_splits(options.split)
    has_shards = options.format in OPTIONS_OF["shard_size"]
    shard_size = (options.shard_size or DEFAULT_SHARD_SIZE) if has_shards else ""
    recorded = {
        "--format": options.format,
        "--split": ",".join(f"{split.name}={float(split.share)}" for split in splits)
        if options.split
        else "",
        "--shard-size": shard_size,
        "--shard-count": options.shard_count,
        "--embed": options.embed,
        "--where": sorted(set(options.where)),
        "--all": options.all,
        "--verdicts": options.verdicts is not None,
    }
    how = SetOptions(options.output, recorded, splits, options.verify)
    if options.format == "hf":
        return HfWriter(how, options.link, localise)
    if options.format in ROWS_ONLY:
        return LinesWriter(how, options.format, labels)
    limits = ShardLimits(_bytes(shard_size), options.shard_count)
    form = shard_format(options.format, options.embed, options.verify)
    return ShardWriter(how, limits, form, _maker(options, form, localise))


def _maker(options: argparse.Namespace, form: ShardFormat, localise: Localise) -> MakesShards:
    """What makes shards: this machine, or the cluster of `--on`."""
    from batchrunner.output.export.samples import ShardsHere  # noqa: PLC0415

    folder = options.output.absolute()
    here = ShardsHere(folder, form, localise)
    if not options.on:
        return here
    from batchrunner.engine.remote_shards import RemoteShards  # noqa: PLC0415
    from batchrunner.engine.shard_messages import ShardSetup  # noqa: PLC0415

    how = options.format, options.embed, options.verify
    return RemoteShards(here, ShardSetup(options.on, str(folder), *how, form.library), talk)


def _bytes(text: str) -> int:
    """A size such as `500MB` in bytes."""
    number, unit = text[:-2], text[-2:].upper()
    if unit not in _UNITS or (size := plain_number(number.strip()) or 0) <= 0:
        raise UsageError(f"--shard-size {text} is not a size", "write it as 500MB or 1.5GB")
    return int(size * _UNITS[unit])


def _check_push(options: argparse.Namespace) -> None:
    """Check before the export whether there can be a push after it."""
    from batchrunner.output.export.hub import check_repository  # noqa: PLC0415

    if options.format in ROWS_ONLY or (options.format == "parquet" and not options.embed):
        raise UsageError(
            "--push uploads videos, and this format has only their paths",
            "use --format hf, webdataset, or parquet with --embed",
        )
    check_repository(options.push)


def _push(options: argparse.Namespace) -> tuple[dict[str, str], int]:
    """Upload the set; return its address, or what went wrong, and the exit code."""
    from batchrunner.output.export.hub import PushFailed, push  # noqa: PLC0415

    try:
        url = push(options.output, options.push, progress=sys.stderr.isatty() and not options.json)
    except (AccountError, PushFailed) as error:
        talk(f"batchrunner: the set is complete, but was not pushed: {error}")
        talk(f"  hint: {error.hint}")
        return {"pushed": "", "push_error": str(error)}, error.exit_code
    return {"pushed": url, "push_error": ""}, ExitCode.DONE


def _tell(options: argparse.Namespace, done: Exported, pushed: dict[str, str], exit_code: int) -> None:
    """Print what was done."""
    skipped = [{"file": str(path), "reason": why} for path, why in done.skipped.values()]
    if options.json:
        values = {"output": str(options.output), "format": options.format, "videos": done.videos}
        values |= {"added": done.added, "duplicates": done.duplicates, "made_again": done.remade}
        values |= {"rejected": done.rejected, "rejected_since": done.rejected_since}
        say_json(values | {"skipped": skipped, **pushed, "exit_code": int(exit_code)})
        return
    new = "" if options.format in ROWS_ONLY else f", {done.added:,} of them new"
    say(f"{shown_path(options.output)}: {count(done.videos, 'video')}{new}")
    if pushed.get("pushed"):
        say(f"pushed to {pushed['pushed']}")
    if done.duplicates:
        say(f"{count(done.duplicates, 'duplicate')} left out: an earlier run directory has the same request")
    if done.remade:
        say(f"{count(done.remade, 'video')} made again since; the set keeps the earlier version")
    if done.rejected:
        say(f"{count(done.rejected - done.rejected_since, 'rejected video')} left out")
    if done.rejected_since:
        talk(f"{count(done.rejected_since, 'video')} rejected after the export; the set keeps what is in it")
        talk("  hint: export into a new folder to leave them out")
    for item in skipped[:MOST_NAMED]:
        talk(f"skipped {shown_path(Path(item['file']))}: {item['reason']}")
    if skipped:
        more = f", {len(skipped) - MOST_NAMED:,} more than shown" if len(skipped) > MOST_NAMED else ""
        talk(f"{count(len(skipped), 'finished video')} skipped{more}; `--json` lists all of them")
        talk(
            "  hint: put them back, then run the same command again; `batchrunner collect DIR --missing` "
            "downloads missing ones, free of charge, while the gateway has them"
        )
