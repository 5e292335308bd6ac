"""ditag: differences against the inner encoder run by hand and numpy, normal studies, and training stepped by tag losses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_plugins.encoders.ditag import DiTagEncoder, is_normal

from reportgen_core import Audit, Collection, DataError, ReportgenError, Study, View, load
from reportgen_core.data.batches import StudyReader, batches, normalise, read_batches
from reportgen_core.models.composition import compose
from reportgen_core.models.model import Model
from reportgen_core.registries import encoders
from reportgen_core.testing.parts import check_encoder, sample_batch, tiny_model
from reportgen_core.training.loop import train
from reportgen_core.training.settings import TrainSettings
from reportgen_core.types import Batch, Targets, TargetSpec

RESNET = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
TINY = {"inner": "resnet50", "inner_options": RESNET}
FOUR = {**TINY, "depths": 4, "width": 6}


def make(**options: Any) -> DiTagEncoder:
    torch.manual_seed(2)
    encoder = encoders.create("ditag", **(TINY | options))
    assert isinstance(encoder, DiTagEncoder)
    encoder.attach(TargetSpec((), tags=("a", "b", "c")))
    encoder.normal.copy_(torch.randint(0, 256, encoder.normal.shape, generator=torch.Generator().manual_seed(4)))
    return encoder.eval()


def images(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def normal_pixels(encoder: DiTagEncoder) -> torch.Tensor:
    """The kept bytes as the inner encoder wants them: over 255, less ImageNet's mean, over its deviation."""
    grey = encoder.normal.double().numpy()[:, None] / 255
    mean, std = (np.reshape(v, (1, 3, 1, 1)) for v in (encoder.image.mean, encoder.image.std))
    return torch.from_numpy((grey - mean) / std).float()


def pooled(encoder: DiTagEncoder, x: torch.Tensor) -> list[np.ndarray]:
    """The mean of each feature map of the inner encoder."""
    with torch.no_grad():
        return [m.double().numpy().mean((2, 3)) for m in encoder.inner.feature_maps(x)]  # type: ignore[operator]


@pytest.mark.parametrize("normals", [1, 3])
def test_the_token_is_the_patients_vector_less_the_mean_of_the_normal_ones(normals: int) -> None:
    encoder = make(normals=normals)
    with torch.no_grad():
        features = encoder(images())
    (patient,), (normal,) = pooled(encoder, images()[:, 0]), pooled(encoder, normal_pixels(encoder))
    want = patient - normal.mean(0)
    assert features.tokens.shape == (3, 1, 32)
    np.testing.assert_allclose(features.tokens[:, 0], want, atol=1e-5)
    np.testing.assert_allclose(features.pooled, want, atol=1e-5)


def test_cditag_is_the_patient_then_the_difference() -> None:
    encoder = make(mode="concat")
    with torch.no_grad():
        features = encoder(images())
    (patient,), (normal,) = pooled(encoder, images()[:, 0]), pooled(encoder, normal_pixels(encoder))
    np.testing.assert_allclose(features.tokens[:, 0], np.concatenate([patient, patient - normal], 1), atol=1e-5)


def test_mditag_maps_the_differences_of_four_stages_to_one_width() -> None:
    encoder = make(**FOUR)
    assert encoder.inner.map_widths == (16, 16, 32, 32)
    with torch.no_grad():
        features = encoder(images())
    w = {k: v.double().numpy() for k, v in encoder.state_dict().items()}
    assert "project.0.bias" not in w
    for d, (patient, normal) in enumerate(
        zip(pooled(encoder, images()[:, 0]), pooled(encoder, normal_pixels(encoder)), strict=True)
    ):
        np.testing.assert_allclose(features.tokens[:, d], (patient - normal) @ w[f"project.{d}.weight"].T, atol=1e-5)
    np.testing.assert_allclose(features.pooled, features.tokens.mean(1), atol=1e-6)


