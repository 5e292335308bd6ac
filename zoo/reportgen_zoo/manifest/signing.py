"""Signed manifests: an Ed25519 signature of the manifest's bytes, in the file `manifest.json.sig` next to it.

A manifest has the hashes of all files, so its signature covers them too. If the settings pin a key for a manifest, that
manifest is read only with a valid signature. The package `cryptography` computes signatures.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from reportgen_core.errors import quoted

from .records import ZooError

SUFFIX = ".sig"
SIZE = 256  # largest signature file, in bytes


def sign(data: bytes, key_file: Path) -> tuple[str, str]:
    """Return the signature of `data` and the public key. The private key is PEM without a passphrase."""
    key = _private(key_file)
    return base64.b64encode(key.sign(data)).decode() + "\n", public_key(key_file)


def public_key(key_file: Path) -> str:
    """Return the public key in the form that a user pins: ed25519:BASE64."""
    raw: bytes = _private(key_file).public_key().public_bytes_raw()
    return "ed25519:" + base64.b64encode(raw).decode()


def check_signature(data: bytes, signature: bytes, key: str, where: str) -> None:
    """Raise ZooError unless `signature` is that of `data` by the owner of `key`."""
    kinds = _library()
    kind, _, text = key.partition(":")
    try:
        raw = base64.b64decode(text, validate=True)
        if kind != "ed25519" or len(raw) != 32:
            raise ValueError
    except ValueError as e:
        raise ZooError(f"{where}: {quoted(key)} is no public key; write ed25519:BASE64 of 32 bytes") from e
    try:
        kinds.public.from_public_bytes(raw).verify(base64.b64decode(signature.strip(), validate=True), data)
    except (ValueError, kinds.invalid) as e:
        raise ZooError(f"{where}: its signature is not that of the pinned key {key[:20]}...; it is not used") from e


def _private(key_file: Path) -> Any:
    kinds = _library()
    try:
        key = kinds.load(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError, kinds.unsupported) as e:
        raise ZooError(f"{key_file}: no private key can be read: {e}; {MAKE_ONE}") from e
    if not isinstance(key, kinds.private):
        raise ZooError(f"{key_file}: is no Ed25519 key; {MAKE_ONE}")
    return key


MAKE_ONE = "openssl genpkey -algorithm ed25519 -out key.pem makes one"


class _Library:
    """The parts of `cryptography` that signatures need. The package is an extra."""

    def __init__(self) -> None:
        import importlib

        ed25519: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
        errors: Any = importlib.import_module("cryptography.exceptions")
        self.public, self.private = ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey
        self.invalid, self.unsupported = errors.InvalidSignature, errors.UnsupportedAlgorithm
        self.load: Any = importlib.import_module("cryptography.hazmat.primitives.serialization").load_pem_private_key


def _library() -> _Library:
    try:
        return _Library()
    except ModuleNotFoundError as e:
        raise ZooError("signatures need the package cryptography: pip install 'reportgen[sign]'") from e
