"""A faithful fake of the gateway: a real HTTP server on 127.0.0.1 with a charge book.

`scenario` decides, `server` serves, `loop` brings news of the model, `book` remembers, `videos` makes real
videos; `schemas/scenario.schema.json` explains scenario files to an editor. It imports nothing else of
batchrunner: a shared reading of the API would let both sides share one misreading.
"""

from batchrunner.simulator.scenario import Scenario
from batchrunner.simulator.scenario_file import ScenarioError, load_scenario
from batchrunner.simulator.server import Simulator

__all__ = ["Scenario", "ScenarioError", "Simulator", "load_scenario"]
