"""A scenario: how the simulator behaves. Pure: values in, values out.

All seconds are nominal: the simulator's time scale converts them to real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchrunner.simulator import checks
from batchrunner.simulator.api_keys import RECORDED, Key, parse_keys
from batchrunner.simulator.capacity import Steps, parse_capacity
from batchrunner.simulator.chance import below, letters, lognormal
from batchrunner.simulator.disregard import Disregard, parse_disregard
from batchrunner.simulator.kinds import KindTimes, parse_kinds
from batchrunner.simulator.rules import Rule, parse_rule
from batchrunner.simulator.users import User, parse_users

VARIANTS = ("recorded", "document")


@dataclass(frozen=True)
class Scenario:
    """The gateway's behaviour; the same scenario and the same requests in order give the same results."""

    variant: str = "recorded"  # or "document": as documented, where the two differ
    strict: bool = False  # whether the model rejects what the real one is known to reject
    seed: int = 1  # of all randomness, remote IDs included
    generation_seconds: float = 100.0  # median, from running to ended upstream
    generation_sigma: float = 0.25  # lognormal spread around the median; 0 makes all equal
    makes: Disregard = field(default_factory=Disregard)  # what the model makes whatever is requested
    queue_seconds: float = 3.0  # minimum time that a task is queued upstream
    kinds: tuple[KindTimes, ...] = ()  # separate generation times; the first match applies
    capacity: int | Steps | None = None  # tasks that generate at once, others stay queued; None: no limit
    queue_limit: int | None = None  # most tasks queued upstream; more submissions get 429
    submits_per_minute: int | None = None  # per model; more are refused with 429
    refresh_seconds: float = 15.0  # the refresh loop's pause between rounds
    line_seconds: float = 0.0  # and its time for each unfinished task
    timeout_seconds: float = 86400.0  # when the gateway gives up on an unfinished task
    link_seconds: float = 86400.0  # how long result_url is valid after the task has ended
    link_in_fail_reason: bool = False  # an older gateway: the link is only in fail_reason
    content_seconds: float | None = None  # time limit of a slow download by /content; None: no limit
    balance: int | None = None  # the user's quota units; None: unlimited
    usage_log: bool = True  # whether the operator has enabled the usage log
    log_names_task: bool = False  # newer gateways: a submission's row names its task
    request_ids: bool = True  # whether answers and rows have the gateway's request ID
    usage_limit: int = 20  # look-ups of /api/log/token and /api/usage/token in 20 minutes; 0: no limit
    keys: Mapping[str, Key] = field(default_factory=lambda: RECORDED, repr=False)
    users: Mapping[str, User] = field(default_factory=dict)  # further ones, by the name that keys give
    faults: tuple[Rule, ...] = ()

    @classmethod
    def from_dict(cls, value: object, where: str = "scenario") -> "Scenario":
        """Read a scenario; raises Wrong with all faults, their places and the allowed values."""
        return cls(**checks.fields(checks.mapping({} if value is None else value, where), _READERS, where))

    @property
    def documented(self) -> bool:
        """Whether to behave as documented."""
        return self.variant == "document"

    def user(self, name: str) -> User:
        """A user of the gateway; the one without a name has the scenario's capacity and balance."""
        return self.users.get(name, User()) if name else User(self.capacity, self.balance)

    def user_of(self, key: str) -> str:
        """Whose a key is, by the name that the charge book has for it."""
        return next((one.user for one in self.keys.values() if one.name == key), "")

    def remote_id(self, ordinal: int) -> str:
        """The gateway's ID of the `ordinal`-th accepted submission, from 1."""
        return "task_" + letters(32, self.seed, "remote id", ordinal)

    def generating(self, remote_id: str, model: str, resolution: str, duration: float) -> float:
        """How long the generation of `remote_id`, a video of `duration` seconds, takes."""
        ordinary = KindTimes(self.generation_seconds)
        fitting = (kind for kind in self.kinds if kind.fits(model, resolution, duration))
        kind = next(fitting, ordinary)
        sigma = self.generation_sigma if kind.sigma is None else kind.sigma
        return lognormal(kind.seconds, sigma, self.seed, "generation", remote_id)

    def drawn_seed(self, remote_id: str) -> int:
        """The seed that the model draws if the request gives none."""
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
    "makes": parse_disregard,
    "queue_seconds": checks.number(0),
    "kinds": parse_kinds,
    "capacity": parse_capacity,
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
    "users": parse_users,
    "faults": _faults,
}
