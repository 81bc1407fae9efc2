"""Links past their day: known to be dead, they are not asked again, but on a person's word."""

import pytest

from batchrunner.clock import Clock
from batchrunner.core.links import LINK_EXPIRED, LINKS_LIVE
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.storage.files import seen_as

SCALE = 0.0001
GONE = b'{"error":{"message":"Upstream service returned status 403","type":"server_error"}}'


async def aged(parts, seconds=LINKS_LIVE + 3600):
    """Let the generation of the only task have ended so many nominal seconds ago."""
    task = parts.tasks[0]
    ended = Clock(SCALE).wall() - seconds * SCALE
    await parts.ledger.note(task.attempt, AttemptFacts(finished_at=ended))
    return task.key


async def again(parts, key):
    """Have it collected once more."""
    await parts.ledger.move(key, Move(Event.RECOLLECT, TaskState.COLLECTING))
    await parts.collector.collect(key)
    return await parts.ledger.task(key)


def test_each_dead_source_is_asked_once_and_then_never(bench, answers):
    """One GET each; what is known is kept, and a later try asks nobody."""

    async def story(parts):
        key = await aged(parts)
        await parts.collector.collect(key)
        first, asked = await parts.ledger.task(key), list(parts.files.asked)
        return first, asked, await again(parts, key), parts.files.asked

    first, asked, second, later = bench([answers.reply(502, GONE)], [answers.reply(403)], story)
    assert asked == later == ["content", "link"]
    for record in (first, second):
        assert (record.state, record.error_code, record.links_dead) == (
            TaskState.UNCOLLECTED,
            LINK_EXPIRED,
            True,
        )


def test_a_person_may_have_dead_links_asked_once_more(bench, answers, video, on_disk):
    """Some gateways keep videos for longer than they say."""

    async def story(parts):
        key = await aged(parts)
        await parts.collector.collect(key)
        parts.collector._asks_dead_links = True
        return await again(parts, key), parts.files.asked

    record, asked = bench([answers.reply(404), answers.whole()], [answers.reply(410)], story)
    assert record.state is TaskState.DONE
    assert asked == ["content", "link", "content"]
    assert on_disk() == {"cat.mp4": video}


def test_within_the_day_the_same_answers_are_tried_again(bench, answers):
    """The age counts in nominal seconds from the generation's end, not in real ones."""

    async def story(parts):
        key = await aged(parts, LINKS_LIVE - 3600)
        await parts.collector.collect(key)
        return await parts.ledger.task(key), parts.files.asked

    record, asked = bench([answers.reply(502, GONE)], [answers.reply(403)], story)
    assert asked == ["content", "link"] * 3
    assert (record.error_code, record.links_dead) == ("http_403", False)


def test_after_the_day_what_may_pass_costs_one_try_each(bench, answers):
    """A server in trouble is asked again by the next run, and does not hold this one up."""

    async def story(parts):
        key = await aged(parts)
        await parts.collector.collect(key)
        return await parts.ledger.task(key), parts.files.asked

    record, asked = bench([answers.reply(500)], [answers.reply(503)], story)
    assert asked == ["content", "link"]
    assert (record.error_code, record.links_dead) == ("http_503", False)


@pytest.fixture
def missing(bench, video):
    """A video that was collected before, whose file is gone, and which a person wants fetched again."""

    def run(content, link, before=None):
        async def story(parts):
            key, task = await aged(parts), parts.tasks[0]
            facts = AttemptFacts(collected_at=5.0, size=7, sha256="ab", file_state="missing", duration=9.0)
            before_it_went = Move(Event.COLLECTED, TaskState.DONE, warnings=("64x48",), facts=facts)
            await parts.ledger.move(key, before_it_went)
            await parts.ledger.move(key, Move(Event.MISSING, TaskState.COLLECTING))
            if before:
                before(parts.directory / task.file_name)
            await parts.collector.collect(key)
            return await parts.ledger.task(key)

        return bench(content, link, story, differs=lambda record, facts: ("64x48",))

    return run


def test_a_missing_video_is_fetched_again(missing, answers, video, on_disk, tmp_path):
    """It is done as before; what differs from the request is said once."""
    record = missing([answers.whole()], [answers.html()])
    assert (record.state, record.file_state, record.size) == (TaskState.DONE, "", len(video))
    assert record.warnings == ("64x48",)
    assert on_disk() == {"cat.mp4": video}


def test_a_missing_video_that_can_not_be_fetched_stays_done(missing, answers, on_disk):
    """It was verified once: neither its state nor what is known of it is lost, and it has no error."""
    record = missing([answers.reply(502, GONE)], [answers.reply(403)])
    assert (record.state, record.error_code, record.error_message) == (TaskState.DONE, "", "")
    assert (record.file_state, record.links_dead) == ("missing", True)
    assert (record.size, record.sha256, record.duration) == (7, "ab", 9.0)
    assert on_disk() == {}


def test_a_name_that_was_taken_meanwhile_is_left_alone(missing, answers, on_disk):
    """Done, too; and nothing is overwritten."""
    record = missing([answers.whole()], [], before=lambda path: path.write_bytes(b"theirs"))
    assert record.state is TaskState.DONE
    assert on_disk() == {"cat.mp4": b"theirs"}


def test_a_collected_file_is_recognized_by_size_and_time(bench, answers, tmp_path):
    """So that the next run needs no more than a stat."""

    async def story(parts):
        await parts.collector.collect(parts.tasks[0].key)
        return await parts.ledger.read_finished_files(list)

    (file,) = bench([answers.whole()], [answers.html()], story)
    assert file.seen == seen_as((tmp_path / file.file_name).stat())
