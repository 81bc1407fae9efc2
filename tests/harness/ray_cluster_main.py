"""`python -m tests.harness.ray_cluster_main NODES`: a Ray cluster until stdin closes.

It has a head, with a server for `ray://`, and so many other nodes, with one CPU each. One line on stdout says
where it is, and which processes the nodes are.
"""

import json
import os
import socket
import sys
from contextlib import closing

from ray.cluster_utils import Cluster

CPUS = 1


def main(others: int) -> None:
    """Start a head and other nodes, say where they are, and end them at the end of stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ray prints
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    head = {"num_cpus": CPUS, "include_dashboard": False, "ray_client_server_port": port}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = [cluster.head_node, *(cluster.add_node(num_cpus=CPUS) for _ in range(others))]
        raylets = [node.all_processes["raylet"][0].process.pid for node in nodes]
        where = {"address": cluster.address, "client": f"ray://127.0.0.1:{port}", "raylets": raylets}
        answers.write(json.dumps(where) + "\n")
        answers.flush()
        sys.stdin.read()
    finally:
        cluster.shutdown()


main(int(sys.argv[1]))
