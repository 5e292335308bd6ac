"""The encoders against timm's own layers, against hand counts, and on wrong options."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from reportgen_plugins.encoders.timm_encoder import unreached
from safetensors.torch import save_file
from torch import nn

from reportgen_core import OptionError
from reportgen_core.interfaces import Encoder
from reportgen_core.models.abilities import HasFrozenParts
from reportgen_core.registries import encoders

TINY = ["vgg16", "vgg19", "resnet50", "resnet101", "resnet152", "densenet121", "densenet169", "densenet201"]
FAMILIES = ["vgg19", "resnet50", "densenet121", "timm/test_vit", "timm/test_efficientnet", "timm/test_convnext"]


def tiny(name: str, **options: Any) -> Encoder:
    torch.manual_seed(0)
    return encoders.create(name, **{**encoders[name].tiny, **options})


def pixels(encoder: Encoder, studies: int = 3, views: int = 1) -> torch.Tensor:
    image = encoder.image
    shape = studies, views, image.channels, image.height, image.width
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", [*TINY, "timm/test_vit", "timm/test_resnet", "timm/test_efficientnet"])
def test_an_encoder_gives_what_it_promises(name: str) -> None:
    encoder = tiny(name, views=2).eval()
    images = pixels(encoder, 2, 2)
    features = encoder(images, torch.tensor([[True, True], [True, False]]))
    spec = encoder.features
    assert features.tokens.shape == (2, spec.tokens, spec.dim)
    assert features.pooled.shape == (2, spec.pooled)
    assert features.mask.sum(1).tolist() == [spec.tokens, spec.tokens // 2]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_study_gives_the_same_features_alone_and_in_a_batch(name: str) -> None:
    encoder = tiny(name).eval()
    images = pixels(encoder)
    together, again = encoder(images), encoder(images)
    assert torch.equal(together.tokens, again.tokens)
    alone = encoder(images[1:2])
    # float32 sums run in another order in another batch
    torch.testing.assert_close(alone.tokens[0], together.tokens[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone.pooled[0], together.pooled[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("depth", [-1, 1])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_gets_a_gradient(name: str, depth: int) -> None:
    encoder = tiny(name, depth=depth)
    features = encoder(pixels(encoder))
    (features.tokens.sum() + features.pooled.sum()).backward()
    assert [k for k, p in encoder.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet"])
def test_parameters_that_no_map_depends_on_are_those_without_a_gradient(name: str) -> None:
    """Against the gradients themselves. The first map leaves later stages without one."""
    net = timm.create_model(name)
    maps = net.forward_intermediates(torch.zeros(1, *net.default_cfg["input_size"]), indices=[0])[1]
    without = unreached(net, maps)
    torch.stack([feature_map.sum() for feature_map in maps]).sum().backward()
    assert without == {key for key, p in net.named_parameters() if p.grad is None}
    assert without


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_encoder_can_be_planned_without_memory(name: str) -> None:
    real = tiny(name, frozen=2)
    with torch.device("meta"):
        planned = tiny(name, frozen=2)
    assert planned.features == real.features
    assert planned.image == real.image
    shapes = {key: value.shape for key, value in real.state_dict().items()}
    assert {key: value.shape for key, value in planned.state_dict().items()} == shapes
    assert all(value.device.type == "meta" for value in planned.state_dict().values())
    learns = {key: p.requires_grad for key, p in real.named_parameters()}
    assert {key: p.requires_grad for key, p in planned.named_parameters()} == learns


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "timm/test_vit"])
def test_channels_last_gives_the_same_features(name: str) -> None:
    encoder = tiny(name).eval()
    images = pixels(encoder, 2)[:, 0]
    plain = encoder.encode(images).tokens
    last = encoder.to(memory_format=torch.channels_last).encode(images.to(memory_format=torch.channels_last)).tokens
    torch.testing.assert_close(plain, last, atol=1e-4, rtol=1e-4)


def test_full_size_specs_are_those_of_the_papers() -> None:
    """He et al. table 1, Huang et al. table 1, Jing et al. section 4.2, at 224 pixels."""
    with torch.device("meta"):
        specs = {name: encoders.create(name).features for name in TINY}
    assert {name: (spec.dim, spec.pooled, spec.grid) for name, spec in specs.items()} == {
        "vgg16": (512, 4096, (1, 14, 14)),
        "vgg19": (512, 4096, (1, 14, 14)),
        "resnet50": (2048, 2048, (1, 7, 7)),
        "resnet101": (2048, 2048, (1, 7, 7)),
        "resnet152": (2048, 2048, (1, 7, 7)),
        "densenet121": (1024, 1024, (1, 7, 7)),
        "densenet169": (1664, 1664, (1, 7, 7)),
        "densenet201": (1920, 1920, (1, 7, 7)),
    }


def test_vgg_gives_fc7_and_the_map_before_the_last_pooling() -> None:
    """Against timm's own forward passes of the same network."""
    encoder = tiny("vgg19", size=224).eval()
    images = pixels(encoder, 2)[:, 0]
    features = encoder.encode(images)
    net = encoder.net
    assert isinstance(net, nn.Module)
    fc7 = net.forward_head(net.forward_features(images), pre_logits=True)  # type: ignore[operator]
    torch.testing.assert_close(features.pooled, fc7)
    map_ = net.forward_intermediates(images, indices=[4], intermediates_only=True)[0]  # type: ignore[operator]
    torch.testing.assert_close(features.tokens, map_.flatten(2).mT)


