"""Measure `--engine ray` against a local run, its memory, and the cost of many studies.

    python -m benchmarks.engines pairs --rows 300000 --pairs 3     rg annotate, local and ray in turns
    python -m benchmarks.engines memory --rows 1000000             rg label: the memory of driver and workers
    python -m benchmarks.engines images --images 1000              rg report on phantom images
    python -m benchmarks.engines rates                             rows a second of processor time, on one thread
    python -m benchmarks.engines cost --per-core 40 --price 0.04   what many studies cost

Time counts from when the workers are up: for ray from the first block that is begun to the last part, for the local run
from the first row that is read to the last line. A run has as many workers as there are cores, one thread each; the
local run has as many threads.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

WORDS = [f"word{n}" for n in range(1, 21)]
CORES = len(os.sched_getaffinity(0))


def write_table(path: Path, rows: int) -> Path:
    """Write a table of reports of 5 to 30 words."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            words = draw.choices(WORDS, k=draw.randint(5, 30))
            text = ". ".join(" ".join(words[i : i + 8]) for i in range(0, len(words), 8))
            file.write(json.dumps({"id": f"s{n}", "text": text}) + "\n")
    return path


def write_sentences(path: Path, rows: int) -> Path:
    """Write a table of reports of one sentence, which `rg label` reads."""
    texts = [f"{cue} {word}." for cue in ("No", "Small", "Possible") for word in ("edema", "effusion", "pneumothorax")]
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            file.write(json.dumps({"id": f"s{n}", "text": texts[n % len(texts)]}) + "\n")
    return path


def make_model(folder: Path) -> Path:
    """Write a tiny tienet-r with random weights: with so little arithmetic, the engine weighs most."""
    from reportgen_core.testing.parts import tiny_model

    return Path(tiny_model("none", "tienet").save(folder))


def rg(*arguments: object) -> subprocess.Popen[bytes]:
    """Start `rg`."""
    return subprocess.Popen([sys.executable, "-m", "reportgen_cli", *map(str, arguments)], stdout=subprocess.DEVNULL)


def annotate_by_ray(table: Path, model: Path, out: Path) -> tuple[float, float]:
    """Return the seconds from the first block to the last part, and the processor time of the workers."""
    shutil.rmtree(out, ignore_errors=True)
    ray = ("--engine", "ray", "--workers", CORES, "--out", out)
    if rg("annotate", table, "--model", model, "--device", "cpu", *ray).wait():
        raise SystemExit("rg annotate --engine ray failed")
    done = manifest(out)
    return max(d["ended"] for d in done) - min(d["begun"] for d in done), sum(d["cpu"] for d in done)


def manifest(out: Path) -> list[dict[str, Any]]:
    """Return the lines of the manifest of a run."""
    return [json.loads(line) for line in (out / "_done.jsonl").read_text(encoding="utf-8").splitlines()]


def annotate_here(table: Path, model_folder: Path, out: Path) -> None:
    """Annotate a table as `rg annotate --json` does. Print the seconds from the first row to the last line, and the
    processor time.
    """
    from reportgen_cli.formats.values import annotation_values

    from reportgen_core.annotation.findings import annotate
    from reportgen_core.annotation.report_rows import Columns, read_report_rows
    from reportgen_core.models.loading import load_model

    model = load_model(model_folder)
    start, cpu = time.monotonic(), time.process_time()
    rows = read_report_rows(table, Columns(sections=model.text.sections, labels=()))
    with out.open("w", encoding="utf-8") as file:
        for row in annotate(model, rows):
            file.write(json.dumps(annotation_values(row), ensure_ascii=False) + "\n")  # type: ignore[arg-type]
    print(time.monotonic() - start, time.process_time() - cpu)


