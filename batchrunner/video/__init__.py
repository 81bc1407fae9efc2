"""Is this file a whole, playable MP4, and what is in it?"""

from batchrunner.video.boxes import NotWhole, check_boxes
from batchrunner.video.picture import picture_ending
from batchrunner.video.probe import NotPlayable, VideoFacts, probe

__all__ = ["NotPlayable", "NotWhole", "VideoFacts", "check_boxes", "picture_ending", "probe"]