def test_four_tag_classifiers_have_a_loss_each_and_their_hidden_layers_are_the_tokens() -> None:
    encoder = make(**FOUR, tags=True)
    tags = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    with torch.no_grad():
        features = encoder(images())
        losses = encoder.losses(features, Targets(tags=tags))
    w = {k: v.double().numpy() for k, v in encoder.state_dict().items()}
    labels = tags.numpy() / np.maximum(tags.sum(1, keepdims=True).numpy(), 1)
    assert encoder.features.tag_heads == 4
    assert list(losses) == ["tag_1", "tag_2", "tag_3", "tag_4"]
    for d, (patient, normal) in enumerate(
        zip(pooled(encoder, images()[:, 0]), pooled(encoder, normal_pixels(encoder)), strict=True)
    ):
        hidden = np.maximum((patient - normal) @ w[f"project.{d}.weight"].T + w[f"project.{d}.bias"], 0)
        np.testing.assert_allclose(features.tokens[:, d], hidden, atol=1e-5)
        logits = hidden @ w[f"classifiers.{d}.weight"].T + w[f"classifiers.{d}.bias"]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert float(losses[f"tag_{d + 1}"]) == pytest.approx(-(labels * np.log(p)).sum(1).mean(), rel=1e-5)


def test_patient_and_normal_go_through_the_inner_encoder_once_a_batch() -> None:
    encoder, seen = make(**FOUR, normals=2), []
    encoder.inner.net.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    encoder(images(5))
    assert seen == [5 + 2]


@pytest.mark.parametrize("options", [
    {}, {"normals": 2}, {"mode": "concat"}, {"depths": 4, "width": 6}, {"depths": 4, "width": 6, "tags": True},
    {"depths": 2, "mode": "concat", "width": 6}, {"tags": True, "width": 6},
    {"inner": "vgg19", "inner_options": {"size": 64, "width": 0.05}},
    {"inner": "timm/test_vit", "inner_options": {"size": 32}, "depths": 2, "width": 6},
])  # fmt: skip
def test_every_option_keeps_the_interface(options: dict[str, Any], tmp_path: Path) -> None:
    check_encoder("ditag", tmp_path, TINY | options)


@pytest.mark.parametrize(("options", "says"), [
    ({"mode": "both"}, "no mode='both'"), ({"depths": 0}, "depths of at least 1"), ({"normals": 0}, "normals of at least 1"),
    ({"normal": "x", "normals": 2}, "not both"), ({"inner": "resnet5"}, "did you mean 'resnet50'"),
    ({"inner_options": {"views": 2}}, "give the inner encoder views=1"),
    ({"inner_options": {"pretrained": True}}, "give ditag's own pretrained"),
    ({"inner": "vgg19", "depths": 4, "inner_options": {}}, "needs an encoder with feature maps, as resnet152"),
    ({"depths": 9}, "has 5 feature maps"), ({"inner_options": {"sise": 3}}, "did you mean 'size'"),
])  # fmt: skip
def test_what_cannot_be_says_what_can(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ReportgenError, match=says):
        encoders.create("ditag", **(TINY | options))


def studies(folder: Path, count: int = 6) -> list[Study]:
    draw = np.random.default_rng(0)
    rows = []
    for i in range(count):
        path = folder / f"{i}.png"
        Image.fromarray(draw.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
        tags = ("normal",) if i % 2 else ("opacity", "nodule")
        text = "the lungs are clear." if i % 2 else "there is a nodule. follow up."
        rows.append(Study(f"s{i}", (View(path, "frontal"),), {"findings": text}, tags, split="train"))
    return rows


def learn(encoder: DiTagEncoder, data: list[Study]) -> None:
    encoder.learn(Collection(tuple(data), Audit("test", len(data), len(data))))


def test_the_normal_images_are_the_first_normal_studies_by_id(tmp_path: Path) -> None:
    encoder, data = make(normals=2), studies(tmp_path)
    learn(encoder, data[::-1])
    want = np.stack([np.asarray(Image.open(tmp_path / f"{i}.png")) for i in (1, 3)])
    np.testing.assert_array_equal(encoder.normal, want)


def test_one_study_can_be_asked_for(tmp_path: Path) -> None:
    encoder, data = make(normal="s4"), studies(tmp_path)
    learn(encoder, data)
    np.testing.assert_array_equal(encoder.normal[0], np.asarray(Image.open(tmp_path / "4.png")))
    with pytest.raises(DataError, match="study 's9', which no training study is called"):
        learn(make(normal="s9"), data)


def test_too_few_normal_studies_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"compares with 4 normal studies, and 3 .* name one: normal=ID"):
        learn(make(normals=4), studies(tmp_path))


