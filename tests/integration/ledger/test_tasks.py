"""What stages may do with tasks: plan, claim, move, recover."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from batchrunner.core.errors import UsageError
from batchrunner.core.model import MediaFile, RemoteId, TaskKey
from batchrunner.core.plan import WantedTask
from batchrunner.core.policy import RELEASED, AttemptFacts, Move
from batchrunner.core.states import Event, TaskState, TransitionRefused
from batchrunner.core.summary import Spent
from batchrunner.ledger import LedgerReader
from tests.harness.plans import wanted_task

SEED = 4242


def accepted(remote_id: str = "task_A") -> Move:
    facts = AttemptFacts(outcome="accepted", remote_id=RemoteId(remote_id), accepted_at=1000.0)
    return Move(Event.ACCEPTED, TaskState.GENERATING, facts=facts)


REJECTED = Move(Event.REJECTED, TaskState.FAILED, error_code="invalid_request", error_message="no")


# --- claim and move -----------------------------------------------------------------------------------


def test_a_claim_is_on_disk_before_it_returns(in_ledger, filled, on_disk):
    """When a claim returns, the intent with its seed and time stands where a crash can't take it away."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, None, lambda run_id, key, number, salt: SEED)
        stored = on_disk.all("SELECT id, task, number, seed, submitted_at, outcome FROM attempts")
        assert stored == [(attempt.id, key, 1, SEED, attempt.submitted_at, None)]
        assert on_disk.states() == {"a": "submitting"}
        assert (attempt.task, attempt.number, attempt.seed, attempt.submitted_at) == (key, 1, SEED, 77.0)

    in_ledger(story, now=lambda: 77.0)


def test_a_seed_that_another_attempt_has_gets_another_salt(in_ledger, filled):
    """Two attempts with one seed could not be told apart: the next salt counts."""
    keys = filled("a", "b", "c")

    async def story(ledger):
        return [
            (await ledger.claim(key, None, lambda run_id, key, number, salt: 7 + salt)).seed for key in keys
        ]

    assert in_ledger(story) == [7, 8, 9]


def test_a_derived_seed_is_unlike_one_that_a_user_gave(in_ledger, filled):
    """A user's own seed is sent as it is, derived ones keep clear of it, `draw_seed: false` derives none."""
    keys = filled("a", "b", "c", "d")

    def draw(run_id, key, number, salt):
        return 7 + salt

    async def story(ledger):
        given = [await ledger.claim(keys[0], 7, draw), await ledger.claim(keys[1], 7, None)]
        rest = [await ledger.claim(keys[2], None, draw), await ledger.claim(keys[3], None, None)]
        return [attempt.seed for attempt in given + rest]

    assert in_ledger(story) == [7, 7, 8, None]


def test_each_attempt_has_a_number_and_the_seed_of_that_number(in_ledger, filled, on_disk):
    """Claimed again after a release, a task has a second attempt; the first one stays in the story."""
    (key,) = filled("a")

    async def story(ledger):
        first = await ledger.claim(key, None, lambda run_id, key, number, salt: 10 * number)
        await ledger.move(key, RELEASED, first.id)
        second = await ledger.claim(key, None, lambda run_id, key, number, salt: 10 * number)
        return [(attempt.number, attempt.seed) for attempt in (first, second)]

    assert in_ledger(story) == [(1, 10), (2, 20)]
    assert on_disk.one("SELECT attempts FROM tasks") == 2


def test_only_a_pending_task_is_claimed(in_ledger, filled, on_disk):
    """A second claim of the same task is refused and leaves no attempt behind: it would be paid twice."""
    (key,) = filled("a")

    async def story(ledger):
        await ledger.claim(key, 1, None)
        with pytest.raises(TransitionRefused):
            await ledger.claim(key, 2, None)

    in_ledger(story)
    assert on_disk.all("SELECT number, seed FROM attempts") == [(1, 1)]
    assert on_disk.one("SELECT attempts FROM tasks") == 1


