"""Run blocks by Ray Data: read → map_batches with a class that starts a job once in each worker → parts.

A dataset of blocks, which are a few numbers each, goes to a pool of actors. The rows themselves are read and written
by the actors, so that neither the driver nor Ray's object store holds them, and nothing is lost with a node. Ray starts
an actor again that ended, elsewhere if its node is gone, and sends it its block again. The dashboard and the usage
statistics are off.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reportgen_core import OptionError, ReportgenError

from .options import EngineOptions
from .seam import Block, Done, Job, Sink
from .worker import Worker

STORE = 100 * 2**20  # bytes of the object store of a cluster that is started here; blocks are small
AHEAD = 2  # blocks that an actor has: the one it does, and the next
LOG = "_ray.log"


@dataclass(slots=True)
class RayEngine:
    """Ray Data on a running cluster, or on one that is started on this machine.

    `workers`: 0 is one for each CPU, or as many as the GPUs hold. `devices`: the GPUs of this machine that are used,
    by their numbers; all if there are none. `log`: the folder for the messages of Ray.
    """

    options: EngineOptions
    workers: int
    log: Path
    devices: tuple[int, ...] = ()
    size: int = 0  # of the pool of actors, once it is known

    def ahead(self) -> int:
        """Return how many blocks the actors may have: the one they do, the next, and one that is on its way here."""
        return self.size * (AHEAD + 1)

    def run(self, blocks: Sequence[Block], job: Job, sink: Sink) -> Iterator[Done]:
        """Yield each block when its part is written. Raises OptionError if Ray or its machines lack something."""
        with _connected(self) as ray:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            pool = pool_of(self.workers, self.options.gpus_per_worker, nodes)
            self.size = min(pool.size, len(blocks))
            from ray.data import ActorPoolStrategy, DataContext

            context = DataContext.get_current()
            context.enable_progress_bars = context.print_on_execution_start = False
            items = [asdict(block) for block in blocks]
            dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                _Actor,
                batch_size=1,
                compute=ActorPoolStrategy(size=self.size, max_tasks_in_flight_per_actor=AHEAD),
                fn_constructor_args=(job, sink),
                num_cpus=pool.cpus,
                num_gpus=self.options.gpus_per_worker or None,
            )
            for row in dataset.iter_rows():
                if row["refused"]:
                    raise OptionError(f"a worker cannot start: {row['refused']}")
                yield _done(row)


class _Actor:
    """Does blocks in a process of Ray's."""

    def __init__(self, job: Job, sink: Sink) -> None:
        self.worker: Worker | None = None
        self.refused = ""
        try:
            self.worker = Worker(job, sink)
        except ReportgenError as e:  # the same in every worker: the driver ends the run
            self.refused = str(e)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        import json

        block = Block(**{name: int(values[0]) for name, values in batch.items()})
        done = self.worker.do(block) if self.worker is not None else Done(block.number)
        return {"done": [json.dumps(asdict(done))], "refused": [self.refused]}


def _done(row: Mapping[str, Any]) -> Done:
    import json

    return Done(**json.loads(row["done"]))


@dataclass(frozen=True, slots=True)
class _Pool:
    size: int
    cpus: float  # of each actor


def pool_of(workers: int, gpus_per_worker: float, nodes: Sequence[Mapping[str, float]]) -> _Pool:
    """Return how many actors there are, and of how many CPUs each, so that the nodes can hold them all.

    `workers` 0 is one for each CPU, or as many as the GPUs hold. Raises OptionError if the nodes have too little.
    """
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    if not sum(cpus):
        raise OptionError("the cluster has no CPU; start a node: ray start --address HOST:PORT")
    most = 0
    if gpus_per_worker:
        most = sum(int(node.get("GPU", 0) / gpus_per_worker + 1e-9) for node in nodes)
        if not most:
            gpus = sum(node.get("GPU", 0) for node in nodes)
            raise OptionError(f"--gpus-per-worker {gpus_per_worker:g}: the nodes have {gpus:g} GPUs, none has so many")
    size = min(workers or most or sum(cpus), most or sys.maxsize)
    for each in range(max(cpus), 0, -1):
        if sum(cpu // each for cpu in cpus) >= size:
            return _Pool(size, each)
    return _Pool(size, 1 / math.ceil(size / sum(cpus)))


@contextmanager
def _connected(engine: RayEngine) -> Iterator[Any]:
    """Connect to a cluster, or start one, and disconnect at the end. What Ray prints goes into a file."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of a cluster that is started here; Ray's own is 15
    try:
        import ray
        import ray.data
    except ImportError as e:
        raise OptionError("--engine ray needs the extra ray: pip install 'reportgen[ray]'") from e
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    address = engine.options.address
    with (engine.log / LOG).open("a", encoding="utf-8") as log, redirect_stdout(log), _native_into(log.fileno()):
        _check_address(address)
        try:
            ray.init(**_where(engine), log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as e:
            raise OptionError(f"--address {address}: no Ray cluster answers there: {str(e).splitlines()[0]}") from e
        except Exception as e:
            if type(e) is not Exception:  # Ray raises the bare class if its processes are not up in 30 s
                raise
            ray.shutdown()
            raise OptionError(
                "--engine ray: Ray's processes did not start in its 30 s; run the command again when this machine is "
                "less busy, or start them before (ray start --head) and give --address auto"
            ) from e
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _native_into(log: int) -> Iterator[None]:
    """Send what libraries write past Python into a file, unless Python's own stderr is the same."""
    try:
        shared = sys.stderr.fileno() == 2
    except (OSError, ValueError):  # a stderr without a file
        shared = False
    if shared:
        yield
        return
    before = os.dup(2)
    os.dup2(log, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _check_address(address: str | None) -> None:
    """Raise OptionError if nothing answers at HOST:PORT: Ray itself would wait for minutes."""
    host, sign, port = (address or "").rpartition(":")
    if not sign:
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else e
        raise OptionError(f"--address {address}: no Ray cluster answers there: {why}") from e


def _where(engine: RayEngine) -> dict[str, Any]:
    """Return the cluster, for `ray.init`."""
    if engine.options.address:
        return {"address": engine.options.address}
    cpus = max(
        engine.workers, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if engine.devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, engine.devices))
    return {
        "address": "local", "num_cpus": cpus, "include_dashboard": False, "object_store_memory": STORE,
        "_node_ip_address": "127.0.0.1",
    }  # fmt: skip
