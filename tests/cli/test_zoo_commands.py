"""`rg zoo`: models of a manifest of the test's own are listed, fetched and checked."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reportgen_zoo.manifest.records import Probe, Record, Scores, TrainingFacts
from reportgen_zoo.manifest.schema import plain
from reportgen_zoo.pull.verify import files_of, probe

NAME = "densenet121-hier-lstm.test_v1"


@pytest.fixture
def record(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    made = Record(
        NAME, "a tiny model", "CC0-1.0", files_of(model), (str(model),), parts={"encoder": "densenet121"},
        training=TrainingFacts("noise", command="rg train"),
        scores=(Scores("noise", "plain", 4, {"bleu-4": 0.2}, {"bleu-4": 0.1}, {"bleu-4": (0.15, 0.25)}),),
        demonstration=True,
    )  # fmt: skip
    publish(made, tmp_path, monkeypatch)
    return made


def publish(made: Record, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / f"{len(list(folder.glob('*.json')))}.json"
    place.write_text(json.dumps({"format": 1, "models": [plain(made)]}))
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(place))


def test_a_model_is_listed_and_then_here(rg, record: Record) -> None:
    [line] = [line for line in rg("zoo", "list").out.splitlines() if NAME in line]
    assert "to pull" in line
    assert "CC0-1.0" in line
    rg("zoo", "pull", NAME)
    [line] = [line for line in rg("zoo", "list").out.splitlines() if NAME in line]
    assert "here" in line


def test_pull_prints_the_folder_and_says_what_came(rg, record: Record, own_cache: Path) -> None:
    done = rg("zoo", "pull", NAME)
    assert done.code == 0
    assert done.out == f"{own_cache / 'models' / NAME}\n"
    assert f"{NAME}/model.safetensors  " in done.err


def test_a_name_is_pulled_on_demand_by_report(rg, record: Record, chest: Path) -> None:
    done = rg("report", chest, "--model", NAME, "--precision", "fp32")
    assert done.code == 0
    assert "a demonstration, not for clinical use" in done.err
    assert rg("report", chest, "--model", f"{NAME}@sha256:{record.digest[:12]}", "--precision", "fp32").out == done.out


def test_info_has_scores_beside_the_constant_report(rg, record: Record) -> None:
    for told in (rg("zoo", "info", NAME).out, rg("info", NAME).out):
        assert "bleu-4 0.200 (0.150 to 0.250), a constant report 0.100" in told
        assert f"{NAME}@sha256:{record.digest[:16]}" in told
        assert "not for clinical use" in told


def test_verify_finds_a_changed_byte(rg, record: Record, own_cache: Path) -> None:
    rg("zoo", "pull", NAME)
    done = rg("zoo", "verify", NAME)
    assert (done.code, done.out) == (0, f"{NAME}: ok ({len(record.files)} hashes)\n")
    card = own_cache / "models" / NAME / "card.md"
    card.write_bytes(b"!" + card.read_bytes()[1:])
    done = rg("zoo", "verify", NAME)
    assert done.code == 1
    assert done.out.startswith(f"{NAME}: card.md has sha256 ")


def test_verify_runs_the_probe(
    rg, record: Record, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(replace(record, probe=Probe(3, probe(model, 3))), tmp_path, monkeypatch)
    rg("zoo", "pull", NAME)
    assert rg("zoo", "verify", NAME).out == f"{NAME}: ok ({len(record.files)} hashes, probe)\n"


def test_verify_of_what_is_not_here_says_how_to_get_it(rg, record: Record) -> None:
    done = rg("zoo", "verify", NAME)
    assert done.code == 1
    assert f"{NAME} is not on this machine; rg zoo pull {NAME}" in done.err


def test_terms_are_shown_and_must_be_agreed_to(
    rg, record: Record, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(replace(record, terms="for research only"), tmp_path, monkeypatch)
    done = rg("report", chest, "--model", NAME)
    assert done.code == 1
    assert f"has terms to agree to first; read them and agree with: rg zoo pull {NAME}" in done.err
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    done = rg("zoo", "pull", NAME)
    assert done.code == 1
    assert "agree with --agree" in done.err
    done = rg("zoo", "pull", NAME, "--agree")
    assert done.code == 0
    assert "for research only" in done.err
    assert rg("report", chest, "--model", NAME).code == 0


def test_an_unknown_model_has_a_near_match(rg, record: Record) -> None:
    done = rg("zoo", "pull", NAME[:-1] + "2")
    assert done.code == 1
    assert f"did you mean {NAME!r}?" in done.err


def test_a_broken_manifest_is_told_beside_the_list(rg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.json").write_text("{")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "bad.json"))
    done = rg("zoo", "list")
    assert done.code == 0
    assert "bad.json: is no JSON" in done.err


def test_a_model_is_pushed_and_pulled(rg, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"summary": "a tiny model", "licence": "CC0-1.0"}))
    done = rg("zoo", "push", model, "--name", NAME, "--facts", facts, "--to", tmp_path / "zoo")
    assert done.code == 0
    assert done.out == f"{tmp_path / 'zoo' / 'models' / NAME}\n"
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "zoo" / "manifest.json"))
    assert rg("zoo", "pull", NAME).code == 0
    assert "probe" in rg("zoo", "verify", NAME).out


def test_what_ships_inside_is_whole(rg) -> None:
    done = rg("zoo", "verify")
    assert done.code == 0, done.out


def test_search_finds_by_every_word(rg, record: Record) -> None:
    assert NAME in rg("zoo", "search", "tiny", "DenseNet121").out
    assert NAME not in rg("zoo", "search", "tiny", "no-such-word").out
    assert [r["name"] for r in json.loads(rg("zoo", "search", "noise", "--json").out)] == [NAME]


def test_the_card_is_a_page_with_the_figures(rg, record: Record) -> None:
    page = rg("zoo", "info", NAME, "--card").out
    assert page.startswith(f"# {NAME}\n")
    assert "| bleu-4 | 0.200 | 0.150 to 0.250 | 0.100 |" in page
    for heading in ("What it is", "Intended use and limits", "Licence", "Figures", "Training"):
        assert f"## {heading}" in page
    assert "rg train" in page and "CC0-1.0" in page


def test_a_pull_on_demand_says_so_once(rg, record: Record, chest: Path, own_cache: Path) -> None:
    first = rg("report", chest, "--model", NAME, "--precision", "fp32").err
    assert f"pulling {NAME}, {record.bytes / 2**20:.1f} MiB, into {own_cache}" in first
    assert "pulling" not in rg("report", chest, "--model", NAME, "--precision", "fp32").err


def test_du_remove_and_prune(rg, record: Record, own_cache: Path) -> None:
    rg("zoo", "pull", NAME)
    (own_cache / "models" / ".partial" / "old.v1-0123456789abcdef").mkdir()
    assert NAME in rg("zoo", "du").out
    assert rg("zoo", "prune", "--dry-run").out == "would delete partial old.v1, 0.0 MiB\n"
    assert rg("zoo", "prune").out == "deleted partial old.v1, 0.0 MiB\n"
    assert rg("zoo", "remove", NAME).out.startswith(f"removed {NAME}, ")
    assert not (own_cache / "models" / NAME).exists()
    done = rg("zoo", "remove", NAME)
    assert done.code == 1
    assert f"{NAME} is not on this machine" in done.err


def test_prune_of_unlisted_models_needs_every_manifest(
    rg, record: Record, own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rg("zoo", "pull", NAME)
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "none.json"))
    done = rg("zoo", "prune", "--unlisted")
    assert done.code == 1
    assert "a manifest cannot be read, so that it is not known what is listed" in done.err
    monkeypatch.delenv("REPORTGEN_MANIFESTS")
    assert f"deleted model {NAME}" in rg("zoo", "prune", "--unlisted").out


def test_a_mirror_serves_a_place_without_a_network(
    rg, record: Record, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At home: mirror. There: another cache, no network, just the folder."""
    done = rg("zoo", "mirror", "--to", tmp_path / "usb", NAME)
    assert done.out == f"{tmp_path / 'usb' / 'models' / NAME}\n"
    assert (tmp_path / "usb" / "cards" / f"{NAME}.md").read_text().startswith(f"# {NAME}")
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "there"))
    monkeypatch.setenv("REPORTGEN_OFFLINE", "1")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "usb" / "manifest.json"))
    done = rg("report", chest, "--model", NAME, "--precision", "fp32")
    assert done.code == 0
    assert done.out.strip()
    assert rg("zoo", "verify", NAME).code == 0