def test_only_one_of_many_simultaneous_claims_succeeds(in_ledger, filled, on_disk):
    """Fifty claims of one task at once make one attempt."""
    (key,) = filled("a")

    async def story(ledger):
        claims = [ledger.claim(key, seed, None) for seed in range(50)]
        return await asyncio.gather(*claims, return_exceptions=True)

    results = in_ledger(story)
    assert sum(isinstance(result, TransitionRefused) for result in results) == 49
    assert on_disk.one("SELECT count(*) FROM attempts") == 1


def test_a_move_writes_state_facts_and_event_together(in_ledger, filled, on_disk):
    """State, what became known of the attempt, and the line of the story are one change."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, SEED, None)
        await ledger.move(key, accepted(), attempt.id)

    in_ledger(story, now=lambda: 77.0)
    assert on_disk.states() == {"a": "generating"}
    assert on_disk.all("SELECT remote_id, accepted_at, outcome, seed FROM attempts") == [
        ("task_A", 1000.0, "accepted", SEED)
    ]
    assert on_disk.all("SELECT at, attempt, event, from_state, to_state FROM events ORDER BY id") == [
        (77.0, 1, "claimed", "pending", "submitting"),
        (77.0, 1, "accepted", "submitting", "generating"),
    ]


def test_facts_that_are_not_known_leave_those_that_are(in_ledger, filled, on_disk):
    """A later move adds to an attempt and forgets nothing of it."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, SEED, None)
        await ledger.move(key, accepted(), attempt.id)
        done = Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=AttemptFacts(tokens=9))
        await ledger.move(key, done)  # its newest attempt is meant

    in_ledger(story)
    assert on_disk.all("SELECT remote_id, accepted_at, tokens FROM attempts") == [("task_A", 1000.0, 9)]


@pytest.mark.parametrize("move", [accepted(), RELEASED, Move(Event.SUCCEEDED, TaskState.COLLECTING)])
def test_a_refused_move_changes_nothing(in_ledger, filled, on_disk, move):
    """A way that the table does not have leaves task, attempts and events as they were."""
    (key,) = filled("a")
    tables = [f"SELECT * FROM {name}" for name in ("tasks", "attempts", "events")]
    before = [on_disk.all(table) for table in tables]

    async def story(ledger):
        with pytest.raises(TransitionRefused):
            await ledger.move(key, move)

    in_ledger(story)
    assert [on_disk.all(table) for table in tables] == before


def test_a_task_that_does_not_exist_is_not_moved(in_ledger, filled):
    """Moving a task that the ledger doesn't know is an error in words."""
    filled("a")

    async def story(ledger):
        with pytest.raises(UsageError, match="1-unknown"):
            await ledger.move(TaskKey("1-unknown"), RELEASED)

    in_ledger(story)


def test_error_and_wait_of_a_move_replace_the_last_ones(in_ledger, filled):
    """A task shows why it is where it is now, and not why it once was elsewhere."""
    (key,) = filled("a")
    busy = Move(
        Event.NOT_ADMITTED, TaskState.PENDING, "busy", "wait", ("first",), not_before=5.0, refused=True
    )

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        await ledger.move(key, busy, attempt.id)
        before = await ledger.task(key)
        attempt = await ledger.claim(key, 2, None)
        await ledger.move(key, accepted(), attempt.id)
        return before, await ledger.task(key)

    before, after = in_ledger(story)
    assert (before.error_code, before.not_before, before.refused, before.warnings) == (
        "busy",
        5.0,
        1,
        ("first",),
    )
    assert (after.error_code, after.error_message, after.not_before, after.warnings) == ("", "", None, ())
    assert after.refused == 0  # what was accepted is refused no longer


