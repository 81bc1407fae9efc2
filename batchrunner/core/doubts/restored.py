"""Which tasks of the gateway are paid attempts unknown to the ledger. Evidence in, decisions out.

The seed of an attempt is derived (`core.seeds`): what bears the seed of a task's next attempts, and agrees in
everything else, is that attempt. A seed that the manifest gives says nothing by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from batchrunner.core.doubts.adoption import CLOCKS_DIFFER, SAME_MOMENT, Sighting, UsageRow, reaches_back
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.seeds import seeds_ahead


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task that a run would submit, and by what a paid attempt of it would be recognized."""

    key: TaskKey
    id: str
    model: str
    duration: int | None
    """Seconds asked for; None where the model was to choose."""
    resolution: str | None
    ratio: str | None
    attempts: int
    """How many the ledger knows."""
    given_seed: int | None = None
    """The seed of its next attempt where the manifest gives it: everybody may use it."""
    claims: tuple[float, ...] = ()
    """When attempts left of which only run.log knows (Unix seconds)."""
    named: frozenset[RemoteId] = frozenset()
    """The remote ids that run.log or results.csv gives it."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A paid attempt that the ledger does not know."""

    key: TaskKey
    number: int
    """Of the attempt, counted from 1 in its task."""
    seen: Sighting


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A submission of ours whose answer was lost."""

    model: str
    at: float
    """Unix seconds."""
    request_id: str = ""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Accounted:
    """What the ledger knows of the submissions in the usage log."""

    remote_ids: frozenset[RemoteId]
    request_ids: frozenset[str]
    """Of every exchange whose outcome is known."""
    accepted: Mapping[str, float] = field(default_factory=dict)
    """Request id and time (Unix seconds) of every accepted submission."""
    adopted_at: tuple[float, ...] = ()
    """When the gateway accepted what has no request id."""
    unanswered: tuple[Unanswered, ...] = ()


def strange_ids(rows: Iterable[UsageRow], ours: Collection[RemoteId], since: float) -> list[RemoteId]:
    """The remote ids in the log since then (Unix seconds) that are not ours, oldest first, each once."""
    found = [row.remote_id for row in rows if row.remote_id and row.at >= since - CLOCKS_DIFFER]
    return [remote_id for remote_id in dict.fromkeys(reversed(found)) if remote_id not in ours]


def recognized(
    wanted: Sequence[Wanted], sightings: Iterable[Sighting], run_ids: Iterable[str], latest: float
) -> list[Paid]:
    """The paid attempts among what the gateway shows.

    `run_ids` are the ids that this run directory has had. `latest` is how many real seconds after its claim a
    submission may have reached the gateway.
    """
    seen = list(sightings)
    if not seen:
        return []
    by_seed: dict[int | None, tuple[Wanted | None, int]] = {
        seed: (one, number)
        for run_id in run_ids
        for one in wanted
        for seed, number in seeds_ahead(run_id, one.key, one.attempts)
    }
    by_name = {remote_id: one for one in wanted for remote_id in one.named}
    by_time = _by_time(wanted, seen, latest)
    found: list[Paid] = []
    taken = {one.key: set[int]() for one in wanted}
    for sight in sorted(seen, key=lambda one: one.submitted_at or 0.0):
        one, number = by_seed.get(sight.seed, (None, 0))
        if one is None or not _agrees(one, sight):
            one = by_name.get(sight.remote_id) or by_time.get(sight.remote_id)
            if one is None or not _agrees(one, sight):
                continue
            number = next(n for n in range(one.attempts + 1, 10**6) if n not in taken[one.key])
        if number not in taken[one.key]:
            taken[one.key].add(number)
            found.append(Paid(one.key, number, sight))
    return found


def _agrees(one: Wanted, sight: Sighting) -> bool:
    """Whether the gateway shows nothing that was not asked for; what it does not show (yet) is no reason."""
    return (
        sight.model in ("", one.model)
        and (one.duration is None or sight.duration in (None, one.duration))
        and (one.resolution is None or sight.resolution in (None, one.resolution))
        and (one.ratio is None or sight.ratio in (None, one.ratio))
    )


def _by_time(
    wanted: Sequence[Wanted], sightings: Sequence[Sighting], latest: float
) -> Mapping[RemoteId, Wanted]:
    """Attempts with a seed of the manifest's: those that came when ours left, unless more came than left."""

    def fits(one: Wanted, sight: Sighting) -> bool:
        at = sight.submitted_at
        return at is not None and any(
            -CLOCKS_DIFFER <= at - claim <= latest + CLOCKS_DIFFER for claim in one.claims
        )

    groups: dict[tuple[object, ...], list[Wanted]] = defaultdict(list)
    for one in wanted:
        if one.given_seed is not None and one.claims:
            groups[one.given_seed, one.model, one.duration, one.resolution, one.ratio].append(one)
    found: dict[RemoteId, Wanted] = {}
    for (seed, *_), group in groups.items():
        pairs = [
            (one, sight)
            for one in group
            for sight in sightings
            if sight.seed == seed and _agrees(one, sight) and fits(one, sight)
        ]
        ids = {sight.remote_id for _, sight in pairs}
        if len(ids) > sum(len(one.claims) for one in group):
            continue  # somebody else used the same seed at the same time
        left = {one.key: len(one.claims) for one in group}
        for one, sight in pairs:
            if sight.remote_id not in found and left[one.key]:
                left[one.key] -= 1
                found[sight.remote_id] = one
    return found


