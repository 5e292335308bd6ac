"""The drawing board of the phantom chest: shapes as opacities on a square, and PNG files of the same bytes everywhere.

Places are shares of the side: x to the right, y downwards, 0..1. Opacity adds up along a ray; 0 is air. `develop` turns
it into grey levels as film does, so that a rib over the heart is fainter than a rib over the lung.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 if it is as large as a board
Pixels = NDArray[np.uint8]
Rng = np.random.Generator

FAINT = 0.004  # smaller opacities are dropped: a layer ends there, and so does its box
LETTERS = {  # 5 x 5 dots for each letter, rows from the top
    "P": "1111010001111101000010000", "H": "1000110001111111000110001", "A": "0111010001111111000110001",
    "N": "1000111001101011001110001", "T": "1111100100001000010000100", "O": "0111010001100011000101110",
    "M": "1000111011101011000110001", "R": "1111010001111101001010001", "L": "1000010000100001000011111",
}  # fmt: skip


def rng(*key: object) -> Rng:
    """Return a source of random numbers for one purpose, the same on every machine, independent of all others."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@functools.lru_cache(maxsize=8)
def axes(size: int) -> tuple[Floats, Floats]:
    """Return the places of the pixels' centres: x (1, size) and y (size, 1)."""
    at = ((np.arange(size, dtype=np.float32) + 0.5) / size).astype(np.float32)
    at.setflags(write=False)
    return at[None, :], at[:, None]


@functools.cache
def keep_memory() -> None:
    """Allocate and free one large block, after which glibc keeps freed memory, up to twice its size.

    Without it every temporary board is returned to the system at once, and new pages cost half of the time.
    """
    np.empty(2**24, np.uint8)


def soft(distance: Floats, width: float) -> Floats:
    """Return 0 outside, 1 inside, and a smooth edge of this width between; `distance` is positive inside."""
    t = distance * np.float32(1 / width)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    square = t * t
    t *= -2
    t += 3
    t *= square
    return t


def edge(distance: Floats, width: float) -> Floats:
    """Return the same as `soft` with a straight ramp: half the work, and equal if the edge is a few pixels wide."""
    t = distance * np.float32(1 / width)
    t += np.float32(0.5)
    np.clip(t, 0, 1, out=t)
    return t


def cap(square: Floats, power: float = 0.5) -> Floats:
    """Return the thickness of a round body; `square` is the squared distance from its axis as a share of its radius."""
    thick = np.maximum(1 - square, 0)
    whole: Floats = np.sqrt(thick) if power == 0.5 else thick ** np.float32(power)
    return whole


@dataclass(frozen=True, slots=True)
class Patch:
    """A piece of a layer: opacity that is added to a board, with its corner at row `top` and column `left`."""

    top: int
    left: int
    opacity: Floats

    def add_to(self, board: Floats) -> None:
        """Add the opacity to a board."""
        h, w = self.opacity.shape
        board[self.top : self.top + h, self.left : self.left + w] += self.opacity


Extent = tuple[int, int, int, int]  # top, left, bottom, right in pixels, the last two not included


def extent(opacity: Floats, top: int = 0, left: int = 0) -> Extent | None:
    """Return the smallest rectangle around all opacities above FAINT; None if there are none."""
    visible = np.abs(opacity) > FAINT
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    if not rows.size:
        return None
    return top + int(rows[0]), left + int(columns[0]), top + int(rows[-1]) + 1, left + int(columns[-1]) + 1


