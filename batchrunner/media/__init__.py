"""Inspects and encodes local pictures, and probes finished videos."""

from batchrunner.media.boxes import NotWhole, check_boxes
from batchrunner.media.last_frame import is_same_picture, last_frame, picture_ending
from batchrunner.media.probe import NotPlayable, VideoFacts, probe

__all__ = [
    "NotPlayable",
    "NotWhole",
    "VideoFacts",
    "check_boxes",
    "is_same_picture",
    "last_frame",
    "picture_ending",
    "probe",
]
