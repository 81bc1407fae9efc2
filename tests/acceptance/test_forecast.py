"""What `plan` says that a run will cost, beside what the gateway charges for it."""

from typing import Any

import pytest

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")


def test_the_forecast_is_what_is_charged(desk: Any, sim: Any) -> None:
    """For fixed lengths and ratios to the token; what is done is not in it any more."""
    sim.start()
    tasks = [
        {"id": f"t{n}", "prompt": f"t{n} walks", "duration": 4 + n, "metadata": {"ratio": ratio}}
        for n, ratio in enumerate(RATIOS)
    ]
    desk.write(*tasks)
    forecast = desk.do("plan", "batch.yaml", "--json").json["forecast"]
    assert (forecast["left_open"], forecast["models_without_price"]) == ([], [])
    assert desk.run().code == 0
    charged = sum(charge["tokens"] for charge in sim.charges())
    assert forecast["tokens"] == charged
    assert forecast["cost"] == pytest.approx(charged * 5.6 / 1e6)
    after = desk.do("plan", "batch.yaml", "--json").json
    assert (after["submitted"], after["forecast"]["tokens"]) == (0, 0)


def test_what_a_request_leaves_open_counts_as_its_worst_case(desk: Any, sim: Any) -> None:
    """And is said: the length and the ratio that the model chooses."""
    sim.start()
    open_task = {"id": "a", "prompt": "a walks", "duration": -1, "metadata": {"ratio": "adaptive"}}
    desk.defaults = {"model": "dreamina-seedance-2-0-fast", "metadata": {"resolution": "480p"}}
    desk.write(open_task)
    told = desk.do("plan", "batch.yaml").stdout
    assert "upper bound: the model chooses the length and the ratio" in told
    most = desk.do("plan", "batch.yaml", "--json").json["forecast"]["tokens"]
    assert f"at most {most:,}" in told
    assert desk.run().code == 0
    (charge,) = sim.charges()
    assert charge["tokens"] <= most


def test_a_model_without_a_price_is_named(desk: Any, sim: Any) -> None:
    """Its tokens count, its money is unknown."""
    sim.start()
    desk.write({"id": "a", "prompt": "a walks", "model": "another-model"})
    assert "cost unknown (no price for another-model at 480p)" in desk.do("plan", "batch.yaml").stdout
