"""Bad servers, bad disks, killed processes: the cache opens, and a pull ends with the right bytes or says why not."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from reportgen_zoo.manifest.records import Record, ZooError
from reportgen_zoo.pull import cache, fetch, sources
from reportgen_zoo.pull.housekeeping import prune
from zoo_server import Shelf, record_of, serve

HERE = Path(__file__).parent
BODY = os.urandom(2 * fetch.CHUNK + 99)


def one(url: str, body: bytes = BODY) -> Record:
    return record_of({"model.safetensors": body}, f"{url}/m")


def pulled(record: Record) -> bytes:
    return (fetch.pull(record) / "model.safetensors").read_bytes()


def test_a_server_that_stalls_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TIMEOUT", 1.0)
    go = threading.Event()
    answers = iter([lambda: go.wait(20)])
    with serve(Shelf({"/m/model.safetensors": BODY}, before=lambda: next(answers, lambda: None)())) as served:
        assert pulled(one(served.url)) == BODY
        go.set()
        assert len(served.asked) >= 2


def test_a_server_that_always_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TIMEOUT", 0.05)
    go = threading.Event()
    with serve(Shelf({"/m/model.safetensors": BODY}, before=lambda: go.wait(20))) as served:
        with pytest.raises(ZooError, match="timed out"):
            fetch.pull(one(served.url))
        go.set()
        assert len(served.asked) <= fetch.TRIES


@pytest.mark.parametrize("lie", [-1, -1000, 1, 10**12])
def test_a_server_that_lies_about_the_length(lie: int) -> None:
    """Too short a length cuts the answer: the rest is asked for. Too long a one ends with a closed connection."""
    with serve(Shelf({"/m/model.safetensors": BODY}, lies=[lie])) as served:
        assert pulled(one(served.url)) == BODY


@pytest.mark.parametrize("errors", [[500], [502, 503, 504], [429]])
def test_a_server_in_trouble_is_asked_again(errors: list[int]) -> None:
    with serve(Shelf({"/m/model.safetensors": BODY}, errors=list(errors))) as served:
        assert pulled(one(served.url)) == BODY


def test_waits_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return False

    monkeypatch.setattr(fetch, "BACKOFF", 0.5)
    with serve(Shelf({}, errors=[500] * 10)) as served:
        record = one(served.url)
        with pytest.raises(ZooError, match="500"):
            fetch.fetch_file(record, record.files[0], cache.folder() / "x", stop=Clock())
    assert waits == [0.5, 1.0, 2.0]


def test_a_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    far = "http://no.such.host.invalid/m/model.safetensors"
    with serve(Shelf({far: BODY})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert pulled(one("http://no.such.host.invalid")) == BODY
        assert proxy.asked[0][0] == far


def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Shelf({"/m/model.safetensors": BODY})) as served:
        monkeypatch.setenv("http_proxy", "http://no.such.proxy.invalid:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert pulled(one(served.url)) == BODY


def test_a_model_that_does_not_fit_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with serve(Shelf({"/m/model.safetensors": BODY})) as served:
        with pytest.raises(ZooError, match="needs 2 MiB more than are free in"):
            fetch.pull(one(served.url))
        assert not served.asked


def test_a_disk_that_fills_up_is_told_and_the_pull_goes_on_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill(file: str, done: int, total: int) -> None:
        raise full

    with serve(Shelf({"/m/model.safetensors": BODY})) as served:
        record = one(served.url)
        with pytest.raises(ZooError, match=r"cannot write to the cache .*No space left on device"):
            fetch.pull(record, fill)
        assert len(served.asked) == 1, "another try does not make room"
        assert pulled(record) == BODY
        assert served.asked[1][1] == f"bytes={fetch.CHUNK}-"


def test_a_model_in_a_cache_that_cannot_be_written_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Shelf({"/m/model.safetensors": BODY})) as served:
        record = one(served.url)
        fetch.pull(record)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "open", "rename", "unlink"):
        monkeypatch.setattr(Path, name, refused)
    assert fetch.pull(record) == cache.model_folder(record.name)
    with pytest.raises(ZooError, match=r"cannot write to the cache .*Read-only file system"):
        fetch.pull(record_of({"a.json": b"b"}, "https://no.such.host.invalid", name="other.v1"))


PULLS = """
import os, signal, sys, time
from zoo_server import record_of
from reportgen_zoo.pull import fetch
import filelock
fetch.CHUNK, fetch.BACKOFF = 1 << 14, 0.0
body = open(sys.argv[2], "rb").read()
record = record_of({"a.json": b"{}", "model.safetensors": body}, sys.argv[1])
for line in sys.stdin:
    seconds, processes = float(line.split()[0]), int(line.split()[1])
    children = []
    for _ in range(processes):
        children.append(os.fork())
        if children[-1] == 0:
            fetch.pull(record, lambda *_: time.sleep(0.0005))
            os._exit(0)
    time.sleep(seconds)
    for child in children:
        if seconds:
            os.kill(child, signal.SIGKILL)
    print(min(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children), flush=True)
"""


def puller(url: str, file: Path) -> subprocess.Popen[str]:
    """A process that reads "SECONDS CHILDREN": so many children pull, and are killed after so long; 0 is never.

    It answers with the least of their exit codes.
    """
    env = os.environ | {"PYTHONPATH": str(HERE)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", PULLS, f"{url}/m", str(file)], env=env, text=True, bufsize=1, **pipes
    )


def pulled_by(puller: subprocess.Popen[str], after: float, children: int = 1) -> int:
    assert puller.stdin is not None and puller.stdout is not None
    puller.stdin.write(f"{after} {children}\n")
    return int(puller.stdout.readline())


def killed_pulls(times: int, folder: Path, seed: int = 0) -> int:
    """Kill so many pulls at random moments before they are through; after each the cache opens, at the end the
    bytes are right.

    How many were begun: those that were through in time are not counted as killed.
    """
    draw, died, begun = random.Random(seed), 0, 0
    files = {"a.json": b"{}", "model.safetensors": BODY}
    (folder / "body").write_bytes(BODY)
    with serve(Shelf({f"/m/{p}": b for p, b in files.items()})) as served:
        record, pulls = record_of(files, f"{served.url}/m"), puller(served.url, folder / "body")
        while died < times:
            begun += 1
            died += pulled_by(pulls, draw.uniform(0.001, 0.25)) == -9
            whole = fetch.present(record)
            if whole is not None:  # it got through: what has its final name is right, and the next begins anew
                assert (whole / "model.safetensors").read_bytes() == BODY
                whole.rename(whole.with_name(f".removed-{record.name}-{draw.random()}"))
            elif draw.random() < 0.1:
                prune()
        pulls.communicate()
        found = fetch.pull(record)
    assert {p.name: p.read_bytes() for p in found.iterdir()} == files
    return begun


def test_pulls_killed_at_random_moments_leave_a_cache_that_opens(tmp_path: Path) -> None:
    assert killed_pulls(10, tmp_path) >= 1


def test_ten_processes_at_once_fetch_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    files = {"a.json": b"{}", "model.safetensors": BODY}
    with serve(Shelf({f"/m/{p}": b for p, b in files.items()})) as served:
        pulls = puller(served.url, tmp_path / "body")
        assert pulled_by(pulls, 0, children=10) == 0
        pulls.communicate()
        assert len(served.asked) == 2
        assert fetch.present(record_of(files)) is not None
