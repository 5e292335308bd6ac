"""The pixels that an encoder takes, as a value that is saved with its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_ADDED = {"fit": "stretch", "crop": 1.0, "bits": 8}  # fields that config.json has only if they are not the default


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The pixels that an encoder takes. It is saved in config.json: preprocessing is data, not code."""

    height: int = 224
    width: int = 224
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # after scaling pixels to 0..1
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"  # bilinear | bicubic | nearest, antialiased
    equalize: bool = False  # histogram equalisation before resizing
    views: int = 1  # V: the most images of a study that are used, frontal first; 0: no images, reports alone
    fit: str = "stretch"  # how an image comes to height and width, see `reportgen_core.data.fitting`
    crop: float = 1.0  # of fit "crop", 0..1: the share of the resized image's shorter side that is kept
    bits: int = 8  # 8 or 16: the grey levels that reach the encoder; DICOM and PNG may have 16

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON values. Fields that an earlier release does not know are left out if default."""
        values = asdict(self)
        return {k: v for k, v in values.items() if k not in _ADDED or v != _ADDED[k]}
