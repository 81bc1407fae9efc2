"""Addresses of objects in buckets that are inputs of tasks, such as `s3://bucket/photos/cat.jpg`."""

from __future__ import annotations

import re
from typing import NamedTuple

SCHEMES = ("s3", "gs", "az")
_ADDRESS = re.compile(rf"((?:{'|'.join(SCHEMES)})://[A-Za-z0-9][A-Za-z0-9._-]*)/(\S(?:.*\S)?)")
_START = tuple(f"{scheme}:" for scheme in SCHEMES)


class ObjectUrl(NamedTuple):
    """The address of an object, or a pattern that matches several."""

    bucket: str
    """With its scheme: `s3://bucket`."""
    key: str


def is_object_url(text: object) -> bool:
    """Whether an input is meant as the address of an object, right or wrong."""
    return isinstance(text, str) and text[:3].lower() in _START


def object_url(text: str) -> ObjectUrl | None:
    """The address of an object; None if it is not written as one.

    There are no parameters in it: a bucket's credentials come from the environment.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or not text.isprintable():
        return None
    is_odd = any(part in ("", ".", "..") for part in found[2].split("/"))
    return None if is_odd or "?" in found[2] else ObjectUrl(found[1], found[2])


def object_pattern(text: str) -> ObjectUrl | None:
    """The same for a pattern, in which `?` stands for any character."""
    found = object_url(text.replace("?", "*"))
    return found and ObjectUrl(found.bucket, text[len(found.bucket) + 1 :])
