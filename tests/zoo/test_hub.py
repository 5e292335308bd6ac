"""To the hub and from it: huggingface_hub and our own reader against a server that speaks the hub's endpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, serve_hub
from huggingface_hub import constants
from reportgen_zoo.manifest.records import Record, ZooError
from reportgen_zoo.publish.hub import push_to_hub
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.pull import fetch
from reportgen_zoo.pull.sources import address, repository
from zoo_server import record_of

FILES = {"config.json": b'{"a": 1}', "model.safetensors": os.urandom(5000)}
NAME = "tiny-hier-lstm.test_v1"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serve_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the server speaks the older of the two protocols
        yield served


def written(folder: Path, files: dict[str, bytes] = FILES, name: str = NAME) -> tuple[Path, Record]:
    folder.mkdir()
    for path, body in files.items():
        (folder / path).write_bytes(body)
    return folder, record_of(files, f"models/{name}", name=name)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_model_goes_to_the_hub_and_comes_back(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_to_hub(*written(tmp_path / "m"), "hf://owner/repo")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", "hf://owner/repo")
    assert contents(fetch.pull(manifests.record(NAME))) == FILES
    assert hub.repositories["owner/repo"]["main"].keys() == {
        "manifest.json", f"cards/{NAME}.md", f"models/{NAME}/config.json", f"models/{NAME}/model.safetensors",
    }  # fmt: skip


def test_a_pushed_repository_is_read_with_huggingface_hub_alone(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download, hf_hub_url

    push_to_hub(*written(tmp_path / "m"), "hf://owner/repo")
    path = f"models/{NAME}/model.safetensors"
    got = hf_hub_download("owner/repo", path, endpoint=hub.url, cache_dir=tmp_path / "c")
    assert Path(got).read_bytes() == FILES["model.safetensors"]
    assert hf_hub_url("owner/repo", path, endpoint=hub.url) == address("hf://owner/repo", path)


def test_the_answer_of_a_push_is_a_place_that_never_changes(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = push_to_hub(*written(tmp_path / "m"), "hf://owner/repo/zoo")
    assert first.startswith("hf://owner/repo@") and first.endswith("/zoo")
    push_to_hub(*written(tmp_path / "n", name="other.v1"), "hf://owner/repo/zoo")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", first)
    assert list(manifests.catalogue().models) == [*(r.name for r in manifests.builtin().models), NAME]
    monkeypatch.setenv("REPORTGEN_MANIFESTS", "hf://owner/repo/zoo")
    assert {NAME, "other.v1"} <= set(manifests.catalogue().models)
    assert contents(fetch.pull(manifests.record("other.v1"))) == FILES


def test_a_name_on_the_hub_keeps_its_bytes(hub: Hub, tmp_path: Path) -> None:
    push_to_hub(*written(tmp_path / "m"), "hf://owner/repo")
    with pytest.raises(ZooError, match="with other bytes; a new version is a new name"):
        push_to_hub(*written(tmp_path / "n", {"config.json": b"[]"}), "hf://owner/repo")
    assert json.loads(hub.repositories["owner/repo"]["main"]["manifest.json"])["models"][0]["name"] == NAME


def test_a_push_without_a_token_that_may_write_is_one_line(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "another")
    with pytest.raises(ZooError, match=r"hf://owner/repo: .*401.*HF_TOKEN") as e:
        push_to_hub(*written(tmp_path / "m"), "hf://owner/repo")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("source", "is_"), [
    ("hf://o/r", ("o/r", "main", "")),
    ("hf://o/r@v1.0", ("o/r", "v1.0", "")),
    ("hf://o/r@refs%2Fpr%2F1/zoo/a", ("o/r", "refs/pr/1", "zoo/a/")),
    ("hf://o/r/zoo/", ("o/r", "main", "zoo/")),
])  # fmt: skip
def test_a_repository_is_read(source: str, is_: tuple[str, str, str]) -> None:
    assert repository(source) == is_


@pytest.mark.parametrize(
    "source",
    ["hf://", "hf://o", "hf://o/..", "hf://o/r/../x", "hf://o/r@", "hf://o/r@../x", "hf://o\0/r", "hf://o/r?x"],
)
def test_what_is_no_repository_is_refused(source: str) -> None:
    with pytest.raises(ZooError, match="is no repository"):
        repository(source)
