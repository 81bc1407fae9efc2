"""The totals of what a run would submit, in words and as JSON values: for `plan`, and for `run` before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from batchrunner.core.text import count, printable, shortened, span

if TYPE_CHECKING:
    from batchrunner.cli.outlook import Outlook
    from batchrunner.core.forecast import Forecast, GenerationTimes
    from batchrunner.core.model import RunSettings

FEW, MANY = 3, 10
"""Slots that accounts commonly have, for which the time is shown, too."""
MOST_NAMED = 5
"""How many edited tasks are named."""


def times(needed: Forecast, usual: GenerationTimes, settings: RunSettings) -> dict[int, float]:
    """Expected seconds, by the number of slots: this run's first."""
    from batchrunner.core.forecast import wall_time  # noqa: PLC0415

    slots = settings.concurrency or FEW
    return {
        at_once: wall_time(needed.kinds, usual, at_once, needed.longest)
        for at_once in dict.fromkeys((slots, FEW, MANY))
    }


def lines(needed: Forecast, takes: Mapping[int, float], ahead: Outlook) -> Iterator[str]:
    """The totals in words, with what stands before them."""
    yield f"tokens   {tokens_and_money(needed)}"
    if needed.open:
        yield f"         upper bound: the model chooses {' and '.join(needed.open)}"
    first, *others = takes.items()
    shown = [f"{span(seconds)} at concurrency {slots}" for slots, seconds in (first, *others)]
    if len({span(seconds) for seconds in takes.values()}) == 1:
        shown = [f"{span(first[1])} at any concurrency from {min(takes)} on"] if others else shown
    yield f"time     about {', '.join(shown)}"
    yield f"disk     up to {_disk(needed)}"
    for note in ahead.notes:
        yield f"limit    {printable(note)}"
    if ahead.reasons:
        yield f"confirm  `run` asks first, or needs --yes: {printable('; '.join(ahead.reasons))}"


def line(needed: Forecast, takes: Mapping[int, float]) -> str:
    """The totals in one line."""
    slots, seconds = next(iter(takes.items()))
    return (
        f"to submit: {count(needed.tasks, 'task')} · {tokens_and_money(needed, ' tokens')} · "
        f"about {span(seconds)} at concurrency {slots} · up to {_disk(needed)} of disk space"
    )


def tokens_and_money(needed: Forecast, unit: str = "") -> str:
    """Tokens, and what they cost."""
    most = "at most " if needed.open else ""
    return f"{most}{needed.tokens:,}{unit} · {most if needed.micros else ''}{money(needed)}"


def money(needed: Forecast) -> str:
    """What all tasks can cost, as far as they have a price."""
    known = f"{needed.cost:,.2f} {needed.currency}"
    if not needed.unpriced:
        return known
    unknown = f"cost unknown (no price for {', '.join(map(printable, needed.unpriced))})"
    return f"{known}, and {unknown}" if needed.micros else unknown


def edited_although_paid(edited: Sequence[str], following: int) -> str:
    """Names tasks that are paid for again because they were edited, or need others that were.

    `following` is how many of them have changed only in what they need.
    """
    named = ", ".join(shortened(task_id, 48) for task_id in edited[:MOST_NAMED])
    were, their = ("was", "its") if len(edited) == 1 else ("were", "their")
    more = ", …" if len(edited) > MOST_NAMED else ""
    if not following:
        what = f"{count(len(edited), 'task')} {were} edited although {their} old version is paid"
    elif own := len(edited) - following:
        need = "needs" if following == 1 else "need"
        it = "it" if own == 1 else "them"
        first = f"{count(own, 'task')} {'was' if own == 1 else 'were'} edited"
        what = f"{first}, and {following:,} {need} {it}, although the old versions are paid"
    else:
        need = "needs" if following == 1 else "need"
        what = (
            f"{count(following, 'task')} {need} other videos than before although {their} old version is paid"
        )
    return f"{what}: {named}{more}"


def values(needed: Forecast, takes: Mapping[int, float]) -> dict[str, object]:
    """The totals as JSON values."""
    return {
        "tokens": needed.tokens,
        "cost": needed.cost,
        "currency": needed.currency,
        "models_without_price": needed.unpriced,
        "left_open": needed.open,
        "disk_bytes": needed.disk,
        "seconds": {str(slots): seconds for slots, seconds in takes.items()},
    }


def _disk(needed: Forecast) -> str:
    return f"{needed.disk / 1e9:,.1f} GB" if needed.disk >= 1e9 else f"{needed.disk / 1e6:,.0f} MB"
