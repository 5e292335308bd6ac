"""torchxrayvision's networks: the same features, its file of weights read as data, and no other class."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet50

from reportgen_core import OptionError, encoders
from reportgen_core.data.batches import normalise
from reportgen_core.data.images import prepare

with warnings.catch_warnings():
    import torchxrayvision as xrv

NAME = "xrv/densenet121-res224-all"
FILE = xrv.models.model_urls["all"]["weights_url"].rpartition("/")[2]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = xrv.models.DenseNet().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
    return net


def test_the_file_that_torchxrayvision_downloaded_gives_its_features(network, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".torchxrayvision" / "models_data"
    folder.mkdir(parents=True)
    torch.save(network, folder / FILE)
    encoder = encoders.create(NAME, pretrained=True).eval()
    images = torch.rand(2, 1, 224, 224) * 2048 - 1024
    with torch.no_grad():
        features = encoder.encode(images)
        torch.testing.assert_close(features.pooled, network.features2(images), rtol=1e-4, atol=1e-4)
    assert encoder.features.grid == (1, 7, 7)


def test_weights_are_read_from_safetensors_too(network, tmp_path):
    save_file(network.state_dict() | {}, tmp_path / "w.safetensors")
    encoder = encoders.create(NAME, pretrained=str(tmp_path / "w.safetensors"))
    assert torch.equal(encoder.net.conv0.weight, network.features.conv0.weight)


def test_pixels_are_what_torchxrayvision_makes_of_a_square_image():
    grey = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    image = encoders.create(NAME, model_args={"growth_rate": 4}).image
    ours = normalise(torch.from_numpy(prepare(grey, image))[None, None], image)
    assert np.allclose(ours[0, 0, 0], xrv.utils.normalize(grey.astype(np.float32), 255), atol=1e-3)
    wide = np.pad(grey, ((0, 0), (30, 30)))
    assert np.array_equal(prepare(wide, image), xrv.datasets.XRayCenterCrop()(wide[None])[0])
    Image.fromarray(grey)


class Evil:
    def __reduce__(self):
        return os.system, ("touch hacked",)


class Other(nn.Module):
    pass


@pytest.mark.parametrize(
    "content",
    [Evil(), {"features": Evil()}, Other(), [1, 2], {"a": 1}],
    ids=["evil", "evil inside", "module", "list", "dict"],
)
def test_a_file_with_anything_else_is_refused_and_runs_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(OptionError) as raised:
        encoders.create(NAME, pretrained=str(tmp_path / "w.pt"))
    assert "\n" not in str(raised.value)
    assert not Path("hacked").exists()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("xrv/densenet121-res224-al", {}, "did you mean 'densenet121-res224-all'"),
        (NAME, {"pretrained": True}, "fetch them with torchxrayvision.models.get_model"),
        (NAME, {"pretrained": "/no/file"}, "there is no such file"), (NAME, {"size": 3}, "32 to 4096"),
        (NAME, {"model_args": {"growth": 3}}, "unexpected keyword argument"),
        ("xrv/resnet50-res512-all", {"model_args": {"layers": 1}}, "takes no model_args"),
    ],
)  # fmt: skip
def test_wrong_names_and_options_are_one_line(name, options, says, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(OptionError, match=says):
        encoders.create(name, **options)


def test_the_resnet_is_torchvisions_with_one_channel():
    encoder = encoders.create("xrv/resnet50-res512-all", size=64).eval()
    theirs = resnet50(weights=None).eval()
    theirs.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    theirs.load_state_dict(encoder.net.state_dict(), strict=False)
    theirs.fc = nn.Identity()
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.encode(images).pooled, theirs(images))
    assert encoder.features.grid == (1, 2, 2) and encoder.image.channels == 1


def test_importing_torchxrayvision_does_not_silence_the_warnings_of_the_process():
    before = list(warnings.filters)
    encoders.create(NAME, model_args={"growth_rate": 4})
    assert warnings.filters == before
