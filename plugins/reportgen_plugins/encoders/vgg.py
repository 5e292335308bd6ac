"""VGG-16 and VGG-19 with their two fully connected layers.

Karen Simonyan and Andrew Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014,
arXiv:1409.1556, table 1, configurations D and E, on timm's class and weights.

The tokens are the map before the last max pooling, 14 x 14 x 512 at 224 pixels, as Jing, Xie and Xing (On the Automatic
Generation of Medical Imaging Reports, 2017, arXiv:1711.08195, section 4.2) take them. The pooled vector is the
output of the second fully connected layer (fc7), for tag classifiers that end in VGG's last two fully connected layers.
These layers run as convolutions. On images larger than 224 pixels fc7 is computed at every position and averaged; on
smaller images the last map is resized to the 7 x 7 that fc6 takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from timm.models.vgg import VGG
from torch import Tensor, nn

from reportgen_core import Features, FeatureSpec, OptionError
from reportgen_core.interfaces import Encoder

from .timm_encoder import fixed_modules, image_spec
from .weights import check_source, first_weights, on_meta

# Table 1: channels of the 3 x 3 convolutions of each of the five stages; a max pooling ends each.
STAGES = {
    "vgg16": ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGGEncoder(Encoder):
    """VGG, with one feature map as tokens and fc7 as the pooled vector.

    Args:
        pretrained: false; true for timm's own weights, from the hub's cache or the hub; or the path of a file.
        size: pixels, one number or [height, width]; None is 224.
        depth: index of the map, 0 to 4 before the max pooling of each stage, 5 after the last; -2 is the paper's.
        frozen: number of the five stages, from the pixels on, that are not trained; 6 adds the fully connected layers.
        dropout: share that is dropped between the fully connected layers in training, 0..1.
        width: factor of the channels, above 0 and at most 1; pretrained weights exist for 1.
        views: images of a study that are used, frontal first.
        equalize: whether the histogram of an image is equalised before resizing.
    """

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool | str = False,
        size: int | Sequence[int] | None = None,
        depth: int = -2,
        frozen: int = 0,
        views: int = 1,
        equalize: bool = False,
        dropout: float = 0.5,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        check_source(pretrained)
        architecture = name.partition(".")[0]
        self.image = image_spec(name, size, views=views, equalize=equalize)
        _check(name, depth, frozen, width, min(self.image.height, self.image.width))
        layers: list[int | str] = []
        for stage in STAGES[architecture]:
            layers += [*(max(1, round(channels * width)) for channels in stage), "M"]
        self.net = VGG(layers, num_classes=0, mlp_ratio=width, drop_rate=dropout)
        if pretrained is not False and width != 1.0:
            raise OptionError(f"width={width!r}: weights exist for width 1 only; give pretrained=false")
        if not on_meta():
            weights = first_weights(name, pretrained, {})
            if weights is not None:
                self.net.load_state_dict(weights, strict=False)  # complete but for the classifier, which is not built
        level = depth % 6
        self.cut = self.net.feature_ends[level] + 1
        D = int(str(self.net.feature_info[level]["num_chs"]))
        rows, columns = (n >> level for n in (self.image.height, self.image.width))
        self.features = FeatureSpec(dim=D, pooled=self.net.head_hidden_size, grid=(views, rows, columns))
        if frozen:
            self.net.features[: self.net.feature_ends[min(frozen, 5) - 1] + 1].requires_grad_(False)
        if frozen == 6:
            self.net.pre_logits.requires_grad_(False)

    def encode(self, images: Tensor) -> Features:
        """Encode images (n, 3, H, W)."""
        x = self.net.features[: self.cut](images)  # (n, D, h, w)
        fc7 = self.net.pre_logits(self.net.features[self.cut :](x))  # (n, 4096, 1, 1) at 224 pixels
        mask = torch.ones(len(x), x.shape[2] * x.shape[3], dtype=torch.bool, device=x.device)
        return Features(x.flatten(2).transpose(1, 2), fc7.mean((2, 3)), mask)  # (n, D, h, w) -> (n, N, D)

    def frozen(self) -> Sequence[nn.Module]:
        """Return the largest modules in which nothing learns."""
        return fixed_modules(self.net)

    def train(self, mode: bool = True) -> VGGEncoder:
        """Switch between training and evaluation. Frozen modules stay in evaluation."""
        super().train(mode)
        for module in self.frozen():
            module.eval()
        return self


def _check(name: str, depth: int, frozen: int, width: float, pixels: int) -> None:
    if isinstance(depth, bool) or not isinstance(depth, int) or not -6 <= depth < 6:
        raise OptionError(f"depth={depth!r}: {name!r} has 6 feature maps, 0 to 5")
    if isinstance(frozen, bool) or not isinstance(frozen, int) or not 0 <= frozen <= 6:
        raise OptionError(f"frozen={frozen!r}: {name!r} has five stages and the fully connected layers, so 0 to 6")
    if not isinstance(width, int | float) or not 0 < width <= 1:
        raise OptionError(f"width={width!r}: give a number above 0, at most 1")
    if pixels < 32:
        raise OptionError(f"size: {name!r} takes images of at least 32 x 32 pixels, {pixels} is too small")
