"""The code blocks of the README and of docs/ run, page by page, in the order of the page and in one folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from docs_blocks import BLOCKS, COUNTED, DATA, NOT_RUN, PYTHON, ROOT, Block, is_named
from docs_server import CLIENT

HERE = Path(__file__).parent
ALONE = (
    "README.md",
    "docs/tutorials/",
    "docs/index.md",
    "docs/how-to/install.md",
    "docs/reference/",
)  # need no given file
SERVED = ("docs/tutorials/serve-it.md", "docs/how-to/serve.md")  # their blocks ask http://127.0.0.1:8000
RUN = {page: [b for b in blocks if b.language not in DATA and b.body.strip()] for page, blocks in BLOCKS.items()}
LEFT_OUT = [(b.page, line) for blocks in BLOCKS.values() for b in blocks for line in b.left_out]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of the blocks: our programs first, no network, a cache of its own."""
    cache = folder.parent / "cache"
    path = f"{folder.parent / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "XDG_CACHE_HOME": str(cache), "REPORTGEN_CACHE": str(cache), "REPORTGEN_OFFLINE": "1"}
    return os.environ | own | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start the server, and write its programs."""
    base = tmp_path_factory.mktemp("docs")
    (base / "bin").mkdir()
    address = str(base / "s")
    for name, program in {"rg": "rg", "reportgen": "rg", "python": "python"}.items():
        (base / "bin" / name).write_text(CLIENT.format(python=sys.executable, address=address, program=program))
        (base / "bin" / name).chmod(0o755)
    env = environment(base / "given")
    with subprocess.Popen([sys.executable, str(HERE / "docs_server.py"), address], env=env) as server:
        try:
            while not Path(address).exists():
                assert server.poll() is None
                time.sleep(0.1)
            yield base
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def given(programs: Path) -> Path:
    """Return the folder of what most pages take as given."""
    folder = programs / "given"
    folder.mkdir()
    subprocess.run(["python", str(HERE / "docs_given.py")], cwd=folder, env=environment(folder), check=True)
    return folder


@contextmanager
def served(page: str, folder: Path) -> Iterator[str]:
    """Run `rg serve` while the blocks of a page that asks it are run, and yield its address; "" for other pages."""
    if page not in SERVED:
        yield ""
        return
    command = [sys.executable, "-m", "reportgen_cli", "serve", "--port", "0", "--quiet"]
    env = environment(folder)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=folder) as server:
        assert server.stdout is not None
        try:
            yield re.findall(r"http://[\d.]+:\d+", server.stdout.readline())[0]
        finally:
            server.terminate()


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block; a shell block stops at its first error."""
    command = ["python", "-"] if block.language in PYTHON else ["bash", "-eo", "pipefail"]
    env = environment(folder)
    return subprocess.run(command, input=block.body, capture_output=True, text=True, cwd=folder, env=env, timeout=900)


@pytest.mark.docs
@pytest.mark.parametrize("page", [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in RUN if RUN[p]])
def test_the_blocks_of_a_page_run(page: Path, programs: Path, request: pytest.FixtureRequest) -> None:
    name = page.relative_to(ROOT).as_posix()
    folder = programs / name.replace("/", "-").removesuffix(".md")
    if name.startswith(ALONE):
        folder.mkdir()
    else:
        shutil.copytree(request.getfixturevalue("given"), folder)
    if name == "docs/plugins.md":
        shutil.copytree(ROOT / "tests" / "fixtures" / "reportgen-hello", folder, dirs_exist_ok=True)
        shutil.copytree(ROOT / "tests" / "fixtures" / "reportgen-sides", folder / "reportgen-sides")
    python = ""
    with served(name, folder) as address:
        for block in RUN[page]:
            body = block.body.replace("http://127.0.0.1:8000", address) if address else block.body
            if block.language in PYTHON:  # a later block may use the names of an earlier one
                python += body
                body = python
            done = run(replace(block, body=body), folder)
            assert done.returncode == 0, (
                f"{name}, block {block.number}\n{block.body}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
            )


@pytest.mark.parametrize("page", [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in BLOCKS])
def test_a_block_of_data_can_be_read(page: Path) -> None:
    for block in BLOCKS[page]:
        if block.language == "toml":
            tomllib.loads(block.body)
        elif block.language == "json":
            json.loads(block.body)


def test_what_is_not_run_is_counted_and_has_a_reason_that_is_still_needed() -> None:
    pages = [page for page in NOT_RUN if (ROOT / page).exists()]
    counted = {page: sum(p == page for p, _ in LEFT_OUT) for page in pages}
    unused = {
        (page, start) for page in pages for start in NOT_RUN[page]
        if not any(p == page and is_named(line, start) for p, line in LEFT_OUT)
    }  # fmt: skip
    assert unused == set()
    assert counted == {page: COUNTED[page] for page in pages}


def test_most_blocks_run() -> None:
    blocks = [b for page in BLOCKS.values() for b in page]
    assert sum(bool(b.body.strip()) for b in blocks) / len(blocks) > 0.7
