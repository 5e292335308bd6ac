"""`rg zoo`: models of a manifest of the test's own are listed, fetched and checked."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from reportgen_zoo.data import plain
from reportgen_zoo.records import Probe, Record, Scores, Training
from reportgen_zoo.verify import files_of, probe

NAME = "densenet121-hier-lstm.test_v1"


@pytest.fixture
def record(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    made = Record(
        NAME, "a tiny model", "CC0-1.0", files_of(model), (str(model),), parts={"encoder": "densenet121"},
        training=Training("noise", command="rg train"),
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
