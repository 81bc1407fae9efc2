"""Outages: few submissions are risked, then one now and then; the run goes on by itself."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

PROBE_INTERVAL = 300.0
SHAPES = {
    "HTML 502": {"do": "html_502"},
    "empty 504": {"do": "html_502", "status": 504, "body": "empty"},
    "never an answer": {"do": "hang_after_accept"},
    "resets": {"do": "cut_before_accept"},
}


def at(line: dict[str, Any]) -> float:
    """When a line was written to run.log, in Unix seconds."""
    return datetime.fromisoformat(line["at"]).timestamp()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outage_costs_few_doubts_and_the_run_goes_on_by_itself(desk: Any, sim: Any, shape: str) -> None:
    """At most `max_in_doubt` at once, then one probe every 5 min; then the rest is made, exit 3."""
    sim.start({"on": "submit", "first": 5} | SHAPES[shape], usage_log=False)
    desk.write(*(f"t{number}" for number in range(9)), concurrency=9, max_in_doubt=3, submit_timeout=0.4)
    command = desk.start_run()
    desk.check(command.ended(), 3)
    unknown = [at(line) for line in command.events("unknown")]
    assert len(unknown) == 5
    pause = PROBE_INTERVAL * sim.scale
    assert all(later - before > 0.9 * pause for before, later in pairwise(unknown[2:]))
    assert sorted(desk.states().values()) == ["done"] * 4 + ["in_doubt"] * 5
    assert sim.posts() == 9
    assert "trying one every 5 min" in (desk.directory / "run.log").read_text(encoding="utf-8")


def test_an_outage_whose_doubts_are_found_afterwards_ends_with_every_video(desk: Any, sim: Any) -> None:
    """Every submission of the outage was charged: looked up and adopted, the run exits 0, one POST a task."""
    sim.start({"on": "submit", "do": "html_502_after_accept", "first": 4})
    desk.write(*(f"t{number}" for number in range(7)), concurrency=7, max_in_doubt=3)
    desk.check(desk.run(), 0)
    assert sim.posts() == len(sim.charges()) == 7


def test_no_probe_is_risked_while_a_free_question_stays_without_an_answer(
    desk: Any, sim: Any, relay: Any
) -> None:
    """The gateway answers nothing at all: the next submission waits until it answers what costs nothing."""
    sim.start(usage_log=False)
    relay.rule("submit", relay.says(502, "<html>bad gateway</html>"), times=3)
    relay.rule("models", relay.says(200, {"data": [], "object": "list"}), times=1)
    down = relay.rule("models", relay.says(502, "<html>bad gateway</html>"), times=2)
    desk.write(*(f"t{number}" for number in range(5)), concurrency=5, max_in_doubt=3)
    command = desk.start_run("--base-url", relay.url)
    desk.check(command.ended(), 3)
    assert down.count == 2
    assert sorted(desk.states().values()) == ["done"] * 2 + ["in_doubt"] * 3
    asked = [kind for kind, _ in relay.asked if kind in ("submit", "models")]
    assert asked[:7] == ["models", "submit", "submit", "submit", "models", "models", "models"]


@pytest.mark.parametrize("what", ["reset", "endless headers", "endless body"])
def test_a_gateway_that_breaks_off_or_never_ends_leaves_a_doubt(
    desk: Any, sim: Any, relay: Any, what: str
) -> None:
    """Charged, then a reset, headers without an end, or a body of gigabytes: in doubt, exit 3."""
    sent = []

    def answer(exchange: Any) -> None:
        exchange.pass_on()
        if what == "reset":
            return exchange.reset()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        exchange.raw(head + (b"\r\n" if what == "endless body" else b""))
        while sum(sent) < 1 << 30:
            exchange.raw(b"X-More: " + b"x" * 8000 + b"\r\n")
            sent.append(8010)
        return None

    sim.start(usage_log=False)
    relay.rule("submit", answer, "bee", times=1)
    desk.write("ant", "bee", concurrency=1)
    desk.check(desk.run("--base-url", relay.url), 3)
    assert desk.states() == {"ant": "done", "bee": "in_doubt"}
    assert sum(sent) < 64 << 20
    assert relay.count("submit", "bee") == 1


def test_a_run_that_begins_in_an_outage_waits_for_its_end(desk: Any, sim: Any) -> None:
    """Something answers in the gateway's place for a quarter of an hour: the night is not lost."""
    sim.start({"on": "models", "do": "html_502", "times": 15})
    desk.write("ant")
    desk.check(desk.run(), 0)
    assert sim.requests()["GET /v1/models"] == 16
