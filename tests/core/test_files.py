"""Files that appear whole or not at all, their digests, and JSON files."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from reportgen_core import CheckpointError, DataError, OptionError, TrainSettings
from reportgen_core.files.atomic import atomic_file, atomic_write
from reportgen_core.files.digests import sha256_file, sha256_folder
from reportgen_core.files.json_files import read_bounded, read_json, write_json
from reportgen_core.text.arguments import known_fields
from reportgen_core.types import ImageSpec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file.txt"
    file.write_text("old")
    return file


def test_a_file_is_replaced(path: Path) -> None:
    atomic_write(path, "new")
    assert path.read_text() == "new"
    atomic_write(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with atomic_file(path) as file:
            file.write("ne")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(path: Path) -> None:
    with atomic_file(path) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_the_bytes_are_on_the_disk_before_the_file_has_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda n: (steps.append(f"sync {os.fstat(n).st_size}"), sync(n))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), rename(a, b))[1])
    atomic_write(path, "four")
    assert steps == ["sync 4", "rename"]


def test_of_two_writers_at_once_each_keeps_its_own_file(path: Path) -> None:
    with atomic_file(path) as first, atomic_file(path) as second:
        first.write("first" * 1000)
        second.write("second")
        assert first.name != second.name
    assert path.read_text() == "first" * 1000  # the last to finish
    assert list(path.parent.iterdir()) == [path]


def _write_often(path: Path, text: str) -> None:
    for _ in range(50):
        atomic_write(path, text)


def test_a_reader_sees_no_half_of_a_file_while_two_processes_write(path: Path) -> None:
    texts = {letter * 300_000 for letter in "ab"}
    atomic_write(path, min(texts))
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    writers = [context.Process(target=_write_often, args=(path, text)) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in texts
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_write_one_file_leave_one_whole_file(path: Path) -> None:
    threads = [threading.Thread(target=_write_often, args=(path, letter * 1000)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 1000, "b" * 1000)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_permissions_of_any_other(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "x", "text")
        (tmp_path / "y").write_text("text")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode == (tmp_path / "y").stat().st_mode & 0o777


def test_a_long_name_fits(tmp_path: Path) -> None:
    path = tmp_path / ("胸" * 80 + ".csv")  # 244 bytes; 255 are the most
    atomic_write(path, "x")
    assert path.read_text() == "x"


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "gone" / "x", "x")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        atomic_write(tmp_path / "file" / "x", "x")


def test_line_ends_stay_and_what_utf8_lacks_is_a_question_mark(path: Path) -> None:
    with atomic_file(path) as file:
        file.write("a\r\nb\n\ud800é")
    assert path.read_bytes() == b"a\r\nb\n?\xc3\xa9"
    atomic_write(path, "a\r\nb\n\ud800é")
    assert path.read_bytes() == b"a\r\nb\n?\xc3\xa9"


def test_the_digest_of_a_file_is_its_sha256(path: Path) -> None:
    assert sha256_file(path) == hashlib.sha256(b"old").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_bytes(b"one")
    (tmp_path / "a.txt").write_bytes(b"two")
    return tmp_path


def test_the_digest_of_a_folder_depends_on_names_and_contents(folder: Path) -> None:
    """Written out by hand: the path of each file in order, then the sha256 of its bytes."""
    one, two = (hashlib.sha256(text).digest() for text in (b"one", b"two"))
    assert sha256_folder(folder) == hashlib.sha256(b"a.txt" + two + b"b/c.txt" + one).hexdigest()
    before = sha256_folder(folder)
    (folder / "a.txt").rename(folder / "d.txt")
    assert sha256_folder(folder) != before


def test_the_digest_of_named_files_depends_on_their_contents_in_order(folder: Path) -> None:
    one, two = (hashlib.sha256(text).digest() for text in (b"one", b"two"))
    assert sha256_folder(folder, ("b/c.txt", "gone", "a.txt")) == hashlib.sha256(one + two).hexdigest()


def test_a_value_survives_a_json_file(tmp_path: Path) -> None:
    value = {"b": [1, None, "é\u2028"], "a": {"z": 1, "y": 2}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert (tmp_path / "x.json").read_text() == json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_json(tmp_path / "x.json", value, sort=False)
    assert (tmp_path / "x.json").read_text() == json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def test_a_value_that_is_no_json_leaves_the_old_file(path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(UnicodeEncodeError):
        write_json(path, "\ud800")
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"x\.json is no JSON: .*; write it anew$"),
        (b"[" * 100_000, r"x\.json is no JSON: .*; write it anew$"),
        (b'"\xe9"', r"x\.json: byte 1 is not UTF-8; write it anew$"),
        (b" " * 101, r"x\.json has 101 bytes; 100 are read at most; write it anew$"),
        (None, r"cannot read .*x\.json: No such file or directory; write it anew$"),
    ],
)
def test_a_json_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_json(path, DataError, 100 if content is None or len(content) < 1000 else 2**20, "write it anew")


def test_a_json_file_is_a_model_s_where_nothing_else_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"No such file or directory$"):
        read_json(tmp_path / "x.json")
    with pytest.raises(CheckpointError, match=r"No such file or directory$"):
        read_bounded(tmp_path / "x.json")


def test_the_fields_of_a_dataclass_are_told_from_other_keys() -> None:
    with pytest.raises(OptionError, match="training has no setting 'epoch'; did you mean 'epochs'"):
        known_fields(TrainSettings, {"epoch": 1}, "training")
    with pytest.raises(DataError, match=r"config\.json has no setting 'heigth'; did you mean 'height'"):
        known_fields(ImageSpec, {"heigth": 1}, "config.json", DataError)


def test_a_list_becomes_a_tuple_where_the_field_is_one() -> None:
    values: dict[str, Any] = {"height": 8, "mean": [0.5]}
    assert known_fields(ImageSpec, values, "config.json") == {"height": 8, "mean": (0.5,)}
    assert known_fields(TrainSettings, {"steps": [["a"]]}, "training") == {"steps": [["a"]]}
