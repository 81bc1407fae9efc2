"""`batchrunner export --film`: joins shots that continue each other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.console import say, say_json, shown_path, talk
from batchrunner.core.text import count, printable

if TYPE_CHECKING:
    from batchrunner.operations.films import Filmed

MOST_NAMED = 10
"""How many films the summary names for each reason."""


async def export_films(options: argparse.Namespace, directories: Sequence[Path]) -> int:
    """Make the films of run directories; return the exit code."""
    from batchrunner.operations.export import choose  # noqa: PLC0415  for speed
    from batchrunner.operations.films import make_films  # noqa: PLC0415
    from batchrunner.output.export.film import FilmWriter  # noqa: PLC0415

    recorded = {
        "--film": True,
        "--where": sorted(set(options.where)),
        "--all": options.all,
        "--verdicts": options.verdicts is not None,
    }
    choice = await choose(directories, options.where, not options.all, options.verdicts)
    writer = FilmWriter(options.output, recorded)
    with writer.opened():
        done = await make_films(directories, choice, writer)
    for notice in writer.notices:
        talk(notice)
    if options.json:
        say_json(_as_json(options, done))
    else:
        _tell(options.output, done)
    return done.exit_code


def _as_json(options: argparse.Namespace, done: Filmed) -> dict[str, object]:
    skipped = [
        {"film": name, "directory": str(directory), "reason": reason}
        for directory, name, reason in done.skipped.values()
    ]
    jumps = [{"film": jump.film, "shot": jump.shot, "after": jump.after} for jump in done.jumps]
    values = {"output": str(options.output), "format": options.format, "films": done.films}
    values |= {"added": len(done.new), "new": done.new, "duplicates": done.duplicates}
    values |= {"rejected": done.rejected, "rejected_since": done.rejected_since}
    return values | {"jumps": jumps, "skipped": skipped, "exit_code": int(done.exit_code)}


def _tell(output: Path, done: Filmed) -> None:
    """Print what was done."""
    named = ", ".join([*done.new[:MOST_NAMED], *["…"] * (len(done.new) > MOST_NAMED)])
    new = f"{len(done.new):,} of them new{f': {named}' if named else ''}"
    say(f"{shown_path(output)}: {count(done.films, 'film')}, {new}")
    if not (done.films or done.rejected or done.skipped):
        talk("no shot here continues another one: a film needs at least two")
    if done.duplicates:
        say(f"{count(done.duplicates, 'duplicate')} left out: an earlier run directory has the same request")
    if done.rejected:
        say(f"{count(done.rejected - done.rejected_since, 'film')} with a rejected shot left out")
    if done.rejected_since:
        talk(
            f"{count(done.rejected_since, 'film')} rejected after the export; the folder keeps what is in it"
        )
        talk("  hint: export into a new folder to leave them out")
    for jump in done.jumps[:MOST_NAMED]:
        film, shot, after = map(printable, (jump.film, jump.shot, jump.after))
        talk(f"the film {film} jumps: {shot} was made before the newest version of {after}")
    if len(done.jumps) > MOST_NAMED:
        talk(f"{len(done.jumps) - MOST_NAMED:,} more jumps; `--json` lists all of them")
    for directory, name, reason in list(done.skipped.values())[:MOST_NAMED]:
        talk(f"skipped the film {printable(name)} of {shown_path(directory)}: {printable(reason)}")
    if done.skipped:
        more = len(done.skipped) - MOST_NAMED
        shown = f", {more:,} more than shown; `--json` lists all of them" if more > 0 else ""
        talk(f"{count(len(done.skipped), 'film')} skipped{shown}")
        talk("  hint: `batchrunner status DIR` says what to do about shots that are not done")
        talk("  `batchrunner collect DIR --missing` downloads missing files, free of charge")
        talk("  only shots of the same resolution and ratio can be joined")
