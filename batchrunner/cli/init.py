"""`batchrunner init`: writes a manifest to begin with; sends nothing."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import as_values, say, say_json, show_problems, talk
from batchrunner.core.errors import ExitCode, UsageError
from batchrunner.core.text import count, is_text, printable

if TYPE_CHECKING:
    from batchrunner.manifest.drafts import Draft, Trial

DEFAULT = Path("manifest.yaml")
_ROWS = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".xlsx", ".parquet")
_MOST_NAME = 100


def add_init(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `init`."""
    parser.add_argument(
        "source",
        metavar="FILE|FOLDER",
        type=Path,
        nargs="?",
        help="csv, tsv, json, jsonl, txt, xlsx or parquet with prompts, or a folder of pictures or txt files",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="MANIFEST",
        type=Path,
        help=f"the file to write (default: FILE or FOLDER with the suffix .yaml, or {DEFAULT})",
    )
    parser.add_argument(
        "--prompt",
        metavar="COLUMN",
        help="the column with the prompts (default: by name, else by length)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing MANIFEST")
    shared.add_json(parser)
    parser.set_defaults(run=init)


def init(options: argparse.Namespace) -> int:
    """Write a manifest, and show what it was made from and what to run next."""
    source: Path | None = options.source
    manifest = options.output or (DEFAULT if source is None else _beside(source))
    if source is not None and not source.is_dir():
        _check_source(source)
    _check_place(manifest, source, options.force)
    if options.prompt and (source is None or source.is_dir()):
        raise UsageError("--prompt chooses a column of a file with rows", "pass such a file, or remove it")
    draft, text, trial = _drafted(source, manifest, options.prompt or "")
    _write(manifest, text, options.force)
    if options.json:
        say_json(_as_values(manifest, draft, trial))
    else:
        for line in _lines(manifest, draft, trial):
            say(line)
    if trial.problems:
        show_problems(trial.problems)
    if trial.errors:
        talk(f"batchrunner: {_named(manifest)} is written but has errors")
        talk(f"  hint: correct them, then check with `batchrunner validate {_named(manifest)}`")
        return ExitCode.USAGE
    return ExitCode.DONE


def _beside(source: Path) -> Path:
    """The manifest's place for a source: beside it, or in it if it is the current folder."""
    if source.is_dir():
        whole = Path(os.path.normpath(source.absolute()))
        name = f"{whole.name}.yaml" if whole.name else str(DEFAULT)
        if whole == Path.cwd():
            return Path(name)
        return source.parent / name if source.name == whole.name else whole.parent / name
    stem = source.name.removesuffix(".gz") if source.suffix == ".gz" else source.name
    return source.with_name(stem).with_suffix(".yaml")


def _check_place(manifest: Path, source: Path | None, force: bool) -> None:
    """Check that the manifest may be written there.

    Raises:
        UsageError: it is a folder, the source itself, or an existing file without --force; or a path is not
            text, so that no manifest can contain it.
    """
    for path in (manifest.absolute(), source.absolute() if source else manifest):
        if not is_text(str(path)):
            raise UsageError(
                f"the path {str(path)!r} is not valid text",
                "rename the file or its folder, using UTF-8 characters",
            )
    if manifest.is_dir():
        raise UsageError(f"{manifest} is a folder", "pass the file to write with -o MANIFEST")
    if not manifest.parent.is_dir():
        raise UsageError(f"{manifest.parent} is not a folder", "create it, or choose another place with -o")
    if source is not None and source.exists() and manifest.exists() and manifest.samefile(source):
        raise UsageError(f"{manifest} is the file to read", "choose another name with -o MANIFEST")
    if os.path.lexists(manifest) and not force:
        raise _exists(manifest)


def _exists(manifest: Path) -> UsageError:
    return UsageError(
        f"{manifest} already exists", "choose another name with -o MANIFEST, or overwrite it with --force"
    )


