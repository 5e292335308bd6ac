"""What is built for its shapes alone has the shapes, and the dependence on parameters, of what is built in full."""

from __future__ import annotations

import pytest
import timm
import torch
from reportgen_plugins.encoders.timm_encoder import unreached
from torch import nn
from torch.nn import functional as F

from reportgen_core.models.computing.shapes import shapes_only


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_the_shapes_and_the_parameters_that_matter_are_those_of_torch(name: str) -> None:
    with shapes_only():
        skeleton = timm.create_model(name, features_only=True).eval()
        maps = skeleton(torch.zeros(2, 3, 224, 224))
    with torch.device("meta"):
        model = timm.create_model(name, features_only=True).eval()
        expected = model(torch.zeros(2, 3, 224, 224))
    assert [(m.shape, m.dtype) for m in maps] == [(m.shape, m.dtype) for m in expected]
    assert {k: (v.shape, v.dtype) for k, v in skeleton.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in model.state_dict().items()
    }
    assert unreached(skeleton, maps) == unreached(model, expected)
    some = maps[:1], expected[:1]
    assert unreached(skeleton, some[0]) == unreached(model, some[1]) != set()


def test_batch_norm_without_weights_and_of_flat_rows_keeps_its_shape() -> None:
    with shapes_only():
        for norm, images in (
            (nn.BatchNorm2d(3, affine=False), torch.zeros(2, 3, 5, 4)),
            (nn.BatchNorm1d(3), torch.zeros(2, 3)),
            (nn.BatchNorm1d(3), torch.zeros(2, 3, 7)),
        ):
            assert norm(images).shape == images.shape


def test_tensors_with_memory_are_computed_as_ever() -> None:
    torch.manual_seed(3)
    expected = nn.init.normal_(torch.empty(4)), F.hardtanh(torch.tensor([-2.0, 0.5]))
    torch.manual_seed(3)
    with shapes_only():
        drawn = nn.init.normal_(torch.empty(4, device="cpu")), F.hardtanh(torch.tensor([-2.0, 0.5], device="cpu"))
    assert all(torch.equal(a, b) for a, b in zip(drawn, expected, strict=True))
