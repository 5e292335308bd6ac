"""Model folders: the same bytes, nothing lost, and one line for everything that may be wrong with one."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from reportgen_core import CheckpointError, OptionError, UnknownName, load, save
from reportgen_core.models import format as checkpoint
from reportgen_core.testing.parts import WORDS, sample_batch, tiny_model
from reportgen_core.types import GenerationSettings


@pytest.fixture(scope="module")
def made():
    return tiny_model()


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return save(made, tmp_path / "model")


def edit(file: Path, **changes) -> None:
    value = json.loads(file.read_text())
    value.update(changes)
    file.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


def test_a_folder_holds_all_that_a_model_is(made, folder):
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "vocabulary.json",
        "tags.json",
        "card.md",
    }
    again = load(folder)
    assert (
        again.vocabulary.words == made.vocabulary.words and again.tags == made.tags and again.findings == made.findings
    )
    assert again.text == made.text and again.encoder.image == made.encoder.image and again.targets == made.targets
    batch = sample_batch(made)
    with torch.inference_mode():
        made.eval()
        one, two = (m.decoder.generate(m.encode(batch), GenerationSettings()) for m in (made, again))
    assert [g.candidates[0].sentences for g in one] == [g.candidates[0].sentences for g in two]


def test_the_weights_are_mapped_not_copied(folder):
    """A parameter of a loaded model is the file's memory: loading costs what is touched."""
    again = load(folder)
    assert not any(t.is_meta for t in (*again.parameters(), *again.buffers()))
    assert all(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize(("changes", "says"), [
    ({"format": 2}, r"format 2; this reportgen reads format 1; pip install --upgrade reportgen"),
    ({"format": "1"}, r"no format number"),
    ({"speed": 3}, r"unknown key 'speed'"),
    ({"image": None}, r"lacks image"),
    ({"text": {"recipe": "plain", "sectoins": ["findings"]}}, r"config.json: text has no setting 'sectoins'; did you mean 'sections'"),
    ({"vocabulary_sha256": "0" * 64}, r"vocabulary.json is not the vocabulary this model was trained with"),
    ({"retriever": {"name": "x", "options": {}}}, r"lacks one of decoder, retriever"),
])  # fmt: skip
def test_a_wrong_config_is_told_in_one_line(folder, changes, says):
    edit(folder / "config.json", **changes)
    with pytest.raises(CheckpointError, match=says) as e:
        load(folder)
    assert "\n" not in str(e.value)


def test_an_unknown_option_of_a_part_is_named(folder):
    config = json.loads((folder / "config.json").read_text())
    config["decoder"]["options"]["hiden"] = 5
    edit(folder / "config.json", decoder=config["decoder"])
    with pytest.raises(OptionError, match=r"'hier-lstm' has no option 'hiden'; did you mean 'hidden'"):
        load(folder)


def test_an_unknown_part_is_named_with_its_near_match(folder):
    config = json.loads((folder / "config.json").read_text())
    config["encoder"]["name"] = "desnet121"
    edit(folder / "config.json", encoder=config["encoder"])
    with pytest.raises(CheckpointError, match="did you mean 'densenet121'"):
        load(folder)


def test_other_preprocessing_than_the_encoders_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", image={**config["image"], "equalize": True})
    with pytest.raises(CheckpointError, match="trained on images with equalize=True"):
        load(folder)


def test_words_that_do_not_fit_the_weights_are_refused(folder):
    """Another vocabulary with a config that knows it: the shape in the weights gives it away."""
    words = [*json.loads((folder / "vocabulary.json").read_text()), "more"]
    (folder / "vocabulary.json").write_text(json.dumps(words))
    edit(folder / "config.json", vocabulary_sha256=checkpoint.words_digest(tuple(words)))
    with pytest.raises(
        CheckpointError, match=rf"has shape \({len(WORDS) + 4}, 16\), but config and vocabulary ask for"
    ):
        load(folder)


@pytest.mark.parametrize(("content", "says"), [
    (b"", "no safetensors file"),
    (b"\x80\x02}q\x00.", "no safetensors file"),
    (struct.pack("<Q", 2**60) + b"{}", "its header claims"),
    (struct.pack("<Q", 2) + b"[]", "damaged"),
    (struct.pack("<Q", 2) + b"{}", "lacks"),
])  # fmt: skip
def test_weights_that_are_none_are_refused_before_anything_is_read(folder, content, says):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        load(folder)


def test_truncated_weights_are_refused(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged"):
        load(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "vocabulary.json", "tags.json"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        load(folder)


def wrapped(made, how: str):
    """The model as a user may have wrapped it, and a copy of its plain state."""
    plain = {k: v.clone() for k, v in made.state_dict().items()}
    if how == "compiled":
        return torch.compile(made), plain
    if how == "compiled encoder":
        made.encoder = torch.compile(made.encoder)
    elif how == "parallel":
        return torch.nn.DataParallel(made), plain
    elif how == "parallel decoder":
        made.decoder = torch.nn.DataParallel(made.decoder)
    return made, plain


@pytest.mark.parametrize("how", ["compiled", "compiled encoder", "parallel", "parallel decoder"])
def test_a_wrapped_model_is_saved_as_the_model_that_it_is(how, tmp_path):
    model, plain = wrapped(tiny_model(), how)
    again = load(save(model, tmp_path / "model")).state_dict()
    assert again.keys() == plain.keys()
    assert all(torch.equal(again[k], plain[k]) for k in plain)


def test_what_could_not_be_loaded_again_is_not_saved(folder, tmp_path):
    """A layer that no config describes: found while saving, and what was there before stays."""
    model = load(folder)
    model.decoder.extra = torch.nn.Linear(2, 2)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(CheckpointError, match=r"decoder\.extra"):
        save(model, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_full_disk_leaves_the_old_model_as_it_was(made, folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(tensors, path):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device; what was there before is untouched"):
        save(made, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert [p.name for p in folder.parent.iterdir()] == ["model"], "something was left beside it"


def test_a_replacement_killed_between_its_renames_is_undone(made, folder):
    os.rename(folder, folder.with_name(".model.old"))
    assert load(folder).vocabulary.words == made.vocabulary.words
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_who_may_read_a_saved_model_is_what_the_umask_says(umask, file, folder, made, tmp_path):
    before = os.umask(umask)
    try:
        at = made.save(tmp_path / "model")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in at.iterdir()} == {file}
    assert stat.S_IMODE(at.stat().st_mode) == folder


def test_a_folder_of_other_files_is_never_replaced(made, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"but no config\.json, so it was not overwritten"):
        save(made, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_training_run_stands_for_its_best_model(made, tmp_path):
    save(made, tmp_path / "run" / "best")
    assert load(tmp_path / "run").tags == made.tags


def test_an_unknown_model_lists_those_there_are(tmp_path):
    with pytest.raises(UnknownName, match="no model or model folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"is no model: it has no config.json"):
        load(tmp_path)


@pytest.mark.parametrize(("value", "dtype"), [("nan", None), ("inf", None), ("-inf", None), ("nan", torch.bfloat16)])
def test_weights_with_nan_or_inf_are_found_while_loading_and_the_tensor_is_named(folder, value, dtype):
    tensors = load_file(folder / "model.safetensors")
    name = "decoder.words.out.weight" if "decoder.words.out.weight" in tensors else sorted(tensors)[-1]
    if dtype is not None:
        tensors[name] = tensors[name].to(dtype)
    tensors[name].flatten()[3] = float(value)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=rf"model\.safetensors: {re.escape(name)} has 1 of [\d,]+ values that are NaN"
    ):
        load(folder)


def test_a_model_with_nan_is_not_saved_and_the_folder_before_stays(folder, tmp_path):
    before = (folder / "model.safetensors").read_bytes()
    model = load(folder)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(CheckpointError, match=r"cannot save .*: encoder.* has 1 of"):
        save(model, folder)
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_model_of_an_older_release_without_the_names_of_packages_is_loaded(folder):
    config = json.loads((folder / "config.json").read_text())
    for kind in ("encoder", "decoder"):
        del config[kind]["plugin"], config[kind]["version"]
    edit(folder / "config.json", **config)
    load(folder)


def test_the_part_of_another_package_of_the_same_name_is_not_taken(folder):
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", encoder=config["encoder"] | {"plugin": "other-package"})
    with pytest.raises(
        CheckpointError, match=r"'densenet121' of other-package is not installed; reportgen:builtin has"
    ):
        load(folder)
