"""Run many commands of `rg` and many Python programs quickly: one process imports torch, and a copy of it runs each.

`python docs_server.py SOCKET` waits for requests; `rg`, `reportgen` and `python` of a page's blocks are small scripts that
hand their arguments, folder, environment and the three standard streams over.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import runpy
import socket
import sys
import threading
import traceback
from pathlib import Path

PRELOADED = (
    "reportgen_cli.main", "reportgen_core.models", "reportgen_core.scoring", "reportgen_core.training", "timm",
    "torchvision",
)  # fmt: skip
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect({address!r})
    request = json.dumps([{program!r}, *sys.argv[1:]]), os.getcwd(), json.dumps(dict(os.environ))
    body = json.dumps(request).encode() + b"\\0"
    s.sendmsg([body[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    s.sendall(body[1:])
    sys.exit(int(s.recv(16) or b"70"))
"""


def run(arguments: list[str]) -> int:
    """Run `rg ARGUMENTS` or `python ARGUMENTS` as a new process would, and return its exit code."""
    program, *rest = arguments
    try:
        if program == "rg":
            from reportgen_cli.main import main

            sys.argv = ["rg", *rest]
            main()
        elif rest[:1] == ["-m"]:
            sys.argv = rest[1:]
            runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = rest or [""]
            sys.path.insert(0, "")
            code = Path(rest[0]).read_text() if rest and rest[0] != "-" else sys.stdin.read()
            exec(
                compile(code, rest[0] if rest else "block", "exec"),
                {"__name__": "__main__", "__file__": rest[0] if rest else ""},
            )
    except SystemExit as e:
        if isinstance(e.code, str):
            print(e.code, file=sys.stderr)
        return e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def answer(connection: socket.socket) -> None:
    """Read one request, run it in a copy of this process, and send its exit code back."""
    size = socket.CMSG_LEN(3 * array.array("i").itemsize)
    first, ancillary, _, _ = connection.recvmsg(1, size)
    streams = array.array("i")
    streams.frombytes(ancillary[0][2][: 3 * streams.itemsize])
    body = first
    while not body.endswith(b"\0"):
        body += connection.recv(65536)
    arguments, folder, environment = json.loads(body[:-1])
    pid = os.fork()
    if pid == 0:
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(json.loads(environment))
        sys.path[:0] = [p for p in os.environ.get("PYTHONPATH", "").split(":") if p]
        code = run(json.loads(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    for stream in streams:
        os.close(stream)
    threading.Thread(target=finish, args=(pid, connection)).start()


def finish(pid: int, connection: socket.socket) -> None:
    """Wait for a copy, and send its exit code to the client."""
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    with connection:
        connection.sendall(str(code if code >= 0 else 128 - code).encode())


def serve(address: str) -> None:
    """Import what most commands need, and answer requests until the process is ended."""
    for module in PRELOADED:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            answer(listener.accept()[0])


if __name__ == "__main__":
    serve(sys.argv[1])
