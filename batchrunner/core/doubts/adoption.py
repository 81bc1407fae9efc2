"""Matches submissions in doubt with the gateway's tasks. Evidence in, decisions out; it never guesses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrunner.core.model import AttemptId, RemoteId, TaskKey
from batchrunner.core.text import count

CLOCKS_DIFFER = 60.0
"""Real seconds by which the gateway's clock may differ from ours."""
SAME_MOMENT = 5.0
"""Maximum seconds between the usage-log row of a submission and the submission time of its task."""
NEWEST_ROWS = 1000
"""Maximum number of usage-log rows that the gateway returns."""


@dataclass(frozen=True, slots=True)
class Unowned:
    """A submission of ours that may have been sent and has no remote ID."""

    attempt: AttemptId
    key: TaskKey
    id: str
    is_doubt: bool
    """Whether its task is in doubt because of it; if not (unanswered or declared lost), it only competes."""
    model: str
    seed: int | None
    duration: int | None
    """Seconds requested; None if left to the model."""
    resolution: str | None
    submitted_at: float
    """Unix seconds."""
    ratio: str | None = None
    """None if left to the model."""
    request_id: str = ""
    """The gateway's ID of the HTTP request, if the answer had one."""
    process: str = ""
    """The process that submitted it; empty if the ledger is too old to have recorded it."""
    account: str = ""
    """The name of the account that it was submitted with; empty if that had none."""
    request: str = ""
    """The same for identical requests, regardless of their tasks; empty if unknown."""
    paid_attempts: int = 1
    """How many attempts at its video may have been accepted, including this one."""
    ahead: float = 0.0
    """Real seconds by which the gateway's clock is ahead of ours now; at submission it may have differed."""

    @property
    def earliest(self) -> float:
        """The earliest time at which it may have been sent, by the gateway's clock."""
        return self.submitted_at + min(0.0, self.ahead)

    def may_have_come(self, at: float, latest: float) -> bool:
        """Whether the gateway may have received it at `at` (Unix seconds, by its clock).

        `latest` is the maximum real seconds from a submission's intent to its arrival at the gateway.
        """
        left = (self.submitted_at, self.submitted_at + self.ahead)
        return any(-CLOCKS_DIFFER <= at - moment <= latest + CLOCKS_DIFFER for moment in left)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A row of the gateway's usage log."""

    at: float
    """Unix seconds, by the gateway's clock."""
    model: str
    request_id: str
    remote_id: RemoteId | None
    """Set on settlements; some gateways set it on submissions too."""
    is_submission: bool
    """The hold of an accepted submission; most gateways set no remote ID there."""
    quota: int | None = None
    """Quota units charged or refunded."""
    is_refund: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the gateway shows of one of its tasks; None for what it doesn't show."""

    remote_id: RemoteId
    model: str
    seed: int | None
    duration: int | None
    resolution: str | None
    submitted_at: float | None
    """Unix seconds, by the gateway's clock."""
    ratio: str | None = None
    succeeded: bool | None = None
    """None until it has ended."""
    status: str = ""
    """As reported by the gateway."""

    @property
    def is_whole(self) -> bool:
        """Whether it is complete: a task still generating shows no seed yet."""
        return self.seed is not None or self.succeeded is not None


def candidates(
    rows: Iterable[UsageRow], ours: frozenset[RemoteId], doubts: Sequence[Unowned]
) -> list[RemoteId]:
    """The remote IDs in the log that are not ours and may belong to a doubt, without duplicates."""
    if not doubts:
        return []
    oldest, models = min(doubt.earliest for doubt in doubts), {doubt.model for doubt in doubts}
    found = (
        row.remote_id
        for row in rows
        if row.remote_id and row.model in models and row.at >= oldest - CLOCKS_DIFFER
    )
    return [remote_id for remote_id in dict.fromkeys(found) if remote_id not in ours]


def matches(submission: Unowned, seen: Sighting, latest: float) -> bool:
    """Whether a gateway task matches this submission in every property that both have.

    `latest` as for `may_have_come`.
    """
    if submission.seed is None or seen.submitted_at is None:
        return False
    return (
        seen.seed == submission.seed
        and seen.model == submission.model
        and submission.duration in (None, seen.duration)
        and submission.resolution in (None, seen.resolution)
        and submission.ratio in (None, seen.ratio)
        and submission.may_have_come(seen.submitted_at, latest)
    )