def test_tokens_of_a_resnet_are_the_last_map_of_the_whole_model() -> None:
    encoder = tiny("timm/test_resnet").eval()
    whole = timm.create_model("test_resnet").eval()
    whole.load_state_dict(encoder.net.state_dict(), strict=False)  # type: ignore[union-attr]
    images = pixels(encoder, 2)[:, 0]
    torch.testing.assert_close(encoder.encode(images).tokens, whole.forward_features(images).flatten(2).mT)


@pytest.mark.parametrize("pooling", ["mean", "max", "lse"])
def test_the_pooled_vector_is_made_of_the_map_as_pooling_says(pooling: str) -> None:
    encoder = tiny("timm/test_resnet", pooling=pooling, sharpness=2.0).eval()
    seen = encoder.encode(pixels(encoder, 2)[:, 0])
    x = seen.tokens.detach().numpy().astype(np.float64)  # (n, N, D)
    wanted = {"mean": x.mean(1), "max": x.max(1), "lse": np.log(np.exp(2 * x).mean(1)) / 2}[pooling]
    np.testing.assert_allclose(seen.pooled.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_tokens_of_a_transformer_are_normalised_and_without_its_class_token() -> None:
    encoder = tiny("timm/test_vit").eval()
    whole = timm.create_model("test_vit", img_size=64).eval()
    state = {key.removeprefix("model."): value for key, value in encoder.net.state_dict().items()}  # type: ignore[union-attr]
    whole.load_state_dict(state, strict=False)
    images = pixels(encoder, 2)[:, 0]
    expected = whole.forward_features(images)[:, whole.num_prefix_tokens :]
    torch.testing.assert_close(encoder.encode(images).tokens, expected)


def test_a_shallow_map_leaves_later_stages_unbuilt() -> None:
    assert tiny("resnet50", depth=1).features.grid == (1, 16, 16)
    shallow, deep = tiny("densenet121", depth=2), tiny("densenet121")
    assert len(list(shallow.parameters())) < len(list(deep.parameters()))


@pytest.mark.parametrize(("size", "grid"), [(96, (1, 3, 3)), ([64, 128], (1, 2, 4))])
def test_the_grid_follows_the_size(size: Any, grid: tuple[int, int, int]) -> None:
    encoder = tiny("resnet50", size=size)
    assert encoder.features.grid == grid
    assert encoder.eval()(pixels(encoder, 1)).tokens.shape[1] == grid[1] * grid[2]


def test_preprocessing_is_what_timm_says_of_the_weights() -> None:
    with torch.device("meta"):
        lite, dense = encoders.create("timm/tf_efficientnet_lite0").image, encoders.create("densenet121").image
    assert (lite.mean, lite.std, lite.interpolation) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")
    assert (dense.height, dense.mean) == (224, (0.485, 0.456, 0.406))


@pytest.mark.parametrize("name", FAMILIES)
def test_frozen_stages_do_not_move_and_the_rest_do(name: str) -> None:
    encoder = tiny(name, frozen=2).train()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=1.0)
    features = encoder(pixels(encoder))
    (features.tokens.square().mean() + features.pooled.square().mean()).backward()
    optimizer.step()
    moved = {key for key, value in encoder.state_dict().items() if not torch.equal(value, before[key])}
    assert isinstance(encoder, HasFrozenParts)
    held = {id(value) for module in encoder.frozen() for value in (*module.parameters(), *module.buffers())}
    fixed = {key for key, value in [*encoder.named_parameters(), *encoder.named_buffers()] if id(value) in held}
    assert fixed
    assert moved
    assert not moved & fixed


def test_the_first_two_blocks_of_a_densenet_are_three_feature_maps() -> None:
    with torch.device("meta"):
        encoder = encoders.create("densenet121", frozen=3)
    fixed = [key for key, p in encoder.named_parameters() if not p.requires_grad]
    assert any("denseblock2" in key for key in fixed)
    assert not any("denseblock3" in key or "transition2" in key for key in fixed)
    # 1 stem convolution, 6 + 12 layers of two convolutions, one transition; each convolution with two of norm; by hand
    assert len(fixed) == 3 * (1 + 2 * 18 + 1)


