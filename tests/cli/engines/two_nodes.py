"""A cluster of Ray of two nodes on one machine."""

from __future__ import annotations

import os


class TwoNodes:
    """A cluster of Ray on this machine: a head without a CPU for work, and two nodes of one CPU each."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_BACKEND_LOG_LEVEL"] = "error"
        os.environ.update(RAY_worker_niceness="0")  # as the tests themselves: on a busy machine others would starve
        from ray.cluster_utils import Cluster

        self.cluster = Cluster()
        self.cluster.add_node(num_cpus=0, object_store_memory=80 * 2**20, include_dashboard=False)
        self.nodes: list = []
        self.add()
        self.add()
        self.address = self.cluster.address

    def add(self) -> None:
        """Add a node of one CPU."""
        self.nodes.append(self.cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))

    def kill(self) -> None:
        """Kill the oldest node with all that runs on it."""
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)
