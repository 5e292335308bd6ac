"""Push a model to a repository of the Hugging Face hub, in the layout of a zoo folder.

    manifest.json, manifest.json.sig      read if the settings name `hf://owner/repo` as a manifest
    models/NAME/...                       config.json, model.safetensors and the rest
    cards/NAME.md

All files of a push are one commit, so the manifest never names a model that is not there. A push needs a token with
the right to write.
"""

from __future__ import annotations

import urllib.error
from pathlib import Path

from ..manifest import signing
from ..manifest.cards import card
from ..manifest.records import Record, ZooError, check_record
from ..pull.catalogue import MAX_MANIFEST, read_manifest
from ..pull.sources import NETWORK_ERRORS, address, hub, hub_token, read_url, repository
from .push import add_to_manifest, check_signed


def push_to_hub(folder: Path, record: Record, place: str, key: Path | None = None) -> str:
    """Commit a model folder and its record to `hf://owner/repo[@branch][/folder]`. Return the place with its commit."""
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of whichever library it stands on

    check_record(record, "the record")
    repo, branch, inside = repository(place)
    api = HfApi(endpoint=hub(), token=hub_token())
    try:
        api.create_repo(repo, exist_ok=True)
        manifest = _read_file(place, "manifest.json")
        check_signed(_read_file(place, "manifest.json" + signing.SUFFIX) is not None, key, place)
        models = read_manifest(manifest, place).models if manifest is not None else ()
        text = add_to_manifest(models, record, place).encode()
        files: dict[str, Path | bytes] = {f"models/{record.name}/{f.path}": folder / f.path for f in record.files}
        files |= {f"cards/{record.name}.md": card(record).encode(), "manifest.json": text}
        if key is not None:
            files["manifest.json" + signing.SUFFIX] = signing.sign(text, key)[0].encode()
        adds = [CommitOperationAdd(inside + path, content) for path, content in files.items()]
        commit = api.create_commit(repo, adds, commit_message=f"Add {record.name}", revision=branch)
    except (HTTPError, ValueError, *NETWORK_ERRORS) as e:
        raise ZooError(f"{place}: {str(e).splitlines()[0]}; HF_TOKEN has to be a token that may write there") from e
    return f"hf://{repo}@{commit.oid}" + (f"/{inside.rstrip('/')}" if inside else "")


def _read_file(place: str, path: str) -> bytes | None:
    """Return a file of a repository; None if there is none."""
    try:
        return read_url(address(place, path), MAX_MANIFEST)
    except urllib.error.HTTPError as e:
        if e.code == 404:
            return None
        raise
