"""Fixtures of the acceptance tests: a workspace for the real command, and a gateway that it talks to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import web_page as web_pages
from tests.harness.fork_server import ForkServer
from tests.harness.gateway import SimulatedGateway
from tests.harness.object_storage import ObjectStorage, serving
from tests.harness.relay import Relay
from tests.harness.storage_relay import StorageRelay
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


@pytest.fixture(scope="session", params=["versitygw", "moto"])
def storage_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of each kind."""
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as storage:
        yield storage


@pytest.fixture
def storage(storage_server: ObjectStorage, desk: Any) -> Iterator[ObjectStorage]:
    """The server with an empty bucket, known to the commands of the desk."""
    desk.environment |= storage_server.environment()
    yield storage_server
    storage_server.empty()


@pytest.fixture
def wire(storage: ObjectStorage, desk: Any) -> Iterator[StorageRelay]:
    """What is between the commands and the storage."""
    relay = StorageRelay(storage.url)
    desk.environment |= storage.environment(relay.url)
    yield relay
    relay.close()


@pytest.fixture
def bodies(desk: Any, relay: Any) -> list[bytes]:
    """The bodies of all submissions, which go through the relay."""
    found: list[bytes] = []

    def noted(exchange: Any) -> None:
        found.append(exchange.body)
        exchange.send(*exchange.pass_on())

    relay.rule("submit", noted)
    return found