def _drafted(source: Path | None, manifest: Path, prompt: str) -> tuple[Draft | None, str, Trial]:
    """The draft, the manifest's text, and what its check found."""
    from batchrunner.manifest.drafts import check_text, draft_from_rows, example_text, tried  # noqa: PLC0415
    from batchrunner.storage import open_inputs  # noqa: PLC0415

    named = _named(manifest)
    name = manifest.stem if manifest.stem.isprintable() and len(manifest.stem) <= _MOST_NAME else ""
    if source is None:
        text = example_text(named, name)
        return None, text, check_text(manifest, text)
    if source.is_dir():
        from batchrunner.manifest.drafts import draft_from_folder  # noqa: PLC0415

        drafts: Iterator[Draft] = draft_from_folder(source, manifest)
    else:
        drafts = iter((draft_from_rows(source, manifest, prompt),))
    draft, trial = tried(drafts, manifest, named, name, open_inputs)
    return draft, draft.text(named, name), trial


def _check_source(source: Path) -> None:
    """Check that a source may have rows.

    Raises:
        UsageError: there is no such file, or its format is unknown.
    """
    if not source.exists():
        raise UsageError(f"{source} does not exist", "pass a file with rows, or a folder of pictures")
    name = source.name.lower()
    if name.endswith((".yaml", ".yml")):
        raise UsageError(
            f"{source} is a YAML file, as manifests are",
            f"check it with `batchrunner validate {_named(source)}`",
        )
    if not name.removesuffix(".gz").endswith(_ROWS):
        raise UsageError(
            f"{source} has no format that `init` reads",
            f"pass a {', '.join(_ROWS)} file, or a folder of pictures",
        )


def _write(manifest: Path, text: str, force: bool) -> None:
    """Write the whole file under its name, or nothing.

    Raises:
        OSError: it can't be written.
        UsageError: another program has just created it.
    """
    from batchrunner.storage.files import open_part, part_of, remove_part_files  # noqa: PLC0415  hashlib

    target = manifest.resolve() if manifest.is_symlink() else manifest
    part = part_of(target) if force else target
    if force:
        remove_part_files(target.parent, target.name)
    try:
        fd = open_part(part)
    except FileExistsError as error:
        raise _exists(manifest) from error
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _named(path: Path) -> str:
    """A path as it is typed in a shell."""
    text = str(path)
    return shlex.quote(printable(f"./{text}" if text.startswith("-") else text))


def _lines(manifest: Path, draft: Draft | None, trial: Trial) -> Iterator[str]:
    """What was written, and what to run next."""
    from batchrunner.manifest.drafts import GUESSED_PROMPT  # noqa: PLC0415

    named = _named(manifest)
    made = f" from {printable(draft.made_from)}" if draft else ""
    yield f"wrote {named}" + ("" if trial.errors else f": {count(trial.tasks, 'task')}{made}")
    if trial.unchecked:
        checked = trial.tasks - trial.unchecked
        yield f"  the first {checked:,} rows are checked; `batchrunner plan {named}` checks all"
    if draft:
        for key, value, comment in draft.fixed:
            if key == "prompt":
                is_guess = comment == GUESSED_PROMPT
                guessed = f"   ({comment}; --prompt COLUMN takes another)" if is_guess else ""
                yield f"  prompt: {printable(str(value))}{guessed}"
        for field in draft.fields:
            name = printable(".".join(field.path))
            yield f"  {name}: " + (
                f"not used: {printable(field.doubt)}" if field.doubt else printable(field.value)
            )
        for note in draft.notes:
            yield f"  {printable(note)}"
    if not trial.errors:
        yield f"next     batchrunner plan {named}   to see what it would submit, and what that may cost"
        yield f"         batchrunner run {named} --simulate   to try it without a key, at no cost"
        yield f"         batchrunner run {named}   to make the videos"


def _as_values(manifest: Path, draft: Draft | None, trial: Trial) -> dict[str, object]:
    """The same as JSON values."""
    fields = draft.fields if draft else ()
    return {
        "manifest": str(manifest),
        "exit_code": int(ExitCode.USAGE if trial.errors else ExitCode.DONE),
        "tasks": trial.tasks,
        "unchecked": trial.unchecked,
        "entry": {key: value for key, value, _ in draft.fixed} if draft else {},
        "fields": {".".join(field.path): field.value for field in fields if not field.doubt},
        "not_used": {".".join(field.path): field.doubt for field in fields if field.doubt},
        "notes": list(draft.notes) if draft else [],
        "problems": as_values(trial.problems),
    }
