"""Fault rules: which fault, on which requests. Pure: the caller counts, this decides."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from batchrunner.simulator import checks
from batchrunner.simulator.chance import unit
from batchrunner.simulator.faults import (
    BODIES,
    DOWNLOAD,
    FAULTS,
    REFUNDED,
    SHAPES,
    SOURCES,
    WORDS,
    conditions,
)


@dataclass(frozen=True)
class Rule:
    """One fault and the requests it applies to; all conditions must hold."""

    on: str  # one of FAULTS
    do: str  # the fault, one of FAULTS[on]
    prompt: str = "*"  # shell pattern over the whole prompt of the task
    per_task: bool = False  # count the requests of each task separately
    nth: tuple[int, ...] = ()  # ordinals among the matching requests, from 1
    every: int | None = None  # every N-th matching request
    chance: float | None = None  # 0..1, drawn from the scenario's seed
    times: int | None = None  # at most this many times
    first: int | None = None  # only among the first N matching requests
    between: tuple[float, float] | None = None  # nominal seconds since the simulator's first start
    source: str = "content"  # for downloads: content, url or both
    seconds: float = 10.0  # Retry-After as sent; for slow_accept, slow and hang: nominal seconds
    date: bool = False  # Retry-After as a date
    factor: float = 5.0  # for `generate: slow`: how many times longer it takes
    status: int = 502  # for an answer from a proxy in front of the gateway
    body: str = "html"  # for the same: html or empty
    shape: str | None = None  # for a refusal: openai or task; None: the default
    code: str = "do_request_failed"  # for `500_refunded`
    word: str = "expired"  # for `expired`: the upstream's status

    @cached_property
    def key(self) -> str:
        """The key of the rule's counts; the same after a restart."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    def matches(self, prompt: str, at: float, source: str) -> bool:
        """Whether the rule counts a request of a task with `prompt`, `at` nominal seconds since the start."""
        if self.between is not None and not self.between[0] <= at < self.between[1]:
            return False
        if self.on == DOWNLOAD and self.source not in (source, "both"):
            return False
        return fnmatchcase(prompt, self.prompt)

    def fires(self, match: int, fired: int, *draw: object) -> bool:
        """Whether the fault fires for the `match`-th matching request, after firing `fired` times before.

        `draw` seeds the random choice, together with the rule and the request's number.
        """
        if self.times is not None and fired >= self.times:
            return False
        if self.first is not None and match > self.first:
            return False
        if self.nth and match not in self.nth:
            return False
        if self.every is not None and match % self.every != 0:
            return False
        return self.chance is None or unit(*draw, "fault", self.key, match) < self.chance


def parse_rule(value: object, where: str) -> Rule:
    """Read one entry of `faults:`; raises Wrong that names the places."""
    given = checks.mapping(value, where)
    on = checks.one_of(tuple(FAULTS))(given.get("on"), f"{where}.on")
    do = checks.one_of(tuple(FAULTS[on]))(given.get("do"), f"{where}.do")
    allowed = {"on", "do", *conditions(on), *FAULTS[on][do]}
    return Rule(on=on, do=do, **checks.fields(given, _READERS, where, allowed))


_READERS: Mapping[str, checks.Check] = {
    "prompt": checks.text,
    "per_task": checks.flag,
    "nth": checks.ordinals,
    "every": checks.whole(1),
    "chance": checks.number(0, 1),
    "times": checks.whole(0),
    "first": checks.whole(0),
    "between": checks.span,
    "source": checks.one_of(SOURCES),
    "seconds": checks.number(0),
    "date": checks.flag,
    "factor": checks.number(0),
    "status": checks.whole(400, 599),
    "body": checks.one_of(BODIES),
    "shape": checks.one_of(SHAPES),
    "code": checks.one_of(REFUNDED),
    "word": checks.one_of(WORDS),
}


class RuleCounts:
    """How often each rule has matched and fired; picks the fault of each request.

    `counts` maps a rule's key to [matches, fired], with `per_task` one entry per task. Changes are written
    with every line of the charge book, so that a restarted simulator continues counting.
    """

    def __init__(self, rules: Iterable[Rule], seed: int, counts: Mapping[str, list[int]]) -> None:
        self._rules = tuple(dict.fromkeys(rules))  # duplicate rules count as one
        self._seed = seed
        self._counts = {key: list(pair) for key, pair in counts.items()}
        self._changed: set[str] = set()

    def pick(
        self, on: str, at: float, prompt: str = "", task: str = "", source: str = "content"
    ) -> Rule | None:
        """Count one request against every rule, and return the first that fires (None: no fault)."""
        picked: Rule | None = None
        for rule in self._rules:
            if rule.on != on or not rule.matches(prompt, at, source):
                continue
            whose = task if rule.per_task else ""
            key = f"{rule.key} {whose}".rstrip()
            pair = self._counts.setdefault(key, [0, 0])
            pair[0] += 1
            self._changed.add(key)
            if picked is None and rule.fires(pair[0], pair[1], self._seed, whose):
                pair[1] += 1
                picked = rule
        return picked

    def changes(self) -> dict[str, list[int]]:
        """The counts that have changed since the last call."""
        changed = {key: self._counts[key] for key in sorted(self._changed)}
        self._changed.clear()
        return changed
