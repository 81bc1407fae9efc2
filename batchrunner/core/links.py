"""How long the gateway keeps a finished video, and when its links are known to have expired."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from batchrunner.core.outcome import Receipt

LINKS_LIVE = 24 * 3600.0
"""Nominal seconds after the end of a generation for which the gateway promises to keep the video."""
LINK_EXPIRED = "link_expired"
"""Our code for a video that is no longer available from any source."""
FRESH_ENOUGH = 20 * 3600.0
"""Nominal seconds for which a link is good as an input: the model may read it hours after a submission."""

_GONE = frozenset({404, 410})
_UPSTREAM_GONE = re.compile(r"\bstatus (403|404|410)$")
"""How the gateway reports the file server's status; this message is not localised."""
_UPSTREAM_REFUSED = "artifact_upstream_auth_failed"


class VideoSource(StrEnum):
    """Where a finished video can be downloaded from."""

    CONTENT = "content"
    """The gateway's `/content`."""
    LINK = "link"
    """The model's own link."""


def is_dead(source: VideoSource, receipt: Receipt, age: float) -> bool:
    """Whether this answer means that the source no longer has the video, for good.

    `age` is how long ago the generation ended, in nominal seconds. Within the promised time, such an answer
    may be temporary; afterwards, it is final.
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
    """The ledger's record of a video's two sources."""

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
        """The dead sources according to the ledger."""
        return cls(record.content_dead_at, record.link_dead_at)

    @property
    def sources(self) -> frozenset[VideoSource]:
        """The sources that are dead."""
        known = {VideoSource.CONTENT: self.content_at, VideoSource.LINK: self.link_at}
        return frozenset(source for source, at in known.items() if at is not None)

    def noted(self, source: VideoSource, at: float) -> Dead:
        """A copy with one more dead source."""
        if source is VideoSource.CONTENT:
            return Dead(at, self.link_at)
        return Dead(self.content_at, at)
