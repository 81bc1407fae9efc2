"""What the tasks of a chain need of each other, and whether that is what was sent."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchrunner.media import last_frame
from tests.torture.case_folder import CaseFolder

_NEED = re.compile(r"\"task:(\w+)/(\w+)\"")


def of(task: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The IDs of the tasks that a task of the manifest needs, each with the part of it."""
    return _NEED.findall(json.dumps(task))


def fault(desk: CaseFolder, task: str, charge: Mapping[str, Any]) -> str:
    """What was sent for a task and is not from the finished videos that it needs; empty if all is."""
    sent = [media["url"] for media in charge["media"]]
    for needed, part in of(desk.tasks[task]):
        video = desk.directory / "videos" / f"{needed}.mp4"
        if not video.exists():
            return f"{task} was submitted before {needed}, which it needs, was finished"
        if part == "video":
            (before,) = desk.gateway.charges(needed)
            name = f"-{before['ordinal'] - 1:05d}.mp4"  # of the simulator's own files, as links have it
            known = any(isinstance(url, str) and name in url for url in sent)
        else:
            hashes = [url["sha256"] for url in sent if isinstance(url, Mapping)]
            known = any(picture in hashes for picture in _last_frames(video))
        if not known:
            return f"{task} was not sent the {part} of {needed}, but {sent}"
    return ""


def _last_frames(video: Path) -> list[str]:
    """The SHA-256 of the data URIs that stand for a video's last frame: the gateway's picture, and ours."""
    kept = video.with_name(f"{video.stem}-last-frame.jpg")
    pictures = [("jpeg", kept.read_bytes())] if kept.exists() else []
    uris = (
        f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        for kind, data in (*pictures, ("png", last_frame(video)))
    )
    return [hashlib.sha256(uri.encode()).hexdigest() for uri in uris]
