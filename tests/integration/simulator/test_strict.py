"""A strict model refuses what our own checks find, and takes what they find nothing in."""

import json
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.manifest import load_manifest

BOTH, FAST = "dreamina-seedance-2-0", "dreamina-seedance-2-0-fast"
URL = "https://example.com/a.png"
PIXEL = "iVBORw0KGgo="


def item(kind: str, role: str | None = None, url: str = URL) -> dict[str, Any]:
    """One input."""
    return {"type": kind, kind: {"url": url}} | ({"role": role} if role else {})


def content(*items: object) -> dict[str, Any]:
    """A request with inputs."""
    return {"metadata": {"content": list(items)}}


FIRST, LAST = item("image_url", "first_frame"), item("image_url", "last_frame")
PICTURE, VIDEO = item("image_url", "reference_image"), item("video_url", "reference_video")
SOUND = item("audio_url", "reference_audio")

REFUSED: dict[str, dict[str, Any]] = {
    "1080p of the fast model": {"metadata": {"resolution": "1080p"}},
    "frames": {"metadata": {"frames": 121}},
    "draft": {"metadata": {"draft": True}},
    "a fixed camera": {"metadata": {"camera_fixed": True}},
    "another tier": {"metadata": {"service_tier": "priority"}},
    "a seed that is too large": {"metadata": {"seed": 2**31}},
    "too short": {"seconds": "3"},
    "too long": {"metadata": {"duration": 16}},
    "too soon": {"metadata": {"execution_expires_after": 60}},
    "pictures without roles": {"images": [URL, URL]},
    "no URL": content(item("video_url", "reference_video", "not a url")),
    "no address": content(item("video_url", "reference_video", "https://")),
    "no asset": {"image": "asset://"},
    "a video in a data URI": content(item("video_url", None, f"data:video/mp4;base64,{PIXEL}")),
    "no base64": {"image": "data:image/png;base64,****"},
    "capitals": {"image": f"data:image/PNG;base64,{PIXEL}"},
    "an unknown picture": {"image": f"data:image/svg+xml;base64,{PIXEL}"},
    "no items": content(1, None, "x"),
    "an unknown type": content({"type": "smell"}),
    "an empty holder": content({"type": "image_url", "image_url": {}}),
    "a wrong role": content(item("video_url", "first_frame")),
    "a last frame alone": content(LAST),
    "two first frames": content(FIRST, FIRST),
    "frames and references": content(FIRST, PICTURE),
    "a sound alone": content(SOUND),
    "a picture without a role": content(item("image_url"), VIDEO),
    "ten pictures": content(*[PICTURE] * 10),
    "four videos": content(*[VIDEO] * 4),
    "four sounds": content(PICTURE, *[SOUND] * 4),
    "an image beside content": {"image": URL} | content(VIDEO),
}
TAKEN: dict[str, dict[str, Any]] = {
    "text": {},
    "1080p": {"model": BOTH, "metadata": {"resolution": "1080p", "ratio": "21:9"}},
    "settings": {"metadata": {"seed": 2**31 - 1, "watermark": True, "execution_expires_after": 3600}},
    "of its own length": {"metadata": {"duration": -1, "ratio": "adaptive"}},
    "lengths": {"seconds": "15"},
    "off": {"metadata": {"draft": False, "camera_fixed": False, "service_tier": "default"}},
    "a picture": {"image": URL},
    "an asset": {"images": ["asset://asset-1"]},
    "a first frame": content(FIRST),
    "one without a role": content(item("image_url")),
    "first and last": content(FIRST, LAST),
    "references": content(*[PICTURE] * 9, *[VIDEO] * 3, *[SOUND] * 3),
}


def found_in(folder: Path, request: dict[str, Any]) -> bool:
    """Whether our own checks find anything."""
    path = folder / "m.yaml"
    path.write_text(json.dumps({"version": 1, "tasks": [request]}), encoding="utf-8")
    try:
        return bool(load_manifest(path).warnings)
    except ManifestError:
        return True


@pytest.mark.parametrize("name", [*REFUSED, *TAKEN])
def test_the_strict_model_and_our_checks_agree(night: Any, tmp_path: Path, name: str) -> None:
    """What is refused costs nothing; a model that is not strict takes more."""
    request = {"model": FAST, "prompt": "a cat", "metadata": {}} | (REFUSED | TAKEN)[name]

    async def story(gateway: Any) -> Any:
        body = {key: value for key, value in request.items() if key != "prompt"}
        return await gateway.submit("a cat", **body), len(await gateway.charges())

    reply, charged = night(story, strict=True)
    assert found_in(tmp_path, request) is (name in REFUSED)
    assert (reply.status, charged) == ((400, 0) if name in REFUSED else (200, 1))
    if name in REFUSED:
        assert reply.json["code"] == "fail_to_fetch_task"
        assert json.loads(reply.json["message"])["error"]["code"] == "InvalidParameter"