def test_classifiers_without_tags_say_which_column_is_missing(tmp_path: Path) -> None:
    bare = [Study(s.id, s.views, s.sections, extra={"normal": True}) for s in studies(tmp_path)]
    with pytest.raises(DataError, match=r"need tags \(a column of tags"):
        learn(make(**FOUR, tags=True), bare)


@pytest.mark.parametrize(("study", "normal"), [
    (Study("a", extra={"normal": True}, tags=("opacity",)), True), (Study("a", extra={"normal": False}), False),
    (Study("a", tags=("Normal",)), True), (Study("a", tags=("normal", "opacity")), False),
    (Study("a", labels={"Edema": 0, "No Finding": 1}), True), (Study("a", labels={"Edema": -1}), False),
    (Study("a", labels={"Edema": 0}), True), (Study("a"), False),
])  # fmt: skip
def test_normal_is_what_the_source_the_tags_or_the_labels_say(study: Study, normal: bool) -> None:
    assert is_normal(study) is normal


def test_the_normal_image_travels_with_the_weights(tmp_path: Path) -> None:
    model = tiny_model("ditag", encoder_options=TINY)
    model.encoder.normal.fill_(77)  # type: ignore[operator, union-attr]
    assert (load(model.save(tmp_path / "m")).encoder.normal == 77).all()  # type: ignore[union-attr]


def test_tag_losses_are_stepped_before_the_whole_loss(tmp_path: Path) -> None:
    model = compose(
        encoder="ditag", encoder_options={**FOUR, "tags": True}, decoder="hier-lstm",
        decoder_options={"hidden": 8, "embedding": 8, "tags_used": 1, "topic": "every"},
    )  # fmt: skip
    steps = [["tag_1", "tag_2", "tag_3", "tag_4"], []]
    seen: list[Any] = []
    settings = TrainSettings(epochs=1, batch_size=3, lr=0.01, steps=steps)
    trained = train(model, studies(tmp_path), out=tmp_path / "run", settings=settings, watch=seen.append)
    record = next(r for r in seen if r["kind"] == "step")
    assert set(record["losses"]) == {"tag_1", "tag_2", "tag_3", "tag_4", "sent", "word", "attention"}
    assert trained.encoder.features.tag_heads == 4
    report = trained.report([tmp_path / "0.png"])[0]
    assert set(report.tags) == {"normal", "nodule", "opacity"}
    assert report.attention is not None
    assert report.attention.regions.shape[1] == 4
    assert report.attention.tags.shape[1] == 4  # the likeliest tag of each depth


def test_frozen_stages_of_the_inner_encoder_stay_frozen() -> None:
    model = tiny_model("ditag", encoder_options={**TINY, "inner_options": {**RESNET, "frozen": 2}})
    model.train()
    assert not any(part.training for part in model.encoder.frozen())  # type: ignore[operator]
    sum(model(sample_batch(model)).losses.values()).backward()
    assert all(p.grad is None for part in model.encoder.frozen() for p in part.parameters())  # type: ignore[operator]


LR, MOMENTUM = 0.05, 0.9


