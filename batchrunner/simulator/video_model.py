"""The model behind the gateway: output shapes, costs and rejections. Pure."""

import math
from dataclasses import dataclass

from batchrunner.simulator import refusal
from batchrunner.simulator.chance import below
from batchrunner.simulator.life import Ending
from batchrunner.simulator.refusal import Denial, Denied
from batchrunner.simulator.submission import ArkRequest

FPS = 24
_SHORTEST, _LONGEST_OF_ITS_OWN = 4, 15  # seconds that the model chooses from
_LONGEST = 60  # seconds; the upstream refuses more, and encoding would take too long

# api/seedance.md, section 6
_RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
_SIZES = {
    "480p": ((864, 496), (752, 560), (640, 640), (560, 752), (496, 864), (992, 432)),
    "720p": ((1280, 720), (1112, 834), (960, 960), (834, 1112), (720, 1280), (1470, 630)),
    "1080p": ((1920, 1080), (1664, 1248), (1440, 1440), (1248, 1664), (1080, 1920), (2206, 946)),
}

# Thousandths, so that the arithmetic is exact: 108900 tokens × 2.8 are 304920 units, as recorded.
_RATIO_MILLI = {"dreamina-seedance-2-0": 3500, "dreamina-seedance-2-0-fast": 2800}


@dataclass(frozen=True)
class Shape:
    """The shape of the video that the model makes."""

    resolution: str
    ratio: str
    width: int
    height: int
    duration: int | None  # seconds; None if the request gives frames
    frames: int

    def tokens(self, input_frames: int | None) -> int:
        """The tokens that the upstream bills; input videos count, too (None: the request has none).

        With an input video, at least 5/3 of the video's own length is billed, in whole seconds.
        """
        own, billed = self.frames - 1, self.frames
        if input_frames is not None:
            billed = max(own + input_frames, math.ceil(5 * own / (3 * FPS)) * FPS) + 1
        return billed * self.width * self.height // 1024


def hold(model: str) -> int:
    """Quota units taken when a submission is accepted, whatever the duration."""
    return _RATIO_MILLI[model] * 250


def settled(model: str, tokens: int) -> int:
    """Quota units that a succeeded task finally costs."""
    return tokens * _RATIO_MILLI[model] // 1000


def model_ratio(model: str) -> float:
    """The model's price factor, as the usage log shows it."""
    return _RATIO_MILLI[model] / 1000


def upstream_name(model: str) -> str:
    """The upstream's name for the model."""
    return f"{model}-260128"


def shape_of(ark: ArkRequest, *draw: object) -> Shape:
    """The requested shape; raises Denied like the upstream if it is invalid.

    Values left to the model are drawn from `draw`; the default ratio is 16:9, as recorded.
    """
    resolution = ark.get("resolution", "") or "720p"
    if resolution not in _SIZES:
        raise _invalid("resolution")
    ratio = ark.get("ratio", "") or "16:9"
    if ratio == "adaptive":
        ratio = _RATIOS[below(len(_RATIOS), *draw, "ratio")]
    if ratio not in _RATIOS:
        raise _invalid("ratio")
    width, height = _SIZES[resolution][_RATIOS.index(ratio)]
    frames: int = ark.get("frames", 0)
    if frames > 0:
        if frames > _LONGEST * FPS + 1:
            raise _invalid("frames")
        return Shape(resolution, ratio, width, height, None, frames)
    duration: int = ark.get("duration", 5)
    if duration == -1:
        duration = _SHORTEST + below(_LONGEST_OF_ITS_OWN - _SHORTEST + 1, *draw, "duration")
    duration = duration or 5
    if not 1 <= duration <= _LONGEST:
        raise _invalid("duration")
    return Shape(resolution, ratio, width, height, duration, FPS * duration + 1)


def told(prompt: str) -> str:
    """The instruction in a prompt: "fail" in "ark:fail a cat"; "" for an ordinary prompt."""
    if not prompt.startswith("ark:"):
        return ""
    words = prompt.removeprefix("ark:").split()
    return words[0] if words else ""


ENDINGS = {
    "fail": Ending.FAILED,
    "moderated": Ending.MODERATED,
    "expired": Ending.EXPIRED,
    "cancelled": Ending.CANCELLED,
    "timeout_24h": Ending.STUCK,
    "channel_lost": Ending.CHANNEL_LOST,
}


def refuse_told(prompt: str) -> None:
    """Refuse a submission whose prompt asks for it; raises Denied, as recorded."""
    match told(prompt):
        case "inputmod":
            text = "The request failed because the input text may contain sensitive information."
            raise refusal.upstream(400, "InputTextSensitiveContentDetected", text, "BadRequest")
        case "r401":
            raise refusal.upstream(401, "AuthenticationError", "The API key doesn't exist.", "Unauthorized")
        case "r403":
            raise refusal.upstream(403, "AccountOverdueError", "The account is overdue.", "Forbidden")
        case "r429":
            raise busy()
        case "r500":
            text = "The service encountered an unexpected internal error."
            raise refusal.upstream(500, "InternalServiceError", text, "InternalServerError")
        case "html":
            raise Denied(Denial(502, "task", "fail_to_fetch_task", "<html>Bad Gateway</html>"))
        case "noid":
            headers = (("X-New-Api-Other-Ratios", "{}"),)
            raise Denied(Denial(500, "task", "invalid_response", "task_id is empty", headers))


def busy(retry_after: str | None = None) -> Denied:
    """The gateway's 429 for every 429 of the upstream."""
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    return Denied(Denial(429, "task", "fail_to_fetch_task", "当前分组上游负载已饱和，请稍后再试", headers))


def _invalid(name: str) -> Denied:
    text = f"The parameter `{name}` specified in the request is not valid."
    return refusal.upstream(400, "InvalidParameter", text, "BadRequest")
