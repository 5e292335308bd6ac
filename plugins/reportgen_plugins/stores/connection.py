"""Connect to Milvus: a server by its address, or milvus-lite, which serves a file of this machine inside the process.

A password or token is read from MILVUS_TOKEN ("user:password", or an API key). It is no part of an address, so that it
comes neither into the folder of an index nor into the history of a shell.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reportgen_core import CheckpointError, OptionError, PluginError
from reportgen_core.errors import quoted

SCHEMES = ("http", "https", "tcp")
LOGGERS = ("milvus_lite", "grpc._server")  # they print tracebacks of errors that a client raises as well
RAISED = "pymilvus.decorators"  # logs errors with their tracebacks, and raises them
DAMAGED = "if it is damaged or no store, move it away, and rg index rebuild MODEL fills a new one"
CONNECT = 10.0  # seconds to wait for a server
# pymilvus asks every ten seconds whether a server is alive. milvus-lite answers from this process, and hangs up on a
# client that asks three times during one call, as it does while a large index is written on a busy machine.
NEVER_ASK = {"grpc.keepalive_time_ms": 2**31 - 1}


def check_address(address: str) -> str:
    """Return an address as it is saved: "" for the file in the cache, an absolute path, or a URI.

    Raises OptionError for anything else and for a URI with a password.
    """
    if not address:
        return ""
    if "://" not in address:
        if not address.endswith(".db"):
            raise OptionError(f"milvus takes a file that ends with .db or http://HOST:PORT, got {address!r}")
        return str(Path(address).absolute())
    try:
        uri = urlsplit(address)
        good = uri.scheme in SCHEMES and bool(uri.hostname) and uri.port != 0
    except ValueError:
        good = False
    if not good or uri.query or uri.fragment or not address.isprintable():
        raise OptionError(f"milvus takes {', '.join(f'{s}://HOST:PORT' for s in SCHEMES)}, got {quoted(address)}")
    if uri.username is not None or uri.password is not None:
        raise OptionError(f"the address of {uri.hostname} has a password in it; write it into MILVUS_TOKEN instead")
    return address


def is_file(address: str) -> bool:
    """Return whether an address is a file, which milvus-lite serves."""
    return "://" not in address


def need_packages(address: str) -> None:
    """Raise PluginError if a package is missing that this address needs."""
    if importlib.util.find_spec("pymilvus") is None:
        raise PluginError("the store milvus needs pymilvus: pip install 'reportgen[milvus]'")
    if is_file(address) and importlib.util.find_spec("milvus_lite") is None:
        raise PluginError(
            "a file of milvus needs milvus-lite: pip install --no-deps milvus-lite (without --no-deps it brings "
            "faiss-cpu, which overwrites faiss-gpu)"
        )


def connect(address: str, create: bool = False) -> Any:
    """Return a client; a file that is missing is made if `create` is true.

    Raises PluginError for a missing package and CheckpointError if nothing answers or the file is gone.
    """
    need_packages(address)
    if is_file(address) and not create and not Path(address).exists():
        raise CheckpointError(f"the store milvus at {address} is gone; rg index rebuild MODEL fills it from the folder")
    from pymilvus import MilvusClient

    with one_line(address):
        if is_file(address):
            Path(address).parent.mkdir(parents=True, exist_ok=True)
            return MilvusClient(address, timeout=CONNECT, grpc_options=NEVER_ASK)
        return MilvusClient(address, token=os.environ.get("MILVUS_TOKEN", ""), timeout=CONNECT)


@contextmanager
def one_line(address: str) -> Iterator[None]:
    """Turn the errors of pymilvus into a CheckpointError of one line, with what milvus-lite logs instead of raising."""
    import grpc
    from pymilvus.exceptions import MilvusException

    log = _Collected()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    propagates = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(log)
        logger.propagate = False
    logging.getLogger(RAISED).addFilter(_no_error)
    try:
        yield
    except (MilvusException, grpc.RpcError, OSError) as e:
        said = " ".join(str(log.errors[-1] if log.errors else getattr(e, "message", "") or e).split())
        cause = said[:200]
        if is_file(address):
            cause = "another process has it open" if "lock" in said.lower() else f"{cause}; {DAMAGED}"
        raise CheckpointError(f"the store milvus at {address} does not answer: {cause}") from e
    finally:
        logging.getLogger(RAISED).removeFilter(_no_error)
        for logger, propagate in zip(loggers, propagates, strict=True):
            logger.removeHandler(log)
            logger.propagate = propagate


def _no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


class _Collected(logging.Handler):
    """Holds the exceptions that a library logs with their tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Hold the exception of a record, or its text."""
        self.errors.append(record.exc_info[1] if record.exc_info else record.getMessage())
