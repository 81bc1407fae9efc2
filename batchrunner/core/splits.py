"""Divides a dataset into splits, such as train and test, so that no row ever changes sides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from batchrunner.core.errors import UsageError

WHOLE = "train"
"""The only split of a set that is not divided: the name that datasets have for it everywhere."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}")
_SHARE = re.compile(r"[0-9]{0,9}\.?[0-9]{1,9}")
_PARTS = 1 << 64


class SplitShare(NamedTuple):
    """One part of a set."""

    name: str
    share: Fraction = Fraction(1)
    """Of all rows."""


def parse_splits(text: str) -> tuple[SplitShare, ...]:
    """The splits of `train=0.9,test=0.1`; an empty text is one split with everything.

    Raises:
        UsageError: it can't be read, or the shares don't add up to 1.
    """
    if not text:
        return (SplitShare(WHOLE),)
    hint = "write names and shares that add up to 1, such as --split 'train=0.9,test=0.1'"
    splits = []
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        if not _NAME.fullmatch(name) or not _SHARE.fullmatch(share) or not Fraction(share):
            raise UsageError(f"--split: {part.strip()!r} is not a name with a share", hint)
        splits.append(SplitShare(name, Fraction(share)))
    names = [split.name for split in splits]
    if len({name.lower() for name in names}) < len(names):  # they are folders and beginnings of file names
        raise UsageError(f"--split: {text!r} names a split twice", hint)
    if (total := sum(split.share for split in splits)) != 1:
        raise UsageError(f"--split: the shares add up to {float(total):g}, not 1", hint)
    return tuple(splits)


def split_of(request: str, splits: Sequence[SplitShare]) -> str:
    """The name of the split for a request's fingerprint: the same in every set, however large it becomes."""
    number = int.from_bytes(hashlib.sha256(request.encode()).digest()[:8], "big")
    ends = accumulate(split.share for split in splits)
    return next(split.name for split, end in zip(splits, ends, strict=True) if number < end * _PARTS)
