"""What must hold at every moment, asked of the gateway's book and of the file on disk."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from batchrunner.core.budget import Figure
from batchrunner.core.model import OnDoubt, RunSettings
from batchrunner.core.outcome import Accepted, Rejected, Unknown
from batchrunner.core.states import TRANSITIONS, Event, TaskState
from batchrunner.output.summary import Summary
from tests.integration.machine.chains import Continuity
from tests.integration.machine.gateway import Charge, World, video_of

PROBE_INTERVAL = 300.0
HAVE_OR_GET = frozenset({"submitting", "generating", "collecting", "done", "uncollected"})
STRAY = -1
"""The number of an attempt that no ledger knows any more."""
BY_A_PERSON = frozenset({Event.DECLARED_LOST, Event.RETRIED, Event.WANTED_AGAIN})


class Promises:
    """Notes what a person chose, looks at the disk with its own connection, and collects what is broken."""

    def __init__(self, directory: Path, world: World, settings: RunSettings) -> None:
        self._directory, self._world, self._settings = directory, world, settings
        self._db: sqlite3.Connection | None = None
        self.broken: list[str] = []
        self.acts: Counter[str] = Counter()
        """By task: how often a person said that it may be submitted once more."""
        self.versions: Counter[str] = Counter()
        """By task: how many further versions a person wanted."""
        self.misadopted: set[int] = set()
        """Attempts of which a person named a remote id that is not theirs."""
        self._said: Counter[tuple[str, str]] = Counter()
        self.removed_files: set[str] = set()
        self.changed_files: dict[str, bytes] = {}
        """What somebody wrote into the file of a finished video."""
        self._done: set[str] = set()
        """Tasks whose newest wanted video was verified once."""
        self.budget: Mapping[Figure, int | None] = {}
        """How much may be charged at once; None: any amount."""
        self.may_fetch_missing = False
        """Whether a person wants what is gone fetched again, by the run that is under way."""
        self.wanted: Counter[str] = Counter()
        """By prompt: how many videos the manifest of this run asks for."""
        self._hashes: dict[str, str] = {}
        self._posted: set[int] = set()
        self._events_seen = 0
        self._state: dict[str, str] = {}
        self.stop_at: tuple[str, Callable[[], None]] | None = None
        self.chains = Continuity(directory, self.rows)
        self.new_process()

    def new_process(self, selected: frozenset[str] | None = None) -> None:
        """Another life of the program: its breaker remembers nothing but what is on disk.

        It may submit the tasks with the `selected` IDs; None means all of them.
        """
        self._selected = selected
        self._unknown_in_a_row, self._closed_until, self._heard_at = 0, -1.0, -1.0

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Ask the file on disk."""
        path = self._directory / "ledger.sqlite"
        if self._db is None:
            if not path.exists() or not path.stat().st_size:
                return []
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA query_only = ON")
            self._db.row_factory = sqlite3.Row
        return self._db.execute(query, values).fetchall()

    def person_said(self, key: str, event: Event) -> None:
        """A person decided something about a task, which may cost money."""
        self._said[key, event] += 1
        if event is Event.WANTED_AGAIN:
            self.versions[key] += 1
        else:
            self.acts[key] += 1

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            self._db.close()
        self._db = None

    def rewound(self, gone: frozenset[str], edits: Mapping[str, bytes]) -> None:
        """An older ledger was put back: what it does not know is known to the gateway alone.

        A video whose seed shows whose it is must not be paid for again; of the rest nobody can demand that.
        `edits` is what somebody wrote into the files that are there now.
        """
        self.removed_files |= gone
        self.changed_files = dict(edits)
        self._hashes.clear()  # what is there now is what counts from here on
        known = {row[0] for row in self.rows("SELECT id FROM attempts")}
        self._posted &= known
        self.misadopted &= known
        self._events_seen = self.rows("SELECT coalesce(max(id), 0) FROM events")[0][0]
        self._state = {row["key"]: row["state"] for row in self.rows("SELECT key, state FROM tasks")}
        verified = "SELECT t.key FROM tasks t JOIN attempts a ON a.id = t.attempt WHERE a.collected_at > 0 "
        verified += "AND t.state != 'pending'"  # wanted again: that is the version before
        self._done = {row["key"] for row in self.rows(verified)}
        for charge in self._world.charges.values():
            if charge.attempt > 0 and charge.attempt not in known:
                charge.attempt = STRAY
                if not self._shows_whose_it_is(charge):
                    self.acts[charge.key] += 1

    def _shows_whose_it_is(self, charge: Charge) -> bool:
        derived = self._settings.draw_seed and charge.body["prompt"] != "s"
        return derived and charge.ends <= self._world.now()

    def in_state(self, state: TaskState) -> list[str]:
        """The keys of the tasks in a state."""
        known = self.rows("SELECT 1 FROM sqlite_master WHERE name = 'tasks'")
        return [row[0] for row in self.rows("SELECT key FROM tasks WHERE state = ?", state)] if known else []

    def _say(self, holds: object, text: str) -> None:
        if not holds:
            self.broken.append(text)

    # --- at the moment of a call ---------------------------------------------------------------------

    def moment(self, name: str) -> None:
        """Something is about to happen at which the test may want to kill."""
        if self.stop_at and self.stop_at[0] == name:
            stop, self.stop_at = self.stop_at[1], None
            stop()

    def submission(self, body: dict[str, Any]) -> tuple[int, str]:
        """A POST has left: whose is it, and might it leave?"""
        open_rows = self.rows(
            "SELECT a.id, a.task, a.seed, t.position, t.request, t.id AS name FROM attempts a "
            "JOIN tasks t ON t.attempt = a.id WHERE t.state = 'submitting' AND a.outcome IS NULL"
        )
        seed, prompt = body["metadata"].get("seed"), f'"prompt": "{body["prompt"]}"'
        faults = {
            row: self.chains.fault(row["request"], body)
            for row in open_rows
            if row["seed"] == seed and prompt in row["request"] and row["id"] not in self._posted
        }
        if not faults:
            self._say(False, f"a POST left whose intent is not on disk: {body['prompt']}, seed {seed}")
            return 0, ""
        row = min(
            faults, key=lambda row: bool(faults[row])
        )  # without seeds, it shows by its inputs whose it is
        self._say(not faults[row], f"{row['name']} was submitted: {faults[row]}")
        self._posted.add(row["id"])
        self._may_leave(row, len(open_rows))
        return row["id"], row["task"]

    def _may_leave(self, row: sqlite3.Row, in_the_air: int) -> None:
        key, now = row["task"], self._world.now()
        self._say(row["position"] is not None, f"{key[:8]} was submitted and is not in the manifest")
        is_meant = self._selected is None or row["name"] in self._selected
        self._say(is_meant, f"{row['name']} was submitted by a run of {self._selected}")
        standing = self.standing(key, now)
        self._say(len(standing) < self.allowed(key), f"{key[:8]} was submitted while charged for {standing}")
        for old in self.rows(
            "SELECT id, outcome, remote_id FROM attempts WHERE task = ? AND id < ?", key, row["id"]
        ):
            doubt = old["remote_id"] is None and old["outcome"] in (None, "unknown", "adopted", "named")
            released = self.rows("SELECT 1 FROM events WHERE attempt = ? AND event = 'released'", old["id"])
            self._say(not doubt or released, f"{key[:8]} was submitted while attempt {old['id']} is in doubt")
        twins = self.rows("SELECT key, state FROM tasks WHERE request = ?", row["request"])
        have = sum(twin["state"] in HAVE_OR_GET for twin in twins)
        chosen = sum(self.acts[twin["key"]] + self.versions[twin["key"]] for twin in twins)
        most = self.wanted[json.loads(row["request"])["prompt"]] + chosen
        again = self.rows("SELECT 1 FROM attempts WHERE task = ? AND id < ?", key, row["id"])
        self._say(again or have <= most, f"{key[:8]} was submitted, the {have}th of {most} wanted")
        deadline = now - self._settings.task_deadline
        young = "SELECT count(*) FROM tasks t JOIN attempts a ON a.id = t.attempt "
        young += "WHERE t.state = 'generating' AND a.accepted_at > ?"
        in_flight = in_the_air + self.rows(young, deadline)[0][0]
        self._say(in_flight <= self._settings.concurrency, f"{in_flight} in flight at {now}")
        self._doubt_gate(in_the_air, now)

    def _doubt_gate(self, in_the_air: int, now: float) -> None:
        doubts = self._doubts()
        risked = max(1, self._settings.max_in_doubt - doubts)
        self._say(in_the_air <= risked, f"{in_the_air} in the air with {doubts} in doubt")
        early = now < self._closed_until and now > self._heard_at + 0.01
        self._say(not early, f"submitted at {now}, closed until {self._closed_until} with {doubts} in doubt")

    def run_ended(self, summary: Summary) -> None:
        """A run has ended by itself."""
        self.broken += self.chains.after_end(summary, self._selected)

    def answered(self, outcome: object) -> None:
        """The program has an outcome in hand."""
        now = self._world.now()
        if isinstance(outcome, Unknown):
            self._unknown_in_a_row += 1
            many = self._doubts() + 1 >= self._settings.max_in_doubt
            if self._unknown_in_a_row >= 3 or many or self._closed_until > 0:
                self._closed_until, self._heard_at = now + PROBE_INTERVAL, now
        elif isinstance(outcome, Accepted | Rejected):
            self._unknown_in_a_row, self._closed_until = 0, -1.0

    def _doubts(self) -> int:
        return int(self.rows("SELECT count(*) FROM tasks WHERE state = 'in_doubt'")[0][0])

    def fetching(self, remote_id: str) -> None:
        """A video is asked for: only one that is being collected."""
        query = "SELECT t.state FROM tasks t JOIN attempts a ON a.id = t.attempt WHERE a.remote_id = ?"
        states = [row[0] for row in self.rows(query, remote_id)]
        self._say(states == ["collecting"], f"the video of {remote_id} is fetched while it is {states}")

    def first_poll(self, remote_id: str) -> None:
        """A task is polled for the first time: its id must be on disk."""
        found = self.rows("SELECT 1 FROM attempts WHERE remote_id = ?", remote_id)
        self._say(found, f"{remote_id} is polled and not on disk")

    # --- after every step ----------------------------------------------------------------------------

    def allowed(self, key: str) -> int:
        """How many charges a task may stand for."""
        alone = self._settings.max_attempts if self._settings.on_doubt is OnDoubt.RESUBMIT else 1
        return alone * (1 + self.versions[key]) + self.acts[key]

    def standing(self, key: str, now: float) -> list[Charge]:
        """The charges of a task that were not given back, those included that are still to come."""
        return [one for one in self._world.charges.values() if one.key == key and one.stands(now)]

    def look(self) -> None:
        """Hold the book against the disk."""
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name = 'events'"):
            self._say(not self._world.charges, "charges without a ledger")
            return
        self._look_at_events()
        attempts = {
            row["id"]: row
            for row in self.rows(
                "SELECT a.*, t.state, t.attempt AS newest FROM attempts a JOIN tasks t ON t.key = a.task"
            )
        }
        self._look_at_charges(attempts)
        self._look_at_budget()
        self._look_at_ids(attempts)
        self._look_at_files()

    def _look_at_events(self) -> None:
        query = "SELECT id, task, event, from_state, to_state FROM events WHERE id > ? ORDER BY id"
        for row in self.rows(query, self._events_seen):
            before, event, after = (
                TaskState(row["from_state"]),
                Event(row["event"]),
                TaskState(row["to_state"]),
            )
            self._say(after in TRANSITIONS[before].get(event, ()), f"{before} -{event}-> {after}")
            was = self._state.get(row["task"], "pending")
            self._say(was == before, f"{row['task'][:8]} was {was}, and went from {before} by {event}")
            self._state[row["task"]] = after
            if event is Event.MISSING:
                self._say(self.may_fetch_missing, f"nobody wanted {row['task'][:8]} fetched again")
            if after is TaskState.DONE:
                self._done.add(row["task"])
            elif event is Event.WANTED_AGAIN:
                self._done.discard(row["task"])
            if event is Event.UNSENDABLE:
                touched = self.removed_files | self.changed_files.keys()
                self.broken += self.chains.failed_for_nothing(row["task"], touched)
            verified = row["task"] in self._done
            self._say(not verified or after is not TaskState.UNCOLLECTED, f"{row['task'][:8]} was done once")
            resubmits = event is Event.DECLARED_LOST and self._settings.on_doubt is OnDoubt.RESUBMIT
            if event in BY_A_PERSON and not resubmits:
                self._said[row["task"], event] -= 1
                self._say(self._said[row["task"], event] >= 0, f"nobody said {event} of {row['task'][:8]}")
            self._events_seen = row["id"]
        for row in self.rows("SELECT key, state FROM tasks"):
            was = self._state.get(row["key"], "pending")
            self._say(was == row["state"], f"{row['key'][:8]} is {row['state']}, its events say {was}")

    def _look_at_charges(self, attempts: dict[int, sqlite3.Row]) -> None:
        now = self._world.now()
        for charge in self._world.charges.values():
            row = attempts.get(charge.attempt)
            if charge.attempt <= 0 or charge.at > now:
                continue
            self._say(row, f"{charge.remote_id} is charged and no attempt is on disk")
            if not row or row["remote_id"] == charge.remote_id or row["id"] in self.misadopted:
                continue
            waits = row["newest"] == row["id"] and row["state"] in ("in_doubt", "submitting")
            given_up = row["outcome"] == "lost"
            self._say(waits or given_up, f"{charge.remote_id} is charged, and its task is {row['state']}")
        for key, charges in self._by_task().items():
            standing = [one for one in charges if one.stands(now) and one.at <= now]
            self._say(len(standing) <= self.allowed(key), f"{key[:8]} is charged {len(standing)} times")
            most = self._settings.max_attempts * (1 + self.versions[key]) + self.acts[key]
            self._say(len(charges) <= most, f"{key[:8]} was accepted {len(charges)} times, allowed {most}")

    def _look_at_budget(self) -> None:
        now = self._world.now()
        ours = [one for one in self._world.charges.values() if one.attempt > 0 and one.at <= now]
        standing = [one.tokens for one in ours if one.stands(now)]
        charged = {Figure.TASKS: len(standing), Figure.TOKENS: sum(standing)}
        for figure, most in self.budget.items():
            fits = most is None or charged[figure] <= most
            self._say(fits, f"{charged[figure]} {figure} are charged, the budget is {most}")

    def _by_task(self) -> dict[str, list[Charge]]:
        found: dict[str, list[Charge]] = {}
        for charge in self._world.charges.values():
            if charge.attempt:
                found.setdefault(charge.key, []).append(charge)
        return found

    def _look_at_ids(self, attempts: dict[int, sqlite3.Row]) -> None:
        for row in attempts.values():
            if row["remote_id"] and row["id"] not in self.misadopted:
                charge = self._world.charges.get(row["remote_id"])
                is_its = charge and charge.key == row["task"] and self._is_of(charge, row, attempts)
                self._say(is_its, f"{row['remote_id']} is not attempt {row['id']}'s")

    def _is_of(self, charge: Charge, row: sqlite3.Row, attempts: dict[int, sqlite3.Row]) -> bool:
        if charge.attempt in (row["id"], STRAY):
            return True
        # What a person declared lost, beside an older ledger, was found all the same.
        paid = attempts.get(charge.attempt)
        return row["outcome"] == "recovered" and paid is not None and paid["outcome"] == "lost"

    def file_lost(self, file_name: str) -> None:
        """Somebody moved a finished video away."""
        self.removed_files.add(file_name)
        self.changed_files.pop(file_name, None)
        self._hashes.pop(Path(file_name).name, None)

    def file_changed(self, file_name: str, content: bytes) -> None:
        """Somebody wrote something else into it."""
        self.changed_files[file_name] = content
        self._hashes[Path(file_name).name] = hashlib.sha256(content).hexdigest()

    def files_told(self) -> None:
        """What the ledger says of every finished video's file is so."""
        query = "SELECT t.file_name, a.file_state FROM tasks t JOIN attempts a ON a.id = t.attempt "
        for row in self.rows(query + "WHERE t.state = 'done'"):
            name = row["file_name"]
            there = (self._directory / name).exists()
            state = ("changed" if name in self.changed_files else "") if there else "missing"
            self._say(row["file_state"] == state, f"{name} is told {row['file_state']!r}, and is {state!r}")

    def _look_at_files(self) -> None:
        query = "SELECT t.file_name, a.remote_id FROM tasks t JOIN attempts a ON a.id = t.attempt "
        query += "WHERE t.state = 'done'"
        for row in self.rows(query):
            path = self._directory / row["file_name"]
            if path.exists():
                self.removed_files.discard(row["file_name"])
            if (changed := self.changed_files.get(row["file_name"])) is not None:
                self._say(
                    path.read_bytes() == changed, f"{row['file_name']} is not what somebody wrote there"
                )
            elif row["file_name"] not in self.removed_files:
                whole = path.is_file() and path.read_bytes() == video_of(row["remote_id"])
                self._say(whole, f"{row['file_name']} is done and not the video of {row['remote_id']}")
        self.broken += self.chains.pictures()
        self.broken += self.chains.given_up_too_early()
        there = {path.name: path for path in (self._directory / "videos").glob("*.mp4")}
        for name, seen in list(self._hashes.items()):
            gone = name not in there
            self._say(not gone or f"videos/{name}" in self.removed_files, f"{name} is gone")
            if not gone:
                same = hashlib.sha256(there[name].read_bytes()).hexdigest() == seen
                self._say(same, f"{name} was overwritten")
        for name, path in there.items():
            self._hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
