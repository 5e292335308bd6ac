"""Manifests are read strictly: whatever a stranger writes into one never becomes a path, and what is wrong is named."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportgen_zoo.manifest.records import ZooError, check_name
from reportgen_zoo.manifest.schema import DataFormatError, plain
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.pull.catalogue import read_manifest
from zoo_server import Shelf, record_of, serve

from reportgen_core import ReportgenError, discovery, hookimpl

HERE = Path(__file__).parents[2] / "zoo" / "reportgen_zoo"


def record(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = plain(record_of({"config.json": b"{}"}, "https://example.org/m"))
    return made | changes


def manifest(*records: dict[str, Any], **changes: Any) -> str:
    return json.dumps({"format": 1, "models": list(records)} | changes)


def test_the_built_in_manifest_is_read_and_its_files_are_named() -> None:
    for found in manifests.builtin().models:
        assert found.files
        assert found.sources
        assert found.licence


def test_the_schema_file_is_that_of_the_dataclasses() -> None:
    assert (HERE / "manifest.schema.json").read_text() == manifests.schema_text(), (
        "python -c 'from reportgen_zoo.pull.catalogue import schema_text; print(schema_text(), end=\"\")' "
        "> zoo/reportgen_zoo/manifest.schema.json"
    )


def test_a_record_survives_writing_and_reading() -> None:
    made = record_of({"a.json": b"1", "b/c.txt": b"2"}, "hf://o/r@v", "file:///x")
    assert read_manifest(manifest(plain(made)), "m").models == (made,)


def test_the_digest_does_not_depend_on_the_order_of_files() -> None:
    one = record_of({"a": b"1", "b": b"2"})
    two = record_of({"b": b"2", "a": b"1"})
    assert one.digest == two.digest != record_of({"a": b"2", "b": b"1"}).digest


NAMES = [
    "..", ".", "", "../x", "a/../b", "/etc/passwd", "C:\\x", "a\\b", "a/b", "a\0b", "a\nb", "a b", "A", ".hidden", "a..b",
    "-rf", "nul", "con.v1", "com1", "modеl.v1", "x" * 129, "a.", "ａ", "a\u202eb", "~", "$HOME", "a;b",
]  # fmt: skip
PATHS = [
    "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a\\b", "a\0", "a\n", "", ".", "..", ".hidden", "a/.b", "C:x",
    "nul", "a/con.txt", "configе.json", "x" * 201, "~/x", "a b",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_be_something_else_is_refused(name: str) -> None:
    with pytest.raises(ZooError):
        check_name(name)
    with pytest.raises(ZooError):
        read_manifest(manifest(record(name=name)), "m")


@pytest.mark.parametrize("path", [*PATHS, *(f"{path}.json" for path in PATHS)])
def test_a_path_that_could_leave_the_folder_is_refused(path: str) -> None:
    file = {"path": path, "bytes": 1, "sha256": "0" * 64}
    with pytest.raises(ZooError):
        read_manifest(manifest(record(files=[file])), "m")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no JSON"),
        ("\x80", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"format": 1, "models": NaN}', "NaN is no number"),
        ("[]", "wants an object"),
        ('{"format": 2}', "manifest of format 2; this reportgen reads format 1"),
        ('{"models": []}', "manifest of format null"),
        ('{"format": 1, "modles": []}', "has no 'modles'; did you mean 'models'"),
        ('{"format": 1, "models": {}}', "m.models: wants a list"),
        (manifest(record(licence=3)), r"m.models\[0\].licence: wants a string, has 3"),
        (manifest({k: v for k, v in record().items() if k != "licence"}), r"m.models\[0\]: lacks 'licence'"),
        (manifest(record(files=[{"path": "a.json", "bytes": True, "sha256": "0" * 64}])), "wants an integer, has true"),
        (manifest(record(files=[{"path": "a.json", "bytes": -1, "sha256": "0" * 64}])), "-1 bytes is no size"),
        (manifest(record(files=[{"path": "a.json", "bytes": 2**60, "sha256": "0" * 64}])), "is no size"),
        (manifest(record(files=[{"path": "a.json", "bytes": 1, "sha256": "xyz"}])), "is no sha256"),
        (manifest(record(files=[])), "has no files"),
        (manifest(record(files=[record()["files"][0], record()["files"][0]])), "is there twice"),
        (manifest(record(), record()), "is there twice"),
        (manifest(record(scores=[{"data": "d", "protocol": "p", "studies": 1, "values": {"bleu": "1"}}])), "values.bleu: wants a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises((ZooError, DataFormatError), match=says) as e:
        read_manifest(text, "m")
    assert len(str(e.value)) < 500


def test_a_huge_manifest_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_MANIFEST", 100)
    with pytest.raises(ZooError, match="too large for a manifest"):
        read_manifest(manifest(record()), "m")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(record())), VALUES)
def test_any_value_in_any_place_is_read_or_refused_by_name(key: str, value: Any) -> None:
    with suppress(ReportgenError):  # refused, in our words
        read_manifest(manifest(record(**{key: value})), "m")


@given(st.text() | st.binary())
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    with suppress(ReportgenError):
        read_manifest(text, "m")


def test_manifests_of_the_user_are_read_beside_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.json").write_text(manifest(record(name="mine.v1")))
    with serve(Shelf({"/theirs.json": manifest(record(name="theirs.v1")).encode()})) as served:
        monkeypatch.setenv("REPORTGEN_MANIFESTS", f"{tmp_path / 'mine.json'}, {served.url}/theirs.json")
        found = manifests.catalogue()
    assert {"mine.v1", "theirs.v1"} <= set(found.models)
    assert found.models.origin("theirs.v1") == f"{served.url}/theirs.json"
    assert not found.problems


def test_a_broken_manifest_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "good.json").write_text(manifest(record(name="mine.v1")))
    other = plain(record_of({"config.json": b"[]"}, name="mine.v1"))
    (tmp_path / "other.json").write_text(manifest(other))
    named = [tmp_path / "bad.json", tmp_path / "none.json", tmp_path / "good.json", tmp_path / "other.json"]
    monkeypatch.setenv("REPORTGEN_MANIFESTS", ",".join(map(str, named)))
    found = manifests.catalogue()
    assert "mine.v1" in found.models
    assert [("bad" in p, "none" in p, "mine.v1" in p) for p in found.problems] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip


def test_a_pin_holds_a_model_to_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = record_of({"config.json": b"{}"}, str(tmp_path), name="mine.v1")
    (tmp_path / "m.json").write_text(manifest(plain(made)))
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "m.json"))
    assert manifests.record(f"mine.v1@sha256:{made.digest[:16]}") == made
    with pytest.raises(ZooError, match="is pinned to"):
        manifests.record("mine.v1@sha256:0123456789abcdef")
    with pytest.raises(ZooError, match="is no pin; write mine"):
        manifests.record("mine.v1@v2")
    with pytest.raises(ZooError, match=r"no model named 'mine.v2'; did you mean 'mine.v1'\?"):
        manifests.record("mine.v2")


def test_the_same_bytes_at_two_places_are_one_model_with_two_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.json").write_text(manifest(record(name="mine.v1", sources=["https://one.example/m"])))
    (tmp_path / "two.json").write_text(manifest(record(name="mine.v1", sources=["models/mine.v1"])))
    monkeypatch.setenv("REPORTGEN_MANIFESTS", f"{tmp_path}/one.json,{tmp_path}/two.json")
    found = manifests.catalogue()
    assert found.models["mine.v1"].sources == ("https://one.example/m", f"{tmp_path}/models/mine.v1")
    assert not found.problems


def test_manifests_are_named_in_the_settings_too(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(manifest(record(name="mine.v1")))
    (tmp_path / "config.toml").write_text(f'manifests = ["{tmp_path}/mine.json"]\n')
    assert "mine.v1" in manifests.catalogue().models


@pytest.mark.parametrize(("text", "says"), [
    ("manifests = 3", r"config.toml.manifests: wants a list"),
    ("manifest = []", r"has no 'manifest'; did you mean 'manifests'"),
    ("manifests = [", r"config.toml: cannot be read"),
])  # fmt: skip
def test_settings_that_are_none_are_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ReportgenError, match=says):
        manifests.catalogue()


def test_a_plugin_names_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_plugin").mkdir()
    (tmp_path / "their_plugin" / "__init__.py").write_text("")
    (tmp_path / "their_plugin" / "zoo.json").write_text(manifest(record(name="theirs.v1", sources=["weights"])))
    monkeypatch.syspath_prepend(str(tmp_path))
    manager = discovery.load_plugins()[0]
    plugin = SimpleNamespace(register_manifests=hookimpl(lambda: ["package:their_plugin/zoo.json"]))
    manager.register(plugin)
    try:
        assert manifests.catalogue().models["theirs.v1"].sources == ("package:their_plugin/weights",)
    finally:
        manager.unregister(plugin)


def test_a_manifest_of_the_network_is_kept_for_the_day_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Shelf({"/zoo.json": manifest(record(name="theirs.v1")).encode()})) as served:
        monkeypatch.setenv("REPORTGEN_MANIFESTS", f"{served.url}/zoo.json")
        manifests.catalogue()
        monkeypatch.setenv("REPORTGEN_OFFLINE", "1")
        assert "theirs.v1" in manifests.catalogue().models
        assert len(served.asked) == 1
    monkeypatch.setenv("REPORTGEN_MANIFESTS", "https://no.such.host.invalid/zoo.json")
    assert "was never read on this machine" in manifests.catalogue().problems[0]


@pytest.mark.parametrize("source", ["/etc", "file:///etc", "~/x", "ftp://h/x"])
def test_a_manifest_of_the_network_may_not_name_places_on_this_machine(source: str) -> None:
    with pytest.raises(ZooError, match="names a place on this machine"):
        read_manifest(manifest(record(sources=[source])), "m", "https://example.org")


def test_a_record_and_its_card_name_the_versions_that_made_the_figures() -> None:
    from reportgen_zoo.manifest.cards import card
    from reportgen_zoo.manifest.records import Record, Scores
    from reportgen_zoo.publish.facts import versions

    from reportgen_core.scoring.scorecard import ScoreCard
    from reportgen_core.types import ScoreLine

    lines = [ScoreLine("bleu-4", 0.1, metric="bleu", version="1"), ScoreLine("f1", 0.2, metric="rules", version="2")]
    made = ScoreCard(
        "coco 1", ("findings",), "phantom", "test", "0bcd", "", 3, 3, 0, 1000, intervals="2", baselines="1"
    )
    named = versions(lines, made)
    assert named == {"bleu": "1", "rules": "2", "intervals": "2", "baselines": "1"}
    record = Record(
        "a-b.c_v1",
        "a model",
        "MIT",
        (),
        ("models/a",),
        scores=(Scores("phantom", "coco 1", 3, {"f1": 0.2}, versions=named),),
    )
    assert "\nVersions: bleu 1, rules 2, intervals 2, baselines 1.\n" in card(record)
