"""Finds paid attempts missing from the ledger among the gateway's tasks. Evidence in, decisions out.

The seed of an attempt is derived (`core.seeds`): a gateway task with the seed of a task's next attempts that
matches in everything else is that attempt. A seed set in the manifest proves nothing by itself.
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
    """A task that a run would submit, with what identifies a paid attempt of it."""

    key: TaskKey
    id: str
    model: str
    duration: int | None
    """Seconds requested; None if left to the model."""
    resolution: str | None
    ratio: str | None
    attempts: int
    """How many are in the ledger."""
    given_seed: int | None = None
    """The seed of its next attempt if set in the manifest: anybody may use the same one."""
    claims: tuple[float, ...] = ()
    """When attempts that are only in run.log were submitted (Unix seconds)."""
    named: frozenset[RemoteId] = frozenset()
    """Its remote IDs according to run.log or results.csv."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A paid attempt missing from the ledger."""

    key: TaskKey
    number: int
    """Of the attempt, counted from 1 within its task."""
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
    """What the ledger accounts for in the usage log."""

    remote_ids: frozenset[RemoteId]
    request_ids: frozenset[str]
    """Of every submission whose outcome is known."""
    accepted: Mapping[str, float] = field(default_factory=dict)
    """Request ID and time (Unix seconds) of every accepted submission."""
    adopted: Mapping[RemoteId, float] = field(default_factory=dict)
    """When the gateway accepted the attempts whose request ID was never received."""
    unanswered: tuple[Unanswered, ...] = ()


def strange_ids(rows: Iterable[UsageRow], ours: Collection[RemoteId], since: float) -> list[RemoteId]:
    """The remote IDs in the log since then (Unix seconds) that are not ours: oldest first, no duplicates."""
    found = [row.remote_id for row in rows if row.remote_id and row.at >= since - CLOCKS_DIFFER]
    return [remote_id for remote_id in dict.fromkeys(reversed(found)) if remote_id not in ours]


def recognized(
    wanted: Sequence[Wanted], sightings: Iterable[Sighting], run_ids: Iterable[str], latest: float
) -> list[Paid]:
    """The paid attempts among the tasks that the gateway shows.

    `run_ids` are all IDs that this run directory has had. `latest` is the maximum real seconds from a claim
    to the arrival of its submission at the gateway.
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
    """Whether nothing that the gateway shows contradicts the request; what it doesn't show is ignored."""
    return (
        sight.model in ("", one.model)
        and (one.duration is None or sight.duration in (None, one.duration))
        and (one.resolution is None or sight.resolution in (None, one.resolution))
        and (one.ratio is None or sight.ratio in (None, one.ratio))
    )


def _by_time(
    wanted: Sequence[Wanted], sightings: Sequence[Sighting], latest: float
) -> Mapping[RemoteId, Wanted]:
    """Attempts with the manifest's seed that arrived when ours were sent, unless there are more than ours."""

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
    """Gateway tasks with a seed set in the manifest; they may be anybody's."""
    return [
        (one, sight)
        for sight in sightings
        for one in wanted
        if one.given_seed is not None and one.given_seed == sight.seed and _agrees(one, sight)
    ]


def followed(found: Sequence[Paid]) -> Paid:
    """The paid attempt to follow: the first with a video, else the last one generating, else the last."""
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
    """The submissions in the log since then whose tasks are unknown: they may be ours.

    A row with a remote ID was checked, unless that is `unseen`. Each task that was seen or adopted accounts
    for one row without an ID, at about its time, unless a row names it or the ledger has its request ID; each
    unanswered submission of ours accounts for one more, unless its task was seen.
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
    # Once each: a task that was seen and then adopted is both, and a second row may be another task of ours.
    moments: dict[RemoteId, float | None] = {
        one.remote_id: one.submitted_at for one in seen if one.remote_id not in known.remote_ids
    }
    moments.update(known.adopted)
    named = {row.remote_id for row in rows if row.is_submission}
    for remote_id, at in moments.items():
        if at is None or remote_id in named:
            continue
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
    names_any: bool = False,
    named: Collection[RemoteId] = (),
    moments: Iterable[float] = (),
) -> bool:
    """Whether the log may be trusted to show the submissions of this run.

    A log that goes back far enough, but shows none of the known accepted submissions, is switched off or
    belongs to another key. `names_any` is whether run.log or results.csv has any remote ID; `named` are those
    missing from the ledger, and `moments` when these were submitted by the gateway's clock (Unix seconds).
    """
    expected = {request_id for request_id, at in known.accepted.items() if reaches_back(rows, at)}
    if not expected and not names_any:
        return True
    ours, times = known.remote_ids | frozenset(named), list(moments)
    return any(
        row.request_id in expected
        or row.remote_id in ours
        or (row.is_submission and any(abs(row.at - at) <= SAME_MOMENT for at in times))
        for row in rows
    )