def test_weights_of_a_file_are_read(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = timm.create_model("test_resnet", num_classes=7).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    for file in ("w.safetensors", "w.pth"):
        encoder = tiny("timm/test_resnet", pretrained=str(tmp_path / file))
        state_read = encoder.net.state_dict()  # type: ignore[union-attr]
        assert all(torch.equal(value, state[key]) for key, value in state_read.items())


def test_a_narrow_vgg_has_no_weights_to_start_with() -> None:
    with pytest.raises(OptionError, match="width"):
        tiny("vgg16", pretrained=True)


def test_weights_of_a_vgg_are_read_with_its_fully_connected_layers(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in timm.create_model("vgg16").state_dict().items()}  # half: a small file
    save_file(state, tmp_path / "w.safetensors")
    state_read = encoders.create("vgg16", pretrained=str(tmp_path / "w.safetensors"), size=32).state_dict()
    assert torch.equal(state_read["net.pre_logits.fc2.weight"], state["pre_logits.fc2.weight"].float())


def test_a_transformers_weights_are_resampled_to_another_size(tmp_path: Path) -> None:
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "w.safetensors")
    encoder = tiny("timm/test_vit", size=96, pretrained=str(tmp_path / "w.safetensors"))
    assert encoder.features.grid == (1, 6, 6)


def test_a_file_that_does_not_fit_says_which_tensor(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet").state_dict()
    first = next(iter(state))
    save_file({**state, first: torch.zeros(2, 2)}, tmp_path / "shape.safetensors")
    with pytest.raises(OptionError, match=rf"{first}.* is \(2, 2\) and should be"):
        tiny("timm/test_resnet", pretrained=str(tmp_path / "shape.safetensors"))
    state.pop(first)
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(OptionError, match=r"1 of .* tensors are missing"):
        tiny("timm/test_resnet", pretrained=str(tmp_path / "less.safetensors"))


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "w.pth")
    with pytest.raises(OptionError, match=r"w\.pth"):
        tiny("timm/test_resnet", pretrained=str(tmp_path / "w.pth"))


def test_weights_in_the_hubs_cache_need_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    state = timm.create_model("test_resnet").state_dict()
    save_file(state, folder / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    state_read = tiny("timm/test_resnet", pretrained=True).net.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(value, state[key]) for key, value in state_read.items())


def test_an_unreachable_hub_is_one_line_with_three_ways_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(OptionError) as problem:
        encoders.create("resnet50", pretrained=True)
    message = str(problem.value)
    assert "\n" not in message
    for way in ("pretrained=false", "pretrained=/path/to/file.safetensors", "HF_HOME", "HF_HUB_OFFLINE"):
        assert way in message


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("timm/resnet5o", {}, "did you mean 'resnet50'"),
        ("timm/resnet50.tv_in1", {}, "did you mean 'tv_in1k'"),
        ("timm/hf-hub:somebody/model", {}, "timm has no model"),
        ("resnet50", {"depth": 7}, "5 feature maps"),
        ("vgg16", {"depth": 7}, "6 feature maps"),
        ("resnet50", {"frozen": -1}, "frozen=-1"),
        ("resnet50", {"size": 0}, "size=0"),
        ("resnet50", {"size": "big"}, "size='big'"),
        ("vgg16", {"size": 16}, "at least 32"),
        ("timm/test_vit", {"size": 65}, "test_vit"),
        ("resnet50", {"views": 0}, "views=0"),
        ("resnet50", {"model_args": {"layer": [1]}}, "unexpected keyword argument 'layer'"),
        ("resnet50", {"pretrained": "/nowhere.safetensors"}, "no such file"),
        ("resnet50", {"pretrained": 3}, "pretrained=3"),
        ("vgg16", {"width": 2}, "width=2"),
        ("resnet50", {"pooling": "median"}, "no pooling 'median'; there are: lse, mean, max"),
        ("resnet50", {"pooling": "lse", "sharpness": 0}, "takes a sharpness above 0, got 0"),
        ("resnet50", {"sharpness": "a"}, "takes a sharpness above 0, got 'a'"),
    ],
)
def test_a_wrong_option_is_one_line(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says) as problem:
        encoders.create(name, **options)
    assert "\n" not in str(problem.value)


def test_a_network_that_gives_channels_last_gives_the_same_tokens_as_timm() -> None:
    """Swin's maps are (n, h, w, D): each place is a token of width D."""
    encoder = encoders.create("timm/swin_tiny_patch4_window7_224", model_args={"depths": (1, 1, 1, 1), "embed_dim": 24})
    assert encoder.features.grid == (1, 7, 7)
    assert encoder.features.dim == 192
    net = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), embed_dim=24, features_only=True)
    net.load_state_dict(encoder.net.state_dict())
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = net.eval()(images)[-1]  # (n, h, w, D)
        ours = encoder.eval().encode(images)
    assert torch.allclose(ours.tokens, theirs.flatten(1, 2), atol=1e-5)
    assert torch.allclose(ours.pooled, theirs.mean((1, 2)), atol=1e-5)
