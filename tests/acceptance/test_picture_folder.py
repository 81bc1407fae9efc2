"""A folder of thirty pictures as people have them: sound, large, turned, renamed, broken."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.harness.fork_server import ForkServer

MANIFEST = """version: 1
{images}
defaults:
  model: dreamina-seedance-2-0-fast
  duration: 4
  metadata: {{resolution: 480p, ratio: adaptive}}
tasks:
  - files: "photos/**/*"
    image: "${{file}}"
    prompt: "${{stem}} begins to move"
"""


def picture(form: str, width: int, height: int, orientation: int = 1) -> bytes:
    """A picture file of one format."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.save(out, form, **({"exif": exif} if orientation > 1 else {}))
    return out.getvalue()


def sound() -> dict[str, bytes]:
    """What can be sent."""
    return {
        **{f"trip/IMG_{n}.jpg": picture("JPEG", 640 + 100 * n, 480 + 50 * n) for n in range(8)},
        "upright.jpg": picture("JPEG", 800, 600, orientation=6),
        "smallest.png": picture("PNG", 300, 300),
        "网络图片.webp": picture("WEBP", 900, 700),
        "old one.gif": picture("GIF", 400, 300),
        "scan.tiff": picture("TIFF", 600, 800),
        "paint.bmp": picture("BMP", 400, 400),
        "really a png.jpg": picture("PNG", 500, 500),
        "narrowest.png": picture("PNG", 400, 1000),
        "phone.heic": b"\0\0\0\x18ftypheic" + bytes(100),
        "film behind it.jpg": picture("JPEG", 700, 500) + b"ftypmp42" * 2000,
    }


def large() -> dict[str, bytes]:
    """What `fit` makes smaller."""
    return {
        "panorama.jpg": picture("JPEG", 7000, 3500),
        "poster.png": picture("PNG", 2500, 6200),
        "raw.bmp": picture("BMP", 4000, 2600),
    }


def broken() -> dict[str, bytes]:
    """What can't be sent in any way."""
    return {
        "half.jpg": picture("JPEG", 900, 900)[:5000],
        "torn.png": picture("PNG", 900, 900)[:900],
        "zeros.jpg": picture("JPEG", 900, 900)[:5000] + bytes(20_000),
        "empty.jpg": b"",
        "page.jpg": b"<!doctype html><title>404</title>",
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "icon.png": picture("PNG", 64, 64),
        "banner.jpg": picture("JPEG", 1500, 400),
        "notes.txt": b"sunset, best of the series",
    }


LARGE = {
    "panorama.jpg": "7000 x 3500 pixels; each side must have 300 to 6000",
    "poster.png": "2500 x 6200 pixels; each side must have 300 to 6000",
    "raw.bmp": "raw.bmp is over 30 MB",
}
BROKEN = {
    "half.jpg": "half.jpg can't be decoded",
    "torn.png": "torn.png can't be decoded",
    "zeros.jpg": "zeros.jpg ends in zeros",
    "empty.jpg": "empty.jpg is empty",
    "page.jpg": "page.jpg is not a picture format that the model accepts",
    "drawing.svg": "drawing.svg is not a picture",
    "icon.png": "icon.png is 64 x 64 pixels; each side must have 300 to 6000",
    "banner.jpg": "its aspect ratio is 3.75",
    "notes.txt": "notes.txt is not a picture format that the model accepts",
}
"""What is said of each."""


@pytest.fixture
def photos(desk: Any) -> Any:
    """A desk with the folder on it, and a hidden file that no pattern means."""
    files: Mapping[str, bytes] = sound() | large() | broken()
    assert len(files) == 30
    for name, data in (files | {".DS_Store": b"x"}).items():
        path = desk.folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return desk


def faults(desk: Any, images: str = "") -> dict[str, str]:
    """What `validate` says of each file."""
    desk.manifest.write_text(MANIFEST.format(images=images), encoding="utf-8")
    problems = desk.do("validate", "batch.yaml", "--json").json["problems"]
    assert all(problem["hint"] for problem in problems)
    return {Path(problem["place"]["file"]).name: problem["message"] for problem in problems}


def test_unusable_pictures_are_reported_one_by_one(photos: Any) -> None:
    """Every file that is too large or broken, each with its reason, and no other."""
    found = faults(photos)
    expected = LARGE | BROKEN
    assert found.keys() == expected.keys()
    assert [name for name in found if expected[name] not in found[name]] == []
    assert not photos.directory.exists()


def test_pictures_that_are_too_large_can_be_made_to_fit(photos: Any) -> None:
    """One line in the manifest, and only what is broken remains."""
    assert faults(photos, "images: {fit: 4096}").keys() == BROKEN.keys()


def test_each_usable_picture_becomes_a_video(photos: Any, fork_server: ForkServer) -> None:
    """Without the broken ones each picture is a video, named after it, with the file as its input."""
    for name in BROKEN:
        (photos.folder / "photos" / name).unlink()
    photos.manifest.write_text(MANIFEST.format(images="images: {fit: 4096}"), encoding="utf-8")
    photos.directory = photos.folder / "batch.simulated"
    (photos.directory / ".simulator").mkdir(parents=True)
    (photos.directory / ".simulator" / "pictures").symlink_to(fork_server.pictures)
    sent = [*sound(), *LARGE]
    photos.planned = len(sent)
    done = photos.do("run", "batch.yaml", "--simulate", "--time-scale", "0.002", "-q", key=None)
    photos.check(done, 0)
    assert {row["id"]: row["inputs"] for row in photos.rows()} == {
        Path(name).stem: f"photos/{name}" for name in sent
    }
