"""Checkpoints of strangers: a few bytes cannot claim terabytes, and whatever is in a file is read or refused in a line."""

from __future__ import annotations

import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from reportgen_core import CheckpointError, ReportgenError
from reportgen_core.files.torch_files import read_torch_file

WEIGHT = torch.arange(1000.0)


def rewritten(file: Path, change: Callable[[bytes], bytes], method: int = zipfile.ZIP_STORED) -> None:
    """Write the archive again with another pickle, or another compression."""
    with zipfile.ZipFile(file) as archive:
        parts = {part.filename: archive.read(part) for part in archive.infolist()}
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


@pytest.mark.parametrize("as_archive", [True, False], ids=["archive", "before 1.6"])
@pytest.mark.parametrize("tensor", [
    torch.ones(1).expand(10**6, 10**6),
    torch.ones(3, 1).expand(3, 2),
    torch.ones(4)[None].expand(2**40, 4),
    torch.nn.Parameter(torch.ones(1).expand(10**4, 10**4)),
    torch.ones(8, dtype=torch.int8).as_strided((5, 4), (1, 1)),
], ids=["4 TB", "by one row", "one axis", "parameter", "overlapping"])  # fmt: skip
def test_a_tensor_is_no_larger_than_its_storage(tmp_path: Path, tensor: torch.Tensor, as_archive: bool) -> None:
    content = {"state_dict": {"good": WEIGHT, "layers": [{"weight": tensor}]}}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=as_archive)
    with pytest.raises(
        CheckpointError, match=r"x.pth: state_dict.layers.0.weight claims [\d,]+ bytes, and the file has"
    ):
        read_torch_file(tmp_path / "x.pth")


def test_views_and_shared_tensors_are_read(tmp_path: Path) -> None:
    content = {"a": WEIGHT, "b": WEIGHT[5:9], "c": WEIGHT.view(10, 100).T, "tied": WEIGHT, "none": torch.empty(0, 9)}
    torch.save(content, tmp_path / "x.pth")
    read = read_torch_file(tmp_path / "x.pth")
    assert all(torch.equal(read[name], tensor) for name, tensor in content.items())


def test_a_storage_under_a_thousand_names_is_refused(tmp_path: Path) -> None:
    torch.save(
        {str(n): torch.zeros(10**6) if n == 0 else None for n in range(3)} | {"big": [WEIGHT] * 3}, tmp_path / "a"
    )
    read_torch_file(tmp_path / "a")
    big = torch.zeros(10**6)
    torch.save({f"name{n}": big for n in range(1000)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="its tensors claim 4,000,000,000 bytes"):
        read_torch_file(tmp_path / "x.pth")


def test_a_compressed_archive_is_refused_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.zeros(10**7)}, tmp_path / "x.pth")
    rewritten(tmp_path / "x.pth", lambda pickled: pickled, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "x.pth").stat().st_size < 10**6
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(CheckpointError, match="its parts are compressed"):
        read_torch_file(tmp_path / "x.pth")


def test_a_storage_that_claims_more_than_its_part_is_refused(tmp_path: Path) -> None:
    torch.save({"w": WEIGHT}, tmp_path / "x.pth")
    rewritten(tmp_path / "x.pth", lambda pickled: pickled.replace(b"M\xe8\x03", b"J\x80\x84\x1e\x00"))
    with pytest.raises(CheckpointError, match=r"x\.pth: .*only tensors are read"):
        read_torch_file(tmp_path / "x.pth")


@pytest.mark.parametrize("tensor", [
    torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), torch.ones(1), (10**6, 10**6)),
    torch.empty(10**6, 10**6, device="meta"),
], ids=["sparse", "meta"])  # fmt: skip
def test_a_tensor_without_values_of_its_own_is_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    torch.save({"w": tensor}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="w is no plain tensor with values"):
        read_torch_file(tmp_path / "x.pth")


def test_a_container_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    content: dict[str, object] = {"w": WEIGHT}
    content["self"] = content
    torch.save(content, tmp_path / "x.pth")
    assert torch.equal(read_torch_file(tmp_path / "x.pth")["w"], WEIGHT)


@pytest.mark.parametrize("content", [
    b"", b"PK\x05\x06" + b"\0" * 18, b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\x10\x85R.", b"\x80\x02.",
    pickle.dumps([1, 2]), pickle.dumps(len), b"\x80\x02" + b"(" * 10**5, b"PK\x03\x04" + b"x" * 99,
])  # fmt: skip
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    message = str(tmp_path / "x.pth")
    try:
        read_torch_file(tmp_path / "x.pth")
    except ReportgenError as e:
        message = str(e)
    assert message.startswith(str(tmp_path / "x.pth"))
    assert "\n" not in message


@pytest.mark.parametrize("as_archive", [True, False])
def test_damaged_checkpoints_are_read_or_refused(tmp_path: Path, as_archive: bool) -> None:
    file = tmp_path / "x.pth"
    torch.save({"a": {"w": torch.ones(3, 4)}, "n": 3}, file, _use_new_zipfile_serialization=as_archive)
    whole, draw = file.read_bytes(), random.Random(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        file.write_bytes(damaged[: draw.choice((len(damaged), draw.randrange(len(damaged))))])
        try:
            read_torch_file(file)
        except ReportgenError:
            continue


def test_the_error_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(ReportgenError, match=r"^the weights: there is no such file; give a file"):
        read_torch_file(tmp_path / "none.pth", CheckpointError, "the weights", "give a file")
