"""How much of the time for which the run holds a slot the slot is in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, Measure, at_least, at_most
from tests.benchmarks.manifests import batch_of
from tests.benchmarks.stage import Stage

SLOTS = 10
GENERATION = 90
SCALE, SCALE_SHORT = 0.1, 0.002
POLL = "GET /v1/video/generations/{id}"


@dataclass(frozen=True, slots=True)
class SlotUse:
    """Shares of time, between the tenth start and the tenth last end, while all slots should be full."""

    used: float
    """From acceptance to the end that the gateway first shows, of the time for which slots were held."""
    generating: float
    """Generating, of the same."""
    held: float
    """The time for which slots were held, of all slots' time."""
    polls: float
    """Polls a task."""


def slot_use(stage: Stage) -> Iterator[Figure]:
    """Jobs of equal and of different length, both at once: they hardly need the CPU."""
    kinds = {"fixed": (0.0, 97), "lognormal": (0.25, 95)}
    with ThreadPoolExecutor() as pool:
        uses = list(pool.map(partial(_used, stage), [sigma for sigma, _ in kinds.values()]))
    for (kind, (_, goal)), use in zip(kinds.items(), uses, strict=True):
        what = f"slot use, jobs of 90 s {kind}"
        note = f"{100 * use.generating:.1f} % generating; slots held {100 * use.held:.1f} % of the time"
        yield Figure(f"slots.{kind}", what, 100 * use.used, "%", goal=at_least(goal), note=note)
        yield Figure(f"slots.{kind}.polls", f"{what}: polls a task", use.polls, "", goal=at_most(10))


def _used(stage: Stage, sigma: float) -> SlotUse:
    tasks, scale = stage.size(120, 12), SCALE_SHORT if stage.short else SCALE
    batch = batch_of(stage, tasks, concurrency=SLOTS, submit_rate=60_000)
    with stage.simulator(scale, generation_seconds=GENERATION, generation_sigma=sigma) as gateway:
        at = ("--base-url", gateway.url, "--time-scale", scale, "-q")
        stage.batchrunner("run", batch.manifest, *at).ended()
        charges = gateway.get("/simulator/charges")["charges"]
        polls = gateway.get("/simulator/requests")["requests"][POLL]
    return _shares(charges, _held(batch.directory), polls / tasks)


def _held(directory: Path) -> dict[str, tuple[float, float]]:
    """From when until when the slot of each remote ID was held, in Unix seconds."""
    query = """
        SELECT remote_id, min(events.at), max(events.at) FROM events JOIN attempts ON attempts.id = attempt
        WHERE event IN ('claimed', 'succeeded') GROUP BY attempts.id"""
    with closing(sqlite3.connect(directory / "ledger.sqlite")) as db:
        return {remote_id: (claimed, ended) for remote_id, claimed, ended in db.execute(query)}


def _shares(
    charges: list[Mapping[str, Any]], held: Mapping[str, tuple[float, float]], polls: float
) -> SlotUse:
    """The shares, from the gateway's book and from the ledger."""
    begin = sorted(claimed for claimed, _ in held.values())[SLOTS - 1]
    end = sorted(ended for _, ended in held.values())[-SLOTS]

    def within(since: float, until: float) -> float:
        return max(0.0, min(until, end) - max(since, begin))

    in_use = sum(within(charge["at"], charge["finished_at"]) for charge in charges)
    lives = [charge["life"] for charge in charges]
    generating = sum(within(life["running_at"], life["ended_at"]) for life in lives)
    ours = sum(within(*period) for period in held.values())
    return SlotUse(in_use / ours, generating / ours, ours / (SLOTS * (end - begin)), polls)


MEASURES = (Measure("slots", "slot use, jobs of 90 s, 10 slots", slot_use),)
