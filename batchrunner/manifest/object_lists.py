"""Objects in a bucket that match a pattern, by the rules for files."""

from __future__ import annotations

from functools import cache

from batchrunner.core.file_names import RUN_ID_NAME
from batchrunner.core.object_url import ObjectUrl, object_pattern
from batchrunner.core.redaction import redacted_url
from batchrunner.manifest.file_lists import ANY_FOLDERS, WILD, PatternFault, check_names, matches
from batchrunner.manifest.order import natural_key
from batchrunner.media.objects import Objects

_MARK = f"/{RUN_ID_NAME}"
"""What a run has in the folder of its videos."""


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
    runs = frozenset(name.removesuffix(_MARK) for name in names if name.endswith(_MARK))
    found = [name for name in names if _is_match(name, parts, wild, runs)]
    check_names(found)
    return [f"{place.bucket}/{name}" for name in sorted(found, key=natural_key)]


def _is_match(name: str, parts: tuple[str, ...], fixed: int, runs: frozenset[str]) -> bool:
    """Whether a path matches a pattern, of which so many parts are the folder that was listed.

    Wildcards don't stand for the folders in `runs`: the output of one run must not become tasks of the next.
    """
    names = name.split("/")

    @cache
    def match(at: int, of: int) -> bool:
        if of == len(parts):
            return at == len(names)
        if parts[of] == ANY_FOLDERS:
            goes_deeper = at < len(names) - 1 and not names[at].startswith(".") and not is_run(at)
            return match(at, of + 1) or (goes_deeper and match(at + 1, of))
        if at == len(names) or (not WILD.isdisjoint(parts[of]) and is_run(at)):
            return False
        return matches(names[at], parts[of]) and match(at + 1, of + 1)

    def is_run(at: int) -> bool:
        return bool(runs) and "/".join(names[: at + 1]) in runs

    return match(fixed, fixed)