def lookalikes(wanted: Sequence[Wanted], sightings: Iterable[Sighting]) -> list[tuple[Wanted, Sighting]]:
    """Tasks of the gateway that bear a seed of the manifest's own, and may be anybody's."""
    return [
        (one, sight)
        for sight in sightings
        for one in wanted
        if one.given_seed is not None and one.given_seed == sight.seed and _agrees(one, sight)
    ]


def followed(found: Sequence[Paid]) -> Paid:
    """Of several paid attempts, the one to go on with: a video, else what generates, else the last."""
    videos = [one for one in found if one.seen.succeeded]
    if videos:
        return min(videos, key=lambda one: one.number)
    going_on = [one for one in found if one.seen.succeeded is None]
    return max(going_on or found, key=lambda one: one.number)


def unaccounted(
    rows: Sequence[UsageRow],
    known: Accounted,
    seen: Sequence[Sighting],
    unseen: Collection[RemoteId],
    since: float,
    latest: float,
) -> list[UsageRow]:
    """The submissions in the log since then of which nobody knows the task: they may be ours.

    A row that names a task was looked at, unless that is `unseen`; one at the moment of a task that was seen
    is that task's; and each submission of ours without an answer accounts for one, unless its task was seen.
    """
    left = sorted(
        (
            row
            for row in rows
            if row.is_submission
            and row.at >= since - CLOCKS_DIFFER
            and row.request_id not in known.request_ids
            and (row.remote_id is None or row.remote_id in unseen)
        ),
        key=lambda row: row.at,
    )
    moments = [*known.adopted_at, *(one.submitted_at for one in seen if one.submitted_at is not None)]
    for at in moments:
        if near := [row for row in left if abs(row.at - at) <= SAME_MOMENT]:
            left.remove(min(near, key=lambda row: abs(row.at - at)))
    for lost in sorted(known.unanswered, key=lambda lost: lost.at):
        if lost.seed is not None and any(one.seed == lost.seed for one in seen):
            continue
        own = [row for row in left if lost.request_id and row.request_id == lost.request_id]
        own += [
            row
            for row in left
            if row.model == lost.model and -CLOCKS_DIFFER <= row.at - lost.at <= latest + CLOCKS_DIFFER
        ]
        if own:
            left.remove(own[0])
    return left


def can_know(
    rows: Sequence[UsageRow],
    known: Accounted,
    named: Collection[RemoteId] = (),
    moments: Iterable[float] = (),
) -> bool:
    """Whether nothing speaks against it that the log shows the submissions of this run.

    One that shows none of what is known to be accepted, though it reaches back to it, is switched off or
    another key's. `named` are the remote ids that run.log or results.csv tells of, and `moments` are when the
    gateway says that it had them (Unix seconds).
    """
    expected = {request_id for request_id, at in known.accepted.items() if reaches_back(rows, at)}
    if not expected and not named:
        return True
    ours, times = known.remote_ids | frozenset(named), list(moments)
    return any(
        row.request_id in expected
        or row.remote_id in ours
        or (row.is_submission and any(abs(row.at - at) <= SAME_MOMENT for at in times))
        for row in rows
    )
