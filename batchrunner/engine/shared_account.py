"""The account that the runs of one command share: its slots, its rate of submissions, and what it refuses.

Every run has its own admission, which joins the account. With a single run, nobody else is ever asked.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

from batchrunner.clock import Clock
from batchrunner.core.model import AUTO, RunSettings
from batchrunner.core.submission.account_gates import AccountGates
from batchrunner.core.submission.breaker import Breaker
from batchrunner.core.submission.capacity import Capacity
from batchrunner.core.submission.decision import Stop
from batchrunner.core.submission.run_gates import RunGates
from batchrunner.core.submission.sharing import Claim, Turns

IDLE_LIMIT = 3600.0
"""A run gives up after this many seconds with nothing accepted and nothing in flight."""


class SubmitRate:
    """Submissions at a minimum distance; times in nominal seconds."""

    def __init__(self, per_minute: float) -> None:
        self._distance = 60.0 / per_minute
        self.next_turn = 0.0

    def allow(self, per_minute: float, now: float) -> None:
        """Change the rate."""
        self._distance = 60.0 / per_minute
        self.next_turn = min(self.next_turn, now + self._distance)

    def took(self, now: float) -> None:
        """A submission leaves now."""
        self.next_turn = now + self._distance


class Member(ABC):
    """A run's place on the account: what it uses of it, and whether it wants more."""

    def __init__(
        self,
        account: SharedAccount,
        settings: RunSettings,
        clock: Clock,
        in_doubt: Callable[[], int],
        gates: RunGates,
        name: str = "",
        price: float = 1.0,
    ) -> None:
        """`settings` with a weight of 0 are those of a run that submits nothing: its limits don't count.

        `name` and `price` are those of the account, in relation to the other accounts of the run.
        """
        self.account, self.name, self.price = account, name, price
        self.settings, self.rate = settings, SubmitRate(settings.submit_rate)
        self.slots = 0
        """Slots in use: generations in flight and unanswered submissions."""
        self.in_the_air = 0
        """Submissions that may have been sent and have no outcome yet."""
        self.in_doubt = in_doubt
        """Returns the number of tasks in doubt in its ledger that were submitted with this account."""
        self.is_asking = False
        """Whether it is submitting: a turn that is left to it is taken, or passed on."""
        self.stop: Stop | None = None
        """What stopped its submissions with this account for good."""
        self.waiting_for = ""
        """Why it submits nothing with this account at the moment; empty while submission goes on."""
        self._clock = clock
        self._changed = asyncio.Event()
        self._is_nominated = False
        self._number = account.join(self, clock.now())
        self.capacity, most = account.gates.capacity, settings.max_in_doubt
        self._breaker = Breaker(self.capacity, most, account.key_origin, account.gates, gates)

    @abstractmethod
    def could_submit(self) -> bool:
        """Whether it could submit a task now, were it its turn."""

    @abstractmethod
    def could_take(self, now: float) -> bool:
        """Whether this account has room for a task, even if its rate lets it go only in a moment."""

    @property
    def most_slots(self) -> int:
        """How many slots it may use now, as far as the account's capacity is known."""
        return self.capacity.limit(self._clock.now())

    def budget_freed(self) -> None:
        """A run needs less of a common budget than it had reserved."""
        self._breaker.freed_elsewhere()

    def stir(self) -> None:
        """Decide again: something has changed, in this run or in another one."""
        self._changed.set()

    def wake(self) -> None:
        """The same, with all accounts of the run: what one of them can't take, another one may."""
        self.stir()

    def nominate(self) -> None:
        """Another run could submit a task now, and leaves that to this one, whose turn it is."""
        self._is_nominated = True
        self._changed.set()

    def has_decided(self) -> None:
        """If another run has made way for this one, wake it up, whether or not this one could go."""
        if self._is_nominated:
            self._is_nominated = False
            self.account.wake()

    def allow(self, concurrency: int, submit_rate: float) -> None:
        """Change its limits; what is in flight continues."""
        self.settings = replace(self.settings, concurrency=concurrency, submit_rate=submit_rate)
        self.rate.allow(submit_rate, self._clock.now())
        self.account.resize(self._clock.now())
        self.account.wake()

    def leave(self) -> None:
        """The run has ended: the others have the account to themselves."""
        self.account.leave(self._number, self._clock.now())


