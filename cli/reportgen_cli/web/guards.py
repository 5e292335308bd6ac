"""Say who may send requests: by the token, by the Host header, and by the page that sends them."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Collection

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
LOCAL = ("127.0.0.1", "localhost", "[::1]")  # this machine, as a Host header names it


def new_token() -> str:
    """Return a random token of 128 bits, in letters that an address may have."""
    return secrets.token_urlsafe(16)


def same_token(given: str, token: str) -> bool:
    """Return whether a token is the right one. The time that this takes does not depend on how much is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def local_hosts(port: int) -> set[str]:
    """Return the Host headers of requests to a server of this machine."""
    return {f"{name}:{port}" for name in LOCAL} | (set(LOCAL) if port == 80 else set())


def is_local(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def own_origin(origin: str | None, site: str | None, hosts: Collection[str]) -> bool:
    """Return whether a request comes from a page of this server, or from a program.

    `origin` and `site` are the headers Origin and Sec-Fetch-Site. A browser sends one of them, a program neither.
    """
    if origin is not None:
        return origin.partition("://")[2] in hosts and origin.partition("://")[0] in ("http", "https")
    return site in (None, "same-origin", "none")
