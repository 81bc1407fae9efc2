"""How long the gateway keeps a finished video, and when its links are known to be expired."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchrunner.core.outcome import Receipt

LINKS_LIVE = 24 * 3600.0
"""Nominal seconds, after the generation has ended, for which the gateway promises to keep a video."""
LINK_EXPIRED = "link_expired"
"""Our code for a video that no source has any more."""

_GONE = frozenset({404, 410})
_UPSTREAM_GONE = re.compile(r"\bstatus (403|404|410)$")
"""How the gateway passes on what the file server said: its own words, which it does not translate."""
_UPSTREAM_REFUSED = "artifact_upstream_auth_failed"


class VideoSource(StrEnum):
    """Where a finished video can be fetched."""

    CONTENT = "content"
    """The gateway's `/content`."""
    LINK = "link"
    """The model's own link."""


def is_dead(source: VideoSource, receipt: Receipt, age: float) -> bool:
    """Whether a source that gave this answer will never have the video again.

    `age` is how long ago the generation ended, in nominal seconds. Within the promised time an answer
    like this may pass; after it, it is the end.
    """
    if age <= LINKS_LIVE:
        return False
    if receipt.status in _GONE:
        return True
    if source is VideoSource.LINK:
        return receipt.status == 403
    passed_on = receipt.code == _UPSTREAM_REFUSED or _UPSTREAM_GONE.search(receipt.message)
    return receipt.status == 502 and bool(passed_on)


class _Noted(Protocol):
    """What the ledger knows of the two sources of a video."""

    @property
    def content_dead_at(self) -> float | None: ...
    @property
    def link_dead_at(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Dead:
    """Which sources are known to be dead, and since when (Unix seconds)."""

    content_at: float | None = None
    link_at: float | None = None

    @classmethod
    def of(cls, record: _Noted) -> Dead:
        """What the ledger knows."""
        return cls(record.content_dead_at, record.link_dead_at)

    @property
    def sources(self) -> frozenset[VideoSource]:
        """Those that are dead."""
        known = {VideoSource.CONTENT: self.content_at, VideoSource.LINK: self.link_at}
        return frozenset(source for source, at in known.items() if at is not None)

    def noted(self, source: VideoSource, at: float) -> Dead:
        """With one more."""
        if source is VideoSource.CONTENT:
            return Dead(at, self.link_at)
        return Dead(self.content_at, at)