def adoptable(
    unowned: Sequence[Unowned], sightings: Sequence[Sighting], latest: float
) -> Mapping[AttemptId, RemoteId]:
    """The remote IDs of doubts with a unique match: the ID matches no other task, and the doubt no other ID.

    Identical requests that all match the same, equally many IDs are interchangeable: any assignment is right.
    """
    pairs = [(one, seen) for one in unowned for seen in sightings if matches(one, seen, latest)]
    ids = Counter(one.attempt for one, _ in pairs)
    tasks: dict[RemoteId, set[TaskKey]] = defaultdict(set)
    for one, seen in pairs:
        tasks[seen.remote_id].add(one.key)
    found = {
        one.attempt: seen.remote_id
        for one, seen in pairs
        if one.is_doubt and ids[one.attempt] == 1 and len(tasks[seen.remote_id]) == 1
    }
    return {**found, **_replicas(pairs)}


def _replicas(pairs: Sequence[tuple[Unowned, Sighting]]) -> Mapping[AttemptId, RemoteId]:
    """Doubts with identical requests and exactly as many IDs, which match all of these and nothing else."""
    fitting: dict[AttemptId, set[RemoteId]] = defaultdict(set)
    claimants: dict[RemoteId, set[AttemptId]] = defaultdict(set)
    for one, seen in pairs:
        fitting[one.attempt].add(seen.remote_id)
        claimants[seen.remote_id].add(one.attempt)
    groups: dict[tuple[str, frozenset[RemoteId]], dict[AttemptId, Unowned]] = defaultdict(dict)
    for one, _ in pairs:
        groups[one.request, frozenset(fitting[one.attempt])][one.attempt] = one
    found: dict[AttemptId, RemoteId] = {}
    for (request, ids), group in groups.items():
        alone = all(claimants[remote_id] == group.keys() for remote_id in ids)
        different = len({one.key for one in group.values()}) == len(group) == len(ids)
        if request and alone and different and all(one.is_doubt for one in group.values()):
            found |= zip(sorted(group), sorted(ids), strict=True)
    return found


def unexplained(
    doubt: Unowned,
    rows: Sequence[UsageRow],
    known: frozenset[str],
    adopted: Sequence[tuple[str, float]],
    latest: float,
) -> list[UsageRow]:
    """The charged submissions in the log that are unaccounted for and may be this one.

    `known` are the request IDs of submissions whose outcome is known. `adopted` are model and time (Unix
    seconds) of adopted tasks: each accounts for one row of its model, whose request ID we never received.
    """
    if doubt.request_id and (own := [row for row in rows if row.request_id == doubt.request_id]):
        return own
    strange = [
        row for row in rows if row.is_submission and row.model == doubt.model and row.request_id not in known
    ]
    for model, at in adopted:
        own = [row for row in strange if row.model == model and abs(row.at - at) <= SAME_MOMENT]
        if own:
            strange.remove(min(own, key=lambda row: abs(row.at - at)))
    return [row for row in strange if doubt.may_have_come(row.at, latest)]


def is_full(rows: Sequence[UsageRow]) -> bool:
    """Whether the log, which has only the newest rows, may have had older ones."""
    return len(rows) >= NEWEST_ROWS


def reaches_back(rows: Sequence[UsageRow], to: float) -> bool:
    """Whether the log, which has only the newest rows, goes back to that time (Unix seconds)."""
    return not is_full(rows) or min(row.at for row in rows) <= to - CLOCKS_DIFFER


def advice(
    doubt: Unowned, rows: Sequence[UsageRow], found: Sequence[UsageRow], unproven: str = "", beyond: int = 0
) -> str:
    """What the log says about a doubt that it doesn't settle, for the user's decision.

    `unproven` says why the doubt's absence from the log is not conclusive; `beyond` is how many quota units
    the key was charged beyond the log.
    """
    if not rows:
        told = "the usage log is empty; the gateway may not keep one"
        return f"{told}, and the key was charged {beyond:,} quota units" if beyond else told
    if doubt.request_id and any(row.request_id == doubt.request_id for row in found):
        return "the usage log shows that it was charged, but not under which ID"
    if not reaches_back(rows, doubt.earliest):
        return "the usage log doesn't go back that far: it may have been charged"
    if found:
        told, match = count(len(found), "submission"), "matches" if len(found) == 1 else "match"
        return f"the usage log shows {told} of its model that {match} no known task: it may have been charged"
    told = "the usage log shows no matching submission"
    return f"{told}, which is not conclusive: {unproven}" if unproven else told
