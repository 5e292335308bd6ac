"""A model that is pushed can be pulled by whoever has the folder's address, and its name keeps its bytes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reportgen_zoo.manifest.records import File, Record, ZooError
from reportgen_zoo.manifest.schema import DataFormatError, plain
from reportgen_zoo.publish.push import make_record, push
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.pull import fetch
from reportgen_zoo.pull.catalogue import read_manifest
from reportgen_zoo.pull.verify import verify
from zoo_server import Shelf, record_of, serve

from reportgen_core import compose, load
from reportgen_core.annotation.thresholds import Thresholds, load_thresholds, save_thresholds
from reportgen_core.files.digests import sha256_file
from reportgen_core.testing.parts import tiny_model
from reportgen_core.text.spec import Vocabulary

FACTS = {"summary": "a tiny model", "licence": "CC0-1.0", "demonstration": True}
NAME = "densenet121-hier-lstm.noise_v1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model().save(tmp_path_factory.mktemp("push") / "model")


@pytest.fixture(scope="module")
def record(model: Path) -> Record:
    return make_record(model, NAME, FACTS)


def test_the_record_is_read_off_the_folder(record: Record, model: Path) -> None:
    assert dict(record.parts) == {"encoder": "densenet121", "decoder": "hier-lstm"}
    assert record.requires == ()
    assert record.image["height"] == 64
    assert {f.path for f in record.files} == {p.name for p in model.iterdir()}
    assert record.probe is not None
    assert record.probe.report


def test_a_pushed_model_is_pulled_from_a_server_of_files_and_is_whole(
    record: Record, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(model, record, tmp_path / "zoo")
    files = {
        f"/z/{p.relative_to(tmp_path / 'zoo')}": p.read_bytes() for p in (tmp_path / "zoo").rglob("*") if p.is_file()
    }
    with serve(Shelf(files)) as served:
        monkeypatch.setenv("REPORTGEN_MANIFESTS", f"{served.url}/z/manifest.json")
        pulled = fetch.pull(manifests.record(NAME))
    assert list(verify(manifests.record(NAME), pulled)) == []
    assert load(NAME).vocabulary.words == load(model).vocabulary.words


def test_a_model_that_only_annotates_is_pushed_with_its_thresholds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"hidden": 4, "embedding": 3, "attention_units": 4, "writes": False}
    words = Vocabulary(("heart", "effusion"))
    made = compose(
        encoder="none", decoder="tienet", decoder_options=options, vocabulary=words, findings=("Edema", "Mass")
    )
    folder = made.save(tmp_path / "model")
    save_thresholds(folder, Thresholds({"Edema": 0.25}, {"Edema": 0.5}, dict.fromkeys(made.findings, 3), 9, "val.csv"))
    record = make_record(folder, "none-tienet.noise_v1", FACTS)
    assert record.probe is not None
    assert record.probe.report.startswith(f"{made.findings[0]} 0.")
    assert sha256_file(folder / "thresholds.json") in [f.sha256 for f in record.files if f.path == "thresholds.json"]
    push(folder, record, tmp_path / "zoo")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "zoo" / "manifest.json"))
    pulled = fetch.pull(manifests.record("none-tienet.noise_v1"))
    assert load_thresholds(pulled, made.findings) == load_thresholds(folder, made.findings)
    assert list(verify(record, pulled)) == []
    copy = Path(shutil.copytree(pulled, tmp_path / "copy"))
    (copy / "thresholds.json").write_text((copy / "thresholds.json").read_text().replace("0.25", "0.95"))
    assert [p.split()[0] for p in verify(record, copy)] == ["thresholds.json"]


def test_a_zoo_folder_on_a_disk_works_where_it_lies(
    record: Record, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(model, record, tmp_path / "zoo")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "zoo" / "manifest.json"))
    monkeypatch.setenv("REPORTGEN_OFFLINE", "1")
    assert (fetch.pull(manifests.record(NAME)) / "config.json").is_file()


def test_pushing_twice_changes_nothing_and_others_stay(record: Record, model: Path, tmp_path: Path) -> None:
    push(model, record, tmp_path)
    other = make_record(model, "another.v1", FACTS, seed=None)
    push(model, other, tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    push(model, record, tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert [m["name"] for m in json.loads(before)["models"]] == ["another.v1", NAME]


def test_a_name_keeps_its_bytes(record: Record, model: Path, tmp_path: Path) -> None:
    push(model, record, tmp_path / "zoo")
    other = tmp_path / "other"
    other.mkdir()
    for file in model.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "card.md").write_text("another card")
    with pytest.raises(ZooError, match="with other bytes; a new version is a new name"):
        push(other, make_record(other, NAME, FACTS, seed=None), tmp_path / "zoo")
    assert (tmp_path / "zoo" / "models" / NAME / "card.md").read_bytes() == (model / "card.md").read_bytes()


def test_facts_that_the_folder_says_are_refused(model: Path) -> None:
    with pytest.raises(ZooError, match="give 'files', which is read off the folder"):
        make_record(model, NAME, {**FACTS, "files": []})
    with pytest.raises(DataFormatError, match="has no 'license'; did you mean 'licence'"):
        make_record(model, NAME, {"summary": "s", "license": "MIT"}, seed=None)
    with pytest.raises(ZooError, match="is no model name"):
        make_record(model, "../x", FACTS, seed=None)


def test_relative_sources_are_taken_from_the_manifests_place() -> None:
    given = json.dumps(
        {"format": 1, "models": [plain(record_of({"a.json": b""}, "models/x", "https://h/x", "package:p/x"))]}
    )
    [made] = read_manifest(given, "m", "https://host/zoo").models
    assert made.sources == ("https://host/zoo/models/x", "https://h/x", "package:p/x")
    [made] = read_manifest(given, "m", "/srv/zoo").models
    assert made.sources[0] == "/srv/zoo/models/x"


def test_a_folder_with_a_file_that_no_model_has_is_not_pushed(record: Record, model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    (folder / "LICENSE").write_text("CC0-1.0")
    assert "LICENSE" in [f.path for f in make_record(folder, "other.v1", FACTS, seed=None).files]
    (folder / "weights.pkl").write_bytes(b"x")
    with pytest.raises(
        ZooError, match=r"has 'weights.pkl', which is no file of a model; .*; remove it from the folder"
    ):
        make_record(folder, "other.v1", FACTS, seed=None)
    planted = replace(record, files=(*record.files, File("weights.pkl", 1, "0" * 64)))
    for pushed in (planted, replace(record, sources=("https://user:secret@h/m",))):
        with pytest.raises(ZooError, match=r"weights.pkl|has a user or a password") as e:
            push(folder, pushed, tmp_path / "zoo")
        assert "secret" not in str(e.value)
    assert not (tmp_path / "zoo").exists()
