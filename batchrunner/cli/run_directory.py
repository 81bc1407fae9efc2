"""Finds the run directory of a command: given directly, or derived from its manifest."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.console import shown_path, talk
from batchrunner.cli.nights import latest
from batchrunner.core.errors import UsageError
from batchrunner.core.file_names import DATE
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.core.model import Plan, PlannedTask, TaskKey
    from batchrunner.operations.other_runs import PaidElsewhere, Submissions

REAL, SIMULATED = ".run", ".simulated"
"""Suffixes of the default run directories."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The run directory of a manifest, and remarks for the user."""

    directory: Path
    paid_elsewhere: PaidElsewhere | None
    """Tasks that it pays for again: another run directory has already paid for them."""
    remarks: tuple[str, ...]
    submissions: Submissions
    """The tasks that a run would submit, without regard to any selection."""

    def as_values(self) -> dict[str, object]:
        """As JSON values."""
        found = self.paid_elsewhere
        known = {"directory": str(found.directory), "tasks": found.tasks} if found else None
        return {"paid_elsewhere": known}


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Add `-o`, the run directory if not the manifest's default one."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=run_folder,
        help="run directory (default: MANIFEST with the suffix .run); 'nightly/{date}' is a new one each "
        "night, once the one before is finished",
    )


def run_folder(text: str) -> Path:
    """A path from the command line.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    if not text.strip():  # perhaps a variable that isn't set: the working folder is not meant
        raise argparse.ArgumentTypeError("the name of the folder is empty; write `.` for the current folder")
    return Path(text)


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the options for where a run keeps its files and whether it may start over."""
    add_directory(parser)
    parser.add_argument(
        "--new",
        action="store_true",
        help="create a new run directory even if another one has paid for tasks (pays again)",
    )


def run_directory(options: argparse.Namespace) -> Path:
    """The manifest's run directory: next to the file itself, even if reached through a symlink."""
    if options.output is not None:
        return Path(options.output)
    return _itself(options.manifest).with_suffix(SIMULATED if options.simulate else REAL)


def existing_run(path: Path) -> Path:
    """An existing run directory, given directly, by a pattern with a date, or by its manifest.

    Raises:
        UsageError: it doesn't exist, or has lost its ledger.
    """
    if DATE in str(path):
        path = latest(path)
    if path.is_dir():
        if refusal := _lost(path):
            raise refusal
        return path
    if not path.is_file():
        raise UsageError(
            f"{path} is not a folder",
            "pass the run directory of an earlier `batchrunner run`, or its manifest",
        )
    files = dict.fromkeys([_itself(path), path])
    places = [file.with_suffix(ending) for ending in (REAL, SIMULATED) for file in files]
    # A directory that lost its ledger still counts: choosing another one would hide the loss.
    lost = {place: refusal for place in places if (refusal := _lost(place, path))}
    found = [place for place in places if place in lost or has_ledger(place)]
    if not found:
        raise UsageError(
            f"{path} has no run directory: no ledger in {' or '.join(map(str, places))}",
            "pass the run directory that was given to `batchrunner run` with -o DIR",
        )
    if len(found) > 1:
        talk(f"using {shown_path(found[0])}; {', '.join(map(shown_path, found[1:]))} also exists")
    if found[0] in lost:
        raise lost[found[0]]
    return found[0]


def has_ledger(directory: Path) -> bool:
    """Whether a run directory has a ledger, even an unreadable one."""
    from batchrunner.ledger import LEDGER_NAME  # noqa: PLC0415

    return (directory / LEDGER_NAME).exists()


def check_place(directory: Path, manifest: Path) -> None:
    """Check that this manifest may run in this directory; creates nothing.

    Raises:
        UsageError: it has lost its ledger, or can't be a run directory.
    """
    from batchrunner.engine.preparation import check_directory  # noqa: PLC0415

    check_directory(directory, shlex.quote(str(manifest)))