def test_a_persons_retry_forgets_what_was_taken_back(in_ledger, filled):
    """Retried by a person, a task may be taken back twice again."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        await ledger.move(key, Move(Event.NOT_ADMITTED, TaskState.PENDING, refused=True), attempt.id)
        attempt = await ledger.claim(key, 1, None)
        await ledger.move(key, REJECTED, attempt.id)
        await ledger.move(key, Move(Event.RETRIED, TaskState.PENDING))
        return (await ledger.task(key)).refused

    assert in_ledger(story) == 0


def test_the_newest_raw_answer_is_kept(in_ledger, filled, on_disk):
    """A poll's answer is kept with its attempt without moving the task."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        for raw in ("old", "new"):
            await ledger.note(attempt.id, AttemptFacts(last_answer=raw))

    in_ledger(story)
    assert on_disk.all("SELECT last_answer FROM attempts") == [("new",)]
    assert on_disk.states() == {"a": "submitting"}


def test_observers_hear_of_a_move_once_it_is_on_disk(in_ledger, filled, on_disk):
    """Every event is told in order, after it can't be lost any more; what was refused is not told."""
    (key,) = filled("a")
    heard = []

    async def story(ledger):
        ledger.observe(lambda event: heard.append((event.id, event.event, on_disk.states()["a"])))
        attempt = await ledger.claim(key, 1, None)
        with pytest.raises(TransitionRefused):
            await ledger.move(key, Move(Event.SUCCEEDED, TaskState.COLLECTING))
        await ledger.move(key, accepted(), attempt.id)

    in_ledger(story)
    assert heard == [("a", "claimed", "submitting"), ("a", "accepted", "generating")]


def test_an_event_says_whether_the_task_is_still_wanted(in_ledger, filled, plan):
    """What happens to a task that was taken out of the manifest is told as not planned."""
    keys = filled("a", "b")
    heard = []

    async def story(ledger):
        ledger.observe(lambda event: heard.append(event.planned))
        await ledger.reconcile(plan("b"), frozenset())
        for key in keys:
            await ledger.claim(key, 1, None)

    in_ledger(story)
    assert heard == [False, True]


# --- recover ------------------------------------------------------------------------------------------


def test_a_submission_in_flight_is_in_doubt_after_a_crash(in_ledger, filled, on_disk):
    """Tasks that were being submitted are in doubt, counted, and never pending again by themselves."""
    keys = filled("a", "b", "c")

    async def crash(ledger):
        for key in keys[:2]:
            await ledger.claim(key, None, lambda run_id, key, number, salt: salt)

    in_ledger(crash)
    assert in_ledger(lambda ledger: ledger.recover()) == 2
    assert on_disk.states() == {"a": "in_doubt", "b": "in_doubt", "c": "pending"}
    assert on_disk.all("SELECT outcome FROM attempts") == [("unknown",), ("unknown",)]
    assert set(on_disk.all("SELECT error_code FROM tasks WHERE state = 'in_doubt'")) == {("interrupted",)}


def test_recovering_twice_changes_nothing_more(in_ledger, filled, on_disk):
    """After a clean end there is nothing to recover, and each later start finds the doubt as it was."""
    (key,) = filled("a")
    in_ledger(lambda ledger: ledger.claim(key, 1, None))
    assert [in_ledger(lambda ledger: ledger.recover()) for _ in range(3)] == [1, 0, 0]
    assert on_disk.states() == {"a": "in_doubt"}


