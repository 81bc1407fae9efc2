"""Fixtures of the acceptance tests: a workspace for the real command, and a gateway that it talks to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import web_page as web_pages
from tests.harness.fork_server import ForkServer
from tests.harness.gateway import SimulatedGateway
from tests.harness.relay import Relay
from tests.harness.web_page import WebPage
from tests.harness.workspace import Workspace


@pytest.fixture
def desk(tmp_path: Path, fork_server: ForkServer, request: pytest.FixtureRequest) -> Iterator[Workspace]:
    """A folder without a gateway; in tests marked `executed`, no command is forked."""
    (tmp_path / "desk").mkdir()
    executed = request.node.get_closest_marker("executed")
    desk = Workspace(tmp_path / "desk", None if executed else fork_server)
    yield desk
    desk.clear_away()


@pytest.fixture(scope="session")
def make_desk(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Callable[[], Workspace]:
    """Makes workspaces with gateways for fixtures that several tests share, which must clear them away."""

    def make() -> Workspace:
        folder = tmp_path_factory.mktemp("shared")
        (folder / "desk").mkdir()
        desk = Workspace(folder / "desk", fork_server)
        desk.gateway = SimulatedGateway(folder / "elsewhere", fork_server)
        return desk

    return make


@pytest.fixture
def sim(desk: Workspace, tmp_path: Path, fork_server: ForkServer) -> SimulatedGateway:
    """A simulated gateway, not started yet, which the workspace's commands talk to."""
    desk.gateway = SimulatedGateway(tmp_path / "elsewhere", fork_server)
    return desk.gateway


@pytest.fixture
def relay(sim: SimulatedGateway) -> Iterator[Relay]:
    """A server between the commands and the simulated gateway; see harness/relay.py."""
    relay = Relay(sim)
    yield relay
    relay.close()


@pytest.fixture
def web_page() -> Iterator[WebPage]:
    """A server that answers every request, a POST too, with a page of HTML and status 200."""
    with web_pages.serving() as page:
        yield page
