"""A faithful fake of the gateway: a real HTTP server on 127.0.0.1 with a charge book.

`scenario` decides what happens, `server` serves requests, `loop` updates task states, `book` stores charges,
`videos` encodes real videos; `schemas/scenario.schema.json` is the schema of scenario files. The simulator
imports nothing else from batchrunner: shared code would let both sides share the same misreading of the API.
"""

from batchrunner.simulator.scenario import Scenario
from batchrunner.simulator.scenario_file import ScenarioError, load_scenario
from batchrunner.simulator.server import Simulator

__all__ = ["Scenario", "ScenarioError", "Simulator", "load_scenario"]
