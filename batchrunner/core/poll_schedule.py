"""Schedules the next poll of a generation, based on how long similar ones took."""

from __future__ import annotations

from statistics import median

GATEWAY_REFRESH = 15.0
"""Seconds between the gateway's own polls of the model; polling more often shows nothing new."""
STRAGGLER_INTERVAL = 240.0
"""Seconds between polls of a task past its deadline."""


def poll_delay(age: float, typical: float | None, chance: float) -> float:
    """Seconds until the next poll of a task that has been generating for `age` seconds.

    The first poll is late; polling is frequent around `typical` (how long similar tasks took, None while
    unknown) and slows down afterwards. `chance` in [0, 1) spreads out tasks submitted together.
    """
    jitter = 0.85 + 0.3 * chance
    if typical is None:
        step = GATEWAY_REFRESH if age < 180 else 30.0
        return (step if age >= 1 else 20.0) * jitter
    window = 0.6 * typical
    if age < window:
        return max(window - age, GATEWAY_REFRESH / 2) * jitter
    if age < 1.6 * typical:
        return GATEWAY_REFRESH / 2 * jitter
    if age < 4 * typical:
        return GATEWAY_REFRESH * jitter
    return 60.0 * jitter


class Typical:
    """How long tasks of each kind took in this run."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}

    def add(self, kind: str, seconds: float) -> None:
        """Add a finished task; only the newest 50 of a kind count."""
        seen = self._seen.setdefault(kind, [])
        seen.append(seconds)
        del seen[:-50]

    def of(self, kind: str) -> float | None:
        """The median; None until 3 have finished."""
        seen = self._seen.get(kind, [])
        return median(seen) if len(seen) >= 3 else None
