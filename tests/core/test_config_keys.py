"""The JSON of a model folder is strict: no doubled keys or names, no unknown keys inside sections, no true for 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reportgen_core import CheckpointError, OptionError, compose, load
from reportgen_core.files.json_files import is_format, read_json
from reportgen_core.models.format import words_digest
from reportgen_core.testing.parts import tiny_model
from reportgen_core.text.spec import Vocabulary


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model().save(tmp_path_factory.mktemp("keys") / "model")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in saved.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def edit(folder: Path, *keys: str, value: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    section = config
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(("keys", "value", "says"), [
    (("format",), True, "no format number"),
    (("format",), 1.0, "no format number"),
    (("encoder", "opitons"), {}, "encoder has an unknown key 'opitons'; did you mean 'options'"),
    (("decoder", "code"), "x", "decoder has an unknown key 'code'"),
    (("encoder", "name"), 3, "encoder: name is no text"),
    (("decoder", "options"), [], "decoder: options is no object"),
    (("decoder", "plugin"), None, "decoder: plugin is no text"),
    (("encoder",), "densenet121", "encoder is no object with name and options"),
    (("encoder",), {"options": {}}, "encoder lacks name"),
    (("image", "hieght"), 3, "image has no setting 'hieght'; did you mean 'height'"),
    (("text", "recipes"), "x", "text has no setting 'recipes'; did you mean 'recipe'"),
    (("image",), [], "image is no object"),
    (("findings",), ["Edema", "Mass", "Edema"], "findings: 'Edema' occurs twice"),
    (("findings",), ["Edema", 3], "findings is no list of names"),
])  # fmt: skip
def test_what_a_config_may_not_have_is_named(folder: Path, keys: tuple[str, ...], value: Any, says: str) -> None:
    edit(folder, *keys, value=value)
    with pytest.raises(CheckpointError, match=says) as e:
        load(folder)
    assert "config.json" in str(e.value)


@pytest.mark.parametrize("key", ["format", "name", "options", "height", "max_words"])
def test_a_doubled_key_at_any_depth_is_refused(folder: Path, key: str) -> None:
    text = (folder / "config.json").read_text()
    assert f'"{key}":' in text
    (folder / "config.json").write_text(text.replace(f'"{key}":', f'"{key}": 0, "{key}":'))
    with pytest.raises(CheckpointError, match=rf"config.json is no JSON: the key '{key}' occurs twice"):
        load(folder)


@pytest.mark.parametrize("file", ["tags.json", "vocabulary.json"])
def test_a_doubled_name_is_refused(folder: Path, file: str) -> None:
    names = json.loads((folder / file).read_text())
    names[-1] = names[-2]
    (folder / file).write_text(json.dumps(names))
    if file == "vocabulary.json":
        edit(folder, "vocabulary_sha256", value=words_digest(tuple(names)))
    with pytest.raises(CheckpointError, match=f"{file}: '{names[-1]}' occurs twice"):
        load(folder)


@pytest.mark.parametrize(("options", "says"), [
    ({"tags": ("a", "b", "a")}, "tag 'a' occurs twice"),
    ({"findings": ("Edema", "Edema")}, "finding 'Edema' occurs twice"),
    ({"vocabulary": Vocabulary(("heart", "heart"))}, "word 'heart' occurs twice"),
])  # fmt: skip
def test_a_model_that_could_not_be_loaded_is_not_made(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        compose(encoder="none", decoder="tienet", decoder_options={"hidden": 4, "embedding": 3}, **options)


def test_every_json_file_is_read_without_doubled_keys(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": [{"b": 1, "c": 2, "b": 3}]}')
    with pytest.raises(CheckpointError, match="the key 'b' occurs twice"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], 2])
def test_only_the_number_is_the_format(value: object) -> None:
    assert is_format(1, 1)
    assert not is_format(value, 1)
