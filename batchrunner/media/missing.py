"""Hints for missing files: suggests the file that was probably meant."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path, PurePath

from batchrunner.core.object_url import is_object_url
from batchrunner.core.text import closest, is_text

_HOST = re.compile(r"(www\.)?[a-z0-9-]+(\.[a-z0-9-]+)*\.(com|cn|net|org|io|cloud|dev|top)(:[0-9]+)?/\S", re.I)
_DRIVE = re.compile(r"([a-zA-Z]):[\\/]")
_MOST = 10_000
"""Maximum number of names in a folder to search for a similar one."""


def foreign(written: str) -> tuple[str, str] | None:
    """Message and hint for a Windows path, a `~`, or an object in a bucket; None for any other path."""
    if is_object_url(written):
        hint = "copy it beside the manifest: only pictures, videos and sounds are read from buckets"
        return f"{written} is in a bucket", hint
    if found := _DRIVE.match(written):
        rest = written[2:].replace("\\", "/").lstrip("/")
        name = rest.rpartition("/")[2]
        hint = f"copy the file beside the manifest and use {name or 'its relative path'}"
        return f"{written} is a Windows path", f"{hint}; under WSL it is /mnt/{found[1].lower()}/{rest}"
    if written.startswith("\\\\"):
        hint = "copy the file beside the manifest, or mount the share and use its local path"
        return f"{written} is a Windows network path", hint
    if written.startswith("~"):
        try:
            meant = f"use {Path(written).expanduser()}"
        except RuntimeError:
            meant = "use the full path"
        return f"`~` is not expanded in {written}", f"{meant}, or a path relative to the manifest"
    return None


def missing(folder: Path, written: str) -> tuple[str, str]:
    """Message and hint for a missing file; `written` is relative to `folder`."""
    return foreign(written) or (f"file not found: {written}", hint_for(folder, written))


def hint_for(folder: Path, written: str) -> str:
    """The hint for a missing file; `written` is relative to `folder`."""
    if _HOST.match(written) or written.lower().startswith("www."):
        return f"use https://{written} if it is a URL"
    if "\\" in written:
        return "use {}, with / as the separator".format(written.replace("\\", "/"))
    if near := _near(folder, PurePath(written)):
        return f"did you mean {near}?"
    return "correct the path, or add the file"


def _near(folder: Path, path: PurePath) -> str:
    """The file in the same folder with the most similar name; empty if none is similar."""
    try:
        with os.scandir(folder / path.parent) as entries:
            names = [entry.name for entry in islice(entries, _MOST) if is_text(entry.name)]
    except (OSError, ValueError):
        return ""
    stem = path.stem.lower()
    by_stem = {PurePath(name).stem.lower(): name for name in sorted(names, reverse=True)}
    # 0013.jpg is not a typo for 0012.jpg
    likely = [other for other in by_stem if _numbers(other) == _numbers(stem)]
    near = closest(stem, likely, cutoff=0.75)
    return (path.parent / by_stem[near]).as_posix() if near else ""


def _numbers(text: str) -> list[str]:
    return re.findall("[0-9]+", text)
