"""`python -m tests.harness.ray_cluster_main NODES`: a Ray cluster until stdin closes.

It has a head and so many other nodes, with one CPU each. One line on stdout says where it is, and which
processes the nodes are.
"""

import json
import os
import sys

from ray.cluster_utils import Cluster

CPUS = 1


def main(others: int) -> None:
    """Start a head and other nodes, say where they are, and end them at the end of stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ray prints
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": CPUS, "include_dashboard": False})
    try:
        nodes = [cluster.head_node, *(cluster.add_node(num_cpus=CPUS) for _ in range(others))]
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        answers.write(json.dumps({"address": cluster.address, "raylets": raylets}) + "\n")
        answers.flush()
        sys.stdin.read()
    finally:
        cluster.shutdown()


main(int(sys.argv[1]))
