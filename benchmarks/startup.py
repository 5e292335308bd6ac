"""Time `rg --help` and `rg list encoders`, and for comparison a Python that only imports click and pluggy."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks.measure import Row, command, compiled, emit, in_turns, milliseconds, ratio

BARE = "a Python that imports click and pluggy"


def main() -> None:
    python = partial(command, sys.executable, env=compiled())
    bare, help_seconds, list_seconds = in_turns(
        python("-c", "import click, pluggy"),
        python("-m", "reportgen_cli", "--help"),
        python("-m", "reportgen_cli", "list", "encoders"),
        turn=0.25,
    )
    emit(
        [
            Row("python -c 'import click, pluggy'", milliseconds(bare), "ms"),
            Row("`rg --help`", milliseconds(help_seconds), "ms", ratio(help_seconds, bare), BARE),
            Row("`rg list encoders`", milliseconds(list_seconds), "ms", ratio(list_seconds, bare), BARE),
        ]
    )


if __name__ == "__main__":
    main()
