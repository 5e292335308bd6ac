"""Give a page a security policy: its own style and script run, nothing else does, and nothing comes from elsewhere."""

from __future__ import annotations


def secure_page(html: str, nonce: str) -> tuple[str, str]:
    """Return a page of `fill_page` whose style and scripts have a nonce, and its header Content-Security-Policy."""
    for tag in ("style", "script"):
        html = html.replace(f"<{tag}>", f'<{tag} nonce="{nonce}">')
    html = html.replace("<title>", '<link rel="icon" href="data:,">\n<title>')
    policy = "default-src 'none'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    return html, policy + f"frame-ancestors 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
