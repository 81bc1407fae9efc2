"""Matches submissions in doubt with the gateway's tasks. Evidence in, decisions out; never a guess."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrunner.core.model import AttemptId, RemoteId, TaskKey
from batchrunner.core.text import count

CLOCKS_DIFFER = 60.0
"""Real seconds by which the gateway's clock may be off ours."""
SAME_MOMENT = 5.0
"""Seconds between the gateway's row of a submission and the time that it shows for its task, at most."""
NEWEST_ROWS = 1000
"""Rows of the usage log that the gateway shows, at most."""


@dataclass(frozen=True, slots=True)
class Unowned:
    """A submission of ours that may have left and has no remote id."""

    attempt: AttemptId
    key: TaskKey
    id: str
    is_doubt: bool
    """Whether its task is in doubt because of it; else it only competes: in the air, or declared lost."""
    model: str
    seed: int | None
    duration: int | None
    """Seconds asked for; None where the model was to choose."""
    resolution: str | None
    submitted_at: float
    """Unix seconds."""
    ratio: str | None = None
    """None where the model was to choose."""
    request_id: str = ""
    """The gateway's own id of the exchange, where an answer bore one."""
    process: str = ""
    """The process that submitted it; empty where the ledger is too old to know."""
    request: str = ""
    """Equal for equal requests, whatever their tasks; empty where that is not known."""
    paid_attempts: int = 1
    """How many attempts at its video may have been accepted, this one included."""
    ahead: float = 0.0
    """Real seconds by which the gateway's clock is ahead of ours now; nobody knows what it was then."""

    @property
    def earliest(self) -> float:
        """When it left at the earliest, by the gateway's clock."""
        return self.submitted_at + min(0.0, self.ahead)

    def may_have_come(self, at: float, latest: float) -> bool:
        """Whether the gateway may have got it then (Unix seconds of its clock).

        `latest` is how many real seconds after its intent a submission may have reached the gateway.
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
    """Named by settlements, and by some gateways at once."""
    is_submission: bool
    """The hold of an accepted submission; most gateways name no remote id there."""
    quota: int | None = None
    """Quota units charged, or given back."""
    is_refund: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the gateway shows of a task that it knows; None where it shows nothing."""

    remote_id: RemoteId
    model: str
    seed: int | None
    duration: int | None
    resolution: str | None
    submitted_at: float | None
    """Unix seconds, by the gateway's clock."""
    ratio: str | None = None
    succeeded: bool | None = None
    """None while it has not ended."""
    status: str = ""
    """In the gateway's word."""

    @property
    def is_whole(self) -> bool:
        """Whether it shows all that it ever will: what generates shows no seed yet."""
        return self.seed is not None or self.succeeded is not None


def candidates(
    rows: Iterable[UsageRow], ours: frozenset[RemoteId], doubts: Sequence[Unowned]
) -> list[RemoteId]:
    """The remote ids in the log that are not ours and may be a doubt's, each once."""
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
    """Whether a task of the gateway may be this submission, in everything that both tell.

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
    """The doubts that are found: one remote id fits one task's submissions alone, and no other id fits it.

    Of equal requests that fit the same ids, as many as they are, each is as right as the other.
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
    """Doubts with one and the same request, and exactly as many ids, all of which fit all of them alone."""
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
    """The charged submissions in the log that nobody owns and that may be this one.

    `known` are the request ids of exchanges whose outcome is known. `adopted` are model and time (Unix
    seconds) of what was adopted: each explains one row of its model, whose request id nobody ever heard.
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


def reaches_back(rows: Sequence[UsageRow], to: float) -> bool:
    """Whether the log, which holds the newest rows alone, shows what was submitted then (Unix seconds)."""
    return len(rows) < NEWEST_ROWS or min(row.at for row in rows) <= to - CLOCKS_DIFFER


def advice(
    doubt: Unowned, rows: Sequence[UsageRow], found: Sequence[UsageRow], unproven: str = "", beyond: int = 0
) -> str:
    """What the log says about a doubt that it doesn't settle, for the person who must.

    `unproven` says why it proves nothing that the log shows nothing; `beyond` the log the key was charged so
    many quota units.
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
