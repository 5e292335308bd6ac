"""`image-text-to-text`: three families of transformers, random and tiny, give by us what the bare call gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_vlm import FAMILIES, save_tiny

import reportgen_core
from reportgen_core import OptionError, Study, View, load
from reportgen_core.types import GenerationSettings

SETTINGS = {"max_new_tokens": 14, "do_sample": False}


@pytest.fixture(scope="module", params=FAMILIES)
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("vlm") / request.param, request.param)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("vlm") / "llava")


def studies(folder: Path, count: int = 3, views: int = 1) -> list[Study]:
    made = []
    for n in range(count):
        paths = [folder / f"{n}-{v}.png" for v in range(views)]
        for v, path in enumerate(paths):
            coarse = np.random.default_rng(10 * n + v).integers(0, 256, (4, 4), dtype=np.uint8)
            values = np.kron(coarse, np.ones((11, 10), np.uint8))
            Image.fromarray(values).save(path)
        made.append(Study(f"s{n}", tuple(View(p) for p in paths), {"indication": "small effusion"}))
    return made


def make(weights: Path, **options: Any) -> Any:
    options = {"cleaning": "none", "generation": SETTINGS, **options}
    return reportgen_core.reporters.create("image-text-to-text", model=str(weights), **options)


def bare(weights: Path, content: list[dict[str, Any]], **settings: Any) -> str:
    """The call as transformers' own pages have it."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(weights)
    model = AutoModelForImageTextToText.from_pretrained(weights)
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip
    with torch.inference_mode():
        ids = model.generate(**inputs, **{**SETTINGS, **settings})
    return processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def picture(study: Study, view: int = 0) -> dict[str, Any]:
    return {"type": "image", "image": Image.open(study.views[view].path).convert("RGB")}


def test_the_text_is_that_of_the_bare_call(weights: Path, tmp_path: Path) -> None:
    some = studies(tmp_path)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("write the report : {images} indication {indication|none} .")
    reports = make(weights, prompt=str(prompt)).report_studies(some)
    assert len({r.answer for r in reports}) > 1  # these weights look at the image
    for report, study in zip(reports, some, strict=True):
        content = [
            {"type": "text", "text": "write the report : "},
            picture(study),
            {"type": "text", "text": " indication small effusion ."},
        ]
        assert report.answer == bare(weights, content)


def test_several_images_of_a_study_are_seen_in_their_order(weights: Path, tmp_path: Path) -> None:
    (study,) = studies(tmp_path, 1, 2)
    (report,) = make(weights, views=2).report_studies([study])
    text = {
        "type": "text",
        "text": "Write the findings section of the report of this chest radiograph, in full sentences.",
    }
    assert report.answer == bare(weights, [picture(study, 0), picture(study, 1), text])
    assert len(report.views) == 2


def test_a_batch_gives_the_texts_of_single_studies(weights: Path, tmp_path: Path) -> None:
    some = studies(tmp_path, 3)
    long = Study("s3", some[0].views, {"indication": " ".join(["small effusion left right"] * 5)})
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("indication {indication} .")
    alone = make(weights, prompt=str(prompt)).report_studies([*some, long])
    together = make(weights, prompt=str(prompt), batch_size=4).report_studies([*some, long])
    assert [r.text for r in alone] == [r.text for r in together]


def test_the_prior_study_is_a_part_of_the_message(llava: Path, tmp_path: Path) -> None:
    now, before = studies(tmp_path, 2)
    before = Study("b", before.views, {"findings": "heart is normal"})
    study = Study("n", now.views, {}, prior=before)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("{prior_images|}{prior_report|none}{images}")
    reporter = make(llava, prompt=str(prompt))
    assert (reporter.takes.prior_images, reporter.takes.prior_report) == ("optional", "optional")
    content = [picture(before), {"type": "text", "text": "heart is normal"}, picture(now)]
    assert reporter.report_studies([study])[0].answer == bare(llava, content)
    assert reporter.report_studies([now])[0].answer == bare(llava, [{"type": "text", "text": "none"}, picture(now)])


def test_beams_and_n_best_are_those_of_transformers(llava: Path, tmp_path: Path) -> None:
    (study,) = studies(tmp_path, 1)
    (report,) = make(llava).report_studies([study], GenerationSettings(beams=3, n_best=3))
    text = {
        "type": "text",
        "text": "Write the findings section of the report of this chest radiograph, in full sentences.",
    }
    assert report.answer == bare(llava, [picture(study), text], num_beams=3)
    assert report.alternatives and report.text not in report.alternatives


def test_a_sampled_report_is_the_same_in_every_run(llava: Path, tmp_path: Path) -> None:
    some = studies(tmp_path, 2)
    sampled = {**SETTINGS, "do_sample": True, "temperature": 2.0}
    first, second = (make(llava, generation=sampled).report_studies(some) for _ in range(2))
    assert [r.text for r in first] == [r.text for r in second]
    assert [r.text for r in first] != [r.text for r in make(llava).report_studies(some)]


