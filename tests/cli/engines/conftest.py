"""What the tests of engines share: an engine that works in this process, and a real cluster of two nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from reportgen_cli.engines.seam import Block, Done, Job, Sink
from reportgen_cli.engines.worker import Worker
from two_nodes import TwoNodes


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
    monkeypatch.setattr("reportgen_cli.engines.jobs.reporting.RayEngine", lambda *_, **__: engine)
    return engine


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """Two nodes on one machine."""
    pytest.importorskip("ray")
    running = TwoNodes()
    try:
        yield running
    finally:
        running.cluster.shutdown()
