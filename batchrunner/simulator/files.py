"""A task's files: its video, which begins with the picture in its request, and the video's last frame."""

from batchrunner.simulator.captions import Caption
from batchrunner.simulator.charge import Charge
from batchrunner.simulator.file_links import issued
from batchrunner.simulator.inputs import first_frame
from batchrunner.simulator.painting import picture_of
from batchrunner.simulator.world import World


async def video(world: World, charge: Charge, more_frames: int = 0) -> bytes:
    """A task's video, as an MP4 file."""
    picture = picture_of(charge.ordinal, charge.width, charge.height, charge.frames + more_frames)
    return await world.videos.video(picture, _caption(charge), await _first_frame(world, charge))


async def last_frame(world: World, charge: Charge) -> bytes:
    """The last frame of a task's video, as a JPEG file."""
    picture = picture_of(charge.ordinal, charge.width, charge.height, charge.frames)
    return await world.videos.last_frame(picture, _caption(charge), _is_continuing(world, charge))


def _caption(charge: Charge) -> Caption:
    return Caption(charge.remote_id, charge.prompt)


def _is_continuing(world: World, charge: Charge) -> bool:
    """Whether the simulator has the picture that the video begins with."""
    url = first_frame(charge.media)
    if isinstance(url, dict):
        return world.first_frames.has(url["sha256"])
    link = issued(world.tasks, url)
    return link is not None and link.is_last_frame


async def _first_frame(world: World, charge: Charge) -> bytes | None:
    """The picture file that a video begins with; None if there is none, or it is elsewhere."""
    if not _is_continuing(world, charge):
        return None
    url = first_frame(charge.media)
    if isinstance(url, dict):
        return world.first_frames.read(url["sha256"])
    link = issued(world.tasks, url)
    return None if link is None else await last_frame(world, link.task.charge)