@pytest.mark.parametrize("move", [accepted(), RELEASED, REJECTED])
def test_a_submission_with_an_outcome_is_not_recovered(in_ledger, filled, on_disk, move):
    """A submission whose outcome is on disk stays as it is."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        await ledger.move(key, move, attempt.id)

    in_ledger(story)
    assert in_ledger(lambda ledger: ledger.recover()) == 0
    assert on_disk.states() == {"a": move.to.value}


# --- bind ---------------------------------------------------------------------------------------------

GATEWAY = "https://gateway.example"


def test_a_run_directory_belongs_to_one_gateway_and_one_manifest(in_ledger, plan):
    """The first run ties it; the same pair passes again, and so does the gateway alone."""
    for manifest in (plan("cat"), plan("cat"), None):
        in_ledger(lambda ledger, manifest=manifest: ledger.bind(GATEWAY, manifest))
    binding = in_ledger(lambda ledger: ledger.binding())
    assert (binding.gateway, binding.manifest) == (GATEWAY, plan("cat").name)


def submitted(ledger, plan):
    """A story: one submission of this plan's first task has left."""

    async def story():
        await ledger.bind(GATEWAY, plan)
        await ledger.reconcile(plan, frozenset())
        task = (await ledger.tasks())[0]
        await ledger.claim(task.key, None, None)

    return story()


@pytest.mark.parametrize("gateway", ["https://other.example", "simulator", GATEWAY])
def test_another_gateway_or_manifest_is_refused(in_ledger, on_disk, plan, gateway):
    """Tasks paid at one gateway are not polled at another: exit 2, both named, nothing changed."""
    in_ledger(lambda ledger: submitted(ledger, plan("cat")))
    before = on_disk.all("SELECT * FROM meta")
    other = replace(plan("dog"), name="another name")
    word = "manifest" if gateway == GATEWAY else "gateway"
    with pytest.raises(UsageError, match=word) as refused:
        in_ledger(lambda ledger: ledger.bind(gateway, other))
    assert (refused.value.exit_code, bool(refused.value.hint)) == (2, True)
    assert on_disk.all("SELECT * FROM meta") == before


def test_a_name_made_from_the_file_does_not_bind(in_ledger, plan):
    """A manifest without `name` was renamed, and all of it changed: it goes on."""
    in_ledger(lambda ledger: submitted(ledger, replace(plan("cat"), named=False)))
    other = replace(plan("dog"), name="another name", named=False)
    assert in_ledger(lambda ledger: ledger.bind(GATEWAY, other)) == ""
    assert in_ledger(lambda ledger: ledger.binding()).manifest == "another name"


def test_paid_tasks_identify_a_run_better_than_its_name(in_ledger, plan):
    """Another name, and a task that this ledger paid for: it goes on and says under which name it was."""
    in_ledger(lambda ledger: submitted(ledger, plan("cat")))
    other = replace(plan("dog", "cat"), name="another name")
    assert in_ledger(lambda ledger: ledger.bind(GATEWAY, other)) == plan("cat").name
    assert in_ledger(lambda ledger: ledger.bind(GATEWAY, other)) == ""


def test_a_gateway_keeps_its_former_addresses(in_ledger, plan):
    """After a move the old address and the new one are both the gateway's; a third is not."""
    new = "https://new.example"
    in_ledger(lambda ledger: submitted(ledger, plan("cat")))
    in_ledger(lambda ledger: ledger.moved_to(new))
    for gateway in (new, GATEWAY, new):
        in_ledger(lambda ledger, gateway=gateway: ledger.bind(gateway))
    binding = in_ledger(lambda ledger: ledger.binding())
    assert (binding.gateway, binding.former_gateways) == (new, (GATEWAY,))
    with pytest.raises(UsageError, match="gateway"):
        in_ledger(lambda ledger: ledger.bind("https://third.example"))


def test_until_something_was_submitted_another_gateway_may_take_its_place(in_ledger):
    """A slip in the address costs no run directory."""
    for gateway in ("https://slip.example", GATEWAY):
        in_ledger(lambda ledger, gateway=gateway: ledger.bind(gateway))
    assert in_ledger(lambda ledger: ledger.binding()).gateway == GATEWAY


# --- reconcile ----------------------------------------------------------------------------------------


def names(on_disk) -> dict[str, str]:
    return dict(on_disk.all("SELECT id, file_name FROM tasks ORDER BY rowid"))


@pytest.fixture
def bring(in_ledger):
    """Brings the ledger in line with a plan."""

    def run(plan, on_disk_already=()):
        in_ledger(lambda ledger: ledger.reconcile(plan, frozenset(on_disk_already)))

    return run


