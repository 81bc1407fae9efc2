"""Objects in a bucket that match a pattern, by the rules for files."""

from __future__ import annotations

from functools import cache

from batchrunner.core.file_names import RUN_ID_NAME, VIDEOS
from batchrunner.core.object_url import ObjectUrl, object_pattern
from batchrunner.core.redaction import redacted_url
from batchrunner.manifest.file_lists import ANY_FOLDERS, WILD, PatternFault, check_names, matches
from batchrunner.manifest.order import natural_key
from batchrunner.media.objects import Objects


def find_objects(objects: Objects, pattern: str) -> list[str]:
    """The URLs of the matching objects in natural order; see `file_lists.find_files` for the rules.

    Raises:
        PatternFault: it is not a pattern of a bucket, or matches a name that is not valid text.
        MediaFault: the bucket can't be read.
    """
    place = object_pattern(pattern.removesuffix("/"))
    if place is None:
        message = f"not a pattern of objects in a bucket: {redacted_url(pattern)}"
        raise PatternFault(message, "write s3://bucket/path/*.jpg (or gs, az), without credentials")
    parts = tuple(place.key.split("/"))
    parts = (*parts, "*") if parts[-1] == ANY_FOLDERS else parts
    wild = next((index for index, part in enumerate(parts) if not WILD.isdisjoint(part)), len(parts) - 1)
    folder = ObjectUrl(place.bucket, "/".join(parts[:wild]))
    names = objects.names(folder, deep=wild < len(parts) - 1)
    found = [
        name for name in _without_runs(names, wild) if _is_match(tuple(name.split("/"))[wild:], parts[wild:])
    ]
    check_names(found)
    return [f"{place.bucket}/{name}" for name in sorted(found, key=natural_key)]


def _is_match(names: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the names of a path match the parts of a pattern."""

    @cache
    def match(at: int, of: int) -> bool:
        if of == len(parts):
            return at == len(names)
        if parts[of] != ANY_FOLDERS:
            return at < len(names) and matches(names[at], parts[of]) and match(at + 1, of + 1)
        goes_deeper = at < len(names) - 1 and not names[at].startswith(".")
        return match(at, of + 1) or (goes_deeper and match(at + 1, of))

    return match(0, 0)


def _without_runs(names: list[str], fixed: int) -> list[str]:
    """The names without the videos of runs, unless the first `fixed` parts of the pattern lead to them."""
    marks = [name.removesuffix(RUN_ID_NAME) for name in names if name.endswith(f"{VIDEOS}/{RUN_ID_NAME}")]
    runs = tuple(folder for folder in marks if folder.count("/") > fixed)
    return [name for name in names if not name.startswith(runs)] if runs else names
