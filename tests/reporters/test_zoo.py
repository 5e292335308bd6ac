"""Reporters in a zoo: push, info and verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_server import chat_server
from running import Rg
from tiny_vlm import save_tiny


def push(rg: Rg, tmp_path: Path, name: str, *options: str) -> Path:
    """Compose a reporter and push it; return the zoo's folder."""
    pairs = [part for option in options for part in ("--reporter-option", option)]
    kind = "image-text-to-text" if "vlm" in name else "openai"
    assert rg("compose", "--reporter", kind, *pairs, "--out", tmp_path / "r").code == 0
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"summary": "a reporter", "licence": "MIT"}))
    done = rg("zoo", "push", tmp_path / "r", "--name", name, "--facts", facts, "--to", tmp_path / "zoo")
    assert done.code == 0, done.err
    return tmp_path / "zoo"


def test_a_model_by_reference_is_pushed_pulled_and_verified(
    rg: Rg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = save_tiny(tmp_path / "weights")
    zoo = push(rg, tmp_path, "tiny-vlm.me_v1", f"model={weights}", 'generation={"max_new_tokens": 8}', "cleaning=none")
    record = json.loads((zoo / "manifest.json").read_text())["models"][0]
    assert record["parts"] == {"reporter": "image-text-to-text"}
    assert record["reference"]["source"] == "weights" and len(record["reference"]["sha256"]) == 64
    assert record["probe"]["report"]
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(zoo / "manifest.json"))
    assert "reference: promise" in rg("zoo", "info", "tiny-vlm.me_v1").out
    assert rg("zoo", "pull", "tiny-vlm.me_v1").code == 0
    done = rg("zoo", "verify", "tiny-vlm.me_v1")
    assert done.code == 0 and "ok (2 hashes, probe)" in done.out
    (weights / "generation_config.json").write_text("{}")
    done = rg("zoo", "verify", "tiny-vlm.me_v1")
    assert done.code == 1 and "weights is not what was saved: generation_config.json changed" in done.out
    assert "REFERENCE: the weights are those of weights" in (zoo / "cards" / "tiny-vlm.me_v1.md").read_text()


def test_an_endpoint_is_recorded_with_what_it_cannot_promise_and_without_a_probe(
    rg: Rg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chat_server() as server:
        zoo = push(rg, tmp_path, "endpoint.me_v1", f"url={server.url}", "model=m")
        assert not server.bodies
    record = json.loads((zoo / "manifest.json").read_text())["models"][0]
    assert record["reference"]["kind"] == "endpoint" and record.get("probe") is None
    assert "is named, not pinned" in record["reference"]["promise"]
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(zoo / "manifest.json"))
    assert rg("zoo", "pull", "endpoint.me_v1").code == 0
    assert "ok (2 hashes)" in rg("zoo", "verify", "endpoint.me_v1").out
