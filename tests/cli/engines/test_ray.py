"""`--engine ray` on a real cluster of two nodes: the rows are those of the local run, whoever is killed in between."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from running import Rg
from two_nodes import TwoNodes

from reportgen_core.registries import sentence_classifiers
from reportgen_core.sentences.parts import LabelledSentence
from reportgen_core.testing.parts import tiny_model

pytestmark = pytest.mark.services

WORDS = ["effusion", "pneumothorax", "edema", "consolidation", "atelectasis", "cardiomegaly"]


@pytest.fixture(scope="module")
def tienet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_model("none", "tienet").save(tmp_path_factory.mktemp("models") / "tienet-r"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentences = [
        LabelledSentence(f"{cue} {word}", cue == "No", f"s{n}")
        for n, word in enumerate(WORDS)
        for cue in ("No", "Small")
    ]
    made = sentence_classifiers.create("tfidf")
    made.fit(sentences, sentences)
    folder = tmp_path_factory.mktemp("models") / "tfidf"
    made.save(folder)
    return folder


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 1,500 reports."""
    draw = random.Random(7)
    path = tmp_path_factory.mktemp("tables") / "reports.jsonl"
    with path.open("w") as file:
        for n in range(1500):
            text = " ".join(f"{draw.choice(['Small', 'No', 'Possible'])} {draw.choice(WORDS)}." for _ in range(4))
            file.write(json.dumps({"id": f"s{n}", "text": text}) + "\n")
    return path


def start(*arguments: object, code: str = "") -> subprocess.Popen[str]:
    """Start `rg`, or a code that runs it, in a process of its own."""
    command = [sys.executable, *(["-c", code] if code else ["-m", "reportgen_cli"]), *map(str, arguments)]
    variables = {**os.environ, "RAY_BACKEND_LOG_LEVEL": "error"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables)


