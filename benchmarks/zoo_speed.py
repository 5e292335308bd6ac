"""A pull of 200 MB beside curl's, `rg zoo list` with 10,000 records, and the memory that a loaded model takes.

`python -m benchmarks.zoo_speed [pull] [list] [load]`, all without names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Row, alternate, compiled, emit, seconds

SIZE = 200 * 10**6

PULL = """
import sys
from reportgen_zoo import fetch
from reportgen_zoo.manifest.records import File, Record
url, size, digest = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fetch.pull(Record("big.v1", "s", "l", (File("model.bin", size, digest),), (url,)))
"""

LOAD = """
import resource, sys
from reportgen_core import load
from reportgen_core.models.composition import check_composition
def now():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
check_composition(encoder="densenet121", decoder="hier-lstm")  # imports what the parts need; their code is no weight
before = now()
model = load(sys.argv[1])
weights = sum(p.numel() * p.element_size() for p in (*model.parameters(), *model.buffers()))
loaded = now() - before
touched = sum(float(p.sum()) for p in model.parameters())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
print(weights, loaded, peak)
"""


def serve(folder: Path) -> subprocess.Popen[bytes]:
    """Python's own server of files, in a process of its own; its address is its first line."""
    code = (
        "import http.server, functools, sys\n"
        "h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n"
        "h.log_message = None\n"
        "s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), h)\n"
        "print(s.server_port, flush=True)\n"
        "s.serve_forever()\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def pulls(folder: Path) -> list[Row]:
    """Ours, with the hash, against curl without and with sha256sum after it."""
    big = folder / "model.bin"
    with big.open("wb") as out:
        for _ in range(SIZE // 10**6):
            out.write(os.urandom(10**6))
    digest = hashlib.file_digest(big.open("rb"), "sha256").hexdigest()
    server = serve(folder)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    env = compiled() | {"REPORTGEN_CACHE": str(folder / "cache")}

    def ours() -> None:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        subprocess.run([sys.executable, "-c", PULL, url, str(SIZE), digest], check=True, env=env)

    def imports() -> None:
        code = "import reportgen_zoo.pull.fetch, reportgen_zoo.manifest.records, filelock"
        subprocess.run([sys.executable, "-c", code], check=True, env=env)

    def curl(then: str) -> None:
        (folder / "got").unlink(missing_ok=True)
        subprocess.run(f"curl -sSo {folder}/got {url}/model.bin {then}", shell=True, check=True)

    try:
        hashed = partial(curl, f"&& sha256sum {folder}/got > /dev/null")
        took = alternate([ours, partial(curl, ""), hashed, imports], repeats=5)
    finally:
        server.terminate()
        server.wait()
    alone = took[0] - took[3]
    what = "pull with hash, without Python's start and imports"
    return [
        Row("curl, 200 MB", 1000 * took[1], "ms"),
        Row("curl and sha256sum", 1000 * took[2], "ms"),
        Row("pull with hash, whole process", 1000 * took[0], "ms", took[0] / took[1], "curl"),
        Row(what, 1000 * alone, "ms", alone / took[1], "curl", 1.15, True),
        Row(what, 1000 * alone, "ms", alone / took[2], "curl and sha256sum"),
    ]


def listing(folder: Path) -> list[Row]:
    """10,000 records of five files."""
    names = ("config.json", "model.safetensors", "vocabulary.json", "tags.json", "card.md")
    models = []
    for i in range(10_000):
        digest = hashlib.sha256(str(i).encode()).hexdigest()
        files = [{"path": name, "bytes": 1000, "sha256": digest} for name in names]
        name = f"densenet121-hier-lstm.set_v{i}"
        facts = {"name": name, "summary": "one of many", "licence": "CC0-1.0", "sources": [f"models/{name}"]}
        models.append(facts | {"files": files, "parts": {"encoder": "densenet121", "decoder": "hier-lstm"}})
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "models": models}))
    env = compiled() | {"REPORTGEN_MANIFESTS": str(folder / "manifest.json")}
    command = [sys.executable, "-m", "reportgen_cli", "zoo", "list"]
    took = seconds(lambda: subprocess.run(command, check=True, capture_output=True, env=env))
    return [Row("rg zoo list, 10,000 records", 1000 * took, "ms", took / 0.5, "half a second", 1.0, True)]


def loading(folder: Path) -> list[Row]:
    """A DenseNet-121 with hier-lstm: memory after loading, and at most once every weight was touched."""
    from reportgen_core import compose

    compose(encoder="densenet121", decoder="hier-lstm").save(folder / "model")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder / "model")], check=True, capture_output=True, text=True
    )
    weights, loaded, peak = map(int, done.stdout.split())
    return [
        Row("weights", weights / 2**20, "MiB"),
        Row("memory that loading takes", loaded / 2**20, "MiB", loaded / weights, "weights"),
        Row("peak once all were touched", peak / 2**20, "MiB", peak / weights, "weights", 1.10, True),
    ]


PARTS = {"pull": pulls, "list": listing, "load": loading}


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        emit([row for name in names or PARTS for row in PARTS[name](Path(scratch))])


if __name__ == "__main__":
    main(sys.argv[1:])
