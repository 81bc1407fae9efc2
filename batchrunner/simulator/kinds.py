"""Generation times by kind of request. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from batchrunner.simulator import checks


@dataclass(frozen=True)
class KindTimes:
    """Generation times of one kind: lognormal around `seconds` (nominal) with the spread `sigma`."""

    seconds: float
    sigma: float | None = None  # None: the scenario's
    model: str = "*"  # shell pattern
    resolution: str = "*"  # the same
    duration: tuple[float, float] = (0, 1e9)  # of the video: [from, to], both included

    def fits(self, model: str, resolution: str, duration: float) -> bool:
        """Whether a video of `duration` seconds is of this kind."""
        least, most = self.duration
        return (
            fnmatchcase(model, self.model)
            and fnmatchcase(resolution, self.resolution)
            and least <= duration <= most
        )


def parse_kinds(value: object, where: str) -> tuple[KindTimes, ...]:
    """Read `kinds:`; raises Wrong that names the places."""
    return checks.each(value, _parse_kind, where, "kinds")


def _parse_kind(value: object, where: str) -> KindTimes:
    given = checks.mapping(value, where)
    read = checks.fields(given, _READERS, where)
    if "seconds" not in given:
        raise checks.Wrong((where, "needs `seconds`, the median of its generation times"))
    return KindTimes(**read)


_READERS: Mapping[str, checks.Check] = {
    "seconds": checks.number(0),
    "sigma": checks.number(0, 3),
    "model": checks.text,
    "resolution": checks.text,
    "duration": checks.closed_span,
}
