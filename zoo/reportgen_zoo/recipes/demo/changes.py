"""Changes of a radiograph that change no finding: size, compression, contrast, exposure, border, a burnt-in letter.

Training draws them at random; the test of the finished model makes each of them once, with fixed strength. Images are
tensors (1, H, W), 0..1.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

LETTERS = ("L", "R", "AP", "PA", "PORTABLE", "ERECT", "SUPINE", "1")


def resize(image: Tensor, side: int) -> Tensor:
    """Return the image with `side` rows and columns; nothing is aliased."""
    return F.interpolate(image[None], size=side, mode="bilinear", antialias=True)[0]


def compress(image: Tensor, quality: int) -> Tensor:
    """Return the image after JPEG compression with this quality, 1 to 95."""
    file = io.BytesIO()
    Image.fromarray((image[0] * 255).round().clamp(0, 255).byte().numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file)))[None].float() / 255


def recontrast(image: Tensor, contrast: float, gamma: float = 1.0, offset: float = 0.0) -> Tensor:
    """Return the image after a power of its greys, then a change of contrast about the middle grey and an offset."""
    return ((image.clamp(1e-4, 1) ** gamma - 0.5) * contrast + 0.5 + offset).clamp(0, 1)


def frame(image: Tensor, widths: tuple[int, int, int, int], grey: float) -> Tensor:
    """Return the image with a border of one grey: pixels at the top, bottom, left and right that are painted over."""
    top, bottom, left, right = widths
    inner = torch.zeros_like(image, dtype=torch.bool)
    inner[:, top : image.shape[1] - bottom, left : image.shape[2] - right] = True
    return torch.where(inner, image, grey)


def write_letter(image: Tensor, text: str, height: int, place: tuple[float, float], grey: float = 1.0) -> Tensor:
    """Return the image with burnt-in letters of this height in pixels. `place` is the corner, shares of the room."""
    shape = _drawn(text)
    width = min(height * shape.shape[1] // shape.shape[0], image.shape[2] // 2)
    mask = F.interpolate(shape[None, None], size=(height, max(width, 1)), mode="bilinear")[0, 0]
    row, column = (int(share * (n - m)) for share, n, m in zip(place, image.shape[1:], mask.shape, strict=True))
    out = image.clone()
    part = out[0, row : row + mask.shape[0], column : column + mask.shape[1]]
    part.mul_(1 - mask).add_(grey * mask)
    return out


@functools.cache
def _drawn(text: str) -> Tensor:
    """Return the letters as an image (h, w), 0..1."""
    picture = Image.new("L", (9 * len(text) + 2, 13))
    ImageDraw.Draw(picture).text((1, 1), text, fill=255)
    return torch.from_numpy(np.array(picture)).float() / 255


# Each with a fixed strength, for images of any size; the card has its name.
TESTED: dict[str, Callable[[Tensor], Tensor]] = {
    "half the size": lambda x: resize(x, max(32, x.shape[1] // 2)),
    "twice the size": lambda x: resize(x, 2 * x.shape[1]),
    "JPEG of quality 50": lambda x: compress(x, 50),
    "contrast of 80 %": lambda x: recontrast(x, 0.8),
    "contrast of 120 %": lambda x: recontrast(x, 1.2),
    "gamma of 1.2": lambda x: recontrast(x, 1.0, 1.2),
    "a black border of 4 %": lambda x: frame(x, (max(1, x.shape[1] // 25),) * 4, 0.0),
    "a white letter": lambda x: write_letter(x, "L", max(5, x.shape[1] // 12), (0.06, 0.9)),
    "PORTABLE burnt in": lambda x: write_letter(x, "PORTABLE", max(5, x.shape[1] // 14), (0.03, 0.1)),
}


def augment(image: Tensor, draw: np.random.Generator) -> Tensor:
    """Return a square image (1, 128, 128) that some of these changes were made to, at random."""
    side = image.shape[1]
    if side > 64 and draw.random() < 0.5:  # the others have one size; sharpness must not tell which
        image = resize(image, int(draw.integers(side * 7 // 16, side)))
    n = image.shape[1]
    if draw.random() < 0.3:
        place = (draw.uniform(0, 0.2) if draw.random() < 0.6 else draw.uniform(0.7, 1.0), draw.uniform(0, 1))
        grey = 1.0 if draw.random() < 0.8 else 0.0
        image = write_letter(image, str(draw.choice(LETTERS)), max(5, int(n * draw.uniform(0.05, 0.1))), place, grey)
    if draw.random() < 0.5:
        image = compress(image, int(draw.integers(30, 95)))
    if draw.random() < 0.15:
        top, bottom, left, right = (int(n * draw.uniform(0.01, 0.07)) * int(draw.random() < 0.6) for _ in range(4))
        image = frame(image, (top, bottom, left, right), 0.0 if draw.random() < 0.7 else draw.uniform(0, 1))
    image = recontrast(
        image, draw.uniform(0.7, 1.25), float(np.exp(draw.uniform(-0.35, 0.35))), draw.uniform(-0.12, 0.12)
    )
    return image if image.shape[1] == 128 else F.interpolate(image[None], size=128, mode="bilinear")[0]


def move(images: Tensor, size: int, draw: np.random.Generator) -> Tensor:
    """Return images (n, 1, size, size): turned, shifted, scaled and mirrored a little, with some noise.

    No sentence of the model names a side, so that a mirrored image has the same findings.
    """
    n = len(images)

    def between(low: float, high: float) -> Tensor:
        return torch.from_numpy(draw.uniform(low, high, n)).float()

    angle, scale = between(-0.14, 0.14), between(0.82, 1.06)
    mirror = torch.where(between(0, 1) < 0.3, -1.0, 1.0)
    rows = [angle.cos() * mirror, -angle.sin(), angle.sin() * mirror, angle.cos()]
    rotation = torch.stack(rows, 1).view(n, 2, 2) * scale[:, None, None]
    shift = torch.stack([between(-0.08, 0.08), between(-0.08, 0.08)], 1)
    grid = F.affine_grid(torch.cat([rotation, shift[..., None]], 2), [n, 1, size, size], align_corners=False)
    x = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    noise = torch.from_numpy(draw.standard_normal(x.shape, dtype=np.float32))
    return (x + noise * between(0, 0.03)[:, None, None, None]).clamp(0, 1)
