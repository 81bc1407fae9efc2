"""Finds candidates for a submission in doubt among failed tasks, which show no seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchrunner.core.doubts.adoption import (
    CLOCKS_DIFFER,
    SAME_MOMENT,
    Sighting,
    Unowned,
    UsageRow,
    unexplained,
)
from batchrunner.core.model import AttemptId, RemoteId


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gateway task that may be a doubt's, for the user's decision."""

    remote_id: RemoteId
    at: float | None
    """When it was submitted, by the gateway's clock (Unix seconds)."""
    model: str
    status: str
    """As reported by the gateway; empty if it could not be queried."""


def may_be(one: Unowned, seen: Sighting, latest: float) -> bool:
    """Whether nothing that the gateway shows of a task rules out that it is this submission."""
    return (
        seen.submitted_at is not None
        and one.may_have_come(seen.submitted_at, latest)
        and seen.model in ("", one.model)
        and (one.seed is None or seen.seed in (None, one.seed))
        and (one.duration is None or seen.duration in (None, one.duration))
        and (one.resolution is None or seen.resolution in (None, one.resolution))
        and (one.ratio is None or seen.ratio in (None, one.ratio))
    )


def failures(
    unowned: Sequence[Unowned],
    sightings: Sequence[Sighting],
    rows: Sequence[UsageRow],
    known: frozenset[str],
    adopted: Sequence[tuple[str, float]],
    latest: float,
) -> Mapping[AttemptId, RemoteId]:
    """The remote IDs of doubts whose generation failed, if exactly one task matches, and no other submission.

    The log must show one unaccounted submission, at the time of the task, and a refund of the same quota for
    the task. `known` and `adopted` as for `unexplained`.
    """
    found = {}
    for doubt in (one for one in unowned if one.is_doubt):
        fits = [seen for seen in sightings if may_be(doubt, seen, latest)]
        signs = unexplained(doubt, rows, known, adopted, latest)
        if len(fits) != 1 or len(signs) != 1 or fits[0].succeeded is not False:
            continue
        ((seen,), (sign,)) = fits, signs
        refunds = [row.quota for row in rows if row.is_refund and row.remote_id == seen.remote_id]
        if (
            refunds == [sign.quota]
            and sign.remote_id in (None, seen.remote_id)
            and abs(sign.at - (seen.submitted_at or 0.0)) <= SAME_MOMENT
            and all(one is doubt or not may_be(one, seen, latest) for one in unowned)
        ):
            found[doubt.attempt] = seen.remote_id
    return found


def named(
    doubt: Unowned, sightings: Iterable[Sighting], unseen: Mapping[RemoteId, UsageRow], latest: float
) -> list[Candidate]:
    """A doubt's candidates, oldest first; `unseen` are tasks that could not be queried, with their rows."""
    found = [
        Candidate(seen.remote_id, seen.submitted_at, seen.model or doubt.model, seen.status)
        for seen in sightings
        if may_be(doubt, seen, latest)
    ]
    found += [
        Candidate(remote_id, row.at, row.model, "")
        for remote_id, row in unseen.items()
        if row.model == doubt.model and row.at >= doubt.earliest - CLOCKS_DIFFER
    ]
    return sorted(found, key=lambda one: one.at or 0.0)
