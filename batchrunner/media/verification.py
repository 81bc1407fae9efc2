"""Verifies a downloaded video: its boxes, then its pictures."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from batchrunner.media.boxes import check_boxes
from batchrunner.media.probe import VideoFacts, probe

_PROBERS = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="probe")
"""Decoding is work for a core, and a thread that has decoded keeps some memory: so there are few of them."""


def verify(path: Path) -> VideoFacts:
    """Check that a video is whole and playable, and return its properties; waits for a core.

    Raises:
        NotWhole: part of it is missing.
        NotPlayable: it can't be decoded.
    """
    check_boxes(path)
    return _PROBERS.submit(probe, path).result()
