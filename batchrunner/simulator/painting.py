"""Paints the frames of simulated videos as bytes: text and moving bars don't justify an array library."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from batchrunner.simulator.captions import BLACK, Caption, ClockFace, label
from batchrunner.simulator.chance import below
from batchrunner.simulator.video_model import FPS

if TYPE_CHECKING:
    from av import VideoFrame

_COLOURS = ((90, 180), (200, 90), (60, 60), (170, 200), (110, 40), (230, 128), (40, 160), (128, 230))  # U, V
NEUTRAL = 128  # U and V of black and white
_BAR = 64  # pixels
_PATTERNS = ("across", "down", "slanted")
VARIANTS = len(_COLOURS)
BLOCK = 16  # pixels; the unit of slices
FARTHEST = 32  # pixels; the least that x264 takes as the most by which anything moves
_INTERPOLATED = 4  # pixels beyond that at which filters for parts of pixels look

OPENING, CLOSING = 8, 4  # frames in which bars replace a first frame, and a card replaces the bars
_COLUMNS, _ROWS = 8, 6  # of a card
_LEVELS = (30, 70, 110, 150, 190, 230)  # luma of its fields

Planes = tuple[bytes, ...]  # Y, U and V of one frame, or of the rows below its clock


@dataclass(frozen=True)
class Picture:
    """Everything that an encoded video depends on, but for its label and the frame that it begins with."""

    width: int
    height: int
    frames: int
    variant: int

    @property
    def label_height(self) -> int:
        """Rows of the label: whole blocks, of a readable size also in a small picture of the video."""
        return BLOCK * max(2, round(min(self.width, self.height) / 125))

    @property
    def top(self) -> int:
        """The first row below label and clock. From here on, a video shows the frame it begins with."""
        return self.label_height + FARTHEST + self.label_height

    @property
    def opening(self) -> range:
        """The frames that still show something of the frame that the video begins with."""
        return range(min(OPENING, (self.frames + 1) // 2))

    @property
    def closing(self) -> range:
        """The frames of a video with a given first frame that show something of the task's card."""
        return range(max(self.frames - CLOSING, len(self.opening)), self.frames)


def picture_of(ordinal: int, width: int, height: int, frames: int) -> Picture:
    """The picture of the task with this number: always the same, and different from its neighbours'."""
    return Picture(width, height, frames, ordinal % VARIANTS)


