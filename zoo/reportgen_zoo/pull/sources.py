"""Open a file of a model at a source. A source is a folder: `https://`, `hf://`, `file://`, `package:` or a plain path.

`hf://owner/repo@revision/folder` is a place in a repository of the Hugging Face hub, read at its resolve address
($HF_ENDPOINT, $HF_TOKEN). The token is sent to the hub only, never to a host that the hub redirects to. http is
accepted too: the record has the hashes.
"""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from importlib import resources
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote, unquote, urlsplit

from reportgen_core.errors import quoted

from ..manifest.addresses import Refused, ZooError, check_address, is_remote

TIMEOUT = 30.0  # largest time without a byte, in seconds
CHUNK = 1 << 16  # bytes that are read at once
TRY_AGAIN = (408, 416, 425, 429)  # answers below 500 that may differ the next time

_PLAIN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REPOSITORY = re.compile(rf"hf://({_PLAIN}/{_PLAIN})(?:@([A-Za-z0-9][A-Za-z0-9._%-]*))?(?:/([A-Za-z0-9._/+-]+?))?/?")
NETWORK_ERRORS = (urllib.error.URLError, HTTPException, OSError)


class Readable(Protocol):
    """A stream of bytes that fills a buffer."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from its start. Return the number of bytes read, 0 at the end of the stream."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream of a file's bytes from byte `start` on; `start` is 0 if the source cannot begin in the middle."""

    stream: Readable
    start: int


def is_local(source: str) -> bool:
    """Return whether a source needs no network. Raises ZooError if it is no address."""
    return not is_remote(source)


def local_folder(source: str) -> Path | None:
    """Return the folder of a source on this machine; None for one on the network. Raises ZooError."""
    if source.startswith("package:"):
        package, _, inside = source.removeprefix("package:").partition("/")
        if not re.fullmatch(r"\w+(\.\w+)*", package):
            raise Refused(f"{source!r} names no package")
        try:
            at = resources.files(package)
        except ModuleNotFoundError as e:
            raise Refused(f"{source}: package {package!r} is not installed") from e
        return Path(str(at.joinpath(*inside.split("/")))) if inside else Path(str(at))
    if not is_local(source):
        return None
    parts = urlsplit(source)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise Refused(f"{source!r} names another machine")
        return Path(unquote(parts.path))
    return Path(source).expanduser()


def address(source: str, path: str) -> str:
    """Return the URL of a file at a source on the network."""
    if source.startswith("hf://"):
        repo, revision, folder = repository(source)
        return f"{hub()}/{repo}/resolve/{quote(revision, safe='')}/{quote(folder + path)}"
    return f"{source.rstrip('/')}/{quote(path)}"


def repository(source: str) -> tuple[str, str, str]:
    """Return owner/name, revision, and folder with its slash, of `hf://owner/repo[@revision][/folder]`.

    Raises ZooError if `source` is not of this form.
    """
    match = _REPOSITORY.fullmatch(source)
    if not match or ".." in source:
        raise Refused(f"{source!r} is no repository; write hf://owner/repo or hf://owner/repo@revision")
    return match[1], unquote(match[2] or "main"), f"{match[3]}/" if match[3] else ""


def hub() -> str:
    """Return the address of the hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def hub_token() -> str | None:
    """Return $HF_TOKEN, or the token that `hf auth login` saved; None if there is none.

    huggingface_hub is imported only if there is a saved token, because its import is slow.
    """
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    if token := os.environ.get("HF_TOKEN"):
        return token
    if not Path(os.environ.get("HF_TOKEN_PATH", home / "token")).expanduser().is_file():
        return None
    from huggingface_hub import get_token

    return get_token()


@contextmanager
def opened(source: str, path: str, start: int = 0) -> Iterator[Opened]:
    """Open the file `path` of a source, at byte `start` if the source supports it."""
    folder = local_folder(source)
    if folder is not None:
        if (folder / path).exists() and not (folder / path).is_file():  # a pipe or a device would have no end
            raise ZooError(f"{folder / path} is no file")
        with (folder / path).open("rb") as stream:
            stream.seek(start)
            yield Opened(stream, start)
        return
    url = address(source, path)
    with _open(url, {"Range": f"bytes={start}-"} if start else {}) as response:
        ranged = response.status == 206 and _first(response.headers) == start
        yield Opened(response, start if ranged else 0)


def _first(headers: HTTPMessage) -> int | None:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def read_url(url: str, limit: int, arrived: Callable[[int], None] = lambda count: None) -> bytes:
    """Return the bytes at a URL. Raises ZooError if there are more than `limit`.

    `arrived` is called with the number of bytes of each part.
    """
    data = bytearray()
    with _open(url, {}) as response:
        while part := response.read1(min(CHUNK, limit + 1 - len(data))):
            arrived(len(part))
            data += part
            if len(data) > limit:
                raise ZooError(f"more than {limit} bytes")
        if response.length:  # bytes that the server promised and did not send
            raise OSError(f"ended after {len(data)} of {len(data) + response.length} bytes")
    return bytes(data)


def explain(error: BaseException, source: str) -> str:
    """Return what went wrong at a source of the network; for a refusal, also whether a token may help."""
    code = getattr(error, "code", None)
    text = str(error) or type(error).__name__
    if source.startswith("hf:") and code in (401, 403, 404, 410):
        return f"{text}; set HF_TOKEN where {source} is private" + (
            ", to a token that may read it" if hub_token() else ""
        )
    if code in (401, 403, 407):
        return f"{text}; it wants a token or a login, and reportgen sends a token (HF_TOKEN) to hf:// places only"
    return text


def is_permanent(error: BaseException) -> bool:
    """Return whether another try would end in the same way."""
    if isinstance(error, Refused | InvalidURL):
        return True
    code = getattr(error, "code", 500)
    return 300 <= code < 500 and code not in TRY_AGAIN


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects between http and https addresses, but never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        scheme = check_address(newurl)
        if scheme not in ("http", "https") or (scheme == "http" and urlsplit(req.full_url).scheme == "https"):
            raise Refused(f"{req.full_url} redirects to {newurl[:80]}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, headers: Mapping[str, str]) -> HTTPResponse:
    check_address(url)
    request = urllib.request.Request(url, headers={"User-Agent": "reportgen", **headers})
    if url.startswith(f"{hub()}/") and (token := hub_token()):
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        response = urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except ValueError as e:  # the name of a host that cannot exist, here or in a redirect
        raise Refused(f"{quoted(url)} leads to no address: {e}") from e
    assert isinstance(response, HTTPResponse)
    return response
