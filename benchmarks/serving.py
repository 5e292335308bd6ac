"""Measure `rg serve`: a flood of small requests, hostile uploads, throughput beside `rg report`, and latency.

    python -m benchmarks.serving [flood|hostile|throughput|latency ...] [--requests N] [--images N] [--rounds N]

The server runs in a process of its own; clients are threads of this one. `flood` sends requests of 32 clients to a tiny
model: every answer is 200 or 429, and the memory at the end is compared with that at the first tenth. `throughput` is
taken in turns with the reports of the same files by the call of `rg report`, both with a loaded model and no cache.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.measure import Row, Spread, counted, emit, milliseconds, per_second, ratio

CLIENTS = 32
LARGE = 1_000_000_000  # bytes of the largest body
FORM = "multipart/form-data; boundary=XX"


def radiograph(seed: int, side: int = 64, kind: str = "PNG") -> bytes:
    """Return an image file of smooth noise."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (32, 32)).astype(np.uint8))
    file = BytesIO()
    small.resize((side, side), Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def form(content: bytes, name: str = "chest.png", field: str = "images") -> bytes:
    """Return the body of a form with one file."""
    head = f'--XX\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode("utf-8", "surrogateescape") + content + b"\r\n--XX--\r\n"


@contextmanager
def server(*arguments: str) -> Iterator[int]:
    """Run `rg serve` in a process of its own until the end of the block, and yield its port."""
    command = [sys.executable, "-m", "reportgen_cli", "serve", "--port", "0", "--quiet", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found, "rg serve did not start"
        try:
            yield int(found[1])
        finally:
            process.terminate()
            process.wait(60)


def get(port: int, path: str) -> bytes:
    """Return the answer to a GET."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    content = connection.getresponse().read()
    connection.close()
    return content


def memory(port: int) -> float:
    """Return the resident memory of the server in MiB, as its /metrics has it."""
    found = re.search(r"^process_resident_memory_bytes (\S+)", get(port, "/metrics").decode(), re.MULTILINE)
    assert found
    return float(found[1]) / 2**20


@dataclass(frozen=True, slots=True)
class Flood:
    """What came of many requests: answers by status (0: none), and the server's memory in MiB at two times."""

    statuses: Counter[int]
    early: float
    late: float
    seconds: float


def flood(port: int, requests: int, clients: int = CLIENTS, bodies: Sequence[bytes] = ()) -> Flood:
    """Send requests from many clients, each over a connection that it keeps. The first memory is that at a tenth."""
    bodies = bodies or [form(radiograph(seed)) for seed in range(50)]
    statuses: Counter[int] = Counter()
    numbers, lock, early = itertools.count(), threading.Lock(), [0.0]

    def client(_: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        while (number := next(numbers)) < requests:
            try:
                connection.request("POST", "/v1/reports", bodies[number % len(bodies)], {"Content-Type": FORM})
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, HTTPException):
                connection.close()
                status = 0
            with lock:
                statuses[status] += 1
            if number == requests // 10:
                early[0] = memory(port)
        connection.close()

    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return Flood(statuses, early[0], memory(port), time.perf_counter() - begin)


def post(head: str, *parts: bytes, pause: float = 0.0) -> Callable[[int], int]:
    """Return a function that sends a raw request to a port and returns the status of its one answer."""

    def send(port: int) -> int:
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            try:
                connection.sendall(head.replace("PORT", str(port)).encode("latin-1", "replace"))
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
            except OSError:  # the server has answered and closed; the answer is read below
                pass
            return read_status(connection)

    return send


def read_status(connection: socket.socket) -> int:
    """Return the status of the one answer on a connection, 0 for none, -1 for several."""
    content = b""
    try:
        while b"\r\n\r\n" not in content or not whole(content):
            part = connection.recv(65536)
            if not part:
                break
            content += part
    except OSError:
        pass
    statuses = re.findall(rb"(?:^|\n)HTTP/1\.1 (\d{3})", content)
    return int(statuses[0]) if len(statuses) == 1 else -bool(statuses)


def whole(content: bytes) -> bool:
    """Return whether an answer has all of its body."""
    head, _, body = content.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return length is not None and len(body) >= int(length[1])


def upload(body: bytes, kind: str = FORM, path: str = "/v1/reports") -> Callable[[int], int]:
    """Return a request with this body."""
    return post(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n",
        body,
    )


def zip_bomb(side: int = 30_000) -> bytes:
    """Return a PNG of a few kB whose pixels are some hundred MB."""
    file = BytesIO()
    Image.new("1", (side, side)).save(file, "PNG", optimize=True)
    return file.getvalue()


def hostile(count: int, seed: int = 0) -> list[tuple[str, Callable[[int], int]]]:
    """Return `count` requests that a server should survive, each with its kind."""
    draw = random.Random(seed)
    png, bomb = radiograph(1), zip_bomb()
    head = f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Type: {FORM}\r\n"
    block = b"\0" * (1 << 20)

    def cut() -> bytes:
        return png[: draw.randrange(len(png))]

    def flipped() -> bytes:
        changed = bytearray(png)
        for _ in range(draw.randrange(1, 40)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        return bytes(changed)

    names = [
        "../../etc/passwd",
        "/etc/shadow",
        "C:\\x\\..\\y.png",
        "a\0b.png",
        "x" * 5000 + ".png",
        "\udcff\udcfe.png",
        "\u202egnp.exe",
        "",
    ]
    types = ["image/png", "text/plain", "application/json", "multipart/form-data"]
    opening = form(b"")[:-10]
    parts = [b"%x\r\n%b\r\n" % (len(opening), opening), *[b"100000\r\n" + block + b"\r\n"] * 100]
    chunked, slow = f"{head}Transfer-Encoding: chunked\r\n\r\n", f"{head}Content-Length: 5000\r\n\r\n"
    never, foreign = "POST /v1/reports HTTP/1.1\r\n", "POST /v1/label HTTP/1.1\r\nHost: evil.example\r\n"
    kinds: list[tuple[str, Callable[[], Callable[[int], int]]]] = [
        ("cut image", lambda: upload(form(cut()))),
        ("changed image", lambda: upload(form(flipped()))),
        ("random bytes", lambda: upload(form(draw.randbytes(draw.randrange(2000))))),
        ("image bomb", lambda: upload(form(bomb))),
        ("DICOM of noise", lambda: upload(form(b"\0" * 128 + b"DICM" + draw.randbytes(900), "a.dcm"))),
        ("zip as image", lambda: upload(form(b"PK\x03\x04" + draw.randbytes(500), "a.zip"))),
        ("name of a file", lambda: upload(form(png, draw.choice(names)))),
        ("name of a field", lambda: upload(form(png, field=draw.choice(["", "image[]", "x" * 3000, "model"])))),
        ("wrong type", lambda: upload(png, draw.choice(types))),
        ("form cut short", lambda: upload(form(png)[: draw.randrange(60)])),
        ("many parts", lambda: upload(b"".join(form(b"x")[:-8] for _ in range(400)) + b"--XX--\r\n")),
        ("body of 1 GB by length", lambda: post(f"{head}Content-Length: {LARGE}\r\n\r\n", *[block] * 100)),
        ("endless body in parts", lambda: post(chunked, *parts)),
        ("slow writer", lambda: post(slow, *[b"-"] * 40, pause=0.2)),
        ("headers that never end", lambda: post(never, *[b"X-A: b\r\n"] * 40, pause=0.2)),
        ("huge headers", lambda: post("GET / HTTP/1.1\r\nX: " + "a" * 200_000 + "\r\n\r\n")),
        ("no HTTP", lambda: post("\x16\x03\x01\x02 nonsense\r\n\r\n")),
        ("length below zero", lambda: post(f"{head}Content-Length: -5\r\n\r\n", b"xxxxx")),
        ("other host", lambda: post(f"{foreign}Content-Length: 2\r\n\r\n", b"{}")),
        ("deep JSON", lambda: upload(b"[" * 100_000, "application/json", "/v1/label")),
        ("path out of the root", lambda: upload(b'{"paths": ["../../etc"]}', "application/json", "/v1/reports/paths")),
        ("path in the address", lambda: post("GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n")),
    ]  # fmt: skip
    return [(kinds[i % len(kinds)][0], kinds[i % len(kinds)][1]()) for i in range(count)]


def attack(port: int, cases: Sequence[tuple[str, Callable[[int], int]]], clients: int = 8) -> dict[str, Counter[int]]:
    """Send hostile requests from several clients, and return the statuses of the answers by kind."""
    with ThreadPoolExecutor(clients) as pool:
        statuses = list(pool.map(lambda case: case[1](port), cases))
    found: dict[str, Counter[int]] = {}
    for (kind, _), status in zip(cases, statuses, strict=True):
        found.setdefault(kind, Counter())[status] += 1
    return found


def ask_all(port: int, bodies: Sequence[bytes], clients: int = CLIENTS) -> float:
    """Return the seconds in which these uploads are all answered with reports."""
    done = flood(port, len(bodies), clients, bodies)
    assert set(done.statuses) == {200}, done.statuses
    return done.seconds


def flood_rows(requests: int) -> list[Row]:
    from reportgen_core.testing.parts import tiny_model

    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model("timm/test_resnet.r160_in1k", encoder_options={"size": 64}).save(Path(folder) / "tiny")
        with server("--model", str(model)) as port:
            done = flood(port, requests)
    missing = requests - sum(done.statuses.values()) + done.statuses[0]
    other = sum(n for status, n in done.statuses.items() if status not in (0, 200, 429))
    print(f"flood: {dict(done.statuses)}, memory {done.early:.1f} to {done.late:.1f} MiB", file=sys.stderr)
    return [
        Row(
            f"`rg serve`, {requests:,} requests of {CLIENTS} clients, tiny model: answers",
            Spread.of([requests / done.seconds]),
            "/s",
        ),
        Row("… answers that are missing, or neither 200 nor 429", counted(missing + other), "", bar=0.0, at_most=True),
        Row(
            "… memory at the end, to that at a tenth",
            counted(done.late),
            "MiB",
            counted(done.late / done.early),
            "a tenth",
            1.05,
            True,
        ),
    ]


def hostile_rows(count: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, server("--seconds", "5", "--root", folder) as port:
        found = attack(port, hostile(count))
        alive = get(port, "/healthz") == b'{"status": "ok"}' and upload(form(radiograph(1)))(port) == 200
    for kind, statuses in found.items():
        print(f"hostile: {kind}: {dict(statuses)}", file=sys.stderr)
    bad = sum(n for statuses in found.values() for status, n in statuses.items() if status <= 0 or status == 500)
    return [
        Row(
            f"`rg serve`, {count} hostile uploads of {len(found)} kinds: without exactly one answer, or 500",
            counted(bad),
            "",
            bar=0.0,
            at_most=True,
        ),
        Row("… and it answers afterwards", counted(float(alive)), "", bar=1.0),
    ]


def throughput_rows(images: int, rounds: int) -> list[Row]:
    from reportgen_cli.commands.report import default_model

    from reportgen_core import load
    from reportgen_core.data.study_files import group_files

    model = load(default_model())
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(images):
            Path(folder, f"{seed:04d}.png").write_bytes(radiograph(seed, 1024))
        studies = group_files([Path(folder)])
        bodies = [form(path.read_bytes(), path.name) for path in sorted(Path(folder).iterdir())]
        ours: list[float] = []
        theirs: list[float] = []
        with server() as port:
            for turn in range(rounds + 1):  # the first is to warm up
                begin = time.perf_counter()
                list(model.stream_reports(studies, batch_size=16, workers=None))
                middle = time.perf_counter()
                seconds = ask_all(port, bodies)
                if turn:
                    ours.append(seconds)
                    theirs.append(middle - begin)
                print(
                    f"throughput: {images / (middle - begin):.2f} and {images / seconds:.2f} images/s", file=sys.stderr
                )
    what = f"`rg serve`, the model that ships, {images} images of 1,024 pixels, {CLIENTS} clients"
    speed = Spread.of([b / a for a, b in zip(ours, theirs, strict=True)]) if rounds < 7 else ratio(theirs, ours)
    return [Row(what, per_second(images, ours), "images/s", speed, "the speed of `rg report`", 0.85)]


def latency_rows(turns: int = 11) -> list[Row]:
    from reportgen_zoo import demo

    from reportgen_core import load

    model, body = load(demo.MODEL), form(demo.image().read_bytes(), "chest.jpg")
    with server() as port:
        send, calls, answers = upload(body), list[float](), list[float]()
        for turn in range(turns + 2):
            begin = time.perf_counter()
            model.report(demo.image())
            middle = time.perf_counter()
            assert send(port) == 200
            if turn > 1:
                calls.append(middle - begin)
                answers.append(time.perf_counter() - middle)
    most = 2 * median(calls) + 1
    return [
        Row("`Model.report`, the sample", milliseconds(calls), "ms"),
        Row("`rg serve`, warm, from upload to report, to 2 × that + 1 s", milliseconds(answers), "ms",
            Spread.of([a / most for a in answers]), "the bar", 1.0, True),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["flood", "hostile", "throughput", "latency"])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--hostile", type=int, default=200)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    os.environ.setdefault("REPORTGEN_OFFLINE", "1")
    parts: dict[str, Callable[[], list[Row]]] = {
        "flood": lambda: flood_rows(given.requests),
        "hostile": lambda: hostile_rows(given.hostile),
        "throughput": lambda: throughput_rows(given.images, given.rounds),
        "latency": latency_rows,
    }
    emit([row for name in given.parts for row in parts[name]()])


if __name__ == "__main__":
    main()
