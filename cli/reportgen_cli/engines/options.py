"""Define the options that say which engine runs a command."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from reportgen_core import OptionError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
NAMES = ("engine", "address", "gpus_per_worker", "disk_limit", "resume")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Which engine runs a command, and how. Raises OptionError for options of an engine that is not chosen."""

    engine: str = "local"
    address: str | None = None  # of a cluster; None: one is started on this machine
    gpus_per_worker: float = 0.0
    disk_limit: int | None = None  # bytes that the parts may take
    resume: bool = False

    def __post_init__(self) -> None:
        if self.engine != "local":
            return
        given = {
            "--address": self.address, "--gpus-per-worker": self.gpus_per_worker, "--disk-limit": self.disk_limit,
            "--resume": self.resume,
        }  # fmt: skip
        for name, value in given.items():
            if value:
                raise OptionError(f"{name} belongs to --engine ray")

    @classmethod
    def take(cls, options: dict[str, Any]) -> EngineOptions:
        """Return the options of the engine, and remove them from those of the command."""
        return cls(**{name: options.pop(name) for name in NAMES})

    @property
    def distributed(self) -> bool:
        """Whether workers run the command, and not this process."""
        return self.engine != "local"


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an engine."""
    for add in reversed(
        (
            click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
                         help="ray: over processes and machines, by the extra ray; --out is then a folder of parts."),
            click.option("--address", metavar="HOST:PORT|auto",
                         help="With ray: a running cluster; without it, one is started on this machine."),
            click.option("--gpus-per-worker", default=0.0, show_default=True, type=click.FloatRange(0, 64),
                         help="With ray: so many GPUs for each worker; a share is allowed."),
            click.option("--disk-limit", metavar="SIZE", callback=_size,
                         help="With ray: stop before the parts take more, as 500M or 20G."),
            click.option("--resume", is_flag=True, help="With ray: continue the run in --out."),
        )
    ):  # fmt: skip
        command = add(command)
    return command


def rows_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an engine to a command without processes or batches of its own, with the rows of a part."""
    rows = click.option("--batch-size", default=4096, show_default=True, type=click.IntRange(1, 10**6),
                        help="With --engine ray: the rows of a part.")  # fmt: skip
    workers = click.option("--workers", default=0, show_default=True, type=click.IntRange(0, 4096),
                           help="With ray: so many workers; 0 is one a CPU, or a GPU.")  # fmt: skip
    return rows(workers(engine_options(command)))


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return a size in bytes."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", value.strip(), re.IGNORECASE)
    if match is None:
        raise OptionError(f"--disk-limit {value}: write a number with K, M, G or T, as 20G")
    return int(float(match[1]) * UNITS[match[2].upper()])
