"""A scenario: how the simulator behaves. Pure: values in, values out.

All seconds here are nominal: the simulator's time scale turns them into real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchrunner.simulator import checks
from batchrunner.simulator.api_keys import RECORDED, Key, parse_keys
from batchrunner.simulator.chance import below, letters, lognormal
from batchrunner.simulator.kinds import Kind, parse_kinds
from batchrunner.simulator.rules import Rule, parse_rule

VARIANTS = ("recorded", "document")


@dataclass(frozen=True)
class Scenario:
    """The gateway's behaviour; equal scenarios and equal requests in order give equal results."""

    variant: str = "recorded"  # or "document": where the two differ, as the API document says
    strict: bool = False  # whether the model refuses what the real one is known to refuse
    seed: int = 1  # of every draw, the remote ids included: another seed is another gateway
    generation_seconds: float = 100.0  # median, from running to ended upstream
    generation_sigma: float = 0.25  # of the lognormal spread around it; 0 makes all equal
    queue_seconds: float = 3.0  # a task is queued upstream at least so long
    kinds: tuple[Kind, ...] = ()  # generation times of their own; the first that fits
    capacity: int | None = None  # so many generate at once, the others stay queued; None is no limit
    queue_limit: int | None = None  # when so many are queued upstream, the next is refused with 429
    submits_per_minute: int | None = None  # of one model; more are refused with 429
    refresh_seconds: float = 15.0  # the gateway looks upstream so often
    line_seconds: float = 0.0  # and takes so long for each unfinished task in line
    timeout_seconds: float = 86400.0  # then the gateway gives an unfinished task up
    link_seconds: float = 86400.0  # so long does result_url live after the task has ended
    link_in_fail_reason: bool = False  # an older gateway: the link is in fail_reason and nowhere else
    content_seconds: float | None = None  # the gateway cuts a slow download after so long; None: it does not
    balance: int | None = None  # the user's quota units; None is plenty
    usage_log: bool = True  # whether the operator has the usage log written
    log_names_task: bool = False  # later gateways: the row of a submission names its task
    request_ids: bool = True  # whether answers and rows bear the gateway's id of the exchange
    usage_limit: int = 20  # look-ups of /api/log/token and /api/usage/token in 20 minutes; 0 is no limit
    keys: Mapping[str, Key] = field(default_factory=lambda: RECORDED, repr=False)
    faults: tuple[Rule, ...] = ()

    @classmethod
    def from_dict(cls, value: object, where: str = "scenario") -> "Scenario":
        """Read a scenario; raises Wrong with all faults, their places, and what is allowed."""
        return cls(**checks.fields(checks.mapping({} if value is None else value, where), _READERS, where))

    @property
    def documented(self) -> bool:
        """Whether to behave as documented."""
        return self.variant == "document"

    def remote_id(self, ordinal: int) -> str:
        """The gateway's id of the `ordinal`-th accepted submission, from 1."""
        return "task_" + letters(32, self.seed, "remote id", ordinal)

    def generating(self, remote_id: str, model: str, resolution: str, duration: float) -> float:
        """How long the generation of `remote_id` takes: a video of `duration` seconds."""
        ordinary = Kind(self.generation_seconds)
        fitting = (kind for kind in self.kinds if kind.fits(model, resolution, duration))
        kind = next(fitting, ordinary)
        sigma = self.generation_sigma if kind.sigma is None else kind.sigma
        return lognormal(kind.seconds, sigma, self.seed, "generation", remote_id)

    def drawn_seed(self, remote_id: str) -> int:
        """The seed that the model draws when the request leaves it open."""
        return below(100_000, self.seed, "model seed", remote_id)


def _faults(value: object, where: str) -> tuple[Rule, ...]:
    return checks.each(value, parse_rule, where, "rules")


def _optional(check: checks.Check) -> checks.Check:
    def read(value: object, where: str) -> Any:
        return None if value is None else check(value, where)

    return read


_READERS: Mapping[str, checks.Check] = {
    "variant": checks.one_of(VARIANTS),
    "strict": checks.flag,
    "seed": checks.whole(0),
    "generation_seconds": checks.number(0),
    "generation_sigma": checks.number(0, 3),
    "queue_seconds": checks.number(0),
    "kinds": parse_kinds,
    "capacity": _optional(checks.whole(1)),
    "queue_limit": _optional(checks.whole(1)),
    "submits_per_minute": _optional(checks.whole(1)),
    "refresh_seconds": checks.number(0.001),
    "line_seconds": checks.number(0),
    "timeout_seconds": checks.number(0.001),
    "link_seconds": checks.number(0),
    "link_in_fail_reason": checks.flag,
    "content_seconds": _optional(checks.number(0.001)),
    "balance": _optional(checks.whole(0)),
    "usage_log": checks.flag,
    "log_names_task": checks.flag,
    "request_ids": checks.flag,
    "usage_limit": checks.whole(0),
    "keys": parse_keys,
    "faults": _faults,
}
