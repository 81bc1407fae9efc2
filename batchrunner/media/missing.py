"""A file that is not there: which one was probably meant."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path, PurePath

from batchrunner.core.text import closest, is_text

_HOST = re.compile(r"(www\.)?[a-z0-9-]+(\.[a-z0-9-]+)*\.(com|cn|net|org|io|cloud|dev|top)(:[0-9]+)?/\S", re.I)
_DRIVE = re.compile(r"([a-zA-Z]):[\\/]")
_MOST = 10_000
"""Names in a folder among which a near one is looked for."""


def foreign(written: str) -> tuple[str, str] | None:
    """What a path is that means something on another system, or to a shell, and what to write instead."""
    if found := _DRIVE.match(written):
        rest = written[2:].replace("\\", "/").lstrip("/")
        name = rest.rpartition("/")[2]
        hint = f"copy the file beside the manifest and write {name or 'its path from there'}"
        return f"{written} is a Windows path", f"{hint}; under WSL it is /mnt/{found[1].lower()}/{rest}"
    if written.startswith("\\\\"):
        hint = "copy the file beside the manifest, or mount the share and write the path that it has here"
        return f"{written} is a path on a Windows server", hint
    if written.startswith("~"):
        try:
            meant = f"write {Path(written).expanduser()}"
        except RuntimeError:
            meant = "write the whole path"
        return f"in {written}, `~` is not expanded", f"{meant}, or the path from the manifest"
    return None


def missing(folder: Path, written: str) -> tuple[str, str]:
    """Message and hint for the path of a file that is not there, relative to `folder`."""
    return foreign(written) or (f"there is no file {written}", hint_for(folder, written))


def hint_for(folder: Path, written: str) -> str:
    """What to do about the path of a file that is not there, relative to `folder`."""
    if _HOST.match(written) or written.lower().startswith("www."):
        return f"write https://{written} if it is an address"
    if "\\" in written:
        return "write {}, with / between the folders".format(written.replace("\\", "/"))
    if near := _near(folder, PurePath(written)):
        return f"did you mean {near}?"
    return "correct the path, or add the file"


def _near(folder: Path, path: PurePath) -> str:
    """The file in the same folder whose name is nearest; empty where none is near."""
    try:
        with os.scandir(folder / path.parent) as entries:
            names = [entry.name for entry in islice(entries, _MOST) if is_text(entry.name)]
    except (OSError, ValueError):
        return ""
    stem = path.stem.lower()
    by_stem = {PurePath(name).stem.lower(): name for name in sorted(names, reverse=True)}
    # 0012.jpg is not meant by who writes 0013.jpg
    likely = [other for other in by_stem if _numbers(other) == _numbers(stem)]
    near = closest(stem, likely, cutoff=0.75)
    return (path.parent / by_stem[near]).as_posix() if near else ""


def _numbers(text: str) -> list[str]:
    return re.findall("[0-9]+", text)
