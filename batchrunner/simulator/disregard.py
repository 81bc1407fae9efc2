"""What the model makes whatever is requested, as behind gateways that drop parts of a request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from batchrunner.simulator import checks
from batchrunner.simulator.submission import ArkRequest


@dataclass(frozen=True)
class Disregard:
    """Values that replace those of every request; None leaves the request's own."""

    duration: int | None = None  # seconds
    resolution: str | None = None
    ratio: str | None = None
    tokens: float = 1.0  # how many times the tokens of the video are billed

    def apply(self, ark: ArkRequest) -> ArkRequest:
        """The request that the model gets."""
        instead = {"duration": self.duration, "resolution": self.resolution, "ratio": self.ratio}
        given = {name: value for name, value in instead.items() if value is not None}
        kept = {
            name: value for name, value in ark.fields.items() if name != "frames" or "duration" not in given
        }
        return replace(ark, fields={**kept, **given})

    def billed(self, tokens: int) -> int:
        """The tokens that are billed for a video of `tokens`."""
        return int(tokens * self.tokens)


def parse_disregard(value: object, where: str) -> Disregard:
    """Read `makes:`; raises Wrong that names the places."""
    return Disregard(**checks.fields(checks.mapping(value, where), _READERS, where))


_READERS: Mapping[str, checks.Check] = {
    "duration": checks.whole(1),
    "resolution": checks.one_of(("480p", "720p", "1080p")),
    "ratio": checks.one_of(("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")),
    "tokens": checks.number(0, 100),
}
