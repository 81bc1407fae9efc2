"""Videos follow from their inputs: they begin with the picture that was sent, and end with their own."""

import base64
import io
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from batchrunner.simulator.captions import Caption
from batchrunner.simulator.painting import VARIANTS, Picture
from batchrunner.simulator.video_model import _SIZES
from batchrunner.simulator.videos import Videos, _encode_last_frame
from tests.harness.continuity import SAME, continues, difference, ends, picture

SIZES = [size for sizes in _SIZES.values() for size in sizes]
SMALL = (320, 256)


@pytest.fixture
def videos(tmp_path: Path) -> Iterator[Videos]:
    """Videos in a folder of their own."""
    made = Videos(tmp_path / "pictures")
    yield made
    made.close()


def caption(number: int) -> Caption:
    """Whose video it is."""
    return Caption(f"task_{number:032}", "a cat")


def data_uri(body: bytes) -> str:
    """A picture as it is sent."""
    return f"data:image/jpeg;base64,{base64.b64encode(body).decode()}"


def drawing(width: int, height: int, form: str = "PNG") -> bytes:
    """A picture of no simulated video: a disc in the middle, another below it."""
    image, file = Image.new("RGB", (width, height), (30, 90, 160)), io.BytesIO()
    draw, radius = ImageDraw.Draw(image), min(width, height) // 5
    for middle, colour in ((height // 2, (250, 220, 90)), (height * 4 // 5, (240, 40, 40))):
        draw.ellipse(
            (width // 2 - radius, middle - radius, width // 2 + radius, middle + radius), fill=colour
        )
    image.save(file, form)
    return file.getvalue()


async def made(gateway: Any, **request: Any) -> bytes:
    """The video of a request."""
    remote_id = await gateway.accepted(**request)
    await gateway.ended(remote_id)
    body: bytes = (await gateway.content(remote_id)).body
    return body


async def shot(gateway: Any, duration: int = 1, **request: Any) -> tuple[Any, bytes, bytes]:
    """A task that has ended, its video and its last frame."""
    metadata = {"resolution": "480p", "duration": duration, "return_last_frame": True}
    remote_id = await gateway.accepted(**{**request, "metadata": metadata | request.get("metadata", {})})
    task = await gateway.ended(remote_id)
    frame = await gateway.call("GET", task["data"]["content"]["last_frame_url"], None)
    return task, (await gateway.content(remote_id)).body, frame.body


@pytest.mark.parametrize("is_continuing", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_the_last_frame_is_that_of_the_video_in_every_size(
    videos: Videos, size: tuple[int, int], is_continuing: bool
) -> None:
    """It shows label, clock and scene as the video's last frame does, whatever the video begins with."""
    shape = Picture(*size, 16, SIZES.index(size) % VARIANTS)
    body = videos._body(shape, caption(1), drawing(*SMALL) if is_continuing else None)
    frame = picture(_last_frame(shape, is_continuing))
    assert frame.size == size
    assert _whole_difference(frame, ends(body).last) < 2.5
    assert _whole_difference(frame, ends(body).first) > 5


@pytest.mark.parametrize("is_continuing", [False, True])
@pytest.mark.parametrize("variant", range(VARIANTS))
def test_the_last_frame_is_that_of_the_video_in_every_pattern(
    videos: Videos, variant: int, is_continuing: bool
) -> None:
    """The same for each of the patterns, in a video long enough to have all its parts."""
    shape = Picture(*SMALL, 49, variant)
    body = videos._body(shape, caption(1), drawing(*SMALL) if is_continuing else None)
    assert _whole_difference(picture(_last_frame(shape, is_continuing)), ends(body).last) < 2.5


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 12, 13, 14, 15, 25])
def test_however_short_it_begins_with_the_picture_and_ends_with_its_own(videos: Videos, frames: int) -> None:
    """A video of a single frame shows the picture; all others end with their card."""
    shape, first = Picture(*SMALL, frames, 0), drawing(*SMALL)
    shown = ends(videos._body(shape, caption(1), first))
    assert continues(picture(first), shown.first)
    if frames > 1:
        assert continues(picture(_last_frame(shape, True)), shown.last)
        assert difference(picture(first), shown.last) > 2 * SAME


def test_all_endings_differ(videos: Videos) -> None:
    """Without a given picture there are eight endings, with one as many as tasks."""
    plain = [_last_frame(Picture(864, 496, 121, number), False) for number in range(VARIANTS)]
    cards = [_last_frame(Picture(864, 496, 121, 0), True, number) for number in range(20)]
    pictures = [picture(file) for file in plain + cards]
    assert min(difference(one, other) for one, other in combinations(pictures, 2)) > 2 * SAME


def test_a_chain_of_three_shots(night: Any) -> None:
    """Each shot begins where the one before it ended, and nowhere else."""

    async def story(gateway: Any) -> Any:
        films = []
        for film in range(3):
            _, video, frame = await shot(gateway, prompt=f"film {film}, shot 1")
            shots = [(video, frame)]
            for number in (2, 3):
                picked = {"image": data_uri(frame)} if number == 2 else {"images": [data_uri(frame)]}
                _, video, frame = await shot(gateway, prompt=f"film {film}, shot {number}", **picked)
                shots.append((video, frame))
            films.append(shots)
        return films

    films = night(story)
    lasts = {(film, at): picture(shots[at][1]) for film, shots in enumerate(films) for at in range(3)}
    for film, shots in enumerate(films):
        for at in (1, 2):
            first = ends(shots[at][0]).first
            assert [place for place, last in lasts.items() if continues(last, first)] == [(film, at - 1)]
            assert min(
                difference(last, first) for place, last in lasts.items() if place != (film, at - 1)
            ) > (2 * SAME)


@pytest.mark.parametrize("role", ["first_frame", None])
def test_a_picture_in_content_is_the_first_frame(night: Any, role: str | None) -> None:
    """With the role of a first frame, or without a role."""
    item = {"type": "image_url", "image_url": {"url": data_uri(drawing(864, 496))}}
    last = {"type": "image_url", "role": "last_frame", "image_url": {"url": data_uri(drawing(*SMALL))}}
    content = [item if role is None else {**item, "role": role}, *([last] if role else [])]

    async def story(gateway: Any) -> Any:
        return await made(gateway, metadata={"resolution": "480p", "duration": 1, "content": content})

    assert continues(picture(drawing(864, 496)), ends(night(story)).first)


def test_a_reference_picture_is_no_first_frame(night: Any) -> None:
    """A video with references begins as any other."""
    image = {"url": data_uri(drawing(864, 496))}
    content = [{"type": "image_url", "role": "reference_image", "image_url": image}]

    async def story(gateway: Any) -> Any:
        return await made(gateway, metadata={"resolution": "480p", "duration": 1, "content": content})

    assert not continues(picture(drawing(864, 496)), ends(night(story)).first)


@pytest.mark.parametrize("size", [(400, 800), (1000, 500), (3000, 1300)], ids=str)
def test_a_picture_of_another_ratio_is_centre_cropped(night: Any, size: tuple[int, int]) -> None:
    """It is scaled until it covers the whole video."""
    given = drawing(*size)

    async def story(gateway: Any) -> Any:
        return await made(gateway, image=data_uri(given), metadata={"resolution": "480p", "ratio": "4:3"})

    first = ends(night(story)).first
    assert first.size == (752, 560)
    assert continues(picture(given), first)
    assert not continues(picture(given).resize(first.size), first)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_pictures_of_all_formats(night: Any, form: str) -> None:
    """What the model reads, the simulator shows."""
    given = drawing(432, 248, form)

    async def story(gateway: Any) -> Any:
        return await made(gateway, image=data_uri(given))

    assert continues(picture(given), ends(night(story)).first)


def test_a_picture_that_cannot_be_decoded_is_accepted_and_not_shown(night: Any) -> None:
    """As before, unless the scenario is strict."""

    async def story(gateway: Any) -> Any:
        return await made(gateway, image="data:image/png;base64,QUJD"), await made(gateway, image="data:,")

    assert all(ends(body).first.size == (864, 496) for body in night(story))


def test_a_link_to_a_last_frame_is_a_first_frame(night: Any) -> None:
    """The simulator's own link will do instead of the bytes, also once it has expired."""

    async def story(gateway: Any) -> Any:
        task, _, frame = await shot(gateway)
        remote_id = await gateway.accepted(image=task["data"]["content"]["last_frame_url"])
        await gateway.ended(remote_id)
        gateway.clock.later(90)  # the first link ends, the second lives on
        expired = await gateway.call("GET", task["data"]["content"]["last_frame_url"], None)
        return frame, expired.status, (await gateway.content(remote_id)).body

    frame, expired, video = night(story, link_seconds=100)
    assert expired == 403
    assert continues(picture(frame), ends(video).first)


def test_a_restarted_simulator_makes_the_same_video(nights: Any, tmp_path: Path) -> None:
    """The picture outlives the simulator that got it: once, however often it was sent, and not too large."""
    night, photo = next(nights), drawing(3000, 1300)
    sent: list[str] = []

    async def submits(gateway: Any) -> None:
        sent.extend([await gateway.accepted(image=data_uri(photo)) for _ in range(3)])
        await gateway.ended(sent[-1])

    async def downloads(gateway: Any) -> Any:
        await gateway.ended(sent[0])
        return (await gateway.content(sent[0])).body

    night(submits)
    body = night(downloads)
    assert continues(picture(photo), ends(body).first)
    assert night(downloads) == body
    (kept,) = (tmp_path / "state 0" / "inputs").iterdir()
    assert max(picture(kept).size) == 1280


def test_all_downloads_of_a_task_are_the_same_file(night: Any) -> None:
    """By either link, and when many other videos were made in between."""

    async def story(gateway: Any) -> Any:
        uri = data_uri(drawing(*SMALL))
        ids = [await gateway.accepted(image=uri) for _ in range(20)]
        urls = [(await gateway.ended(remote_id))["result_url"] for remote_id in ids]
        first = [(await gateway.content(remote_id)).body for remote_id in ids]
        return first, [(await gateway.call("GET", url, None)).body for url in urls]

    contents, links = night(story)
    assert contents == links
    assert len(set(contents)) == 20


def _last_frame(shape: Picture, is_continuing: bool, number: int = 1) -> bytes:
    return _encode_last_frame(shape, caption(number), is_continuing)


def _whole_difference(one: Image.Image, other: Image.Image) -> float:
    """How much two pictures differ, label and clock included."""
    pair = (image.convert("YCbCr") for image in (one, other))
    return max(ImageStat.Stat(ImageChops.difference(*pair)).mean)
