"""Text in simulated videos: whose video it is, and a clock. White on black: any scene may be below it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from batchrunner.simulator.video_model import FPS

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

BLACK, GREY, WHITE = 16, 80, 235  # luma
_MOST = 200  # characters of a prompt; no more fit into any width
_INSTALLED = (
    *("NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc"),
    *("PingFang.ttc", "STHeiti Light.ttc", "msyh.ttc", "simhei.ttf"),
)  # fonts with Chinese characters


@dataclass(frozen=True)
class Caption:
    """What tells a task's video from all others."""

    remote_id: str
    prompt: str


class ClockFace:
    """Draws `00:03.2 / 5 s`, and a bar that grows with every frame."""

    def __init__(self, stride: int, width: int, height: int, frames: int) -> None:
        """Rows are `stride` bytes long, of which `width` are seen."""
        self._stride, self._width, self._height, self._frames = stride, width, height, frames
        self._bar = height // 8
        self._drawn: dict[str, bytes] = {}

    def rows(self, number: int) -> bytes:
        """The luma of the clock in the frame with this number, from 0."""
        text = f"{clock_time(number)} / {round(self._frames / FPS, 1):g} s"
        if text not in self._drawn:
            self._drawn[text] = self._text(text)
        passed = self._width * (number + 1) // self._frames
        row = bytes((WHITE,)) * passed + bytes((GREY,)) * (self._stride - passed)
        return self._drawn[text] + row * self._bar

    def _text(self, text: str) -> bytes:
        image = _black(self._stride, self._height - self._bar)
        _write(image, self._height // 8, 0, text, self._height * 2 // 3)
        return image.tobytes()


def clock_time(number: int) -> str:
    """When a frame is shown, in minutes, seconds and tenths: `00:03.2`."""
    minutes, tenths = divmod(number * 10 // FPS, 600)
    return f"{minutes:02}:{tenths // 10:02}.{tenths % 10}"


def label(caption: Caption, stride: int, width: int, height: int) -> bytes:
    """The luma of a label: the beginning of the prompt, and below it the whole remote ID.

    Rows are `stride` bytes long, of which `width` are seen.
    """
    image, margin, size = _black(stride, height), height // 8, height * 2 // 5
    _write(image, margin, 0, " ".join(caption.prompt[:_MOST].split()), size)
    long = sum(_glyph(char, size).advance for char in caption.remote_id)
    fitting = min(size, int(size * (width - 2 * margin) / long)) if long else size
    _write(image, margin, height // 2, caption.remote_id, max(fitting, 1))
    return image.tobytes()


class _Glyph(NamedTuple):
    """One character, drawn."""

    mask: Image
    left: int  # pixels that the mask begins before the character
    advance: float  # pixels to the next character


def _black(width: int, height: int) -> Image:
    from PIL import Image  # noqa: PLC0415  a simulator answers sooner without

    return Image.new("L", (width, height), BLACK)


def _write(image: Image, left: float, top: int, text: str, size: int) -> None:
    """Write one line, as far as it fits. Glyphs are drawn once: that is most of the work."""
    for char in text:
        glyph = _glyph(char, size)
        image.paste(WHITE, (round(left) - glyph.left, top), glyph.mask)
        left += glyph.advance
        if left > image.width:
            return


@lru_cache(maxsize=4096)
def _glyph(char: str, size: int) -> _Glyph:
    from PIL import Image, ImageDraw  # noqa: PLC0415

    font, left = _font(size, char.isascii()), size // 4
    advance = font.getlength(char)
    mask = Image.new("L", (round(advance) + 2 * left, size * 3 // 2))
    ImageDraw.Draw(mask).text((left, 0), char, 255, font)
    return _Glyph(mask, left, advance)


@lru_cache(maxsize=64)
def _font(size: int, is_own: bool) -> FreeTypeFont | ImageFont:
    """Pillow's own font, which has ASCII; for other characters an installed one, if there is one."""
    from PIL import ImageFont  # noqa: PLC0415

    for name in () if is_own else _INSTALLED:
        try:
            return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:
            continue
    return ImageFont.load_default(size)
