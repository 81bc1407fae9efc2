"""What all tests share. A gate that is red by chance stops everybody: Hypothesis draws the same each time."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.fork_server import ForkServer
from tests.harness.ray_cluster import RayCluster, ray_cluster

# Deadlines and the database would make a test depend on the machine and on what ran there before.
settings.register_profile(
    "gate",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("gate")


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Starts simulators and most commands; all test processes share the encoded videos."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    server = ForkServer(tmp_path_factory.mktemp("fork_server"), shared / "pictures")
    yield server
    server.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """A Ray cluster with a token: a head, which no test harms, and two other nodes."""
    with ray_cluster(others=2) as cluster:
        yield cluster