def test_a_message_to_the_system_is_given(llava: Path, tmp_path: Path) -> None:
    (study,) = studies(tmp_path, 1)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("radiograph report\n---\nwrite")
    pieces = make(llava, prompt=str(prompt))
    assert pieces._text(pieces.prompt.fill(study, 1)) == "<s>system : radiograph reportuser : <image>writereport : "


def test_the_score_has_model_hashes_preprocessing_and_settings(llava: Path, tmp_path: Path) -> None:
    facts = make(llava, max_side=32).facts()
    assert facts["source"] == "llava" and len(facts["files_sha256"]) == 64
    assert facts["generation"] == SETTINGS
    assert facts["dtype"] == "float32" and facts["batch_size"] == 1
    assert facts["preprocessing"]["max_side"] == 32
    assert facts["preprocessing"]["processor"]["crop_size"] == {"height": 32, "width": 32}
    assert json.loads(json.dumps(facts)) == facts
    other = tmp_path / "prompt.txt"
    other.write_text("other")
    changed = make(llava, prompt=str(other)).facts()
    assert changed["prompt_sha256"] != facts["prompt_sha256"]
    assert changed["preprocessing_sha256"] != facts["preprocessing_sha256"]


def test_it_is_saved_by_reference_and_loaded_again(llava: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("write {images}")
    some = studies(tmp_path)
    reporter = make(llava, prompt=str(prompt), dtype="float32")
    reporter.save(tmp_path / "folder")
    assert {p.name for p in (tmp_path / "folder").iterdir()} == {"config.json", "prompt.txt", "card.md"}
    again = load(tmp_path / "folder")
    assert [r.text for r in again.report_studies(some)] == [r.text for r in reporter.report_studies(some)]
    assert again.facts() == reporter.facts()


def test_half_precision_is_a_choice(llava: Path, tmp_path: Path) -> None:
    reporter = make(llava, dtype="bfloat16")
    assert reporter.facts()["dtype"] == "bfloat16"
    assert reporter.report_studies(studies(tmp_path, 1))[0].answer


def test_a_model_in_the_hubs_cache_is_found_without_a_network(llava: Path, tmp_path: Path, monkeypatch: Any) -> None:
    commit = "c" * 40
    at = tmp_path / "hub" / "models--us--tiny"
    (at / "snapshots").mkdir(parents=True)
    (at / "refs").mkdir()
    (at / "snapshots" / commit).symlink_to(llava)
    (at / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    reporter = reportgen_core.reporters.create("image-text-to-text", model="us/tiny")
    assert (reporter.reference.source, reporter.reference.revision) == ("us/tiny", commit)
    with pytest.raises(OptionError, match="us/other is no folder and not in the hub's cache; hf download us/other"):
        reportgen_core.reporters.create("image-text-to-text", model="us/other")


def test_a_bad_image_takes_no_other_with_it_in_a_batch(llava: Path, tmp_path: Path) -> None:
    some = studies(tmp_path)
    some[1].views[0].path.write_bytes(b"no image")
    reports = make(llava, batch_size=3).report_studies(some)
    assert [bool(r.text) for r in reports] == [True, False, True]


def change(folder: Path, weights: Path, **values: Any) -> Path:
    folder.mkdir()
    for path in weights.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))
    return folder


def test_a_folder_that_is_no_such_model_is_one_line(llava: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    remote = {"auto_map": {"AutoConfig": "code.Config"}}
    cases = {
        tmp_path / "empty": "is no model of transformers: it has no config.json with a model_type",
        change(tmp_path / "bert", llava, model_type="bert"): "kind 'bert', which is no image-text-to-text",
        change(tmp_path / "own", llava, model_type="mine", **remote): "it needs code of its own, which is not run",
        tmp_path / "gone": "no folder .*gone; a model is a folder, or a name of the hub",
    }
    lacks = change(tmp_path / "lacks", llava)
    from safetensors.torch import load_file, save_file

    tensors = load_file(lacks / "model.safetensors")
    tensors.pop("model.multi_modal_projector.linear_1.weight", None) or tensors.pop(
        "multi_modal_projector.linear_1.weight"
    )
    save_file(tensors, lacks / "model.safetensors", {"format": "pt"})
    cases[lacks] = "its weights lack .*multi_modal_projector.linear_1.weight"
    damaged = change(tmp_path / "damaged", llava)
    (damaged / "model.safetensors").write_bytes(b"x" * 100)
    cases[damaged] = "cannot be read as an image-text-to-text model of transformers"
    for folder, says in cases.items():
        with pytest.raises(OptionError, match=says) as e:
            make(folder)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dtype": "int4"}, "no dtype 'int4'; there are: auto, float32"),
        ({"cleaning": "section"}, "no cleaning named 'section'; did you mean 'sections'"),
        ({"boxes": "maira"}, "no boxes named 'maira'; did you mean 'maira-2'"),
        ({"revision": "main"}, "is a folder, and revision=main is of a repository"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"prompt": "/no/such/file"}, "cannot read /no/such/file"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(llava: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        make(llava, **options)
