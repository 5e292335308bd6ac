"""Runs of `--engine ray`, with an engine in this process: the folder, the manifest, what continues and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from reportgen_cli.engines.options import EngineOptions
from reportgen_cli.engines.parts import MAX_TRIES, PartWriter
from reportgen_cli.engines.ray_engine import pool_of
from reportgen_cli.engines.seam import Block, Outcome

from reportgen_core import OptionError

TEXTS = ["Small left effusion.", "No pneumothorax.", "Weather is fine.", "Possible pneumonia.", "Heart size is normal."]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"id": f"s{n}", "text": t}) + "\n" for n, t in enumerate(TEXTS)))
    return path


@pytest.fixture
def label(rg, in_process, tmp_path):
    """Label a table by the engine into tmp_path/out, two rows a part."""

    def run(table: Path, *more: object):
        return rg("label", table, "--engine", "ray", "--out", tmp_path / "out", "--batch-size", 2, *more)

    return run


def rows(folder: Path) -> str:
    return "".join(p.read_text() for p in sorted(folder.glob("part-*.jsonl")))


def test_the_parts_are_the_lines_that_the_command_prints(rg, label, table, tmp_path) -> None:
    done = label(table)
    assert done.code == 0, done.err
    assert done.out == f"{tmp_path / 'out'}\n"
    assert rows(tmp_path / "out") == rg("label", table, "--json").out
    assert "1 of 5 texts have no labels" in done.err and "5 rows in 3 parts" in done.err
    assert done.err.count("\n") < 6


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("t.csv", b"id,findings\n" + b"".join(f'{n},"{t}"\n'.encode() for n, t in enumerate(TEXTS))),
        ("t.csv.gz", gzip.compress(b"id,report\na,No effusion.\nb,Edema.\nc,Edema.\n")),
        ("t.tsv", b"id\ttext\na\tNo effusion.\nb\tEdema.\nc\t\n"),
        ("t.txt", "No effusion.\n\nEdema é.\nEdema.\n\n".encode()),
    ],
)
def test_tables_of_every_kind_are_labelled_as_without_an_engine(name, body, rg, label, tmp_path) -> None:
    (tmp_path / name).write_bytes(body)
    lines = ["--lines"] if name == "t.txt" else []
    assert label(tmp_path / name, "--explain", *lines).code == 0
    assert rows(tmp_path / "out") == rg("label", tmp_path / name, "--json", "--explain", *lines).out


def test_a_bad_row_is_named_by_its_line_and_the_others_are_labelled(label, tmp_path) -> None:
    (tmp_path / "t.jsonl").write_text('{"id": "a", "text": "Edema."}\n{"id": "b"\n{"id": "c", "text": "Edema."}\n')
    done = label(tmp_path / "t.jsonl")
    assert done.code == 1
    assert "rg: line 2: no JSON" in done.err and "1 rows could not be read" in done.err
    assert [json.loads(line)["id"] for line in rows(tmp_path / "out").splitlines()] == ["a", "c"]
    assert json.loads((tmp_path / "out" / "_bad-000000.jsonl").read_text())["line"] == 2


def test_a_run_that_ended_early_continues_with_the_parts_that_are_missing(label, table, in_process, tmp_path) -> None:
    in_process.ends_after = 1
    first = label(table)
    assert first.code == 1 and "2 of 3 parts are missing; --resume does them" in first.err
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("part-*")}
    with (tmp_path / "out" / "_done.jsonl").open("a") as file:
        file.write('{"block": 1, "ro')  # killed in the middle of a line
    (tmp_path / "out" / "part-000001.jsonl").write_text("of a worker whose driver was gone\n")
    (tmp_path / "out" / ".part-000001.jsonl.5f.part").write_text("half")
    in_process.ends_after, in_process.began[:] = None, []
    second = label(table, "--resume")
    assert second.code == 0, second.err
    assert "1 of 3 parts are there" in second.err and sorted(in_process.began) == [0, 1]
    assert len(rows(tmp_path / "out").splitlines()) == 5
    assert (tmp_path / "out" / "part-000002.jsonl").stat().st_mtime_ns == before["part-000002.jsonl"]
    assert not list((tmp_path / "out").glob(".*.part"))


def test_a_part_that_is_gone_or_cut_off_is_done_again(label, table, in_process, tmp_path) -> None:
    assert label(table).code == 0
    whole = rows(tmp_path / "out")
    (tmp_path / "out" / "part-000000.jsonl").unlink()
    (tmp_path / "out" / "part-000002.jsonl").write_text("{")
    in_process.began[:] = []
    assert label(table, "--resume").code == 0
    assert sorted(in_process.began) == [0, 2] and rows(tmp_path / "out") == whole


def test_a_run_continues_when_its_table_and_its_folder_have_moved(label, in_process, tmp_path) -> None:
    out = tmp_path / "out"
    for name, body in (("t.csv", bytes), ("t.csv.gz", gzip.compress)):
        table = tmp_path / name
        table.write_bytes(body(b"id,report\na,No effusion.\nb,Edema.\nc,Edema.\n"))
        assert label(table).code == 0
        whole = rows(out)
        (out / "part-000001.jsonl").unlink()
        (tmp_path / "moved").mkdir()
        table = table.rename(tmp_path / "moved" / name)
        out = out.rename(tmp_path / "elsewhere")
        (out / "_input.csv").unlink(missing_ok=True)
        done = label(table, "--out", out, "--resume")
        assert done.code == 0 and rows(out) == whole, done.err
        shutil.rmtree(tmp_path / "moved")
        shutil.rmtree(out)
        out = tmp_path / "out"


@pytest.mark.parametrize(
    ("name", "body"),
    [("_run.json", "{"), ("_run.json", "[]"), ("_blocks.jsonl", '{"number": 0}\n'), ("_blocks.jsonl", None)],
)
def test_a_run_whose_files_were_changed_is_one_line(name, body, label, table, tmp_path) -> None:
    assert label(table).code == 0
    (tmp_path / "out" / name).unlink() if body is None else (tmp_path / "out" / name).write_text(body)
    done = label(table, "--resume")
    assert done.code == 1 and done.err.count("\n") == 1
    assert "_run.json or _blocks.jsonl was removed, changed or cut" in done.err


def test_lines_of_the_manifest_that_are_none_are_passed_over(label, table, in_process, tmp_path) -> None:
    assert label(table).code == 0
    with (tmp_path / "out" / "_done.jsonl").open("ab") as file:
        file.write(b'\xff\xfe\n5\n[]\n{"block": [1]}\n{"block": 7, "bytes": 0}\n')
    in_process.began[:] = []
    assert label(table, "--resume").code == 0 and not in_process.began


def test_a_file_that_looks_like_a_part_is_neither_removed_nor_taken_for_one(label, table, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()  # hidden files are no data
    assert label(table).code == 0
    mine = tmp_path / "out" / "part-backup.jsonl"
    mine.write_text("{}\n")
    done = label(table, "--resume")
    assert done.code == 1 and "part-backup.jsonl is no part of a run; move it out of the folder" in done.err
    assert mine.read_text() == "{}\n"


def test_a_table_without_rows_is_refused_where_it_is_without_an_engine(rg, label, tmp_path) -> None:
    (tmp_path / "t.csv").write_text("id,report\n")
    here, engine = rg("label", tmp_path / "t.csv", "--json"), label(tmp_path / "t.csv")
    assert here.code == engine.code == 1
    assert engine.err.splitlines()[-1] == here.err.splitlines()[-1]
    (tmp_path / "t.csv").write_text("id,report\na,Edema.\n")
    assert label(tmp_path / "t.csv").code == 0  # no run was begun


def test_a_run_that_is_done_is_continued_by_doing_nothing(label, table, in_process) -> None:
    assert label(table, "--resume").code == 0  # nothing is there yet: the run begins
    in_process.began[:] = []
    assert label(table, "--resume").code == 0 and not in_process.began


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--scheme", "chestxray14"], "another options (scheme \"chexpert14\", now \"chestxray14\")"),
        (["--explain"], "another options (explain false, now true)"),
        (["--batch-size", "3"], "another rows of a block (2, now 3)"),
    ],
)  # fmt: skip
def test_another_run_in_the_folder_is_refused(change, says, label, table) -> None:
    label(table)
    done = label(table, *change, "--resume")
    assert done.code == 1 and says in done.err and done.err.count("\n") == 1


def test_another_input_is_refused_and_so_is_a_folder_that_is_in_use(label, table, tmp_path) -> None:
    label(table)
    assert "has a run already; --resume continues it" in label(table).err
    table.write_text(table.read_text() + '{"id": "x", "text": "Edema."}\n')
    assert "another input (sha256" in label(table, "--resume").err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    assert "has other files (mine.txt)" in label(table, "--out", tmp_path / "other").err


def test_two_runs_do_not_write_into_one_folder(label, table, tmp_path) -> None:
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / "_lock"):
        assert "another run writes into this folder" in label(table).err


def test_the_run_stops_before_the_parts_pass_the_limit_of_the_disk(label, table, tmp_path) -> None:
    done = label(table, "--disk-limit", "200")
    assert done.code == 1 and "--disk-limit: the parts take" in done.err and "--resume does them" in done.err
    assert sum(p.stat().st_size for p in (tmp_path / "out").glob("part-*")) <= 200
    assert label(table, "--resume", "--disk-limit", "1M").code == 0


def test_parquet_has_the_rows_of_json_lines(rg, in_process, label, table, tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert label(table).code == 0
    done = rg("label", table, "--engine", "ray", "--out", tmp_path / "out.parquet", "--batch-size", 2)
    assert done.code == 0, done.err
    read = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    read = [{**row, "labels": dict(row["labels"])} for row in read]
    assert read == [json.loads(line) for line in rows(tmp_path / "out").splitlines()]


def test_a_block_whose_workers_end_again_and_again_is_given_up(tmp_path) -> None:
    parts, block = PartWriter(tmp_path), Block(3, 0, 1, 1, 1)
    assert [parts.begin(block) for _ in range(MAX_TRIES)] == [""] * MAX_TRIES
    assert "workers ended while they did it" in parts.begin(block)
    assert parts.begin(block) == ""  # of the next run
    parts.write(block, Outcome([]))
    assert parts.part(3).read_text() == "" and not list(tmp_path.glob("_try*"))


def test_a_fault_of_one_block_is_that_blocks_alone(label, table, monkeypatch) -> None:
    from reportgen_plugins.metrics.labeler.labeler import Labeler

    explain = Labeler.explain

    def sometimes(self, text):
        return explain(self, text) if "pneumonia" not in text else 1 / 0

    monkeypatch.setattr(Labeler, "explain", sometimes)
    done = label(table)
    assert done.code == 1
    assert (
        "block 1, from line 3: ZeroDivisionError: division by zero (" in done.err
        and "1 of 3 parts are missing" in done.err
    )
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--address", "auto"], "--address belongs to --engine ray"),
        (["--resume"], "--resume belongs to --engine ray"),
        (["--out", "x"], "--out belongs to --engine ray"),
        (["--engine", "ray"], "--engine ray writes parts into a folder"),
        (["--engine", "ray", "--out", "x", "--csv"], "--csv: --engine ray writes JSON lines"),
        (["--engine", "ray", "--out", "x", "--disk-limit", "many"], "--disk-limit many: write a number"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(arguments, says, rg, table, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = rg("label", table, *arguments)
    assert done.code == 1 and says in done.err and done.err.count("\n") == 1


def test_without_the_extra_a_line_says_how_to_install_it(rg, table, tmp_path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    done = rg("label", table, "--engine", "ray", "--out", tmp_path / "out")
    assert done.code == 1
    assert done.err.splitlines()[-1] == "rg: --engine ray needs the extra ray: pip install 'reportgen[ray]'"


@pytest.mark.parametrize(
    ("workers", "gpus", "nodes", "pool"),
    [
        (0, 0, [(0, 0), (1, 0), (1, 0)], (2, 1)),
        (1, 0, [(1, 0), (1, 0)], (1, 1)),
        (3, 0, [(1, 0), (1, 0)], (3, 0.5)),
        (2, 0, [(16, 0), (4, 0)], (2, 8)),
        (0, 1, [(16, 2), (16, 4)], (6, 5)),
        (9, 0.5, [(8, 2)], (4, 2)),
    ],
)
def test_workers_share_the_cpus_of_the_nodes(workers, gpus, nodes, pool) -> None:
    made = pool_of(workers, gpus, [{"CPU": c, "GPU": g} for c, g in nodes])
    assert (made.size, made.cpus) == pool


def test_too_few_gpus_and_no_cpu_are_one_line() -> None:
    with pytest.raises(OptionError, match="--gpus-per-worker 2: the nodes have 2 GPUs, none has so many"):
        pool_of(0, 2, [{"CPU": 4, "GPU": 1}, {"CPU": 4, "GPU": 1}])
    with pytest.raises(OptionError, match="the cluster has no CPU"):
        pool_of(1, 0, [{}])
    assert EngineOptions(engine="ray").distributed


def test_a_ray_that_does_not_start_in_its_time_is_one_line(rg, table, tmp_path, monkeypatch) -> None:
    ray = pytest.importorskip("ray")

    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", late)
    done = rg("label", table, "--engine", "ray", "--workers", 1, "--out", tmp_path / "out")
    assert done.code == 1 and "Ray's processes did not start in its 30 s" in done.err.splitlines()[-1]