def test_new_tasks_enter_pending_in_their_place(bring, plan, on_disk):
    """Every new task enters with its place, id, request and the name of its file."""
    bring(plan("a", "b"))
    assert on_disk.all("SELECT position, id, state, file_name FROM tasks ORDER BY position") == [
        (0, "a", "pending", "videos/a.mp4"),
        (1, "b", "pending", "videos/b.mp4"),
    ]
    assert json.loads(on_disk.one("SELECT request FROM tasks"))["prompt"] == "a"


def test_bringing_in_line_twice_changes_nothing(bring, plan, on_disk):
    """The same plan again leaves every row as it is."""
    bring(plan("a", "b"))
    before = on_disk.all("SELECT * FROM tasks")
    bring(plan("a", "b"))
    assert on_disk.all("SELECT * FROM tasks") == before


def test_a_plan_that_an_older_version_replaced_is_brought_in_again(bring, plan, tmp_path, on_disk):
    """Such a version records settings without a digest: the tasks may be those of any plan."""
    bring(plan("a", "b"))
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db, db:
        db.execute("UPDATE meta SET value = json_remove(value, '$.plan') WHERE name = 'settings'")
        db.execute("UPDATE tasks SET position = 1 - position")
    bring(plan("a", "b"))
    assert on_disk.all("SELECT id FROM tasks ORDER BY position") == [("a",), ("b",)]


def test_a_renamed_id_keeps_task_and_file(bring, plan, want, on_disk):
    """Another id for the same request is the same task: nothing is paid again, nothing renamed on disk."""
    bring(plan(want("cat", "a cat")))
    bring(plan(want("kitten", "a cat")))
    assert on_disk.all("SELECT id, file_name FROM tasks") == [("kitten", "videos/cat.mp4")]


def test_reordering_moves_the_places_only(bring, plan, on_disk):
    """Tasks follow the plan's order, whatever state they are in."""
    bring(plan("a", "b", "c"))
    bring(plan("c", "a", "b"))
    assert on_disk.all("SELECT id FROM tasks ORDER BY position") == [("c",), ("a",), ("b",)]


def test_a_removed_task_keeps_its_row_and_its_state(in_ledger, bring, filled, plan, on_disk):
    """What is no longer wanted loses its place and nothing else: it may be paid for."""
    keys = filled("a", "b")
    in_ledger(lambda ledger: ledger.claim(keys[0], SEED, None))
    bring(plan("b"))
    assert on_disk.all("SELECT id, position, state, file_name, attempts FROM tasks ORDER BY id") == [
        ("a", None, "submitting", "videos/a.mp4", 1),
        ("b", 0, "pending", "videos/b.mp4", 0),
    ]
    assert on_disk.all("SELECT seed FROM attempts") == [(SEED,)]


