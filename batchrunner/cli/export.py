"""`batchrunner export`: makes a dataset from the finished videos of run directories."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import say, say_json, shown_path, talk
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import UsageError
from batchrunner.core.text import count, plain_number, printable

if TYPE_CHECKING:
    from batchrunner.operations.export import Exported
    from batchrunner.output.export.format import SetWriter

FORMATS = ("hf", "webdataset")
DEFAULT_SHARD_SIZE = "1GB"
_UNITS = {"KB": 1000, "MB": 1000**2, "GB": 1000**3}
MOST_NAMED = 10
"""How many skipped videos the summary names."""


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `export`."""
    parser.add_argument(
        "directories", metavar="DIR", nargs="+", type=Path, help="run directories, or their manifests"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        required=True,
        help="hf: a folder of videos and their metadata, for the datasets library; webdataset: tar files",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="folder of the dataset; it only grows"
    )
    parser.add_argument(
        "--where",
        metavar="ID|LABEL=VALUE",
        action="append",
        default=[],
        help="only these tasks; repeatable",
    )
    parser.add_argument("--all", action="store_true", help="include tasks no longer in the manifest")
    # `--verdicts FILE` belongs here, and what it says into `choose`.
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
    parser.add_argument("--link", action="store_true", help="hard-link the videos instead of copying them")
    parser.add_argument(
        "--verify", action="store_true", help="read linked videos whole even if they look unchanged"
    )
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: run_async(_export(options)))


async def _export(options: argparse.Namespace) -> int:
    from batchrunner.operations.export import choose, export  # noqa: PLC0415  `--help` is faster without

    if (options.link or options.verify) and options.format != "hf":
        raise UsageError("--link and --verify are for --format hf", "leave them out")
    directories = list(dict.fromkeys(map(existing_run, options.directories)))
    writer = _writer(options)
    choice = await choose(directories, options.where, not options.all)
    with writer.opened():
        done = await export(directories, choice, writer)
    for notice in writer.notices:
        talk(notice)
    _tell(options, done)
    return done.exit_code


def _writer(options: argparse.Namespace) -> SetWriter:
    from batchrunner.core.splits import parse_splits  # noqa: PLC0415
    from batchrunner.output.export.format import SetOptions  # noqa: PLC0415
    from batchrunner.output.export.hf import HfWriter  # noqa: PLC0415
    from batchrunner.output.export.shards import ShardLimits, ShardWriter  # noqa: PLC0415
    from batchrunner.output.export.webdataset import tar_shards  # noqa: PLC0415

    recorded = {
        "--format": options.format,
        "--split": options.split,
        "--shard-size": options.shard_size,
        "--shard-count": options.shard_count,
        "--where": sorted(options.where),
        "--all": options.all,
    }
    how = SetOptions(options.output, recorded, parse_splits(options.split), options.verify)
    if options.format == "hf":
        return HfWriter(how, options.link)
    limits = ShardLimits(_bytes(options.shard_size or DEFAULT_SHARD_SIZE), options.shard_count)
    return ShardWriter(how, limits, tar_shards())


def _bytes(text: str) -> int:
    """A size such as `500MB` in bytes."""
    number, unit = text[:-2], text[-2:].upper()
    if unit not in _UNITS or not (size := plain_number(number.strip())):
        raise UsageError(f"--shard-size {text} is not a size", "write it as 500MB or 1.5GB")
    return int(size * _UNITS[unit])


def _tell(options: argparse.Namespace, done: Exported) -> None:
    """Print what was done."""
    skipped = [{"file": str(path), "reason": why} for path, why in done.skipped.values()]
    if options.json:
        say_json(
            {
                "output": str(options.output),
                "format": options.format,
                "videos": done.videos,
                "added": done.added,
                "duplicates": done.duplicates,
                "made_again": done.remade,
                "skipped": skipped,
                "exit_code": int(done.exit_code),
            }
        )
        return
    say(f"{shown_path(options.output)}: {count(done.videos, 'video')}, {done.added:,} of them new")
    if done.duplicates:
        say(f"{count(done.duplicates, 'duplicate')} left out: an earlier run directory has the same request")
    if done.remade:
        say(f"{count(done.remade, 'video')} made again since; the set keeps the earlier version")
    for item in skipped[:MOST_NAMED]:
        talk(f"skipped {printable(shown_path(Path(item['file'])))}: {item['reason']}")
    if skipped:
        more = f", {len(skipped) - MOST_NAMED:,} more than shown" if len(skipped) > MOST_NAMED else ""
        talk(f"{count(len(skipped), 'finished video')} skipped{more}; `--json` lists all of them")
        talk("  hint: put them back, then run the same command again: it adds what is missing")
