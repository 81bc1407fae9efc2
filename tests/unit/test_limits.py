"""Each rule about what the model takes: what breaks it, and what just keeps to it."""

from typing import Any

import pytest

from batchrunner.core.model import Fit, MediaFile
from batchrunner.core.problems import Severity
from batchrunner.core.rules.limits import check
from batchrunner.manifest.limits_file import load_limits

LIMITS = load_limits()
URL = "https://example.com/a.png"


def image(url: object = URL, role: str = "") -> dict[str, Any]:
    """A picture in `metadata.content`."""
    return {"type": "image_url", "image_url": {"url": url}} | ({"role": role} if role else {})


def video(url: str = "https://example.com/a.mp4") -> dict[str, Any]:
    """A video in `metadata.content`."""
    return {"type": "video_url", "video_url": {"url": url}}


def audio(url: str = "https://example.com/a.mp3") -> dict[str, Any]:
    """A sound in `metadata.content`."""
    return {"type": "audio_url", "audio_url": {"url": url}}


def content(*items: dict[str, Any]) -> dict[str, Any]:
    """A request with inputs."""
    return {"metadata": {"content": list(items)}}


def picture(size: int, width: int = 0, height: int = 0, fit: Fit | None = None) -> MediaFile:
    """A local picture of some size."""
    return MediaFile("/a.png", "a.png", "0" * 64, "image/png", size, width, height, fit)


def framed(width: int, height: int, ratio: str = "16:9", **item: Any) -> dict[str, Any]:
    """A request whose only picture has these measures."""
    return {"metadata": {"ratio": ratio, "content": [image(picture(5, width, height)) | item]}}


def told(**fields: Any) -> list[str]:
    """What is found in a request: severity, path and message."""
    request = {"model": "dreamina-seedance-2-0", "prompt": "A cat", **fields}
    return [
        f"{finding.severity} {'.'.join(map(str, finding.path))}: {finding.message}"
        for finding in check(request, LIMITS)
    ]