def _lost(directory: Path, manifest: Path | None = None) -> UsageError | None:
    """The error for a directory that has lost its ledger; the ledger's content is not checked here."""
    from batchrunner.ledger import LEDGER_NAME  # noqa: PLC0415

    if has_ledger(directory) and (directory / LEDGER_NAME).stat().st_size:
        return None
    from batchrunner.engine.preparation import lost_ledger  # noqa: PLC0415

    return lost_ledger(directory, shlex.quote(str(manifest))) if manifest else lost_ledger(directory)


def whereabouts(
    options: argparse.Namespace, plan: Plan, selected: frozenset[TaskKey] | None = None
) -> Whereabouts:
    """The run directory for this plan; with `selected`, only these tasks will be submitted.

    Raises:
        UsageError: another run directory has paid for its tasks, and neither -o nor --new was given.
    """
    from batchrunner.ledger import LEDGER_NAME  # noqa: PLC0415
    from batchrunner.operations.nights import directories  # noqa: PLC0415
    from batchrunner.operations.other_runs import neighbours, paid_elsewhere, submitted_by  # noqa: PLC0415

    directory = run_directory(options)
    is_new = not (directory / LEDGER_NAME).exists()
    if options.new and not is_new:
        raise UsageError(
            f"--new: {shown_path(directory)} already exists",
            "remove --new to resume it; a new one, with -o DIR, pays again for what this one has",
        )
    would_submit = submitted_by(plan.tasks, directory, selected)
    if not any(would_submit(position, key) for position, key in plan.tasks.keys()):  # noqa: SIM118
        return Whereabouts(directory, None, (), would_submit)
    pattern = getattr(options, "pattern", None)
    nights = directories(pattern) if pattern else []  # each of them is to be paid for
    near = neighbours(_near(options, directory), [directory, *nights], options.simulate)
    if not near:
        return Whereabouts(directory, None, (), would_submit)

    def is_submitted(task: PlannedTask) -> bool:
        return would_submit(task.position, task.key)

    def asked(task: PlannedTask) -> bool:
        return is_submitted(task) and (selected is None or task.key in selected)

    everything = paid_elsewhere(filter(is_submitted, plan.tasks), near)
    if is_new and options.output is None and not options.new and everything:
        raise _refusal(everything, sum(map(is_submitted, plan.tasks)), directory)
    found = paid_elsewhere(filter(asked, plan.tasks), near)
    remarks = [_told(found, sum(map(asked, plan.tasks)))] if found else []
    if is_new:
        remarks += [
            f"the ledger in {shown_path(one.directory)} can't be read ({one.fault}); "
            "its other files don't mention any task of this manifest"
            for one in near
            if one.fault and not paid_elsewhere(filter(is_submitted, plan.tasks), [one])
        ]
    return Whereabouts(directory, found, tuple(remarks), would_submit)


def _itself(path: Path) -> Path:
    """The target of a symlink; any other path unchanged."""
    return path.resolve() if path.is_symlink() and path.exists() else path


def _near(options: argparse.Namespace, directory: Path) -> list[Path]:
    """The folders whose run directories may have paid for these tasks."""
    files = [_itself(options.manifest), options.manifest, *([directory] if options.output else [])]
    return [Path(file).absolute().parent for file in files]


def _refusal(found: PaidElsewhere, wanted: int, directory: Path) -> UsageError:
    there, here = shown_path(found.directory), shown_path(directory)
    quoted = shlex.quote(there)
    more = f", and some in {count(found.others, 'other run directory', 'other run directories')}"
    what = (
        f"{found.tasks:,} of {count(wanted, 'task')} {'is' if found.tasks == 1 else 'are'} already paid for, "
        f"or may be, in {there}{more if found.others else ''}"
    )
    if found.fault:
        what += f", whose ledger can't be read ({found.fault})"
        return UsageError(
            what,
            f"restore that ledger from a backup and resume with -o {quoted}; --new pays again in {here}",
        )
    return UsageError(
        what, f"use -o {quoted} to resume there without paying twice; --new pays again in {here}"
    )


def _told(found: PaidElsewhere, asked: int) -> str:
    are = "is" if found.tasks == 1 else "are"
    them = "it" if found.tasks == 1 else "them"
    return (
        f"{found.tasks:,} of {count(asked, 'task')} {are} already paid for in "
        f"{shown_path(found.directory)}; this run pays for {them} again"
    )
