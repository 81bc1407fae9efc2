"""Fault rules: which fault, on which requests. Pure: the caller counts, this decides."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from batchrunner.simulator import checks
from batchrunner.simulator.chance import unit

SUBMIT, POLL, GENERATE, DOWNLOAD = "submit", "poll", "generate", "download"

# The parameters that a fault takes beside the ones that say which requests it is for.
_SECONDS, _FACTOR = frozenset({"seconds"}), frozenset({"factor"})
_NONE: frozenset[str] = frozenset()

FAULTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    SUBMIT: {
        "cut_after_accept": _NONE,
        "cut_before_accept": _NONE,
        "html_502_after_accept": _NONE,
        "html_502": _NONE,
        "hang_after_accept": _NONE,
        "slow_accept": _SECONDS,
        "broken_json_after_accept": _NONE,
        "no_id_after_accept": _NONE,
        "task_id_only": _NONE,
        "429": _NONE,
        "429_retry_after": _SECONDS,
        "429_empty": _NONE,
        "401": _NONE,
        "402": _NONE,
        "403_quota": _NONE,
        "403_token_quota": _NONE,
        "403_html": _NONE,
        "503_model": _NONE,
        "500_refunded": _NONE,
        "500_html": _NONE,
        "redirect": _NONE,
    },
    POLL: dict.fromkeys(
        ("500", "html_502", "401", "403_model", "task_not_exist", "cut", "null_data", "unknown_state"), _NONE
    ),
    GENERATE: {
        "fail": _NONE,
        "moderated": _NONE,
        "expired": _NONE,
        "slow": _FACTOR,
        "timeout_24h": _NONE,
    },
    DOWNLOAD: {
        "cut": _NONE,
        "cut_chunked": _NONE,
        "html_200": _NONE,
        "json_200": _NONE,
        "garbage": _NONE,
        "502": _NONE,
        "404": _NONE,
        "not_ready": _NONE,
        "other_video": _NONE,
        "slow": _SECONDS,
    },
}
SOURCES = ("content", "url", "both")


@dataclass(frozen=True)
class Rule:
    """One fault and the requests it befalls; of several conditions all must hold."""

    on: str  # submit, poll, generate or download
    do: str  # the fault, one of FAULTS[on]
    prompt: str = "*"  # shell pattern over the whole prompt of the task
    nth: tuple[int, ...] = ()  # ordinals among the matching requests, from 1
    every: int | None = None  # every so-manyth matching request
    chance: float | None = None  # 0..1, drawn from the scenario's seed
    times: int | None = None  # at most so often
    first: int | None = None  # only among the first so many matching requests
    between: tuple[float, float] | None = None  # nominal seconds since the simulator's first start
    seconds: float = 10.0  # Retry-After as sent; of slow_accept and slow: nominal seconds
    factor: float = 5.0  # of `generate: slow`: how much longer the generation takes
    source: str = "content"  # of downloads: content, url or both

    @cached_property
    def key(self) -> str:
        """What the rule's counts are kept under: the same rule has the same key after a restart."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def matches(self, prompt: str, at: float, source: str) -> bool:
        """Whether the rule counts a request of a task with `prompt`, `at` nominal seconds since the start."""
        if self.between is not None and not self.between[0] <= at < self.between[1]:
            return False
        if self.on == DOWNLOAD and self.source not in (source, "both"):
            return False
        return fnmatchcase(prompt, self.prompt)

    def fires(self, match: int, fired: int, seed: int) -> bool:
        """Whether the fault befalls the `match`-th matching request, having fired `fired` times before."""
        if self.times is not None and fired >= self.times:
            return False
        if self.first is not None and match > self.first:
            return False
        if self.nth and match not in self.nth:
            return False
        if self.every is not None and match % self.every != 0:
            return False
        return self.chance is None or unit(seed, "fault", self.key, match) < self.chance


def parse_rule(value: object, where: str) -> Rule:
    """Read one entry of `faults:`; raises ValueError that names the place."""
    fields = checks.mapping(value, where)
    on = checks.one_of(tuple(FAULTS))(fields.get("on"), f"{where}.on")
    do = checks.one_of(tuple(FAULTS[on]))(fields.get("do"), f"{where}.do")
    allowed = {"on", "do", *_CONDITIONS, *FAULTS[on][do]} | ({"source"} if on == DOWNLOAD else set())
    checks.known_keys(fields, allowed, f"{where} ({on}: {do})")
    given = {name: value for name, value in fields.items() if name in _READERS}
    read = {name: _READERS[name](value, f"{where}.{name}") for name, value in given.items()}
    return Rule(on=on, do=do, **read)


_CONDITIONS = ("prompt", "nth", "every", "chance", "times", "first", "between")
_READERS: Mapping[str, checks.Check] = {
    "prompt": checks.text,
    "nth": checks.ordinals,
    "every": checks.whole(1),
    "chance": checks.number(0, 1),
    "times": checks.whole(0),
    "first": checks.whole(0),
    "between": checks.span,
    "seconds": checks.number(0),
    "factor": checks.number(0),
    "source": checks.one_of(SOURCES),
}


class Tally:
    """How often each rule has matched and fired; picks the fault of each request.

    `counts` maps a rule's key to [matches, fired]; it is written with every line of the charge book, so
    that a restarted simulator goes on counting where it was.
    """

    def __init__(self, rules: tuple[Rule, ...], seed: int, counts: Mapping[str, list[int]]) -> None:
        self._rules = tuple(dict.fromkeys(rules))  # a rule written twice is one rule
        self._seed = seed
        self.counts: dict[str, list[int]] = {key: list(pair) for key, pair in counts.items()}

    def pick(self, on: str, prompt: str, at: float, source: str = "content") -> Rule | None:
        """Count one request against every rule, and return the first that fires (None: no fault)."""
        picked: Rule | None = None
        for rule in self._rules:
            if rule.on != on or not rule.matches(prompt, at, source):
                continue
            pair = self.counts.setdefault(rule.key, [0, 0])
            pair[0] += 1
            if picked is None and rule.fires(pair[0], pair[1], self._seed):
                pair[1] += 1
                picked = rule
        return picked
