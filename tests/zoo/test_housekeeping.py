"""The cache gets smaller only by what was meant, and never while somebody is at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock
from reportgen_zoo.manifest.records import ZooError
from reportgen_zoo.pull import cache, fetch
from reportgen_zoo.pull.housekeeping import items, prune, remove
from zoo_server import Shelf, record_of, serve

FILES = {"config.json": b"{}", "model.safetensors": b"0123456789"}


def pulled(name: str = "one.v1") -> Path:
    with serve(Shelf({f"/m/{p}": body for p, body in FILES.items()})) as served:
        return fetch.pull(record_of(FILES, f"{served.url}/m", name=name))


def broken_off(name: str) -> Path:
    partial = cache.partial_folder(record_of(FILES, name=name))
    partial.mkdir(parents=True)
    (partial / "model.safetensors.part").write_bytes(b"01234")
    return partial


def test_everything_in_the_cache_is_counted() -> None:
    pulled("one.v1"), broken_off("two.v1")
    assert sorted((i.kind, i.name, i.bytes) for i in items()) == [("model", "one.v1", 12), ("partial", "two.v1", 5)]


def test_an_empty_cache_has_nothing() -> None:
    assert list(items()) == [] and prune() == []


def test_a_removed_model_is_gone_and_others_stay() -> None:
    one, two = pulled("one.v1"), pulled("two.v1")
    found = remove("one.v1")
    assert found is not None and found.bytes == 12
    assert not one.exists() and two.exists()
    assert remove("one.v1") is None


@pytest.mark.parametrize("name", ["../x", "/", "..", ".partial", ".locks"])
def test_only_a_name_is_removed(name: str) -> None:
    with pytest.raises(ZooError, match="is no model name"):
        remove(name)


def test_pruning_leaves_whole_models() -> None:
    one, two = pulled("one.v1"), broken_off("two.v1")
    assert [i.name for i in prune(dry=True)] == ["two.v1"] and two.exists()
    assert [i.name for i in prune()] == ["two.v1"]
    assert one.exists() and not two.exists()


def test_pruning_what_no_manifest_names() -> None:
    one, two = pulled("one.v1"), pulled("two.v1")
    assert [i.name for i in prune({"one.v1"})] == ["two.v1"]
    assert one.exists() and not two.exists()


def test_what_somebody_is_pulling_is_not_pruned() -> None:
    two = broken_off("two.v1")
    cache.lock_file("two.v1").parent.mkdir(parents=True)
    with FileLock(cache.lock_file("two.v1")):
        assert prune() == []
    assert two.exists()


def test_a_link_in_the_place_of_a_model_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("precious")
    (cache.folder() / "models").mkdir(parents=True)
    cache.model_folder("one.v1").symlink_to(tmp_path / "precious")
    remove("one.v1")
    assert (tmp_path / "precious" / "file").exists() and not cache.model_folder("one.v1").exists()