def test_a_task_added_again_costs_nothing(in_ledger, bring, filled, plan, on_disk):
    """Wanted again, a removed task is in its old state, with its old file."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        await ledger.move(key, accepted(), attempt.id)

    in_ledger(story)
    bring(plan("b"))
    bring(plan("b", "a"))
    assert on_disk.all("SELECT id, position, state FROM tasks ORDER BY position") == [
        ("b", 0, "pending"),
        ("a", 1, "generating"),
    ]


def test_a_name_that_was_ever_given_is_not_given_again(bring, plan, want, on_disk):
    """A new request under an old id gets a file of its own: the old one was perhaps paid for."""
    bring(plan(want("cat", "a cat")))
    bring(plan(want("cat", "a tiger")))
    (old, kept), (new, name) = on_disk.all("SELECT key, file_name FROM tasks ORDER BY rowid")
    assert old != new
    assert (kept, name) == ("videos/cat.mp4", f"videos/cat-{new[2:10]}.mp4")


@pytest.mark.parametrize(
    ("first", "second"), [("Cat", "cat"), ("straße", "STRASSE"), ("caf\u00e9", "cafe\u0301")]
)
def test_names_that_some_disks_treat_as_equal_are_kept_distinct(bring, plan, want, on_disk, first, second):
    """Ids that differ in case, or in how a letter is composed, get names that differ on every file system."""
    bring(plan(want(first, "a cat"), want(second, "a dog")))
    files = names(on_disk)
    assert files[first] == f"videos/{first}.mp4"
    assert files[second].startswith(f"videos/{second}-")


def test_a_file_that_is_there_already_keeps_its_name(bring, plan, on_disk):
    """Whatever lies in the folder for videos is never written over."""
    bring(plan("Cat", "dog"), ["videos/cat.mp4", "videos/notes.txt"])
    assert names(on_disk)["Cat"] != "videos/Cat.mp4"
    assert names(on_disk)["dog"] == "videos/dog.mp4"


def test_the_file_name_is_fixed_for_ever(bring, plan, want, on_disk):
    """No later plan, other file or free name changes the name that a task was given."""
    bring(plan(want("cat", "a tiger"), want("dog", "a dog")), ["videos/cat.mp4"])
    before = on_disk.all("SELECT key, file_name FROM tasks")
    bring(plan(want("cat", "a dog"), want("lion", "a tiger")), [])
    bring(plan(want("cat", "a tiger")), ["videos/dog.mp4"])
    assert on_disk.all("SELECT key, file_name FROM tasks") == before


def test_replicas_of_one_request_are_tasks_of_their_own(bring, plan, want, on_disk):
    """The same request wanted three times is three tasks with three files."""
    bring(plan(*[want("cat", "a cat")] * 3))
    files = on_disk.all("SELECT file_name FROM tasks")
    assert len(set(files)) == 3


def test_fields_outside_the_fingerprint_may_change(bring, plan, want, on_disk):
    """Another callback, place in the manifest or label is taken over by the task as it stands."""
    bring(plan(want("a", "a cat", callback_url="https://a.example")))
    bring(plan(want("a", "a cat", callback_url="https://b.example")))
    (request,) = on_disk.all("SELECT request FROM tasks")[0]
    assert json.loads(request)["metadata"]["callback_url"] == "https://b.example"


def test_a_picture_that_was_renamed_is_shown_under_its_new_name(in_ledger, bring, plan):
    """The same bytes under another name are the same task, and its row names the file that is there now."""

    def moved(name: str) -> WantedTask:
        picture = MediaFile(f"/a/{name}", name, "0" * 64, "image/png", 3)
        return wanted_task({"model": "fast", "prompt": "move", "image": picture, "metadata": {}}, id="move")

    bring(plan(moved("cat.png")))
    bring(plan(moved("kitten.png")))
    (task,) = in_ledger(lambda ledger: ledger.tasks())
    assert task.inputs == ("kitten.png",)


def test_the_settings_of_the_newest_plan_count(in_ledger, bring, plan):
    """The ledger keeps the name, settings and prices of the plan that was last run."""
    bring(plan("a", name="first"))
    bring(plan("a", name="second"))
    binding = in_ledger(lambda ledger: ledger.binding())
    assert (binding.name, binding.settings) == ("second", plan("a").settings)


# --- reading ------------------------------------------------------------------------------------------


def test_a_reader_works_while_the_writer_does(tmp_path, in_ledger, filled):
    """Whoever reads in the middle of a run sees a consistent ledger, and each change after its await."""
    keys = filled(*(f"task-{number}" for number in range(40)))

    async def story(ledger):
        async with LedgerReader.open_existing(tmp_path) as reader:

            async def read() -> None:
                for _ in range(20):
                    counts = await reader.counts()
                    assert sum(counts.values()) == len(keys)

            async def write() -> None:
                for number, key in enumerate(keys):
                    await ledger.claim(key, number, None)
                    assert (await reader.task(key)).state is TaskState.SUBMITTING

            await asyncio.gather(read(), write(), read())
            return await reader.counts()

    assert in_ledger(story)[TaskState.SUBMITTING] == 40


def test_tasks_are_listed_in_plan_order_and_by_state(in_ledger, filled, plan):
    """Those no longer planned come last; states may be chosen. Only planned ones are counted."""
    keys = filled("a", "b", "c")

    async def story(ledger):
        await ledger.claim(keys[2], 1, None)
        await ledger.reconcile(plan("c", "b"), frozenset())
        return [
            [task.id for task in await ledger.tasks()],
            [task.id for task in await ledger.tasks(TaskState.PENDING)],
            (await ledger.counts())[TaskState.PENDING],
            (await ledger.counts(planned_only=False))[TaskState.PENDING],
        ]

    assert in_ledger(story) == [["c", "b", "a"], ["b", "a"], 1, 2]


def test_a_task_is_found_by_id_fingerprint_or_remote_id(in_ledger, filled):
    """Six characters of a fingerprint or a remote id are enough; wildcards have no meaning."""
    keys = filled("a", "b", "a%_")

    async def story(ledger):
        attempt = await ledger.claim(keys[0], 1, None)
        await ledger.move(keys[0], accepted("task_ABCDEF"), attempt.id)
        asked = ["a", keys[1][2:8], "task_ABC", "task_", "%%%%%%", "a%_", "______"]
        return [[task.id for task in await ledger.find(text)] for text in asked]

    assert in_ledger(story) == [["a"], ["b"], ["a"], [], [], ["a%_"], []]


def test_tokens_and_cost_of_every_attempt_are_summed(in_ledger, filled):
    """What was spent counts all attempts, by currency; one that was accepted and has no price is counted."""
    keys = filled("a", "b", "c", "d")

    async def story(ledger):
        for number, (key, currency) in enumerate(zip(keys[:3], ("USD", "USD", "CNY"), strict=True)):
            attempt = await ledger.claim(key, number, None)
            await ledger.move(key, accepted(f"task_{number}"), attempt.id)
            facts = AttemptFacts(tokens=10, cost=0.5, currency=currency)
            await ledger.move(key, Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=facts), attempt.id)
        attempt = await ledger.claim(keys[3], 3, None)
        await ledger.move(keys[3], accepted("task_3"), attempt.id)
        return await ledger.spent()

    assert in_ledger(story) == Spent(30, {"USD": 1.0, "CNY": 0.5}, unknown=1)


def test_text_of_any_kind_is_kept(in_ledger, filled):
    """Words from the network with odd characters in them are recorded, not raised over."""
    (key,) = filled("a")
    odd = "猫 \x00 \x1b[31m \u202e '; DROP TABLE tasks; --"

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        move = Move(Event.REJECTED, TaskState.FAILED, odd, odd, (odd,), facts=AttemptFacts(request_id=odd))
        await ledger.move(key, move, attempt.id)
        return await ledger.task(key)

    record = in_ledger(story)
    assert (record.error_code, record.error_message, record.warnings, record.request_id) == (
        odd,
        odd,
        (odd,),
        odd,
    )


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "by an earlier version"])
def test_a_submission_that_never_left_costs_nothing(in_ledger, filled, on_disk, noted):
    """A claim that was released is no attempt of unknown cost, nor the owner of a task of the gateway."""
    (key,) = filled("a")

    async def story(ledger):
        attempt = await ledger.claim(key, 1, None)
        await ledger.move(key, RELEASED if noted else replace(RELEASED, facts=AttemptFacts()), attempt.id)

    in_ledger(story)
    if not noted:
        assert in_ledger(lambda ledger: ledger.recover()) == 0
    assert in_ledger(lambda ledger: ledger.spent()).unknown == 0
    assert in_ledger(lambda ledger: ledger.unowned()) == []
    assert on_disk.states() == {"a": "pending"}