def annotate_locally(table: Path, model: Path, out: Path) -> tuple[float, float]:
    """Return the seconds and the processor time of a local run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.engines", "here", str(table), str(model), str(out)]
    seconds, cpu = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(cpu)


def pairs(folder: Path, rows: int, count: int) -> None:
    """Print the seconds of local and ray runs in turns, and the range of their ratios."""
    table, model = write_table(folder / "rows.jsonl", rows), make_model(folder / "model")
    ratios, efforts = [], []
    for n in range(count):
        local, local_cpu = annotate_locally(table, model, folder / "local.jsonl")
        ray, ray_cpu = annotate_by_ray(table, model, folder / "out")
        if n == 0:
            check_same(folder / "local.jsonl", folder / "out")
        ratios.append(ray / local)
        efforts.append(ray_cpu / local_cpu)
        print(
            f"pair {n + 1}: local {local:.1f} s ({rows / local:,.0f} rows/s), "
            f"ray {ray:.1f} s ({rows / ray:,.0f} rows/s), "
            f"processor time {local_cpu:.1f} s and {ray_cpu:.1f} s, "
            f"ratio {ray / local:.2f}, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    print(f"ray takes {min(ratios):.2f} to {max(ratios):.2f} of the local time, {rows:,} rows, {CORES} cores")
    print(f"and {min(efforts):.2f} to {max(efforts):.2f} of its processor time")


def check_same(local: Path, out: Path) -> None:
    """Print whether the rows are the same after sorting."""
    parts = [line for path in sorted(out.glob("part-*.jsonl")) for line in path.open(encoding="utf-8")]
    lines = local.read_text(encoding="utf-8").splitlines(keepends=True)
    differ = sum(a != b for a, b in zip(sorted(parts), sorted(lines), strict=True))
    print(f"{differ} of {len(lines):,} rows differ", flush=True)


def memory_of(process: int) -> dict[str, int]:
    """Return the memory in MiB of the driver, and of the processes of its Ray that do blocks."""
    held = {"driver": 0, "workers": 0}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name = (path / "cmdline").read_bytes()
            pages = int((path / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # it has ended
        size = pages * os.sysconf("SC_PAGE_SIZE") // 2**20
        if path.name == str(process):
            held["driver"] = size
        elif name.startswith(b"ray::") and b"MapWorker" in name and process in ancestors(int(path.name)):
            held["workers"] += size
    return held


def ancestors(process: int) -> Iterator[int]:
    """Yield the processes that a process descends from, the nearest first."""
    while process > 1:
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return  # it has ended
        process = int(stat.rpartition(")")[2].split()[1])
        yield process


def memory(folder: Path, rows: int, command: Sequence[object], every: float = 2.0) -> None:
    """Print the memory of the driver and of the workers over a run, in tenths of the run."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    driver = rg(*command, "--engine", "ray", "--workers", CORES, "--out", out)
    samples: list[tuple[float, dict[str, int]]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            if (out / "_done.jsonl").is_file() and (out / "_done.jsonl").stat().st_size:
                samples.append((time.monotonic(), memory_of(driver.pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    code = driver.wait()
    ended.set()
    watcher.join()
    done = manifest(out)
    seconds = max(d["ended"] for d in done) - min(d["begun"] for d in done)
    count = sum(d["rows"] for d in done)
    cpu = sum(d["cpu"] for d in done)
    print(f"exit code {code}, {count:,} of {rows:,} rows in {seconds:.0f} s, {count / seconds:,.0f} rows/s")
    print(f"processor time {cpu:.0f} s, {count / cpu:,.1f} rows a second and core")
    for n in range(0, 10):
        _, held = samples[n * (len(samples) - 1) // 9]
        print(f"{(n + 1) * 10:>4} %  driver {held['driver']} MiB, {CORES} workers {held['workers']} MiB")


def write_images(folder: Path, count: int) -> Path:
    """Write phantom images as PNG files."""
    from reportgen_core.registries import datasets

    shutil.rmtree(folder, ignore_errors=True)
    datasets.create("phantom", folder, n=count, size=256, views=1).read()
    return folder


def rates(folder: Path, rows: int) -> None:
    """Print rows a second of processor time: labels, findings of a tienet-r of the usual size, blocks of tables."""
    import torch
    from reportgen_cli.engines.tables import plan_table
    from reportgen_cli.labelers import labeler_of

    from reportgen_core import Study, compose
    from reportgen_core.annotation.findings import annotate
    from reportgen_core.annotation.report_rows import ReportRow
    from reportgen_core.text.spec import TextSpec, Vocabulary

    torch.set_num_threads(1)
    draw, labeler = random.Random(0), labeler_of("chexpert-rules", "chexpert14")
    cues, findings = ("No", "Small", "Possible"), ("edema", "effusion", "pneumothorax", "cardiomegaly", "atelectasis")
    texts = [
        " ".join(f"{draw.choice(cues)} {draw.choice(findings)}." for _ in range(draw.randint(2, 6)))
        for _ in range(rows)
    ]
    words = [f"word{n}" for n in range(2000)]
    model = compose(
        encoder="none", decoder="tienet", text=TextSpec(max_sentences=8, max_words=12), vocabulary=Vocabulary(words),
        findings=tuple(f"finding {n}" for n in range(14)), positives=(0.1,) * 14,
    )  # fmt: skip
    reports = [ReportRow(n, Study(str(n), (), {"findings": " ".join(draw.choices(words, k=35))})) for n in range(512)]
    lines, cells = folder / "rates.jsonl", folder / "rates.csv"
    lines.write_text("".join(json.dumps({"id": f"s{n}", "text": "No edema. " * 30}) + "\n" for n in range(50_000)))
    cells.write_text("id,text\n" + "".join(f"s{n},{'No edema. ' * 30}\n" for n in range(50_000)))
    for _ in range(3):
        print(f"label    {rate(len(texts), lambda: [labeler.explain(text) for text in texts]):>12,.0f}")
        print(f"annotate {rate(len(reports), lambda: list(annotate(model, reports))):>12,.0f}")
        for table in (lines, cells):
            blocks = rate(50_000, lambda table=table: plan_table(table, folder / "copy", 4096))  # type: ignore[misc]
            print(f"blocks   {blocks:>12,.0f}  {table.suffix}")


def rate(count: int, run: Callable[[], object]) -> float:
    """Return how many of `count` things are done in a second of processor time."""
    start = time.process_time()
    run()
    return count / (time.process_time() - start)


def cost(per_core: float, price: float, studies: float, cores: int, hours: float, kb: float) -> None:
    """Print nodes, hours, core-hours and price for many studies, and what becomes the bottleneck."""
    core_hours = studies / per_core / 3600
    nodes = core_hours / (cores * hours)
    print(f"{studies:.0e} studies at {per_core:g} a second and core: {core_hours:,.1f} core-hours")
    print(f"price at {price:g} a core-hour: {core_hours * price:,.2f}")
    for count in (1, 8, 32, max(1, round(nodes))):
        print(f"{count:>5} nodes of {cores} cores: {core_hours / (cores * count):,.2f} h")
    print(f"reading {kb:g} kB a study: {studies * kb / 1e9:,.1f} TB, {per_core * cores * kb / 1e3:,.1f} MB/s a node")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pairs", "memory", "images", "rates", "cost", "here"])
    parser.add_argument("paths", nargs="*", type=Path, help="Of `here`, which `pairs` calls.")
    parser.add_argument("--folder", type=Path, default=Path("engines"), help="Where tables and parts are written.")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--model", help="Of `images`; without it the model that ships inside.")
    parser.add_argument("--per-core", type=float, default=40.0, help="Studies a second and core.")
    parser.add_argument("--price", type=float, default=0.04, help="Of a core-hour.")
    parser.add_argument("--studies", type=float, default=1e8)
    parser.add_argument("--cores", type=int, default=32, help="Of a node.")
    parser.add_argument("--hours", type=float, default=24.0, help="In which the studies are to be done.")
    parser.add_argument("--kb", type=float, default=0.5, help="kB of a study that are read.")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True) if given.what in ("pairs", "memory", "images", "rates") else None
    if given.what == "here":
        annotate_here(*given.paths)
    elif given.what == "pairs":
        pairs(given.folder, given.rows, given.pairs)
    elif given.what == "rates":
        rates(given.folder, min(given.rows, 2000))
    elif given.what == "memory":
        memory(given.folder, given.rows, ["label", write_sentences(given.folder / "sentences.jsonl", given.rows)])
    elif given.what == "images":
        images = write_images(given.folder / "images", given.images)
        model_option = ["--model", given.model] if given.model else []
        memory(given.folder, given.images, ["report", images, "--device", "cpu", *model_option])
    else:
        cost(given.per_core, given.price, given.studies, given.cores, given.hours, given.kb)


if __name__ == "__main__":
    main()
