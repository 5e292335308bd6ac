"""What a stranger may try: through a manifest, a server, a folder, a checkpoint. Nothing leaves its place, nothing runs."""

from __future__ import annotations

import json
import os
import pickle
import struct
import urllib.request
from http.client import HTTPMessage
from pathlib import Path

import pytest
from reportgen_zoo.manifest.records import MAX_FILES, Record, ZooError
from reportgen_zoo.manifest.schema import DataFormatError, plain
from reportgen_zoo.publish.convert import read_tensors
from reportgen_zoo.publish.push import push
from reportgen_zoo.pull import cache, fetch
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.pull.catalogue import read_manifest
from reportgen_zoo.pull.sources import _Redirects
from reportgen_zoo.pull.verify import files_of
from zoo_server import Shelf, record_of, serve

from reportgen_core import CheckpointError, load
from reportgen_core.testing.parts import tiny_model

SHA = "0" * 64


def manifest(**changes: object) -> str:
    made = plain(record_of({"config.json": b"{}"}, "https://example.org/m"))
    return json.dumps({"format": 1, "models": [made | changes]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model().save(tmp_path_factory.mktemp("attacks") / "model")


@pytest.fixture
def published(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is a model of the catalogue; what a test puts into it is recorded by `publish`."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def publish(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record("evil.v1", "s", "l", files_of(folder), (str(folder),))
    (folder.parent / "m.json").write_text(json.dumps({"format": 1, "models": [plain(record)]}))
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(folder.parent / "m.json"))


class Runs:
    """A pickle of this writes a file when it is read by a reader that runs code."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> object:
        return Path.write_text, (self.marker, "ran")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.json", "tags.json"])
def test_a_pickle_under_any_name_runs_nothing(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (published / name).write_bytes(pickle.dumps(Runs(tmp_path / "marker")))
    publish(published, monkeypatch)
    with pytest.raises(CheckpointError, match=name):
        load("evil.v1")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
def test_a_legacy_checkpoint_that_carries_code_is_not_converted(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(pickle.dumps({"state_dict": Runs(tmp_path / "marker")}))
    with pytest.raises(ZooError, match="only tensors in plain containers are read"):
        read_tensors(tmp_path / f"x{suffix}")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("header", [2**63, 2**40, 2**27])
def test_a_header_that_claims_too_much_is_not_read(
    published: Path, monkeypatch: pytest.MonkeyPatch, header: int
) -> None:
    (published / "model.safetensors").write_bytes(struct.pack("<Q", header) + b"{" * 1000)
    publish(published, monkeypatch)
    with pytest.raises(CheckpointError, match="its header claims"):
        load("evil.v1")


def test_shapes_are_compared_before_anything_is_allocated(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config that asks for 2**40 words' worth of weights: told by shape, nothing of that size is made."""
    config = json.loads((published / "config.json").read_text())
    config["decoder"]["options"]["hidden"] = 2**24
    (published / "config.json").write_text(json.dumps(config))
    publish(published, monkeypatch)
    with pytest.raises(CheckpointError, match="has shape"):
        load("evil.v1")


def test_a_part_of_a_plugin_that_is_not_installed_names_the_package(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((published / "config.json").read_text())
    config["encoder"] |= {"name": "their-net", "plugin": "reportgen-theirs", "version": "1.2"}
    (published / "config.json").write_text(json.dumps(config))
    publish(published, monkeypatch)
    with pytest.raises(CheckpointError, match=r"it came with reportgen-theirs 1.2: pip install reportgen-theirs"):
        load("evil.v1")


def test_a_link_in_a_model_folder_is_not_packed(published: Path, tmp_path: Path) -> None:
    (published / "tags.json").unlink()
    (published / "tags.json").symlink_to("/etc/hostname")
    with pytest.raises(ZooError, match=r"tags.json is a link"):
        files_of(published)


def test_a_link_to_a_folder_is_not_packed(published: Path) -> None:
    (published / "more").symlink_to("/etc")
    with pytest.raises(ZooError, match="more is a link"):
        files_of(published)


def test_a_planted_link_in_the_cache_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    with serve(Shelf({"/m/config.json": b"{}"})) as served:
        record = record_of({"config.json": b"{}"}, f"{served.url}/m")
        partial = cache.partial_folder(record)
        partial.mkdir(parents=True)
        (partial / "config.json.part").symlink_to(tmp_path / "precious")
        folder = fetch.pull(record)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (folder / "config.json").is_symlink()


def test_a_planted_link_in_the_cache_is_not_taken_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"[]")
    with serve(Shelf({"/m/config.json": b"{}"})) as served:
        record = record_of({"config.json": b"{}"}, f"{served.url}/m")
        partial = cache.partial_folder(record)
        partial.mkdir(parents=True)
        (partial / "config.json").symlink_to(tmp_path / "other")
        assert (fetch.pull(record) / "config.json").read_bytes() == b"{}"


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    """Reading it would never end."""
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ZooError, match=r"config.json is no file"):
        fetch.pull(record_of({"config.json": b"{}"}, str(tmp_path)))


def test_a_source_that_never_ends_is_left_at_the_recorded_size() -> None:
    with (
        serve(Shelf({"/m/zero.txt": b"0" * 2**22})) as served,
        pytest.raises(ZooError, match="is longer than the 100 bytes of the record"),
    ):
        fetch.pull(record_of({"zero.txt": b"0" * 100}, f"{served.url}/m"))


def test_wrong_bytes_delete_nothing_that_was_good() -> None:
    with serve(Shelf({"/m/config.json": b"{}", "/m/words.json": b"[]"})) as served:
        good = record_of({"config.json": b"{}"}, f"{served.url}/m")
        folder = fetch.pull(good)
        other = record_of({"config.json": b"{}", "words.json": b"other"}, f"{served.url}/m")
        with pytest.raises(ZooError, match=r"cannot get words.json"):
            fetch.pull(other)
    assert (folder / "config.json").read_bytes() == b"{}"


def test_a_corrupt_cache_is_not_mirrored(published: Path, tmp_path: Path) -> None:
    record = Record("evil.v1", "s", "l", files_of(published), ())
    (published / "card.md").write_text("another")
    with pytest.raises(ZooError, match="is not what its record says"):
        push(published, record, tmp_path / "zoo")
    assert not (tmp_path / "zoo" / "manifest.json").exists()


@pytest.mark.parametrize("to", ["http://h/x", "file:///etc/passwd", "ftp://h/x", "data:,x"])
def test_a_redirect_from_https_goes_to_https_alone(to: str) -> None:
    request = urllib.request.Request("https://h/y")
    with pytest.raises(ZooError, match="which is refused"):
        _Redirects().redirect_request(request, None, 302, "", HTTPMessage(), to)  # type: ignore[arg-type]


def test_redirects_in_a_circle_end() -> None:
    with serve(Shelf({}, redirects={"/m/config.json": "/m/config.json"})) as served:
        served.redirects["/m/config.json"] = f"{served.url}/m/config.json"
        with pytest.raises(ZooError, match=r"cannot get config.json"):
            fetch.pull(record_of({"config.json": b"{}"}, f"{served.url}/m"))
        assert len(served.asked) < 100


@pytest.mark.parametrize(("files", "says"), [
    ([{"path": f"f{i}.txt", "bytes": 1, "sha256": SHA} for i in range(MAX_FILES + 1)], "files; 1000 are taken at most"),
    ([{"path": p, "bytes": 1, "sha256": SHA} for p in ("a.txt", "a.txt/b.txt")], "or is a folder too"),
    ([{"path": p, "bytes": 1, "sha256": SHA} for p in ("A.txt", "a.txt")], "is there twice"),
    ([{"path": "a.txt", "bytes": 1, "sha256": "０" * 64}], "is no sha256"),
    ([{"path": "a.txt", "bytes": 1e999, "sha256": SHA}], "is no JSON|wants an integer"),
    ([{"path": "a.txt", "bytes": 1, "sha256": SHA, "url": "file:///etc/passwd"}], "has no 'url'"),
])  # fmt: skip
def test_files_that_cannot_be_are_refused(files: list[dict], says: str) -> None:
    with pytest.raises((ZooError, DataFormatError), match=says):
        read_manifest(manifest(files=files), "m")


@pytest.mark.parametrize("depth", [500, 5_000, 1_000_000])
def test_a_deep_manifest_is_refused(depth: int) -> None:
    for text in (
        '{"format": 1, "models": ' + "[" * depth + "]" * depth + "}",
        '{"models":' * depth + "1" + "}" * depth,
    ):
        with pytest.raises((ZooError, DataFormatError)):
            read_manifest(text, "m")


def test_an_answer_larger_than_a_manifest_may_be_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "builtin", lambda: manifests.Manifest(1))
    monkeypatch.setattr(manifests, "MAX_MANIFEST", 100)
    with serve(Shelf({"/m.json": b" " * 10_000})) as served:
        monkeypatch.setenv("REPORTGEN_MANIFESTS", f"{served.url}/m.json")
        assert "more than 100 bytes" in manifests.catalogue().problems[0]


def test_a_manifest_cannot_take_a_name_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = record_of({"config.json": b"ours"}, "https://ours.example", name="ours.v1")
    monkeypatch.setattr(manifests, "builtin", lambda: manifests.Manifest(1, (ours,)))
    (tmp_path / "m.json").write_text(manifest(name="ours.v1"))
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "m.json"))
    found = manifests.catalogue()
    assert found.models["ours.v1"] == ours
    assert "ours.v1 of" in found.problems[0] and "is left out: reportgen has that name" in found.problems[0]
