"""A models file in use: what `validate`, `plan`, `run` and `collect` make of its figures."""

from typing import Any

FAST = "dreamina-seedance-2-0-fast"
FIGURES = """date: 2027-01-02
source: a test
models:
  {name}:
    resolutions: [480p, 720p, 4k]
    duration: [2, 40]
    fps: 30
    sizes: {{4k: {{"16:9": [3840, 2160]}}}}
    prices: {{USD: {{480p: [2.0, 1.0], 4k: [10.0, 5.0]}}}}
"""


def test_a_later_model_is_checked_and_priced(desk: Any) -> None:
    """By the file alone: no warning, and a forecast by its lengths, sizes, rate and prices."""
    (desk.folder / "models.yaml").write_text(FIGURES.format(name="later"), encoding="utf-8")
    task = {"id": "a", "prompt": "a walks", "model": "later", "duration": 40}
    desk.sections = {"models": "models.yaml", "budget": {"cost": 500}}
    desk.write(task | {"metadata": {"resolution": "4k", "ratio": "16:9"}})
    assert desk.do("validate", "batch.yaml", "--strict").code == 0
    forecast = desk.do("plan", "batch.yaml", "--json").json["forecast"]
    assert forecast["tokens"] == (30 * 40 + 1) * 3840 * 2160 // 1024
    assert forecast["cost"] == round(forecast["tokens"] * 10 / 1e6, 6)
    assert (forecast["left_open"], forecast["models_without_price"]) == ([], [])
    desk.write(task | {"duration": 41})
    refused = desk.do("validate", "batch.yaml", "--strict")
    assert refused.code == 2
    assert "later makes videos of 2 to 40 seconds, not 41" in refused.stderr


def test_a_budget_counts_by_the_file(desk: Any, sim: Any) -> None:
    """Its rate makes the worst case larger: two tasks that fit by the built-in figures don't fit together."""
    sim.start()
    (desk.folder / "models.yaml").write_text(FIGURES.format(name=FAST), encoding="utf-8")
    charged, worst = ((fps * 4 + 1) * 864 * 496 // 1024 for fps in (24, 30))
    desk.sections = {"models": "models.yaml", "budget": {"tokens": charged + worst - 1}}
    desk.write(*"AB", concurrency=1)
    assert desk.run().code == 75
    assert len(sim.charges()) == 1
    desk.sections = {"models": "models.yaml", "budget": {"tokens": charged + worst}}
    desk.write(*"AB", concurrency=1)
    assert desk.run().code == 0


def test_collect_compares_by_the_file_that_the_run_used(desk: Any, sim: Any) -> None:
    """`collect` reads no manifest: what the models file said is in the ledger, though the file is gone."""
    sim.start()
    models = desk.folder / "models.yaml"
    models.write_text(FIGURES.format(name=FAST), encoding="utf-8")
    desk.sections = {"models": "models.yaml"}
    desk.write("A")
    desk.start_run().reached(1, "accepted").killed()
    models.unlink()
    desk.manifest.unlink()
    assert desk.do("collect", "batch.run", *desk.at_gateway()).code == 0
    assert "expected 30 frames per second, got 24" in desk.row("A")["warnings"]


def test_a_task_of_a_file_that_is_no_longer_named_is_collected(desk: Any, sim: Any) -> None:
    """A paid task keeps its video, though the manifest that is run now doesn't know its model's figures."""
    sim.start()
    (desk.folder / "models.yaml").write_text(FIGURES.format(name=FAST), encoding="utf-8")
    desk.sections = {"models": "models.yaml"}
    desk.write("A")
    desk.start_run().reached(1, "accepted").killed()
    desk.sections = {}
    desk.write("A")
    assert desk.run().code == 0
    assert desk.row("A")["warnings"] == ""
    assert len(sim.charges()) == 1
