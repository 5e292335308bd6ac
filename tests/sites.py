"""Folders of packages that Python finds beside those installed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Site:
    """A folder of packages that python finds beside those installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, body: str) -> None:
        """A module with the dist-info that an installed package has, and one entry point of its own name."""
        (self.folder / f"{name}.py").write_text(body)
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[reportgen]\n{name} = {name}\n")

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        path = {"PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, *arguments], env=os.environ | path | env, capture_output=True, text=True)

    def ask(self, code: str, **env: str) -> Any:
        head = "import json, reportgen_core as r\nfrom reportgen_core.discovery import load_plugins\n"
        done = self.run("-c", head + code, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def rg(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "reportgen_cli", *arguments, **env)
