"""What may go wrong on the way of a finished video: only whole ones get a name, and fetching is free."""

from typing import Any

import pytest

from batchrunner.simulator.rules import FAULTS

BROKEN = ["cut", "cut_chunked", "html_200", "json_200", "garbage", "502", "404", "not_ready", "hang"]
WHOLE = ["slow", "other_video"]


def name(fault: str) -> str:
    """The id of the task that a fault befalls."""
    return f"t-{fault.replace('_', '-')}"


def every_fault(source: str, *names: str) -> list[dict[str, Any]]:
    """One rule for each fault, for its own task."""
    slow = {"slow": {"seconds": 50}}
    return [
        {"on": "download", "do": do, "prompt": f"{name(do)} *", "source": source} | slow.get(do, {})
        for do in names
    ]


def test_every_download_fault_of_the_simulator_has_a_test_here() -> None:
    """A fault that the simulator learns must be given its place in this file."""
    assert sorted(BROKEN + WHOLE) == sorted(FAULTS["download"])


@pytest.mark.parametrize("source", ["content", "url"])
def test_with_one_source_broken_the_video_comes_from_the_other(desk: Any, sim: Any, source: str) -> None:
    """Whatever one source sends, the whole video is fetched; one that differs is kept, with a warning."""
    sim.start(*every_fault(source, *BROKEN, *WHOLE))
    desk.write("ant", *map(name, BROKEN + WHOLE))
    desk.check(desk.run(), 0)
    warned = {row["id"] for row in desk.rows() if row["warnings"]}
    assert warned == ({name("other_video")} if source == "content" else set())
    assert sim.posts() == len(BROKEN + WHOLE) + 1


def test_with_both_sources_broken_videos_stay_uncollected_and_collect_fetches_them_free(
    desk: Any, sim: Any
) -> None:
    """Exit 1, nothing under a final name; once the sources are whole `collect` brings all in, unpaid."""
    sim.start(*every_fault("both", *BROKEN, *WHOLE), scale=0.001)
    desk.write("ant", *map(name, BROKEN + WHOLE))
    done = desk.run()
    desk.check(done, 1)
    states = desk.states()
    assert {task for task, state in states.items() if state == "uncollected"} == set(map(name, BROKEN))
    assert all(row["error_code"] for row in desk.rows() if row["state"] == "uncollected")
    assert desk.row(name("other_video"))["warnings"]
    assert "batchrunner collect batch.run" in done.stdout

    sim.start()
    desk.check(desk.do("collect", "batch.run", "--time-scale", "0.001"), 0)
    assert sim.posts() == 0
    assert all(row["attempts"] == "1" for row in desk.rows())


def test_an_uncollected_video_is_tried_again_by_the_next_run(desk: Any, sim: Any) -> None:
    """The same command fetches what the last run could not, and submits nothing."""
    sim.start(*every_fault("both", "garbage"), scale=0.001)
    desk.write("ant", name("garbage"))
    desk.check(desk.run(), 1)
    sim.start()
    desk.check(desk.run(), 0)
    assert sim.posts() == 0


def test_an_expired_link_leaves_the_video_uncollected(desk: Any, sim: Any) -> None:
    """A link that has died is no reason to pay again: uncollected, exit 1, and so it stays."""
    sim.start(scale=0.001)
    desk.write("ant", {"id": "gone", "prompt": "ark:gone walks along the shore"})
    for _ in range(2):
        desk.check(desk.run(), 1)
        assert desk.states() == {"ant": "done", "gone": "uncollected"}
    assert len(sim.charges()) == 2


def test_a_chunked_download_without_a_length_is_collected(desk: Any, sim: Any) -> None:
    """A whole body that never said how long it would be is a whole video."""
    sim.start()
    desk.write({"id": "chunked", "prompt": "ark:chunked walks along the shore"})
    desk.check(desk.run(), 0)


def test_the_link_of_an_older_gateway_is_found_in_fail_reason(desk: Any, sim: Any) -> None:
    """With /content broken, the video comes by the only link there is, and without the key."""
    sim.start({"on": "download", "do": "502", "source": "content"}, link_in_fail_reason=True)
    desk.write("ant")
    desk.check(desk.run(), 0)
    assert sim.requests()["GET file server"] == 1
    assert sim.requests()["GET file server with Authorization"] == 0


def test_the_key_is_never_shown_to_the_file_server(desk: Any, sim: Any) -> None:
    """A video that comes by its link is asked for without the key."""
    sim.start({"on": "download", "do": "502", "source": "content"})
    desk.write("ant")
    desk.check(desk.run(), 0)
    asked = sim.requests()
    assert asked["GET file server"] == 1
    assert asked["GET file server with Authorization"] == 0


def test_a_finished_video_is_fetched_by_its_link_though_the_key_is_refused(desk: Any, sim: Any) -> None:
    """Revoked between two runs, the key is not needed for what has a link; nothing is sent, exit 4."""
    sim.start({"on": "download", "do": "slow", "seconds": 5000, "times": 1})
    desk.write("ant")
    run = desk.start_run()
    desk.until(sim.downloads, "the download")
    run.killed()
    desk.write("ant", "bee")
    sim.start({"on": "models", "do": "401"})
    desk.check(desk.run(), 4)
    assert desk.states() == {"ant": "done", "bee": "pending"}
    assert sim.posts() == 0
    assert not sim.requests()["GET file server with Authorization"]
