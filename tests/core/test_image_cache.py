"""The cache of prepared images: whose pixels come out of it, and what it does in a folder that others can write to."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen_core import ImageSpec
from reportgen_core.data import image_cache, images
from reportgen_core.data.images import cached, prepare, prepare_file, read_image

SPEC = ImageSpec(height=16, width=12)


@pytest.fixture(autouse=True)
def nothing_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new files of a test be new, however slow the machine is."""
    monkeypatch.setattr(image_cache, "SETTLED", 10**18)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new files of a test be old ones, whose times can be trusted."""
    monkeypatch.setattr(image_cache, "SETTLED", -(10**18))


def image(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 20)).astype(np.uint8)
    Image.fromarray(pixels).save(path, "BMP")  # all of one size
    return path


def entries(cache: Path) -> list[Path]:
    return sorted(p for p in cache.rglob("*") if not p.is_dir())


def fresh(path: Path) -> np.ndarray:
    return prepare(read_image(path), SPEC)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_file_of_the_same_size_and_time_under_the_same_name_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    if trusted:
        monkeypatch.setattr(image_cache, "SETTLED", -(10**18))
    path, cache = tmp_path / "x.bmp", tmp_path / "cache"
    for seed in (1, 2, 3):
        path.write_bytes(image(tmp_path / "new.bmp", seed).read_bytes())
        os.utime(path, (10**9, 10**9))
        for _ in range(2):
            assert np.array_equal(cached(path, SPEC, cache), fresh(path))


def test_a_file_that_is_moved_over_another_is_another_file(tmp_path: Path, settled: None) -> None:
    path, cache = image(tmp_path / "x.bmp", 1), tmp_path / "cache"
    cached(path, SPEC, cache)
    new = image(tmp_path / "new.bmp", 2)
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)
    assert np.array_equal(cached(path, SPEC, cache), fresh(path))


def test_the_same_bytes_under_another_name_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = image(tmp_path / "a.bmp", 1), image(tmp_path / "b.png", 1)
    first = cached(one, SPEC, tmp_path / "cache")
    monkeypatch.setattr(images, "_prepared", lambda *_: pytest.fail("decoded again"))
    assert np.array_equal(cached(two, SPEC, tmp_path / "cache"), first)


def test_a_settled_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: None) -> None:
    path, cache = image(tmp_path / "x.bmp", 1), tmp_path / "cache"
    first = cached(path, SPEC, cache)
    assert len(entries(cache)) == 2
    assert len({p.stat().st_ino for p in entries(cache)}) == 1
    monkeypatch.setattr(images, "name_of_content", lambda *_: pytest.fail("read again"))
    assert np.array_equal(cached(path, SPEC, cache), first)


def test_a_new_file_is_known_by_its_bytes_alone(tmp_path: Path) -> None:
    cached(image(tmp_path / "x.bmp", 1), SPEC, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 1


def test_notes_come_out_of_the_cache_as_they_went_in(tmp_path: Path) -> None:
    path, cache = tmp_path / "x.png", tmp_path / "cache"
    Image.fromarray(np.full((9, 9), 60, np.uint8)).save(path)
    first = prepare_file(path, SPEC, cache)
    again = prepare_file(path, SPEC, cache)
    assert first.notes == again.notes == ("the picture has only 1 different grey value",)


def test_only_the_owner_may_read_the_cache(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        cached(image(tmp_path / "x.bmp", 1), SPEC, tmp_path / "cache")
    finally:
        os.umask(old)
    (entry,) = entries(tmp_path / "cache")
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700


def test_every_byte_of_an_entry_is_checked(tmp_path: Path) -> None:
    path, cache = image(tmp_path / "x.bmp", 1), tmp_path / "cache"
    first = cached(path, SPEC, cache)
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        entry.write_bytes(damaged)
        assert np.array_equal(cached(path, SPEC, cache), first)
        assert entry.read_bytes() == whole
    swapped = bytearray(whole)
    swapped[128:136], swapped[136:144] = whole[136:144], whole[128:136]
    entry.write_bytes(swapped)
    assert np.array_equal(cached(path, SPEC, cache), first)


def link_elsewhere(entry: Path, folder: Path) -> None:
    other = folder / "other"
    other.write_bytes(entry.read_bytes())
    entry.unlink()
    entry.symlink_to(other)


def pipe(entry: Path, folder: Path) -> None:
    entry.unlink()
    os.mkfifo(entry)


def folder_elsewhere(entry: Path, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / entry.name).write_bytes(entry.read_bytes())
    entry.unlink()
    entry.parent.rmdir()
    entry.parent.symlink_to(folder / "elsewhere")


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
@pytest.mark.parametrize("plant", [link_elsewhere, pipe])
def test_no_link_is_followed_and_no_pipe_opened(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    path, cache = image(tmp_path / "x.bmp", 1), tmp_path / "cache"
    cached(path, SPEC, cache)
    (entry,) = entries(cache)
    plant(entry, tmp_path)
    assert np.array_equal(cached(path, SPEC, cache), fresh(path))
    assert stat.S_ISREG(entry.lstat().st_mode)  # replaced by an entry of our own


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_a_planted_folder_is_neither_read_nor_written(tmp_path: Path) -> None:
    path, cache = image(tmp_path / "x.bmp", 1), tmp_path / "cache"
    cached(path, SPEC, cache)
    (entry,) = entries(cache)
    folder_elsewhere(entry, tmp_path)
    planted = tmp_path / "elsewhere" / entry.name
    planted.write_bytes(planted.read_bytes()[:-1])
    before = planted.read_bytes()
    with pytest.warns(RuntimeWarning, match="images are not kept in"):
        assert np.array_equal(cached(path, SPEC, cache), fresh(path))
    assert planted.read_bytes() == before
