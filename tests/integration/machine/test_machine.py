"""Any night that Hypothesis can think of: the real program against a gateway that keeps its own book.

`BATCHRUNNER_MACHINE=deep` plays many more and longer nights, others each time; `BATCHRUNNER_NIGHTS` says how
many.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from batchrunner.core.errors import UsageError
from batchrunner.core.file_names import RUN_ID_NAME, VIDEOS
from batchrunner.core.links import LINK_EXPIRED
from batchrunner.core.policy import UNSENDABLE
from batchrunner.core.states import Event, TaskState
from batchrunner.engine import session
from batchrunner.engine.adopter import Adopter
from batchrunner.engine.preparation import names_on_disk
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.operations import overrides
from tests.integration.machine.backup import Backup
from tests.integration.machine.gateway import Client
from tests.integration.machine.night import Night, entries
from tests.integration.machine.virtual import VirtualClock

DEEP = os.environ.get("BATCHRUNNER_MACHINE") == "deep"
SETTLED = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.IN_DOUBT})
LAST = frozenset({TaskState.FAILED, TaskState.UNCOLLECTED, TaskState.IN_DOUBT})
"""States of a task in which those that need it wait for a person."""
NOT_SENT = frozenset({UNSENDABLE, LINK_EXPIRED})


class Nights(Night):
    """And what a person may do about it; with what must hold whatever happens."""

    backup: Backup | None = None
    edits: Mapping[str, bytes]
    """What somebody had written into finished videos when the copy was made."""

    # --- a person, while nothing runs -------------------------------------------------------------------

    def command(self, what: Callable[[Ledger], Any]) -> Any:
        async def carried_out() -> Any:
            with session.RunLock(self.folder):
                async with session.Ledger.open(self.folder) as ledger:
                    await ledger.recover()
                    return await what(ledger)

        return self.process.run(carried_out())

    def any_in(self, state: TaskState) -> bool:
        return not self.is_running() and bool(self.promises.in_state(state))

    def one_in(self, state: TaskState, data: st.DataObject) -> TaskRecord:
        tasks = self.command(lambda ledger: ledger.tasks(state))
        chosen: TaskRecord = tasks[data.draw(st.integers(0, len(tasks) - 1))]
        return chosen

    @precondition(lambda self: self.any_in(TaskState.FAILED))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        task = self.one_in(TaskState.FAILED, data)
        self.promises.person_said(task.key, Event.RETRIED)
        self.command(lambda ledger: overrides.retry(ledger, [task]))

    @precondition(lambda self: self.any_in(TaskState.IN_DOUBT))
    @rule(data=st.data())
    def resolve_lost(self, data: st.DataObject) -> None:
        task = self.one_in(TaskState.IN_DOUBT, data)
        self.promises.person_said(task.key, Event.DECLARED_LOST)
        self.command(lambda ledger: overrides.declare_lost(ledger, [task]))

    @precondition(lambda self: self.any_in(TaskState.IN_DOUBT))
    @rule(data=st.data(), which=st.sampled_from(("right", "right", "taken")))
    def resolve_adopt(self, data: st.DataObject, which: str) -> None:
        task = self.one_in(TaskState.IN_DOUBT, data)
        ours = self.command(lambda ledger: ledger.remote_ids())
        right = [one.remote_id for one in self.world.charges.values() if one.attempt == task.attempt]
        named = {"right": right, "taken": sorted(ours), "nobody": ["task_nobody"]}[which]
        if not named:
            return
        if named[0] in ours:
            with pytest.raises(UsageError):
                self.command(lambda ledger: overrides.adopt(ledger, task, named[0]))
            return
        if which == "nobody" and task.attempt:
            self.promises.misadopted.add(task.attempt)
        self.command(lambda ledger: overrides.adopt(ledger, task, named[0]))

    @precondition(lambda self: self.any_in(TaskState.IN_DOUBT))
    @rule()
    def resolve_auto(self) -> None:
        async def look(ledger: Ledger) -> None:
            doubts = [one for one in await ledger.unowned() if one.is_doubt]
            client: Any = Client(self.world)
            await Adopter(ledger, client, VirtualClock(self.loop)).look(doubts)

        self.command(look)

    @precondition(lambda self: self.any_in(TaskState.DONE))
    @rule(data=st.data(), following=st.booleans())
    def want_again(self, data: st.DataObject, following: bool) -> None:
        tasks = [self.one_in(TaskState.DONE, data)]
        if following:
            made_from = self.command(lambda ledger: overrides.made_from(ledger, tasks))
            tasks += [task for task in made_from if task.state is TaskState.DONE]
        for task in tasks:
            self.promises.person_said(task.key, Event.WANTED_AGAIN)
        names = names_on_disk(self.folder)
        self.command(lambda ledger: overrides.want_again(ledger, tasks, names, self.world.now()))

    @precondition(lambda self: self.any_in(TaskState.DONE))
    @rule(data=st.data())
    def a_file_is_lost(self, data: st.DataObject) -> None:
        task = self.one_in(TaskState.DONE, data)
        self.promises.file_lost(task.file_name)
        (self.folder / task.file_name).unlink(missing_ok=True)

    @precondition(lambda self: self.any_in(TaskState.DONE))
    @rule(data=st.data())
    def a_file_is_changed(self, data: st.DataObject) -> None:
        task = self.one_in(TaskState.DONE, data)
        path = self.folder / task.file_name
        if path.exists():
            content = path.read_bytes() + b"edited"
            path.write_bytes(content)
            self.promises.file_changed(task.file_name, content)

    @precondition(lambda self: self.any_in(TaskState.DONE))
    @rule(data=st.data())
    def a_picture_is_cut(self, data: st.DataObject) -> None:
        """A last frame beside a video: whoever needs it gets one from the video."""
        task = self.one_in(TaskState.DONE, data)
        if task.last_frame_file:
            self.promises.chains.cut.add(task.last_frame_file)
            (self.folder / task.last_frame_file).write_bytes(b"\xff\xd8\xff")

    @precondition(lambda self: self.any_in(TaskState.DONE))
    @rule()
    def a_person_wants_the_missing_ones(self) -> None:
        self.start(fetch_missing=True)

    @precondition(lambda self: not self.is_running())
    @rule(tasks=entries)
    def the_manifest_is_rewritten(self, tasks: list[tuple[str, str]]) -> None:
        self.tasks = tasks

    @precondition(lambda self: not self.is_running())
    @rule(order=st.permutations(range(5)), without=st.integers(0, 5))
    def the_manifest_is_reordered(self, order: list[int], without: int) -> None:
        self.tasks = [self.tasks[i] for i in order if i < len(self.tasks) and i != without] or self.tasks

    @precondition(lambda self: self.promises and (self.folder / VIDEOS / RUN_ID_NAME).exists())
    @rule()
    def a_copy_is_put_aside(self) -> None:
        if self.backup:
            self.backup.forget()
        self.backup, self.edits = Backup(self.folder), dict(self.promises.changed_files)

    @precondition(lambda self: self.backup)
    @rule(ledger_alone=st.booleans())
    def the_copy_is_put_back(self, ledger_alone: bool) -> None:
        """And a run starts in quiet weather: what it can know, it must."""
        assert self.backup
        self.keep_running()
        self.loop.pass_until(self.loop.time() + 500)
        if self.is_running():
            self.process.kill()
            self.running = None
        self.promises.close()
        gone = self.backup.put_back(self.folder, ledger_alone)
        self.promises.rewound(gone, self.promises.changed_files if ledger_alone else self.edits)
        self.world.calm()
        self.start()
        self.loop.pass_until(self.loop.time() + 1500)

    # --- what must hold ----------------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        if self.promises:
            self.promises.look()
            assert self.promises.broken == []

    def teardown(self) -> None:
        if not self.promises:
            return
        try:
            if not self.promises.broken:
                self.the_batch_ends()
        finally:
            self.process.kill()
            self.process.bury()
            self.promises.close()
            self.patches.close()
            self.loop.close()
            shutil.rmtree(self.folder)
            if self.backup:
                self.backup.forget()

    def the_batch_ends(self) -> None:
        """Without faults and budget, the same command brings every task to its end."""
        self.world.calm()
        self.promises.budget = {}
        for _ in range(6):
            if not self.is_running():
                self.start()
            for _ in range(30):
                if self.is_running():
                    self.loop.pass_until(self.loop.time() + 3600)
            self.promises_are_kept()
            assert not self.is_running(), "the run does not end"
            left = [task for task in self.planned() if not self.is_settled(task)]
            if not left:
                break
            self.loop.pass_until(self.loop.time() + 30000)  # what is over its deadline waits for the next run
        assert [(task.id, task.state, task.error_code, self.ended) for task in left] == []
        assert len(self.planned()) == len(self.tasks)
        self.promises.files_told()
        assert self.promises.broken == []
        for task in self.planned():
            self.for_a_good_reason(task)

    def is_settled(self, task: TaskRecord) -> bool:
        """Whether no further run would change it; a video is never put in place of another file.

        That may be one that somebody edited, or the video of an earlier payment that nothing shows any more.
        """
        if task.state is TaskState.PENDING:
            return bool(self.promises.chains.waits_for().get(task.key, set()) & LAST)
        in_the_way = task.error_code == "name_taken" and (self.folder / task.file_name).exists()
        return task.state in SETTLED or (task.state is TaskState.UNCOLLECTED and in_the_way)

    def planned(self) -> list[TaskRecord]:
        found: list[TaskRecord] = self.command(lambda ledger: ledger.tasks())
        return [task for task in found if task.position is not None]

    def for_a_good_reason(self, task: TaskRecord) -> None:
        """A task that failed has no video that the gateway would have shown."""
        charge = self.world.charges.get(task.remote_id or "")
        is_lost = task.state is TaskState.FAILED and task.error_code not in NOT_SENT
        if is_lost and charge and charge.life.ending == "success":
            assert self.world.not_shown[charge.remote_id] >= 3


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=int(os.environ.get("BATCHRUNNER_NIGHTS", "20000" if DEEP else "250")),
    stateful_step_count=60 if DEEP else 30,
    derandomize=not DEEP,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=(Phase.generate, Phase.shrink) if DEEP else (Phase.generate,),
)
TestNights = pytest.mark.timeout(0 if DEEP else 1800)(TestNights)