FINE: dict[str, dict[str, Any]] = {
    "text alone": {},
    "1080p on the standard model": {"metadata": {"resolution": "1080p"}},
    "4 s": {"duration": 4},
    "15 s": {"seconds": "15"},
    "a length the model chooses": {"metadata": {"duration": -1}},
    "one length three ways": {"duration": 5, "seconds": "5", "metadata": {"duration": 5}},
    "a length of 0 is none": {"duration": 0, "seconds": "5"},
    "camera_fixed false": {"metadata": {"camera_fixed": False, "draft": False}},
    "the default tier": {"metadata": {"service_tier": "default"}},
    "an hour to expire": {"metadata": {"execution_expires_after": 3600}},
    "500 characters": {"prompt": "猫" * 500},
    "1000 words": {"prompt": "cat " * 1000},
    "a dash that is no flag": {"prompt": "a cat -- asleep --really, pre--dur"},
    "one picture": {"image": URL},
    "one picture in a list": {"images": [URL]},
    "a local picture": {"image": picture(29_000_000)},
    "a picture without a role, alone": content(image()),
    "first and last": content(image(role="first_frame"), image(role="last_frame")),
    "nine references": content(*[image(role="reference_image")] * 9),
    "three videos": content(video(), video(), video()),
    "a sound beside a video": content(video(), audio()),
    "an asset": {"image": "asset://asset-20260101000000-abcde"},
    "a data URI": {"image": "data:image/png;base64,iVBORw0KGgo="},
    "the smallest picture": {"image": picture(5, 300, 300)},
    "the largest picture": {"image": picture(5, 6000, 6000)},
    "the narrowest picture": {"image": picture(5, 400, 1000)},
    "the widest picture": {"image": picture(5, 1000, 400)},
    "a large picture that is made to fit": {"image": picture(90_000_000, 9000, 9000, Fit(4096, 8_000_000))},
    "a first frame as the video": framed(1920, 1080),
    "a first frame almost as the video": framed(864, 496),
    "a first frame that the video follows": framed(1000, 1000, "adaptive"),
    "a reference of another shape": framed(1000, 1000, role="reference_image"),
    "six pictures that are made to fit": content(
        *[image(picture(9_000_000, 5000, 5000, Fit(4096, 7_900_000)), "reference_image")] * 6
    ),
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown model": (
        {"model": "dreamina-seedance-2.0"},
        "warning model: unknown model `dreamina-seedance-2.0`",
    ),
    "1080p on fast": (
        {"model": "dreamina-seedance-2-0-fast", "metadata": {"resolution": "1080p"}},
        "warning metadata.resolution: dreamina-seedance-2-0-fast does not support 1080p",
    ),
    "frames": (
        {"metadata": {"frames": 121}},
        "warning metadata.frames: dreamina-seedance-2-0 rejects `frames`",
    ),
    "camera_fixed": (
        {"metadata": {"camera_fixed": True}},
        "warning metadata.camera_fixed: dreamina-seedance-2-0 rejects `camera_fixed`",
    ),
    "draft": ({"metadata": {"draft": True}}, "warning metadata.draft: dreamina-seedance-2-0 rejects `draft`"),
    "tier": (
        {"metadata": {"service_tier": "auto"}},
        "warning metadata.service_tier: dreamina-seedance-2-0 does not support the service tier `auto`",
    ),
    "3 s": (
        {"duration": 3},
        "warning duration: dreamina-seedance-2-0 makes videos of 4 to 15 seconds, not 3",
    ),
    "16 s": (
        {"seconds": "16"},
        "warning seconds: dreamina-seedance-2-0 makes videos of 4 to 15 seconds, not 16",
    ),
    "lengths that differ": (
        {"duration": 5, "seconds": "6"},
        'error seconds: `duration` is 5, and `seconds` is "6"',
    ),
    "a length without effect": (
        {"duration": 5, "metadata": {"duration": 6}},
        "warning metadata.duration: `metadata.duration` 6 has no effect: `duration` 5 wins over it",
    ),
    "expires too soon": (
        {"metadata": {"execution_expires_after": 3599}},
        "warning metadata.execution_expires_after: `execution_expires_after` "
        "must be 3600 to 259200 seconds, not 3599",
    ),
    "callback": (
        {"metadata": {"callback_url": "https://example.com"}},
        "warning metadata.callback_url: calls to `callback_url` are not signed, "
        "so anyone who knows it can call it",
    ),
    "flag in the prompt": (
        {"prompt": "A cat --rt 1:1"},
        "warning prompt: the model obeys `--rt` in the prompt, which overrides the task's fields and cost",
    ),
    "501 characters": (
        {"prompt": "猫" * 501},
        "warning prompt: the prompt has 501 CJK characters; the recommended maximum is 500",
    ),
    "1001 words": (
        {"prompt": "cat " * 1001},
        "warning prompt: the prompt has 1001 words; the recommended maximum is 1000",
    ),
    "image and images": (
        {"image": URL, "images": [URL]},
        "error images: `image` and `images` can't be used together",
    ),
    "image and content": (
        {"image": URL, **content(video())},
        "error image: `image` and `metadata.content` can't be used together: the gateway mixes them up",
    ),
    "two pictures without roles": (
        {"images": [URL, URL]},
        "warning images: the model rejects two or more pictures without roles",
    ),
    "ten pictures": ({"images": [URL] * 10}, "error images: 10 pictures; the limit is 9"),
    "ten references": (
        content(*[image(role="reference_image")] * 10),
        "error metadata.content.9: 10 inputs of type image_url; the limit is 9",
    ),
    "four videos": (
        content(*[video()] * 4),
        "error metadata.content.3: 4 inputs of type video_url; the limit is 3",
    ),
    "four sounds": (
        content(video(), *[audio()] * 4),
        "error metadata.content.4: 4 inputs of type audio_url; the limit is 3",
    ),
    "a sound alone": (content(audio()), "error metadata.content: audio alone is not enough"),
    "a role of another type": (
        content({**video(), "role": "first_frame"}),
        "error metadata.content.0.role: the role first_frame does not fit the type video_url",
    ),
    "two inputs in one item": (
        content({**image(), "text": "x"}),
        "error metadata.content.0.text: an item of type image_url can't also have `text`",
    ),
    "two first frames": (
        content(image(role="first_frame"), image(role="first_frame")),
        "error metadata.content: 2 pictures have the role first_frame",
    ),
    "last alone": (
        content(image(role="last_frame")),
        "error metadata.content: a last_frame needs a first_frame",
    ),
    "first frame and video": (
        content(image(role="first_frame"), video()),
        "error metadata.content.1: first_frame and last_frame can't be mixed with references",
    ),
    "a picture without role beside a video": (
        content(image(), video()),
        "warning metadata.content.0: the model rejects a picture without a role next to other inputs",
    ),
    "text in content": (
        content({"type": "text", "text": "x"}),
        "warning metadata.content.0: the gateway drops texts in `metadata.content`",
    ),
    "a video file": (
        content(video("a.mp4")),
        "error metadata.content.0.video_url.url: "
        "a video must be given as an https URL or an asset:// id, not as a local file",
    ),
    "a video as data": (
        content(video("data:video/mp4;base64,AAAA")),
        "error metadata.content.0.video_url.url: a video can't be sent as a data URI",
    ),
    "an upper-case MIME": (
        {"image": "data:image/PNG;base64,AAAA"},
        "error image: this data URI has the wrong prefix: data:image/PNG;base64",
    ),
    "a sound as a picture": (
        {"image": "data:audio/wav;base64,AAAA"},
        "error image: this data URI has the wrong prefix: data:audio/wav;base64",
    ),
    "http": (
        {"image": "http://example.com/a.png"},
        "warning image: the model may not fetch a picture over http",
    ),
    "a private address": (
        {"image": "https://10.0.0.1/a.png"},
        "warning image: the model can't fetch from `10.0.0.1`, which is only reachable in your own network",
    ),
    "a local name": (
        {"image": "https://nas.local/a.png"},
        "warning image: the model can't fetch from `nas.local`, which is only reachable in your own network",
    ),
    "no host": ({"image": "https:///a.png"}, "error image: incomplete URL"),
    "a broken address": ({"image": "https://[::1/a.png"}, "error image: incomplete URL"),
    "a body too large": (
        content(*[image(picture(25_000_000), "reference_image")] * 2),
        "error metadata.content.0.image_url.url: the request would be 66.7 MB; the limit is 64 MB",
    ),
    "too many pictures that are made to fit": (
        content(*[image(picture(9_000_000, 5000, 5000, Fit(4096, 8_000_001)), "reference_image")] * 6),
        "error metadata.content.0.image_url.url: the request would be 64.0 MB; the limit is 64 MB",
    ),
    "a picture too small": (
        {"image": picture(5, 400, 299)},
        "error image: a.png is 400 x 299 pixels; each side must have 300 to 6000",
    ),
    "a picture too large": (
        {"image": picture(5, 3000, 6001)},
        "error image: a.png is 3000 x 6001 pixels; each side must have 300 to 6000",
    ),
    "a picture too wide": (
        {"image": picture(5, 2510, 1000)},
        "error image: a.png is 2510 x 1000 pixels: its aspect ratio is 2.51",
    ),
    "a picture too narrow": (
        {"images": [picture(5, 399, 1000)]},
        "error images.0: a.png is 399 x 1000 pixels: its aspect ratio is 0.399",
    ),
    "a small picture that would be made to fit": (
        {"image": picture(5, 290, 300, Fit(4096, 8_000_000))},
        "error image: a.png is 290 x 300 pixels; each side must have 300 to 6000",
    ),
    "a first frame unlike the ratio": (
        framed(1000, 1000, role="first_frame"),
        "warning metadata.content.0.image_url.url: a.png is 1000 x 1000 pixels, not 16:9: "
        "the model will crop it",
    ),
    "a picture without a role unlike the ratio": (
        framed(1600, 1000),
        "warning metadata.content.0.image_url.url: a.png is 1600 x 1000 pixels, not 16:9: "
        "the model will crop it",
    ),
    "an image unlike the ratio": (
        {"image": picture(5, 1000, 1000), "metadata": {"ratio": "9:16"}},
        "warning image: a.png is 1000 x 1000 pixels, not 9:16: the model will crop it",
    ),
    "a sound too large": (
        content(video(), audio("data:audio/wav;base64," + "A" * 20_000_004)),
        "error metadata.content.1.audio_url.url: the audio file is over 15 MB",
    ),
    "a data URI too large": (
        {"image": "data:image/png;base64," + "A" * 40_000_004},
        "error image: the picture is over 30 MB",
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_a_request_within_the_limits_has_no_findings(name: str) -> None:
    """A request within the limits has no findings."""
    assert told(**FINE[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_each_broken_rule_is_reported_at_its_field(name: str) -> None:
    """A broken rule leads to exactly one finding."""
    fields, expected = WRONG[name]
    assert told(**fields) == [expected]


def test_frames_and_a_length_exclude_each_other() -> None:
    """`frames` is an error beside any length, on top of the model's refusal."""
    for fields in ({"duration": 5}, {"seconds": "5"}):
        found = check({"model": "x", "prompt": "y", "metadata": {"frames": 121}, **fields}, LIMITS)
        assert [finding.path for finding in found if finding.severity is Severity.ERROR] == [
            ("metadata", "frames")
        ]


def test_an_unknown_model_is_not_held_to_another_ones_limits() -> None:
    """Only that it is unknown is told."""
    metadata = {"resolution": "1080p", "frames": 121}
    assert len(told(model="dreamina-seedance-3-0", metadata=metadata)) == 1