class Painter:
    """Paints label, clock and moving bars."""

    def __init__(self, picture: Picture, caption: Caption | None = None) -> None:
        """Without a caption, the label is black."""
        from av import VideoFrame  # noqa: PLC0415  a simulator answers sooner without

        planes = VideoFrame(picture.width, picture.height, "yuv420p").planes
        self.picture = picture
        self.strides = tuple(plane.line_size for plane in planes)
        self._stride = self.strides[0]
        self._rows = planes[0].height - picture.top
        self._label = label_rows(picture, caption, self._stride) + _black(self._stride, FARTHEST)
        self._clock = ClockFace(self._stride, picture.width, picture.label_height, picture.frames)
        self._neutral = [bytes((NEUTRAL,)) * (stride * picture.top // 2) for stride in self.strides[1:]]
        self._colours = [
            bytes((value,)) * (plane.buffer_size - len(above))
            for plane, above, value in zip(planes[1:], self._neutral, _COLOURS[picture.variant], strict=True)
        ]

    def frame(self, number: int) -> VideoFrame:
        """The frame with this number, from 0."""
        from av import VideoFrame  # noqa: PLC0415

        frame = VideoFrame(self.picture.width, self.picture.height, "yuv420p")
        luma, *chroma = self.scene(number)
        above = (self._label + self._clock.rows(number), *self._neutral)
        for plane, top, content in zip(frame.planes, above, (luma, *chroma), strict=True):
            plane.update(top + content)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        return frame

    def scene(self, number: int) -> Planes:
        """What a frame shows below the clock."""
        variant = self.picture.variant
        pattern = _PATTERNS[variant % len(_PATTERNS)]
        return _bars(pattern, self._stride, self._rows, number * (2 + variant)), *self._colours


class ContinuingPainter(Painter):
    """Paints a video that begins with a given picture.

    The bars push the picture out, and at the end a card of the task's own pushes out the bars: only eight
    bars exist, but no two such videos end alike.
    """

    def __init__(
        self, picture: Picture, caption: Caption | None, remote_id: str, first: bytes | None
    ) -> None:
        """`first` is a picture file; not needed for the last frame."""
        super().__init__(picture, caption)
        self._card = (_card(self._stride, picture.width, self._rows, remote_id), *self._colours)
        self._first = () if first is None else _fitted(picture, first)

    def scene(self, number: int) -> Planes:
        """What a frame shows below the clock."""
        bars, opening, closing = super().scene(number), self.picture.opening, self.picture.closing
        if number in opening:
            return self._pushed(bars, self._first, number / len(opening))
        if number in closing:
            return self._pushed(self._card, bars, (number - closing.start + 1) / len(closing))
        return bars

    def _pushed(self, new: Planes, old: Planes, share: float) -> Planes:
        """The upper `share` of one scene, and the rest of another."""
        rows = int(len(new[1]) // self.strides[1] * share)  # of U and V; Y has twice as many
        cuts = [stride * rows * (1 if index else 2) for index, stride in enumerate(self.strides)]
        return tuple(one[:cut] + other[cut:] for one, other, cut in zip(new, old, cuts, strict=True))


def label_rows(picture: Picture, caption: Caption | None, stride: int) -> bytes:
    """The luma of a label. Its last rows stay black: what is interpolated below looks at them."""
    if caption is None:
        return _black(stride, picture.label_height)
    height = picture.label_height - _INTERPOLATED
    return label(caption, stride, picture.width, height) + _black(stride, _INTERPOLATED)


def _black(stride: int, rows: int) -> bytes:
    return bytes((BLACK,)) * stride * rows


def _bars(pattern: str, width: int, height: int, shift: int) -> bytes:
    """The brightness of one frame: dark and light bars, shifted by `shift` pixels."""
    period = bytes((60,)) * _BAR + bytes((170,)) * _BAR
    strip = period * ((width + height) // len(period) + 2)
    start = shift % len(period)
    if pattern == "across":
        return strip[start : start + width] * height
    if pattern == "down":
        return b"".join(bytes((value,)) * width for value in strip[start : start + height])
    starts = ((start + row) % len(period) for row in range(height))
    return b"".join(strip[at : at + width] for at in starts)


def _card(stride: int, width: int, height: int, remote_id: str) -> bytes:
    """The brightness of a task's own card: fields drawn from its remote ID."""
    rows = []
    for row in range(_ROWS):
        fields = [_LEVELS[below(len(_LEVELS), remote_id, "card", row, column)] for column in range(_COLUMNS)]
        line = bytes(fields[at * _COLUMNS // width] for at in range(width)) + bytes(stride - width)
        rows.append(line * (height * (row + 1) // _ROWS - height * row // _ROWS))
    return b"".join(rows)


def _fitted(picture: Picture, first: bytes) -> Planes:
    """What is seen of a given first frame: scaled and centre-cropped to the size, without what is hidden."""
    from av import VideoFrame  # noqa: PLC0415
    from PIL import Image, ImageOps  # noqa: PLC0415

    with Image.open(io.BytesIO(first)) as image:
        whole = ImageOps.fit(image.convert("RGB"), (picture.width, picture.height))
    frame = VideoFrame.from_image(whole)  # type: ignore[no-untyped-call]  # PyAV has no types here
    planes = frame.reformat(format="yuv420p").planes
    hidden = (picture.top, picture.top // 2, picture.top // 2)
    return tuple(bytes(plane)[rows * plane.line_size :] for plane, rows in zip(planes, hidden, strict=True))
