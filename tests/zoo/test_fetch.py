"""Pulls from a real server on this machine, with every fault it can have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from reportgen_zoo.manifest.records import Record, ZooError
from reportgen_zoo.pull import cache, fetch
from zoo_server import Shelf, record_of, serve

BIG = os.urandom(3 * fetch.CHUNK + 17)
FILES = {"config.json": b"{}", "model.safetensors": BIG, "sub/words.json": b"[]"}


def shelf(prefix: str = "/m", **faults: object) -> Shelf:
    return Shelf({f"{prefix}/{path}": body for path, body in FILES.items()}, **faults)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_pull_brings_every_file_with_its_bytes_and_nothing_else() -> None:
    seen: list[tuple[str, int, int]] = []
    with serve(shelf()) as served:
        folder = fetch.pull(record_of(FILES, f"{served.url}/m"), lambda *p: seen.append(p))
    assert contents(folder) == FILES
    assert folder == cache.model_folder("tiny-hier-lstm.test_v1")
    assert ("model.safetensors", len(BIG), len(BIG)) in seen
    assert not list(cache.partial_folder(record_of(FILES)).parent.iterdir())


def test_a_second_pull_asks_nobody() -> None:
    with serve(shelf()) as served:
        record = record_of(FILES, f"{served.url}/m")
        fetch.pull(record)
        before = len(served.asked)
        fetch.pull(record)
        assert len(served.asked) == before


def test_a_broken_connection_is_resumed_where_it_broke() -> None:
    cut = fetch.CHUNK + 5
    with serve(shelf(cut=[cut])) as served:
        folder = fetch.pull(record_of({"model.safetensors": BIG}, f"{served.url}/m"))
        assert ("/m/model.safetensors", f"bytes={cut}-", None) in served.asked
    assert contents(folder) == {"model.safetensors": BIG}


def test_a_bad_line_that_gets_on_is_no_failure() -> None:
    """More breaks than tries: each brought a good piece."""
    body = BIG + BIG
    cuts = [fetch.CHUNK] * (fetch.TRIES + 1)
    with serve(Shelf({"/m/model.safetensors": body}, cut=cuts)) as served:
        folder = fetch.pull(record_of({"model.safetensors": body}, f"{served.url}/m"))
        assert len(served.asked) == fetch.TRIES + 2
    assert contents(folder) == {"model.safetensors": body}


def test_files_are_fetched_beside_each_other() -> None:
    """Every answer waits until another has been asked for: one after the other would never end."""
    meeting = threading.Barrier(2, timeout=20)
    files = {"a.json": b"a", "b.json": b"b"}
    with serve(Shelf({f"/m/{p}": body for p, body in files.items()}, before=meeting.wait)) as served:
        assert contents(fetch.pull(record_of(files, f"{served.url}/m"))) == files


def test_the_first_failure_stops_the_other_files() -> None:
    files = {"a.json": BIG, "b.json": b"b"}
    with serve(Shelf({"/m/a.json": BIG})) as served:
        record = record_of(files, f"{served.url}/m")
        with pytest.raises(ZooError, match=r"cannot get b.json: .*404"):
            fetch.pull(record)
        served.files["/m/b.json"] = b"b"
        assert contents(fetch.pull(record)) == files  # with what the first left, where it left something


def test_a_server_that_ignores_range_still_gives_the_right_bytes() -> None:
    with serve(shelf(cut=[2, 1000], ranges=False)) as served:
        assert contents(fetch.pull(record_of(FILES, f"{served.url}/m"))) == FILES


def test_an_error_500_is_tried_again() -> None:
    with serve(shelf(errors=[500, 503])) as served:
        assert contents(fetch.pull(record_of(FILES, f"{served.url}/m"))) == FILES


def test_an_error_404_goes_to_the_next_source_at_once() -> None:
    with serve(shelf()) as served:
        record = record_of(FILES, f"{served.url}/gone", f"{served.url}/m")
        assert contents(fetch.pull(record)) == FILES
        assert sum(path == "/gone/config.json" for path, _, _ in served.asked) == 1


def test_a_file_that_changes_between_two_parts_is_fetched_anew() -> None:
    old = os.urandom(len(BIG))
    files = {"/m/model.safetensors": old}
    with serve(Shelf(files, cut=[1000], replaced={"/m/model.safetensors": BIG})) as served:
        folder = fetch.pull(record_of({"model.safetensors": BIG}, f"{served.url}/m"))
    assert contents(folder) == {"model.safetensors": BIG}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"x" * 10, "has sha256"),
        (b"x" * 100, "is longer than"),
        (b"x" * 3, "is shorter than the 10 bytes|ended after 3 of 10 bytes"),
    ],
    ids=["other bytes", "too long", "too short"],
)
def test_wrong_bytes_never_get_a_final_name(body: bytes, says: str) -> None:
    with serve(Shelf({"/m/config.json": body})) as served:
        record = record_of({"config.json": b"0123456789"}, f"{served.url}/m")
        with pytest.raises(ZooError, match=says):
            fetch.pull(record)
    assert not cache.model_folder(record.name).exists()
    assert not (cache.partial_folder(record) / "config.json").exists()


def test_a_good_source_after_a_bad_one_is_used() -> None:
    bad = {f"/bad/{path}": b"!" * len(body) for path, body in FILES.items()}
    with serve(Shelf({**bad, **shelf().files})) as served:
        assert contents(fetch.pull(record_of(FILES, f"{served.url}/bad", f"{served.url}/m"))) == FILES


def test_a_good_folder_after_a_server_that_broke_off_with_other_bytes_is_used(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"0123456789")
    with serve(Shelf({"/bad/config.json": b"abcdefghij"}, cut=[3, 1, 1, 1])) as served:
        record = record_of({"config.json": b"0123456789"}, f"{served.url}/bad", str(tmp_path))
        assert contents(fetch.pull(record)) == {"config.json": b"0123456789"}


def test_the_error_names_every_source_and_its_fault(tmp_path: Path) -> None:
    with serve(shelf()) as served:
        with pytest.raises(ZooError) as e:
            fetch.pull(record_of(FILES, f"{served.url}/gone", f"file://{tmp_path}/none"))
        assert f"{served.url}/gone: HTTP Error 404" in str(e.value)
    assert "No such file" in str(e.value)
    assert "\n" not in str(e.value)


def test_a_folder_and_a_package_are_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "shipped_models"
    for path, body in FILES.items():
        (package / "one" / path).parent.mkdir(parents=True, exist_ok=True)
        (package / "one" / path).write_bytes(body)
    (package / "__init__.py").write_text("")
    assert contents(fetch.pull(record_of(FILES, str(package / "one")))) == FILES
    monkeypatch.syspath_prepend(str(tmp_path))
    shipped = record_of(FILES, "package:shipped_models/one", name="shipped.v1")
    assert fetch.pull(shipped) == package / "one"  # used where it lies


def test_offline_uses_only_what_is_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_OFFLINE", "1")
    with serve(shelf()) as served:
        with pytest.raises(ZooError, match="REPORTGEN_OFFLINE is set"):
            fetch.pull(record_of(FILES, f"{served.url}/m"))
        assert not served.asked


def test_a_mirror_is_looked_in_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = tmp_path / "mirror" / "tiny-hier-lstm.test_v1"
    for path, body in FILES.items():
        (mirror / path).parent.mkdir(parents=True, exist_ok=True)
        (mirror / path).write_bytes(body)
    monkeypatch.setenv("REPORTGEN_MIRROR", str(mirror.parent))
    monkeypatch.setenv("REPORTGEN_OFFLINE", "1")
    assert contents(fetch.pull(record_of(FILES, "https://no.such.host.invalid/m"))) == FILES


def test_a_hub_repository_is_read_at_its_revision_and_the_token_stays_with_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve(Shelf({"/store/config.json": b"{}"})) as store:
        there = {"/owner/repo/resolve/v1/config.json": f"{store.url}/store/config.json"}
        with serve(Shelf({}, redirects=there)) as hub:
            monkeypatch.setenv("HF_ENDPOINT", hub.url)
            monkeypatch.setenv("HF_TOKEN", "secret")
            folder = fetch.pull(record_of({"config.json": b"{}"}, "hf://owner/repo@v1"))
            assert hub.asked[0] == ("/owner/repo/resolve/v1/config.json", None, "Bearer secret")
            assert store.asked[0] == ("/store/config.json", None, None)
    assert contents(folder) == {"config.json": b"{}"}


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x"])
def test_a_redirect_to_another_scheme_is_refused(target: str) -> None:
    with (
        serve(Shelf({}, redirects={"/m/config.json": target})) as served,
        pytest.raises(ZooError, match=r"redirects to|unsupported|not allowed"),
    ):
        fetch.pull(record_of({"config.json": b"{}"}, f"{served.url}/m"))


@pytest.mark.parametrize(
    "source", ["hf://one", "hf://a/b/c", "file://elsewhere/x", "package:no such", "package:nowhere_"]
)
def test_a_source_that_is_none_is_told(source: str) -> None:
    with pytest.raises(ZooError):
        fetch.pull(record_of({"config.json": b"{}"}, source))


def test_ten_at_once_fetch_each_file_once() -> None:
    folders: list[Path] = []
    with serve(shelf()) as served:
        record = record_of(FILES, f"{served.url}/m")
        threads = [threading.Thread(target=lambda: folders.append(fetch.pull(record))) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(served.asked) == len(FILES)
    assert len(folders) == 10
    assert contents(folders[0]) == FILES


KILLED = """
import os, sys
from zoo_server import record_of
from reportgen_zoo.pull import fetch
fetch.CHUNK = 1 << 16
files = {"config.json": b"{}", "model.safetensors": open(sys.argv[2], "rb").read()}
def die(file, done, total):
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), 9)
fetch.pull(record_of(files, sys.argv[1]), die)
"""


@pytest.mark.parametrize("after", [1, 70_000, 1_500_000])
def test_a_pull_that_was_killed_goes_on_and_ends_with_the_right_bytes(tmp_path: Path, after: int) -> None:
    files = {"config.json": b"{}", "model.safetensors": BIG}
    (tmp_path / "big").write_bytes(BIG)
    with serve(shelf()) as served:
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", KILLED, f"{served.url}/m", str(tmp_path / "big"), str(after)]
        assert subprocess.run(command, env=env).returncode == -9
        record = record_of(files, f"{served.url}/m")
        assert fetch.present(record) is None
        assert contents(fetch.pull(record)) == files
        if after > 1:
            assert any(wanted for _, wanted, _ in served.asked), "it began from the start again"


def test_a_cache_that_cannot_be_written_is_named(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ZooError, match=r"cannot write to the cache .*file/cache"):
        fetch.pull(record_of(FILES, "https://no.such.host.invalid"))


def test_a_model_that_lacks_a_file_is_fetched_again() -> None:
    with serve(shelf()) as served:
        record: Record = record_of(FILES, f"{served.url}/m")
        folder = fetch.pull(record)
        (folder / "config.json").unlink()
        assert fetch.present(record) is None
        assert contents(fetch.pull(record)) == FILES