def union(extents: list[Extent]) -> Extent:
    """Return the smallest rectangle around all rectangles."""
    tops, lefts, bottoms, rights = zip(*extents, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the square: its place in pixels and the places of its own pixels."""

    top: int
    left: int
    x: Floats  # (1, w)
    y: Floats  # (h, 1)

    def of(self, board: Floats) -> Floats:
        """Return the same part of another board."""
        return board[self.top : self.top + self.y.size, self.left : self.left + self.x.size]

    def patch(self, opacity: Floats) -> Patch:
        """Return the opacity as a patch at this place, without values below FAINT."""
        return Patch(self.top, self.left, np.where(np.abs(opacity) > FAINT, opacity, np.float32(0)))


def window(size: int, left: float, top: float, right: float, bottom: float) -> Window:
    """Return the pixels between these places, at least one."""
    x, y = axes(size)
    c0, r0 = (min(max(int(v * size), 0), size - 1) for v in (left, top))
    c1, r1 = (min(max(int(np.ceil(v * size)), 1), size) for v in (right, bottom))
    return Window(r0, c0, x[:, c0 : max(c1, c0 + 1)], y[r0 : max(r1, r0 + 1)])


def around(size: int, x: float, y: float, rx: float, ry: float) -> Window:
    """Return the pixels up to `rx` and `ry` away from a place."""
    return window(size, x - rx, y - ry, x + rx, y + ry)


def scatter(size: int, x: Floats, y: Floats, weight: Floats, blurs: int) -> Floats:
    """Return a board of points with these weights, each spread over the pixels around it.

    Fine lines and vessels are drawn so.
    """
    columns, rows = (x * size).astype(np.int64), (y * size).astype(np.int64)
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    flat = (rows * size + columns)[inside]
    board = np.bincount(flat, weight[inside], size * size).astype(np.float32).reshape(size, size)
    return blur(board, blurs)


def blur(board: Floats, times: int) -> Floats:
    """Blur with the weights 1 2 1 along both axes, `times` times; values that leave at an edge are lost."""
    for _ in range(times):
        wide = board * np.float32(0.5)
        wide[1:] += board[:-1] * np.float32(0.25)
        wide[:-1] += board[1:] * np.float32(0.25)
        board = wide * np.float32(0.5)
        board[:, 1:] += wide[:, :-1] * np.float32(0.25)
        board[:, :-1] += wide[:, 1:] * np.float32(0.25)
    return board


def line(size: int, points: list[tuple[float, float]], opacity: float, width: float) -> Patch:
    """Return a line of this width through points: a catheter, a wire, a band of collapsed lung."""
    at = np.array(points, np.float32)
    low, high = at.min(0) - width, at.max(0) + width
    view = window(size, float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    nearest = np.full((view.y.size, view.x.size), np.inf, np.float32)
    for (x0, y0), (x1, y1) in pairwise(at):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((view.x - x0) * dx + (view.y - y0) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
        np.minimum(nearest, (view.x - x0 - along * dx) ** 2 + (view.y - y0 - along * dy) ** 2, out=nearest)
    broad = max(width, 1.2 / size) / 2
    return view.patch(np.float32(opacity) * soft(np.float32(broad) - np.sqrt(nearest), max(width * 0.5, 0.8 / size)))


@functools.lru_cache(maxsize=4)
def _bank(size: int) -> Floats:
    """Return a large field of grain. Images cut their grain from it, which is faster than drawing it."""
    side = 2 * size
    source = rng("grain", side)
    fine = source.standard_normal((side, side), np.float32)
    broad = blur(source.standard_normal((side, side), np.float32), 3)
    grain = 0.75 * blur(fine, 1) / 0.4 + 0.5 * broad / 0.22
    grain.setflags(write=False)
    return grain.astype(np.float32)


def grain(size: int, source: Rng) -> Floats:
    """Return the noise of few quanta, with a deviation of about 1: the sum of two cuts of the bank, one transposed."""
    bank = _bank(size)
    r0, c0, r1, c1 = (int(v) for v in source.integers(0, size, 4))
    noise: Floats = bank[r0 : r0 + size, c0 : c0 + size] + bank[r1 : r1 + size, c1 : c1 + size].T
    noise *= np.float32(0.7)
    return noise


def cloud(size: int, view: Window, source: Rng, cells: int = 5) -> Floats:
    """Return a slow irregular variation of about 0..1 over a window, so that a patch does not resemble a disc."""
    knots = source.random((cells + 1, cells + 1), np.float32)
    rows = np.linspace(0, cells, view.y.size, dtype=np.float32)
    columns = np.linspace(0, cells, view.x.size, dtype=np.float32)
    return (_between(rows, cells) @ knots @ _between(columns, cells).T).astype(np.float32)


def _between(at: Floats, cells: int) -> Floats:
    """Return the weights (n, cells + 1) of a smooth interpolation between knots."""
    return soft(np.float32(0.5) - np.abs(at[:, None] - np.arange(cells + 1, dtype=np.float32)), 1.0)


def develop(opacity: Floats, gain: float, gamma: float, noise: Floats, level: float) -> Pixels:
    """Return grey levels: the absorbed share of the ray, with noise that is stronger where few quanta arrive."""
    grey = np.maximum(opacity, 0)
    grey *= np.float32(-gain)
    np.exp(grey, out=grey)
    np.subtract(1, grey, out=grey)
    strength = grey * np.float32(level * 0.9)
    strength += np.float32(level * 0.45)
    grey **= np.float32(gamma)
    strength *= noise
    grey += strength
    grey *= 255
    grey += np.float32(0.5)
    return np.clip(grey, 0, 255, out=grey).astype(np.uint8)


def write_letters(image: Pixels, text: str, x: float, y: float, grey: int) -> None:
    """Write small letters into an image, the corner of the first one at this place.

    A dot is one pixel, or more on a large image.
    """
    dot = max(1, image.shape[0] // 256)
    top, left = int(y * image.shape[0]), int(x * image.shape[1])
    for number, letter in enumerate(text):
        dots = np.array(list(LETTERS[letter]), np.uint8).reshape(5, 5).repeat(dot, 0).repeat(dot, 1).astype(bool)
        at = left + number * 6 * dot
        place = image[top : top + 5 * dot, at : at + 5 * dot]
        place[dots[: place.shape[0], : place.shape[1]]] = grey


def png(image: Pixels, comment: str) -> bytes:
    """Return an 8-bit grey PNG without compression: the same bytes for every zlib version, and fast to read."""
    height, width = image.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, 0 for none
    rows[:, 1:] = image
    data = rows.tobytes()
    blocks = [data[i : i + 65535] for i in range(0, len(data), 65535)]
    stored = [struct.pack("<BHH", i == len(blocks) - 1, len(b), len(b) ^ 0xFFFF) + b for i, b in enumerate(blocks)]
    body = b"\x78\x01" + b"".join(stored) + struct.pack(">I", zlib.adler32(data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    note = b"Comment\0" + comment.encode("latin-1")
    chunks = ((b"IHDR", header), (b"tEXt", note), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
