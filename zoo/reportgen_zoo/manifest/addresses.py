"""The addresses of manifests and sources: paths, and URLs without a user and a password."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from reportgen_core import ReportgenError
from reportgen_core.errors import quoted

REMOTE = ("http", "https", "hf")  # the schemes of the network
_PASSWORD = re.compile(r"(?<=:)//[^/?#\s\"]*@")


class ZooError(ReportgenError):
    """A trained model cannot be found, fetched or trusted."""


class Refused(ZooError):
    """An address that is never used: another try would end in the same way."""


def check_address(address: str) -> str:
    """Return the scheme of a source or of a manifest's place, "" for a path.

    Raises Refused for a URL with a user or a password, because an address is printed and written down, and for a text
    that is no address.
    """
    if has_password(address):
        raise Refused(
            f"{without_password(address)[:80]} has a user or a password in it, and such an address is not used; "
            "name a place that needs none, or a folder with a copy"
        )
    try:
        parts = urlsplit(address)
        if parts.scheme in REMOTE and (not parts.netloc or not 0 <= (parts.port or 0) < 2**16):
            raise ValueError("no host")
        return parts.scheme
    except ValueError:  # its text may have a part of a password
        shown = re.sub(r"(?<=:)\S*@", "//...@", address)
        raise Refused(f"{quoted(shown)} is no address: a URL has a scheme and a host, as https://host/folder") from None


def is_remote(address: str) -> bool:
    """Return whether an address is a place of the network. Raises Refused as `check_address` does."""
    return check_address(address) in REMOTE


def has_password(text: str) -> bool:
    """Return whether a text has a URL with a user or a password."""
    return _PASSWORD.search(text) is not None


def without_password(text: str) -> str:
    """Return a text with "..." in place of the user and the password of each URL."""
    return _PASSWORD.sub("//...@", text)
