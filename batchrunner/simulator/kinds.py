"""How long generations take, by what is asked for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from batchrunner.simulator import checks


@dataclass(frozen=True)
class Kind:
    """Generations of one kind: lognormal around `seconds`, which are nominal, with the spread `sigma`."""

    seconds: float
    sigma: float | None = None  # None is the scenario's own
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


def parse_kinds(value: object, where: str) -> tuple[Kind, ...]:
    """Read `kinds:`; raises ValueError that names the place."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: must be a list of kinds, not {value!r}")
    return tuple(_parse_kind(item, f"{where}[{index}]") for index, item in enumerate(value))


def _parse_kind(value: object, where: str) -> Kind:
    fields = checks.mapping(value, where)
    checks.known_keys(fields, _READERS, where)
    if "seconds" not in fields:
        raise ValueError(f"{where}: needs `seconds`, the median of its generation times")
    return Kind(**{name: _READERS[name](item, f"{where}.{name}") for name, item in fields.items()})


_READERS: Mapping[str, checks.Check] = {
    "seconds": checks.number(0),
    "sigma": checks.number(0, 3),
    "model": checks.text,
    "resolution": checks.text,
    "duration": checks.span,
}