class SharedAccount:
    """The runs that are on, and the gates that close for all of them."""

    def __init__(self) -> None:
        self.key_origin = ""
        """Where the key was found."""
        self.last_accepted = 0.0
        """When anything was last accepted, or had ended."""
        self.rate = SubmitRate(1.0)
        self._members: dict[int, Member] = {}
        self._joined = 0
        self._gates: AccountGates | None = None
        self._turns = Turns()

    @property
    def gates(self) -> AccountGates:
        """The shared gates; a run must have joined."""
        assert self._gates  # noqa: S101  the first to join creates them
        return self._gates

    @property
    def slots(self) -> int:
        """Slots in use, by all runs."""
        return sum(member.slots for member in self._members.values())

    @property
    def in_the_air(self) -> int:
        """Submissions of all runs that may have been sent and have no outcome yet."""
        return sum(member.in_the_air for member in self._members.values())

    @property
    def in_doubt(self) -> int:
        """Tasks in doubt in all ledgers."""
        return sum(member.in_doubt() for member in self._members.values())

    def join(self, member: Member, now: float) -> int:
        """A run begins; returns its number."""
        self._joined += 1
        self._members[self._joined] = member
        if self._gates is None:
            settings, self.last_accepted = member.settings, now
            self._gates = AccountGates(Capacity(settings), settings.max_in_doubt, self.key_origin)
            self.rate = SubmitRate(settings.submit_rate)
        else:
            self.resize(now)
        return self._joined

    def leave(self, number: int, now: float) -> None:
        """A run has ended. What it left in flight takes no slot from the others: nobody would free it."""
        self._members.pop(number, None)
        if self._members:
            self.gates.capacity.forget(lambda flight: isinstance(flight, tuple) and flight[0] == number, now)
            self.resize(now)
            self.wake()

    def resize(self, now: float) -> None:
        """Work out the limits of all runs together: for each, the largest that a submitting run has.

        Only doubts are limited by the strictest run, because each of them may be a charge for nothing.
        """
        everybody = [member.settings for member in self._members.values()]
        counting = [settings for settings in everybody if settings.weight] or everybody
        named = [settings.concurrency for settings in counting]
        widest = max(counting, key=lambda settings: settings.most_in_flight)
        gates = self.gates
        gates.capacity.bound(max(settings.max_concurrency for settings in counting), widest.ahead)
        gates.allow(AUTO if AUTO in named else max(named), now)
        gates.unknowns.most = min(settings.max_in_doubt for settings in counting)
        self.rate.allow(max(settings.submit_rate for settings in counting), now)

    def is_idle(self, now: float) -> bool:
        """Whether nothing is in flight, and nothing was accepted for an hour."""
        return self.slots <= self.in_the_air and now - self.last_accepted >= IDLE_LIMIT

    def gives_turn(self, number: int) -> bool:
        """Whether this run, which could submit a task now, may: if not, the one to go first is woken up."""
        if len(self._members) == 1:
            return True
        rivals = [
            self._claim(other)
            for other, member in self._members.items()
            if other != number and member.is_asking and member.could_submit()
        ]
        first = self._turns.first([self._claim(number), *rivals])
        if first.run != number:
            self._members[first.run].nominate()
        return first.run == number

    def took(self, number: int, now: float) -> None:
        """This run is about to take a slot."""
        self._turns.took(self._claim(number))
        self.rate.took(now)

    def wake(self) -> None:
        """Something has changed: every run decides again."""
        for member in self._members.values():
            member.wake()

    def budget_freed(self) -> None:
        """What one run had reserved is free again, which matters to all if they share a budget."""
        for member in self._members.values():
            member.budget_freed()

    def _claim(self, number: int) -> Claim:
        member = self._members[number]
        return Claim(number, member.slots, max(1, member.settings.weight))
