"""Vision transformers: tokens and class token as the libraries give them, folders of transformers, preprocessing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from transformers import AutoConfig, AutoModel

from reportgen_core import OptionError, compose, encoders, load
from reportgen_core.models import check_composition
from reportgen_core.testing import check_encoder

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "patch_size": 8}
KINDS = {
    "dinov2": {**{k: v for k, v in SMALL.items() if k != "intermediate_size"}, "mlp_ratio": 2, "image_size": 40},
    "dinov2_with_registers": {
        **{k: v for k, v in SMALL.items() if k != "intermediate_size"}, "mlp_ratio": 2, "image_size": 40, "num_register_tokens": 3,
    },
    "vit": {**SMALL, "image_size": 40},
    "deit": {**SMALL, "image_size": 40},
}  # fmt: skip
PREFIX = {"dinov2": 1, "dinov2_with_registers": 4, "vit": 1, "deit": 2}


@pytest.fixture
def folder(tmp_path: Path):
    """A function that writes a small random model of transformers, as RAD-DINO is published, and returns both."""

    def write(kind: str = "dinov2", **facts):
        torch.manual_seed(0)
        model = AutoModel.from_config(AutoConfig.for_model(kind, **KINDS[kind]))
        model.save_pretrained(tmp_path / "weights")
        facts = {
            "do_center_crop": True, "crop_size": {"height": 40, "width": 40}, "size": {"shortest_edge": 46}, "resample": 3,
            "image_mean": [0.5307] * 3, "image_std": [0.2583] * 3, **facts,
        }  # fmt: skip
        (tmp_path / "weights" / "preprocessor_config.json").write_text(json.dumps(facts))
        return tmp_path / "weights", model.eval()

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_the_tokens_of_transformers_without_class_and_register_tokens(kind, folder):
    path, model = folder(kind)
    encoder = compose(f"vit/{kind}", "lstm", encoder_options={"pretrained": str(path)}).encoder.eval()
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        states = model(pixel_values=images).last_hidden_state
        ours = encoder.encode(images)
    assert encoder.features.grid == (1, 5, 5)
    torch.testing.assert_close(ours.tokens, states[:, PREFIX[kind] :])
    torch.testing.assert_close(ours.pooled, states[:, 0])


def test_a_folder_decides_the_preprocessing_and_a_saved_model_needs_the_folder_no_more(folder, tmp_path):
    path, _ = folder()
    model = compose("vit/dinov2", "lstm", encoder_options={"pretrained": str(path), "views": 2})
    image = model.encoder.image
    assert (image.height, image.width, image.fit, image.interpolation, image.views) == (40, 40, "crop", "bicubic", 2)
    assert image.crop == pytest.approx(40 / 46) and image.mean == (0.5307,) * 3
    model.save(tmp_path / "model")
    for file in path.iterdir():
        file.unlink()
    again = load(tmp_path / "model").encoder
    assert again.image == image
    images = torch.randn(1, 3, 40, 40)
    with torch.no_grad():
        assert torch.equal(again.eval().encode(images).tokens, model.encoder.eval().encode(images).tokens)


def test_what_the_user_says_comes_before_the_folder(folder):
    path, _ = folder()
    options = {"pretrained": str(path), "size": 48, "fit": "keep", "crop": 1.0}
    model = compose("vit/dinov2", "lstm", encoder_options=options)
    assert (model.encoder.image.height, model.encoder.image.fit) == (48, "keep")
    assert model.encoder.features.grid == (1, 6, 6)


def test_a_check_of_a_composition_reads_the_folder_too(folder):
    path, _ = folder()
    plan = check_composition(encoder="vit/dinov2", decoder="lstm", encoder_options={"pretrained": str(path)})
    assert "25 = 1 × 5 × 5 tokens of 16" in plan.rows[0].gives


def test_timm_gives_the_same_tokens_and_class_token():
    encoder = encoders.create("vit/test_vit", size=64).eval()
    model = timm.create_model("test_vit", num_classes=0, img_size=(64, 64)).eval()
    model.load_state_dict(encoder.net.model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        states, ours = model.forward_features(images), encoder.encode(images)
    torch.testing.assert_close(ours.tokens, states[:, 1:])
    torch.testing.assert_close(ours.pooled, states[:, 0])


@pytest.mark.parametrize("name", ["vit/test_vit", "vit/test_vit2", "vit/test_vit3"])
def test_vision_transformers_of_timm_conform(name, tmp_path):
    check_encoder(name, tmp_path, {"size": 64})


@pytest.mark.parametrize("kind", KINDS)
def test_vision_transformers_of_transformers_conform(kind, tmp_path):
    check_encoder(f"vit/{kind}", tmp_path, {"model_args": KINDS[kind], "size": 48})


def test_frozen_blocks_do_not_learn_and_the_others_do():
    encoder = encoders.create("vit/dinov2", model_args=KINDS["dinov2"], frozen=1)
    learns = {name: p.requires_grad for name, p in encoder.named_parameters()}
    blocks = encoder.net.blocks()
    assert not any(p.requires_grad for p in blocks[0].parameters())
    assert all(p.requires_grad for p in blocks[1].parameters())
    assert not any(grad for name, grad in learns.items() if "patch_embeddings" in name)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("vit/resnet50", {}, "is no vision transformer"), ("vit/dinov3000", {}, "timm has no model 'dinov3000'"),
        ("vit/dinov2", {"model_args": {"hiden_size": 3}}, "has no setting 'hiden_size'"),
        ("vit/dinov2", {"model_args": KINDS["dinov2"], "size": 45}, "patches are 8 x 8"),
        ("vit/dinov2", {"pretrained": "/no/such/folder"}, "give a folder with config.json"),
        ("vit/dinov2", {"pretrained": True}, "give a folder with config.json"),
        ("vit/test_vit", {"frozen": 99, "size": 64}, "frozen=99: the model has"),
        ("vit/test_vit", {"pretrained": "/no/file"}, "there is no such file"),
        ("vit/bert", {}, "transformers builds no vision transformer"),
    ],
)  # fmt: skip
def test_wrong_names_and_options_are_one_line(name, options, says):
    with pytest.raises(OptionError, match=says) as raised:
        compose(name, "lstm", encoder_options=options)
    assert "\n" not in str(raised.value)


def test_a_folder_of_another_architecture_is_refused(folder):
    path, _ = folder("vit")
    with pytest.raises(OptionError, match="holds a 'vit', not a 'dinov2'"):
        compose("vit/dinov2", "lstm", encoder_options={"pretrained": str(path)})
