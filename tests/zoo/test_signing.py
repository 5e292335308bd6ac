"""Signed manifests: a pinned key is the only one that is believed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from reportgen_zoo.manifest import signing
from reportgen_zoo.manifest.records import ZooError
from reportgen_zoo.publish.push import push
from reportgen_zoo.pull import catalogue as manifests
from zoo_server import Shelf, record_of, serve

FILES = {"config.json": b"{}"}


def key(folder: Path, name: str = "key.pem", made: object = None) -> Path:
    made = made or ed25519.Ed25519PrivateKey.generate()
    (folder / name).write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))  # type: ignore
    return folder / name


def zoo(folder: Path, signer: Path | None, name: str = "one.v1") -> Path:
    """A zoo folder with a model, signed where there is a signer."""
    (folder / name).mkdir()
    (folder / name / "config.json").write_bytes(b"{}")
    (folder / "zoo").mkdir(exist_ok=True)
    push(folder / name, record_of(FILES, f"models/{name}", name=name), folder / "zoo", signer)
    return folder / "zoo"


def pin(folder: Path, place: str, public: str) -> None:
    (folder / "config.toml").write_text(f'manifests = ["{place}"]\n[keys]\n"{place}" = "{public}"\n')
    manifests._catalogue.cache_clear()


def test_a_manifest_signed_by_the_pinned_key_is_read(tmp_path: Path) -> None:
    signer = key(tmp_path)
    place = str(zoo(tmp_path, signer) / "manifest.json")
    pin(tmp_path, place, signing.public_key(signer))
    assert "one.v1" in manifests.catalogue().models and not manifests.catalogue().problems


def test_a_signed_manifest_is_read_from_a_server(tmp_path: Path) -> None:
    signer = key(tmp_path)
    folder = zoo(tmp_path, signer)
    names = ("manifest.json", "manifest.json.sig")
    with serve(Shelf({f"/{name}": (folder / name).read_bytes() for name in names})) as served:
        pin(tmp_path, f"{served.url}/manifest.json", signing.public_key(signer))
        assert "one.v1" in manifests.catalogue().models


def test_a_changed_manifest_is_not_read(tmp_path: Path) -> None:
    signer = key(tmp_path)
    at = zoo(tmp_path, signer) / "manifest.json"
    pin(tmp_path, str(at), signing.public_key(signer))
    at.write_text(at.read_text().replace("CC0-1.0", "CC1-1.0"))
    assert "one.v1" not in manifests.catalogue().models
    assert "its signature is not that of the pinned key" in manifests.catalogue().problems[0]


def test_another_key_is_not_believed(tmp_path: Path) -> None:
    place = str(zoo(tmp_path, key(tmp_path)) / "manifest.json")
    pin(tmp_path, place, signing.public_key(key(tmp_path, "other.pem")))
    assert "its signature is not that of the pinned key" in manifests.catalogue().problems[0]


@pytest.mark.parametrize("signature", [b"", b"x", b"!!!!", b"A" * 88, b"A" * 10_000, "é".encode()])
def test_a_signature_that_is_none_is_not_believed(tmp_path: Path, signature: bytes) -> None:
    signer = key(tmp_path)
    folder = zoo(tmp_path, signer)
    pin(tmp_path, str(folder / "manifest.json"), signing.public_key(signer))
    (folder / "manifest.json.sig").write_bytes(signature)
    assert "one.v1" not in manifests.catalogue().models and manifests.catalogue().problems


def test_an_unsigned_manifest_is_not_read_where_a_key_is_pinned(tmp_path: Path) -> None:
    place = str(zoo(tmp_path, None) / "manifest.json")
    pin(tmp_path, place, signing.public_key(key(tmp_path)))
    assert "manifest.json.sig: there is no such file" in manifests.catalogue().problems[0]


@pytest.mark.parametrize("public", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 44, "ed25519:é"])
def test_a_pin_that_is_no_key_is_told(tmp_path: Path, public: str) -> None:
    place = str(zoo(tmp_path, key(tmp_path)) / "manifest.json")
    pin(tmp_path, place, public)
    assert "is no public key" in manifests.catalogue().problems[0]


def test_a_signed_zoo_stays_signed(tmp_path: Path) -> None:
    signer = key(tmp_path)
    folder = zoo(tmp_path, signer)
    with pytest.raises(ZooError, match="is signed; a push that changes its manifest needs --sign KEY"):
        zoo(tmp_path, None, "two.v1")
    assert len(json.loads((folder / "manifest.json").read_text())["models"]) == 1
    zoo(tmp_path, signer, "three.v1")
    pin(tmp_path, str(folder / "manifest.json"), signing.public_key(signer))
    assert {"one.v1", "three.v1"} <= set(manifests.catalogue().models)


def test_a_key_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no key")
    with pytest.raises(ZooError, match="no private key can be read"):
        signing.public_key(tmp_path / "no.pem")
    with pytest.raises(ZooError, match="is no Ed25519 key; openssl genpkey -algorithm ed25519"):
        signing.public_key(key(tmp_path, "ec.pem", ec.generate_private_key(ec.SECP256R1())))


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = key(tmp_path)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ZooError, match=r"pip install 'reportgen\[sign\]'"):
        signing.public_key(signer)
