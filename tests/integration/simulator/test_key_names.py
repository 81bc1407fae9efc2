"""The names that a scenario gives to its keys."""

from batchrunner.simulator.scenario import Scenario


def test_a_key_may_have_the_name_of_a_recorded_one() -> None:
    """Its tasks are those of its own user, not of the recorded key."""
    taken = next(iter(Scenario().keys.values())).name
    scenario = Scenario.from_dict({"keys": {"sk-of-the-scenario": {"name": taken, "user": "another"}}})
    assert scenario.user_of(taken) == "another"