def test_a_checkpoint_is_converted_and_what_is_left_is_named(rg, model: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.ones(1)}, tmp_path / "x.pth")
    done = rg("zoo", "convert", tmp_path / "x.pth", "--format", "r2gen", "--into", model, "--out", tmp_path / "out")
    assert done.code == 1
    assert "in the format r2gen; its tensors begin with a" in done.err


def test_one_broken_record_empties_no_list(rg, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = plain(record)
    broken = [values | {"name": f"bad.v{n}"} | wrong for n, wrong in enumerate(
        ({"sources": 5}, {"files": 3}, {"summary": []}, {"scores": 1}, {"licence": None}, {"parts": "x"})
    )]  # fmt: skip
    (tmp_path / "m.json").write_text(json.dumps({"format": 1, "models": [*broken, values]}))
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "m.json"))
    for command in (("list",), ("list", "--json"), ("search", "tiny")):
        done = rg("zoo", *command)
        assert done.code == 0
        assert NAME in done.out
        assert f"{tmp_path / 'm.json'}.models[0].sources: wants a list, has 5" in done.err
    listed = json.loads(rg("zoo", "list", "--json").out)
    assert [model["name"] for model in listed if model["name"].startswith("bad")] == []
    assert rg("zoo", "info", "bad.v3").code == 1
    assert "scores: wants a list, has 1" in rg("zoo", "info", "bad.v3").err
    assert rg("zoo", "mirror", "--to", tmp_path / "zoo").code == 0
    assert {model["name"] for model in json.loads((tmp_path / "zoo" / "manifest.json").read_text())["models"]} >= {NAME}


