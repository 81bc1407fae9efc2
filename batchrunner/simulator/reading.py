"""How the model reads the links in a request: it has no key, and comes when the generation begins."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from batchrunner.simulator.file_links import BadLink, check_life, issued, resolve
from batchrunner.simulator.tasks import Tasks
from batchrunner.simulator.world import World

_LAST_FRAMES = {"image_url": True, "video_url": False}  # whether a link of this type must be to a last frame


def unreadable_input(world: World, media: Sequence[Mapping[str, Any]], at: float) -> str:
    """Type and status of the first link that the model can't read at Unix time `at`: "image_url:403", or "".

    Only links to this simulator are looked at: all others count as readable.
    """
    for item in media:
        try:
            _check_link(world, item["type"], item["url"], at)
        except BadLink as error:
            return f"{item['type']}:{error.status}"
    return ""


def input_frames(tasks: Tasks, media: Sequence[Mapping[str, Any]]) -> int | None:
    """Frames of the input videos that are billed; None without input videos.

    Only the simulator's own videos have a known length: 24 frames a second, without the one that each video
    has besides. Others count as empty.
    """
    links = [issued(tasks, item["url"]) for item in media if item["type"] == "video_url"]
    return sum(link.task.charge.frames - 1 for link in links if link is not None) if links else None


def _check_link(world: World, kind: str, url: Any, at: float) -> None:
    origin = _origin(url)
    if origin == _origin(world.gateway_url):
        raise BadLink(401, "Unauthorized")
    if origin is None or origin != _origin(world.files_url):
        return
    parts = urlsplit(url)
    link = resolve(world.tasks, parts.path, parts.query)
    check_life(link.task, at)
    if link.is_last_frame is not _LAST_FRAMES.get(str(kind)):
        raise BadLink(415, "UnsupportedMediaType")


def _origin(url: Any) -> tuple[str, int | None] | None:
    """Host and port of an http link; None for anything else."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in ("http", "https") or parts.hostname is None:
            return None
        return parts.hostname.replace("localhost", "127.0.0.1"), parts.port
    except ValueError:
        return None