def tag_gradients(w: dict[str, np.ndarray], vectors: list[np.ndarray], labels: np.ndarray) -> dict[str, np.ndarray]:
    """The gradients of the sum of the tag losses, by hand: softmax cross entropy of a linear layer on ReLU of another."""
    gradients, share = {}, labels / np.maximum(labels.sum(1, keepdims=True), 1)
    for d, x in enumerate(vectors):
        before = x @ w[f"project.{d}.weight"].T + w[f"project.{d}.bias"]
        hidden = np.maximum(before, 0)
        logits = hidden @ w[f"classifiers.{d}.weight"].T + w[f"classifiers.{d}.bias"]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        error = (p * share.sum(1, keepdims=True) - share) / len(x)
        back = error @ w[f"classifiers.{d}.weight"] * (before > 0)
        gradients |= {f"classifiers.{d}.weight": error.T @ hidden, f"classifiers.{d}.bias": error.sum(0)}
        gradients |= {f"project.{d}.weight": back.T @ x, f"project.{d}.bias": back.sum(0)}
    return gradients


def test_mditag_steps_on_the_tag_losses_and_then_on_all_losses_of_the_changed_weights(tmp_path: Path) -> None:
    """Two optimizer steps for one batch, SGD with momentum in numpy: the second from the weights of the first."""
    frozen = {**FOUR, "inner_options": {**RESNET, "frozen": 5}, "tags": True}
    data, tags = studies(tmp_path), [f"tag_{d}" for d in (1, 2, 3, 4)]
    settings = TrainSettings(epochs=1, batch_size=6, lr=LR, optimizer="sgd", momentum=MOMENTUM, clip=None)

    def trained(name: str, **options: Any) -> Model:
        torch.manual_seed(5)
        model = compose(
            encoder="ditag", encoder_options=frozen, decoder="hier-lstm",
            decoder_options={"hidden": 8, "embedding": 8, "tags_used": 1, "topic": "every"},
        )  # fmt: skip
        return train(model, data, out=tmp_path / name, settings=replace(settings, **options)).train()

    start, middle = trained("start", lr=0.0), trained("middle", steps=[tags])
    end, only_tags = trained("end", steps=[tags, []]), trained("tags", steps=[tags, tags])
    ((batch, _),) = read_batches(data, start.encoder.image, batch_size=6)
    x = normalise(batch.pixels, start.encoder.image)[:, 0]
    normal = pooled(start.encoder, normal_pixels(start.encoder))
    vectors = [patient - mean for patient, mean in zip(pooled(start.encoder, x), normal, strict=True)]
    labels = np.array([[tag in s.tags for tag in start.tags] for s in data], float)

    w, speed = {k: v.double().numpy() for k, v in start.encoder.state_dict().items()}, {}
    for reached in (middle, only_tags):
        for name, gradient in tag_gradients(w, vectors, labels).items():
            speed[name] = MOMENTUM * speed.get(name, 0.0) + gradient
            w[name] = w[name] - LR * speed[name]
        for name in speed:
            np.testing.assert_allclose(reached.encoder.state_dict()[name], w[name], atol=2e-6, err_msg=name)

    torch.stack(list(middle(full_batch(middle, data)).losses.values())).sum().backward()
    first = {k: v.detach().double().numpy() for k, v in start.named_parameters()}
    for name, parameter in middle.named_parameters():
        if parameter.grad is None:
            continue
        now = parameter.detach().double().numpy()
        velocity = (first[name] - now) / LR  # of the first step; nothing for the decoder, which it does not reach
        want = now - LR * (MOMENTUM * velocity + parameter.grad.double().numpy())
        np.testing.assert_allclose(end.get_parameter(name).detach(), want, atol=2e-6, err_msg=name)
        assert name.startswith("encoder.") or not velocity.any(), f"{name} is moved by the tag losses"
    assert not torch.equal(end.decoder.words.out.weight, middle.decoder.words.out.weight)  # type: ignore[union-attr]


def full_batch(model: Model, data: list[Study]) -> Batch:
    """All studies as one batch for training."""
    reader = StudyReader(model.encoder.image, model.text, model.targets)
    (batch,) = batches(data, reader, [list(range(len(data)))])
    return batch
