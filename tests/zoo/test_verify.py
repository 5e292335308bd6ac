"""Is a model what its record says: hashes, sizes and the probe."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reportgen_zoo
from PIL import Image
from reportgen_zoo.manifest.records import Probe, Record, ZooError
from reportgen_zoo.pull import terms
from reportgen_zoo.pull.verify import files_of, probe, probe_image, verify
from zoo_server import record_of

from reportgen_core.testing.parts import tiny_model

FILES = {"config.json": b"{}", "model.safetensors": b"0123456789"}


def written(folder: Path) -> tuple[Record, Path]:
    for path, body in FILES.items():
        (folder / path).write_bytes(body)
    return record_of(FILES, str(folder)), folder


def test_a_whole_model_has_nothing_to_tell(tmp_path: Path) -> None:
    assert list(verify(*written(tmp_path))) == []


@pytest.mark.parametrize(("body", "says"), [(b"012345678!", "has sha256"), (b"0", "has 1 bytes"), (None, "is missing")])
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, body: bytes | None, says: str) -> None:
    record, folder = written(tmp_path)
    if body is None:
        (folder / "model.safetensors").unlink()
    else:
        (folder / "model.safetensors").write_bytes(body)
    [problem] = verify(record, folder)
    assert problem.startswith("model.safetensors ")
    assert says in problem


def test_the_files_of_a_folder_are_those_of_its_record(tmp_path: Path) -> None:
    record, folder = written(tmp_path)
    assert files_of(folder) == record.files


def test_the_probe_image_is_the_same_everywhere(tmp_path: Path) -> None:
    """256 greys, byte i of sha256("0:0"), sha256("0:1") and on, each a square of 16 × 16 pixels."""
    pixels = np.asarray(Image.open(probe_image(tmp_path / "p.png", 0)))
    assert pixels.shape == (256, 256)
    greys = np.frombuffer(b"".join(hashlib.sha256(f"0:{i}".encode()).digest() for i in range(8)), np.uint8)
    assert (pixels[::16, ::16].ravel() == greys).all()
    assert (pixels == np.repeat(np.repeat(greys.reshape(16, 16), 16, 0), 16, 1)).all()


def test_the_probe_is_run_and_another_report_is_told(tmp_path: Path) -> None:
    tiny_model().save(tmp_path / "model")
    wrote = probe(tmp_path / "model", 7)
    assert wrote == probe(tmp_path / "model", 7)
    good = Record("m.v1", "s", "l", files_of(tmp_path / "model"), (), probe=Probe(7, wrote))
    assert list(verify(good, tmp_path / "model")) == []
    [problem] = verify(replace(good, probe=Probe(7, "something else")), tmp_path / "model")
    assert problem.startswith("probe 7: wrote ")


def test_weights_that_are_not_the_records_are_not_run(tmp_path: Path) -> None:
    record, folder = written(tmp_path)
    (folder / "model.safetensors").write_bytes(b"012345678!")
    assert len(list(verify(replace(record, probe=Probe(0, "x")), folder))) == 1


def test_terms_are_asked_once(own_cache: Path) -> None:
    record = replace(record_of(FILES), terms="for research")
    with pytest.raises(ZooError, match="has terms to agree to"):
        terms.require(record)
    terms.agree(record)
    terms.require(record)
    with pytest.raises(ZooError):
        terms.require(replace(record_of({"config.json": b"other"}), terms="for research"))


def test_what_the_zoo_does_not_know_it_leaves_to_others() -> None:
    assert reportgen_zoo.find_model("no.such_model") is None
