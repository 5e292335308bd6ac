"""Measure a pull of 200 MB and curl, `rg zoo list` with 10,000 records, and the memory that loading a model takes.

`python -m benchmarks.zoo_speed [pull] [list] [load]` runs these parts; without names it runs all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from reportgen_zoo.manifest.records import File, Record
from reportgen_zoo.pull import fetch

from benchmarks.measure import Row, Spread, command, compiled, counted, emit, in_turns, milliseconds, ratio

SIZE = 200 * 10**6
LOADS = 3  # processes that load a model; their memory hardly differs

LOAD = """
import sys
from reportgen_core import load
from reportgen_core.models import check_composition
def now(name):  # bytes; getrusage would give the peak of the process that started this one, if that is larger
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines[name].split()[0]) * 1024
check_composition(encoder="densenet121", decoder="hier-lstm")  # imports what the parts need; their code is no weight
load(sys.argv[2])  # and what loading needs: a tiny model
before = now("VmRSS")
model = load(sys.argv[1])
weights = sum(p.numel() * p.element_size() for p in (*model.parameters(), *model.buffers()))
loaded = now("VmRSS") - before
touched = sum(float(p.detach().sum()) for p in model.parameters())
print(weights, loaded, now("VmHWM") - before)
"""


def serve(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process with Python's server of files; the first line of its output is the port."""
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
    """Measure a pull, which hashes what it fetches, with curl without a hash and with curl and sha256sum after it."""
    big, cache, got = folder / "model.safetensors", folder / "cache", folder / "got"
    with big.open("wb") as out:
        for _ in range(SIZE // 10**6):
            out.write(os.urandom(10**6))
    with big.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    os.environ["REPORTGEN_CACHE"] = str(cache)
    server = serve(folder)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    record = Record("big.v1", "s", "l", (File("model.safetensors", SIZE, digest),), (url,))

    def pull() -> None:
        shutil.rmtree(cache, ignore_errors=True)
        fetch.pull(record)

    download = f"rm -f {got} && curl -sSo {got} {url}/model.safetensors"
    try:
        ours, curl, hashed = in_turns(
            pull, command("sh", "-c", download), command("sh", "-c", f"{download} && sha256sum {got}")
        )
    finally:
        server.terminate()
        server.wait()
    what = "pull of 200 MB with its hash, without Python's start"
    return [
        Row("curl, 200 MB", milliseconds(curl), "ms"),
        Row("curl and sha256sum, 200 MB", milliseconds(hashed), "ms"),
        Row(what, milliseconds(ours), "ms", ratio(ours, curl), "curl", 1.15, True),
        Row("the same", milliseconds(ours), "ms", ratio(ours, hashed), "curl and sha256sum"),
    ]


def listing(folder: Path) -> list[Row]:
    """Time `rg zoo list` with 10,000 records of five files."""
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
    (seconds,) = in_turns(command(sys.executable, "-m", "reportgen_cli", "zoo", "list", env=env))
    return [Row("`rg zoo list`, 10,000 records", milliseconds(seconds), "ms", bar=500, at_most=True)]


def loading(folder: Path) -> list[Row]:
    """Measure the memory of a DenseNet-121 with hier-lstm after loading, and its peak after every weight was used."""
    from reportgen_core import compose
    from reportgen_core.testing.parts import tiny_model

    compose(encoder="densenet121", decoder="hier-lstm").save(folder / "model")
    tiny_model().save(folder / "tiny")
    measured = []
    for _ in range(LOADS):
        command = [sys.executable, "-c", LOAD, str(folder / "model"), str(folder / "tiny")]
        process = subprocess.run(command, check=True, capture_output=True, text=True)
        measured.append([int(number) / 2**20 for number in process.stdout.split()])
    weights, *taken = map(Spread.of, zip(*measured, strict=True))
    loaded, peak = (Spread.of([m[i] / m[0] for m in measured]) for i in (1, 2))
    return [
        Row("weights of `densenet121` × `hier-lstm`", counted(weights.median), "MiB"),
        Row("memory that loading takes", taken[0], "MiB", loaded, "the weights"),
        Row("its peak after every weight was used", taken[1], "MiB", peak, "the weights", 1.10, True),
    ]


PARTS = {"pull": pulls, "list": listing, "load": loading}


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        emit([row for name in names or PARTS for row in PARTS[name](Path(scratch))])


if __name__ == "__main__":
    main(sys.argv[1:])
