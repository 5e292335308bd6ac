"""Change pages while the site is built: links to source files become names, and the changes are a page."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return a page whose links to files outside docs/ are the names of these files; the site has no source files."""
    if page.file.src_uri == "reference/changes.md":
        changes = Path(config["config_file_path"]).parent / "CHANGELOG.md"
        markdown = changes.read_text(encoding="utf-8").replace("](docs/", "](../")
    folder = posixpath.dirname(page.file.src_uri)

    def name(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        return match[1] if target.startswith("..") else match[0]

    parts = CODE.split(markdown)
    return "".join(part if part.startswith("`") else LINK.sub(name, part) for part in parts)
