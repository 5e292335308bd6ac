"""CVSE and nearest: they learn, hold their texts through a folder, and report them with where they looked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen_core import (
    CompositionError,
    DataError,
    GenerationSettings,
    OptionError,
    Study,
    TrainSettings,
    View,
    compose,
    load,
    train,
)
from reportgen_core.errors import CheckpointError
from reportgen_core.testing.parts import check_retriever
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.log import read_log

SMALL = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
FINDINGS = ("left effusion.", "right effusion.", "small nodule.", "the heart is large.")


def studies(folder: Path, count: int, split: str = "train", seed: int = 0) -> list[Study]:
    """A square in one of four corners for each finding; every fifth study has none, every third a second view."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        draw = np.random.default_rng(seed * 1000 + i)
        pixels = draw.integers(0, 40, (64, 64)).astype(np.uint8)
        has = [] if i % 5 == 4 else sorted({i % 4, int(draw.integers(4))})
        for f in has:
            pixels[32 * (f // 2) + 4 : 32 * (f // 2) + 28, 32 * (f % 2) + 4 : 32 * (f % 2) + 28] += 180
        path = folder / f"{split}{i}.png"
        Image.fromarray(pixels).save(path)
        views = (View(path, "frontal"), View(path, "lateral"))[: 2 if i % 3 == 0 else 1]
        text = " ".join(FINDINGS[f] for f in has)
        rows.append(Study(f"{split}{i}", views, {"abnormal": text, "findings": text or "clear lungs."}, split=split))
    return rows


def model(reader: dict[str, Any], retriever: str = "cvse", views: int = 2, **options: Any):
    return compose(
        encoder="densenet121", encoder_options={**SMALL, "views": views}, retriever=retriever,
        decoder_options={**reader, **options} if retriever == "cvse" else {},
        text=TextSpec(sections=("abnormal" if retriever == "cvse" else "findings",)),
    )  # fmt: skip


SETTINGS = TrainSettings(epochs=15, batch_size=8, lr=0.01, select="recall@3")


@pytest.fixture(scope="module")
def trained(reader: dict[str, Any], tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("cvse")
    learned = train(
        model(reader), studies(folder, 24), studies(folder, 8, "val", 1), out=folder / "run", settings=SETTINGS
    )
    return learned, folder


def test_cvse_conforms(reader: dict[str, Any], tmp_path: Path) -> None:
    check_retriever("cvse", tmp_path / "tanh", reader)
    check_retriever("cvse", tmp_path / "linear", {**reader, "form": "linear"})


def test_nearest_conforms(tmp_path: Path) -> None:
    check_retriever("nearest", tmp_path)


def test_training_lowers_the_loss_and_selects_by_recall(trained: tuple) -> None:
    _, folder = trained
    epochs = [r for r in read_log(folder / "run" / "log.jsonl") if r["kind"] == "epoch"]
    assert epochs[-1]["train_loss"] < 0.6 * epochs[0]["train_loss"]
    assert all(0 <= r["recall@1"] <= r["recall@3"] <= 1 for r in epochs)
    assert [r for r in epochs if r["best"]][-1]["recall@3"] == max(r["recall@3"] for r in epochs)


def test_it_finds_the_findings_of_studies_it_has_learned(trained: tuple) -> None:
    learned, folder = trained
    data = [s for s in studies(folder, 24) if s.sections["abnormal"]]
    reports = learned.report_studies(data, settings=GenerationSettings(max_sentences=1), precision="fp32")
    right = [r.sentences[0] in s.sections["abnormal"] for r, s in zip(reports, data, strict=True)]
    assert sum(right) / len(right) > 0.6, "four findings: chance is a third"


def test_a_report_is_three_sentences_each_with_where_it_looked(trained: tuple) -> None:
    learned, folder = trained
    one, two = learned.report_studies(studies(folder, 2)[::-1], precision="fp32")
    assert len(one.views) == 1 and len(two.views) == 2
    for report, views in ((one, 1), (two, 2)):
        assert len(set(report.sentences)) == 3 and set(report.sentences) <= set(FINDINGS)
        assert report.text == " ".join(report.sentences)
        assert report.attention is not None and report.attention.regions is not None
        weights = report.attention.regions.reshape(3, 2, -1).sum(2)
        expected = torch.full((3, 2), 0.5) if views == 2 else torch.tensor([[1.0, 0.0]] * 3)
        torch.testing.assert_close(weights, expected)
    assert (
        learned.report_studies(studies(folder, 1), settings=GenerationSettings(max_sentences=2))[0].text.count(".") == 2
    )


def test_a_study_is_found_the_same_alone_and_in_a_batch(trained: tuple) -> None:
    learned, folder = trained
    data = studies(folder, 6)
    together = learned.report_studies(data, precision="fp32")
    alone = [learned.report_studies([s], precision="fp32")[0] for s in data]
    assert [r.sentences for r in together] == [r.sentences for r in alone]


def test_the_model_finds_the_same_after_saving_twice(trained: tuple, tmp_path: Path) -> None:
    learned, folder = trained
    again = load(load(learned.save(tmp_path / "a")).save(tmp_path / "b"))
    data = studies(folder, 5)
    assert [r.text for r in again.report_studies(data)] == [r.text for r in learned.report_studies(data)]


def test_the_same_seed_trains_to_the_same_bits(reader: dict[str, Any], tmp_path: Path) -> None:
    settings, weights = replace(SETTINGS, epochs=1), []
    for name in ("a", "b"):
        train(model(reader), studies(tmp_path, 9), studies(tmp_path, 5, "val"), out=tmp_path / name, settings=settings)
        weights.append((tmp_path / name / "best" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_training_without_an_abnormal_sentence_says_so(reader: dict[str, Any], tmp_path: Path) -> None:
    data = [replace(s, sections={"abnormal": "", "findings": "clear."}) for s in studies(tmp_path, 4)]
    with pytest.raises(DataError, match="abnormal") as caught:
        train(model(reader), data, out=tmp_path / "run", settings=SETTINGS)
    assert "\n" not in str(caught.value)


def test_fewer_sentences_than_clusters_say_so(reader: dict[str, Any], tmp_path: Path) -> None:
    learned = model(reader, grouper="kmeans", grouper_options={"k": 50})
    with pytest.raises(DataError, match=r"50") as caught:
        train(learned, studies(tmp_path, 9), out=tmp_path / "run", settings=replace(SETTINGS, select="loss"))
    assert "\n" not in str(caught.value)


def test_groups_are_learned_and_found_by_their_central_sentence(reader: dict[str, Any], tmp_path: Path) -> None:
    learned = model(reader, grouper="kmeans", grouper_options={"k": 2})
    best = train(
        learned, studies(tmp_path, 12), out=tmp_path / "run", settings=replace(SETTINGS, epochs=1, select="loss")
    )
    report = best.report_studies(studies(tmp_path, 1))[0]
    assert len(report.sentences) == 2, "two groups are held, and a report has three at most"


def test_an_index_of_another_model_is_refused(trained: tuple, tmp_path: Path) -> None:
    learned, _ = trained
    learned.save(tmp_path / "a")
    with torch.no_grad():
        made_other = load(tmp_path / "a")
        next(made_other.head.parameters()).add_(1)
    made_other.save(tmp_path / "b")
    import shutil

    shutil.rmtree(tmp_path / "b" / "index")
    shutil.copytree(tmp_path / "a" / "index", tmp_path / "b" / "index")
    with pytest.raises(CheckpointError, match=r"is the index of another model .*rg index build MODEL"):
        load(tmp_path / "b")


def test_a_retriever_without_texts_says_how_to_give_it_some(reader: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CompositionError, match=r"holds no texts yet: rg train .*rg index build"):
        model(reader).report_studies(studies(tmp_path, 1))
    with pytest.raises(CompositionError, match="holds no reports yet: rg train"):
        model(reader, "nearest").report_studies(studies(tmp_path, 1))


def test_a_size_of_nothing_is_refused(reader: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="cvse needs negatives of at least 1, got 0"):
        model(reader, negatives=0)


def test_nearest_gives_each_training_study_its_own_report(reader: dict[str, Any], tmp_path: Path) -> None:
    data = studies(tmp_path, 10)
    learned = train(model(reader, "nearest", 1), data, out=tmp_path / "run")
    reports = learned.report_studies(data, precision="fp32", settings=GenerationSettings(n_best=3, beams=3))
    assert [r.text for r in reports] == [s.sections["findings"] for s in data]
    assert all(r.score == pytest.approx(1, abs=1e-4) and len(r.alternatives) == 2 for r in reports)


def test_every_setting_a_preset_may_select_by_is_logged(trained: tuple) -> None:
    learned, _ = trained
    assert learned.retriever.scores == {"recall@1", "recall@3", "recall@5", "recall@10"}
