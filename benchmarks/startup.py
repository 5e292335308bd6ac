"""How long `rg --help` and `rg list encoders` take, beside a bare Python that imports click."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import Row, alternate, compiled, emit


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=compiled())


def main() -> None:
    bare, helped, listed = alternate(
        [
            lambda: run("-c", "import click, pluggy"),
            lambda: run("-m", "reportgen_cli", "--help"),
            lambda: run("-m", "reportgen_cli", "list", "encoders"),
        ]
    )
    emit(
        [
            Row("python -c 'import click, pluggy'", 1000 * bare, "ms"),
            Row("rg --help", 1000 * helped, "ms", helped / bare, "bare"),
            Row("rg list encoders", 1000 * listed, "ms", listed / bare, "bare"),
        ]
    )


if __name__ == "__main__":
    main()
