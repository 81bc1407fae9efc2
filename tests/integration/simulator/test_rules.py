"""Which requests a rule befalls."""

from typing import Any


def test_rules_choose_their_requests(night: Any) -> None:
    """prompt, every, times and nth count the matching requests only, in their order."""

    async def story(gateway: Any) -> Any:
        prompts = ["cat 1", "dog 1", "cat 2", "cat 3", "cat 4", "dog 2", "cat 5", "cat 6"]
        return [(await gateway.submit(prompt)).status for prompt in prompts]

    rules = [
        {"on": "submit", "do": 429, "prompt": "cat*", "every": 2, "times": 2},
        {"on": "submit", "do": "500_html", "prompt": "dog*", "nth": [2]},
    ]
    assert night(story, faults=rules) == [200, 200, 429, 200, 429, 500, 200, 200]


def test_between_is_about_the_time_since_the_start(night: Any) -> None:
    """A rule for later does nothing now; one for now does."""

    async def story(gateway: Any) -> Any:
        return [(await gateway.submit(prompt)).status for prompt in ("a", "b")]

    later = {"on": "submit", "do": 429, "prompt": "a", "between": [1e6, 2e6]}
    now = {"on": "submit", "do": 429, "prompt": "b", "between": [0, 1e6]}
    assert night(story, faults=[later, now]) == [200, 429]


def test_chance_is_seeded(night: Any) -> None:
    """The same rule and seed befall the same ordinals, and about as many as its chance says."""

    async def story(gateway: Any) -> Any:
        return [(await gateway.submit()).status for _ in range(40)]

    rule = {"on": "submit", "do": 429, "chance": 0.5}
    statuses = night(story, faults=[rule])
    assert 10 <= statuses.count(429) <= 30
    # Another state of the same night: the counts go on, so the draws are the next ones.
    assert night(story, faults=[rule]) != statuses


def test_each_tasks_requests_may_be_counted_on_their_own(night: Any) -> None:
    """`per_task` makes the first poll of every task the first; what was counted outlives a restart."""

    async def story(gateway: Any) -> Any:
        ids = [charge["remote_id"] for charge in await gateway.charges()] or [
            await gateway.accepted(f"cat {number}") for number in range(2)
        ]
        paths = [f"/v1/video/generations/{remote_id}" for remote_id in ids]
        return [[(await gateway.call("GET", path)).status for path in paths] for _ in range(3)]

    faults = [{"on": "poll", "do": "500", "per_task": True, "nth": [1, 3, 5]}]
    assert night(story, faults=faults) == [[500, 500], [200, 200], [500, 500]]
    assert night(story, faults=faults) == [[200, 200], [500, 500], [200, 200]]


def test_rule_counts_survive_a_restart_without_a_match(night: Any) -> None:
    """The third submission is the third, whether or not the gateway was started again in between."""

    async def story(gateway: Any) -> Any:
        return [(await gateway.submit()).status for _ in range(2)]

    faults = [{"on": "submit", "do": 429, "every": 3}]
    assert [night(story, faults=faults) for _ in range(3)] == [[200, 200], [429, 200], [200, 429]]
