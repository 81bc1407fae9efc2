"""Ray on this machine, for tests that need it: an extra that is not in `dev`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest


def need_ray() -> None:
    """Skip the test if Ray isn't installed, unless REQUIRE_RAY is set."""
    if find_spec("ray") is None:
        assert not os.environ.get("REQUIRE_RAY"), "Ray is not installed"
        pytest.skip("Ray is not installed")


@contextmanager
def two_nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster of a head and another node with one CPU each, and that node; no other Ray is touched."""
    need_ray()
    from ray.cluster_utils import Cluster  # noqa: PLC0415  an extra

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield cluster, cluster.add_node(num_cpus=1)
    finally:
        cluster.shutdown()