@pytest.mark.parametrize("host", ["https://user:secret@no.such.host.invalid", "http://127.0.0.1:9"])
def test_what_needs_no_manifest_asks_nobody(
    rg, model: Path, chest: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("REPORTGEN_MANIFESTS", f"{host}/manifest.json")
    monkeypatch.setattr("reportgen_zoo.pull.catalogue.catalogue", None)  # whoever reads all manifests fails
    assert rg("report", chest, "--model", model, "--precision", "fp32").code == 0
    assert rg("zoo", "info", "resnet10t-soft-att.phantom_v3").code == 0
    assert rg("info", "densenet121").code == 0
    assert rg("zoo", "prune").code == 0
    assert rg("zoo", "verify", "resnet10t-soft-att.phantom_v3").code == 0


@pytest.mark.parametrize("name", ["evil.pkl", "sitecustomize.py", ".DS_Store", "model.pth", "run.sh", "index/x.so"])
def test_push_refuses_a_file_that_no_model_has(rg, model: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    (tmp_path / "facts.json").write_text('{"summary": "s", "licence": "l"}')
    done = rg("zoo", "push", folder, "--name", "x.v1", "--facts", tmp_path / "facts.json", "--to", tmp_path / "zoo")
    assert done.code == 1
    assert f"{name!r}, which is no file of a model; a model has files with the suffixes json, jsonl, md" in done.err
    assert not (tmp_path / "zoo" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("command", "name", "says"),
    [
        ("download", "iu-xray", "is a dataset, and datasets are not downloaded"),
        (
            "pull",
            "mimic-cxr@sha256:ab",
            "rg info mimic-cxr says which copies are read, docs/tutorials/your-data.md how",
        ),
        ("download", "phantom", "is a dataset that makes its own files: --data phantom is enough"),
        ("download", "resnet18", "is no trained model but of the kind encoder"),
        ("download", "jing-coattention", "is no trained model but of the kind preset"),
    ],
)
def test_what_is_no_model_is_not_downloaded_and_says_so(rg, command: str, name: str, says: str) -> None:
    done = rg(command, name)
    assert done.code == 1 and says in done.err and len(done.err.splitlines()) == 2  # a note on the command, and this
