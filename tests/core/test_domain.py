"""The space of the training images: distances against numpy, notes of unlike images, and the file in a model's folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen_core import CheckpointError, Features, Model, Study, TrainSettings, View, compose, load, train
from reportgen_core.models.domain import MARGIN, NOT_CHECKED, QUANTILE, fit_domain, image_vectors
from reportgen_core.models.format import DOMAIN

DRAW = np.random.default_rng(0)


def pictures(folder: Path, n: int, kind: str) -> list[Study]:
    """Smooth ramps with a bright disc ("ramps"), or noise ("noise"): two kinds of image that no encoder confuses."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:64, :64]
    studies = []
    for i in range(n):
        if kind == "noise":
            grey = DRAW.random((64, 64))
        else:
            middle, size = DRAW.uniform(20, 44, 2), DRAW.uniform(6, 14)
            disc = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < size**2
            grey = np.clip(0.5 * rows / 64 + 0.4 * disc, 0, 1)
        path = folder / f"{kind}{i}.png"
        Image.fromarray((255 * grey).astype(np.uint8)).save(path)
        text = f"disc of size {int(size) if kind != 'noise' else 0}."
        studies.append(Study(path.stem, (View(path, "frontal"),), sections={"findings": text}))
    return studies


@pytest.fixture(scope="module")
def ramps(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    return pictures(tmp_path_factory.mktemp("ramps"), 80, "ramps")


@pytest.fixture(scope="module")
def trained(ramps: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    start = compose(encoder="timm/resnet10t", decoder="lrcn", decoder_options={"hidden": 8, "embedding": 8}, seed=0)
    out = tmp_path_factory.mktemp("run")
    train(start, ramps[:48], ramps[48:64], out=out, settings=TrainSettings(epochs=1, batch_size=16), domain="ramps")
    return out / "best"


def test_the_distance_is_the_residual_of_the_principal_components_over_its_limit() -> None:
    train_vectors, held_out = DRAW.normal(size=(100, 60)) @ DRAW.normal(size=(60, 60)), DRAW.normal(size=(30, 60))
    domain = fit_domain(torch.tensor(train_vectors, dtype=torch.float32), torch.tensor(held_out, dtype=torch.float32))
    assert domain is not None
    mean = train_vectors.mean(0)
    _, directions = np.linalg.eigh(np.cov((train_vectors - mean).T))  # another way to the components, smallest first
    rest = directions[:, : 60 - 25]  # 100 / 4 components
    lengths = np.linalg.norm((held_out - mean) @ rest, axis=1)
    limit = MARGIN * np.quantile(lengths, QUANTILE)
    assert domain.limit == pytest.approx(limit, rel=1e-3)
    distances = domain.distances(torch.tensor(held_out, dtype=torch.float32))
    np.testing.assert_allclose(distances.numpy(), lengths / limit, rtol=1e-3)


def test_without_held_out_images_every_fourth_training_image_sets_the_limit() -> None:
    vectors = torch.randn(80, 30, generator=torch.Generator().manual_seed(1))
    alone = fit_domain(vectors, vectors[:0])
    last = torch.arange(80) % 4 == 3
    split = fit_domain(vectors[~last], vectors[last])
    assert alone is not None
    assert split is not None
    assert alone.limit == split.limit


@pytest.mark.parametrize("vectors", [torch.randn(20, 8), torch.full((50, 8), torch.nan), torch.ones(50, 8)])
def test_too_few_or_broken_or_equal_vectors_give_no_space(vectors: torch.Tensor) -> None:
    assert fit_domain(vectors, vectors) is None


def test_a_view_has_the_mean_of_its_own_regions() -> None:
    tokens = torch.arange(24.0).reshape(1, 6, 4)  # two views of three regions
    mask = torch.tensor([[True, True, True, False, False, False]])
    vectors = image_vectors(Features(tokens, tokens.mean(1), mask), 2)
    assert vectors.shape == (1, 2, 4)
    assert vectors[0, 0].tolist() == tokens[0, :3].mean(0).tolist()
    assert vectors[0, 1].tolist() == [0.0] * 4


def test_a_trained_model_calls_other_images_unlike_its_own_and_new_ones_of_its_kind_not(
    trained: Path, ramps: list[Study], tmp_path: Path
) -> None:
    model = load(trained)
    noise = pictures(tmp_path, 8, "noise")
    own = model.report_studies(ramps[64:])
    other = model.report_studies(noise)
    assert sum(bool(r.note) for r in own) <= 1
    assert all("unlike the images this model was trained on (ramps): distance " in r.note for r in other)


def test_the_space_goes_with_the_model_when_it_is_saved_again(trained: Path, tmp_path: Path) -> None:
    model = load(trained)
    again = load(model.save(tmp_path / "again"))
    assert (tmp_path / "again" / DOMAIN).read_bytes() == (trained / DOMAIN).read_bytes()
    assert again.domain is not None
    assert again.domain.name == "ramps"
    assert again.domain.images == 48


def test_a_model_without_the_file_says_that_the_domain_is_not_checked(
    trained: Path, ramps: list[Study], tmp_path: Path
) -> None:
    model: Model = load(trained)
    model.domain = None
    bare = load(model.save(tmp_path / "bare"))
    assert [r.note for r in bare.report_studies(ramps[:2])] == [NOT_CHECKED] * 2


def test_a_wrong_file_is_one_line_that_names_it(trained: Path, tmp_path: Path) -> None:
    folder = load(trained).save(tmp_path / "model")
    domain = load(folder).domain
    assert domain is not None
    for content in (
        b"",
        b"\xff" * 40,
        replace(domain, mean=domain.mean[:3]).to_bytes(),
        replace(domain, limit=-1.0).to_bytes(),
        replace(domain, mean=domain.mean * torch.nan).to_bytes(),
    ):
        (folder / DOMAIN).write_bytes(content)
        with pytest.raises(CheckpointError, match=r"domain\.safetensors is not what rg train writes"):
            load(folder)
