"""What the tests of engines share: an engine that works in this process, and a real cluster of two nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from reportgen_cli.engines.seam import Block, Done, Job, Sink
from reportgen_cli.engines.worker import Worker


@dataclass
class InProcess:
    """An engine with one worker in this process. `ends_after`: so many blocks, and then the driver is gone."""

    ends_after: int | None = None
    began: list[int] = field(default_factory=list)

    def ahead(self) -> int:
        return 1

    def run(self, blocks: Sequence[Block], job: Job, sink: Sink) -> Iterator[Done]:
        worker = Worker(job, sink)
        for i, block in enumerate(reversed(blocks)):  # an engine keeps no order
            if i == self.ends_after:
                return
            self.began.append(block.number)
            yield worker.do(block)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    """Let `--engine ray` run in this process."""
    engine = InProcess()
    monkeypatch.setattr("reportgen_cli.engines.ray_engine.RayEngine", lambda *_, **__: engine)
    return engine


class TwoNodes:
    """A cluster of Ray on this machine: a head without a CPU for work, and two nodes of one CPU each."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_BACKEND_LOG_LEVEL"] = "error"
        os.environ["RAY_worker_niceness"] = "0"  # as the tests themselves: on a busy machine others would starve
        from ray.cluster_utils import Cluster

        self.cluster = Cluster()
        self.cluster.add_node(num_cpus=0, object_store_memory=80 * 2**20, include_dashboard=False)
        self.nodes = [self.add() for _ in range(2)]
        self.address = self.cluster.address

    def add(self):
        """Add a node of one CPU and return it."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    def kill(self) -> None:
        """Kill a node with all that runs on it."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """Two nodes on one machine."""
    pytest.importorskip("ray")
    running = TwoNodes()
    try:
        yield running
    finally:
        running.cluster.shutdown()