def finish(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; return its code, stdout and stderr."""
    out, err = running.communicate(timeout=600)
    return running.returncode, out, err


def run(*arguments: object) -> tuple[int, str, str]:
    return finish(start(*arguments))


def ray(cluster: TwoNodes, folder: Path, workers: int) -> list[object]:
    """Return the options that run a command on the cluster, into folder/out."""
    return ["--engine", "ray", "--address", cluster.address, "--workers", workers, "--out", folder / "out"]


def lines(folder: Path) -> list[str]:
    return sorted(line for p in folder.glob("part-*.jsonl") for line in p.read_text().splitlines())


def printed(*arguments: object) -> list[str]:
    """Return the sorted lines that a local run prints."""
    code, out, err = run(*arguments)
    assert code == 0, err
    return sorted(out.splitlines())


def parts_there(folder: Path, count: int) -> None:
    """Wait until so many parts are in the manifest."""
    for _ in range(1800):
        done = folder / "_done.jsonl"
        if done.is_file() and done.read_text().count("\n") >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder} has no {count} parts after three minutes")


def worker_processes() -> list[int]:
    """Return the processes of Ray's that do blocks, of the nodes that these tests have started."""
    parents, workers = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, status = (folder / "cmdline").read_bytes(), (folder / "status").read_text()
        except OSError:
            continue  # it has ended
        parents[int(folder.name)] = int(re.findall(r"^PPid:\t(\d+)$", status, re.MULTILINE)[0])
        if name.startswith(b"ray::") and b"MapWorker" in name:
            workers.append(int(folder.name))

    def is_ours(process: int) -> bool:
        return process == os.getpid() or (process in parents and is_ours(parents[process]))

    return list(filter(is_ours, workers))


@pytest.mark.parametrize("workers", [1, 3])
def test_labels_are_those_of_a_local_run_with_one_worker_and_with_three(workers, cluster, reports, tmp_path) -> None:
    code, _, err = run("label", reports, "--batch-size", 100, *ray(cluster, tmp_path, workers))
    assert code == 0, err
    assert lines(tmp_path / "out") == printed("label", reports, "--json")


@pytest.mark.parametrize("workers", [1, 3])
def test_annotations_are_those_of_a_local_run_a_bad_row_among_them(workers, cluster, tienet, tmp_path) -> None:
    table = tmp_path / "t.csv"
    draw = random.Random(3)
    with table.open("w") as file:
        file.write("id,text\n")
        for n in range(9000):
            text = " ".join(f"word{draw.randint(1, 20)}" for _ in range(draw.randint(0, 12)))
            file.write(f"s{n},{text}\n" if n != 5000 else f"s{n},{text},more\n")
    command = ["annotate", table, "--model", tienet, "--device", "cpu"]
    code, _, err = run(*command, *ray(cluster, tmp_path, workers))
    local_code, local, local_err = run(*command, "--json")
    assert code == local_code == 1
    assert lines(tmp_path / "out") == sorted(local.splitlines()) and len(lines(tmp_path / "out")) == 8999
    assert "rg: line 5002: 3 cells, the header has 2" in err and "rg: line 5002: 3 cells" in local_err


@pytest.mark.parametrize("workers", [1, 3])
def test_abnormal_sentences_are_those_of_a_local_run(workers, cluster, reports, classifier, tmp_path) -> None:
    command = ["data", "abnormal", reports, "--model", classifier, "--json"]
    code, counts, err = run(*command, "--batch-size", 200, *ray(cluster, tmp_path, workers))
    assert code == 0, err
    local_code, local_counts, _ = run(*command, "--out", tmp_path / "local.jsonl")
    assert local_code == 0 and json.loads(counts) == json.loads(local_counts)
    assert lines(tmp_path / "out") == sorted((tmp_path / "local.jsonl").read_text().splitlines())


@pytest.mark.parametrize("workers", [1, 3])
def test_reports_are_those_of_a_local_run_an_unreadable_image_among_them(workers, cluster, model, tmp_path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for n in range(24):
        Image.linear_gradient("L").rotate(15 * n).resize((48, 40 + n)).save(images / f"x{n:02}.png")
    (images / "bad.png").write_bytes(b"no image")
    command = ["report", images, "--model", model, "--device", "cpu", "--batch-size", 4]
    code, _, err = run(*command, *ray(cluster, tmp_path, workers))
    local_code, _, local_err = run(*command, "--out", tmp_path / "local")
    assert code == local_code == 1
    assert lines(tmp_path / "out") == sorted((tmp_path / "local" / "reports.jsonl").read_text().splitlines())
    assert local_err.splitlines()[-1] in err


BLOCKS = 60  # of each command whose workers, driver and node are killed
SMALL_BLOCKS = """
import sys
from reportgen_cli.engines.jobs import reporting
from reportgen_cli.main import main
from reportgen_core.annotation import findings
findings.WINDOW, reporting.BLOCK = 16, 1
sys.argv[0] = "rg"
main()
"""


def first_rows(reports: Path, folder: Path, count: int) -> Path:
    """Write the first rows of a table as a table of their own."""
    path = folder / "first.jsonl"
    path.write_text("".join(reports.read_text().splitlines(keepends=True)[:count]))
    return path


@pytest.fixture
def small(request, reports, tienet, classifier, model, tmp_path) -> tuple[list[object], list[object]]:
    """Return a command with its input in small blocks, and what the local run needs besides."""
    command = request.param
    if command == "report":
        images = tmp_path / "images"
        images.mkdir()
        for n in range(BLOCKS):
            Image.linear_gradient("L").rotate(5 * n).resize((48, 40 + n)).save(images / f"x{n:02}.png")
        return ["report", images, "--model", model, "--device", "cpu", "--batch-size", 1], ["--out", tmp_path / "local"]
    if command == "annotate":
        table = first_rows(reports, tmp_path, BLOCKS * 16)
        return ["annotate", table, "--model", tienet, "--device", "cpu", "--batch-size", 4], ["--json"]
    table = first_rows(reports, tmp_path, BLOCKS * 5)
    if command == "label":
        return ["label", table], ["--json"]
    return ["data", "abnormal", table, "--model", classifier], ["--out", tmp_path / "local.jsonl"]


def local_lines(command: list[object], more: list[object], rg: Rg, folder: Path) -> list[str]:
    """Return the sorted lines of a run without an engine, in this process."""
    done = rg(*command, *more)
    assert done.code == 0, done.err
    files = [path for path in (folder / "local" / "reports.jsonl", folder / "local.jsonl") if path.is_file()]
    return sorted((files[0].read_text() if files else done.out).splitlines())


@pytest.mark.parametrize("small", ["label", "annotate", "report", "data abnormal"], indirect=True)
def test_a_worker_a_driver_and_a_node_are_killed_and_nothing_is_lost_or_doubled(
    small, cluster: TwoNodes, rg, tmp_path, monkeypatch
) -> None:
    command, local = small
    out = tmp_path / "out"
    blocks = ["--batch-size", 5] if command[0] in ("label", "data") else []
    arguments = [*command, *blocks, "--engine", "ray", "--address", cluster.address, "--out", out]
    driver = start(*arguments, code=SMALL_BLOCKS)
    parts_there(out, 5)
    os.kill(worker_processes()[0], signal.SIGKILL)
    parts_there(out, 15)
    driver.kill()
    driver.communicate()
    kept = (out / "_done.jsonl").read_text().count("\n")
    assert kept < BLOCKS
    cluster.add()  # for the one that is killed next
    driver = start(*arguments, "--resume", code=SMALL_BLOCKS)
    parts_there(out, kept + 5)
    cluster.kill()
    code, _, err = finish(driver)
    assert code == 0, err
    assert f"{kept} of {BLOCKS} parts are there" in err
    monkeypatch.setattr("reportgen_core.annotation.findings.WINDOW", 16)  # rows that are padded together
    assert lines(out) == local_lines(command, local, rg, tmp_path) != []


def test_a_cluster_of_its_own_is_started_without_an_address_and_ends_with_the_command(reports, tmp_path) -> None:
    code, out, err = run("label", reports, "--engine", "ray", "--workers", 2, "--out", tmp_path / "out")
    assert code == 0, err
    assert out == f"{tmp_path / 'out'}\n"
    assert lines(tmp_path / "out") == printed("label", reports, "--json")


def test_an_address_where_no_cluster_answers_is_one_line(reports, tmp_path) -> None:
    code, _, err = run(
        "label", reports, "--engine", "ray", "--address", "127.0.0.1:1", "--out", tmp_path / "out", "--workers", 1
    )
    assert code == 1
    assert err.splitlines()[-1].startswith("rg: --address 127.0.0.1:1: no Ray cluster answers there")
