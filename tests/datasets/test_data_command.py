"""`rg data` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from reportgen_cli.commands.data.datasets import data

from reportgen_core import DataError, OptionError
from reportgen_core.registries import datasets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.png").touch()
    (tmp_path / "t.csv").write_text("image,report,split,tags\na.png,Clear.,test,scar\nz.png,Gone.,train,\n")
    return tmp_path


def rg(*arguments: object) -> str:
    done = CliRunner().invoke(data, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_an_audit_says_what_is_kept_and_why_the_rest_is_not(root: Path) -> None:
    lines = rg("audit", "table", "--data-root", root).splitlines()
    assert [line for line in lines[1:] if not line.startswith("next ")] == [
        "kept     1 studies, 1 images",
        "dropped  1: none of its image files is there (z)",
        "note     views a study: 1 in 1",
        "note     split: test 1",
    ]


def test_an_audit_as_json_has_every_id(root: Path) -> None:
    found = json.loads(rg("audit", "table", "--data-root", root, "--json"))
    assert (found["studies"], found["dropped"]) == (1, {"none of its image files is there": ["z"]})


def test_what_is_built_reads_back_the_same(root: Path) -> None:
    out = root / "built"
    assert rg("build", "table", "--data-root", root, "--out", out).strip() == str(out / "studies.jsonl")
    assert json.loads((out / "audit.json").read_text())["studies"] == 1
    again = datasets.create("table", out, images=str(root)).read()
    assert again.studies == datasets.create("table", root).read().studies
    assert sorted(p.name for p in out.iterdir()) == ["audit.json", "studies.jsonl"]


def test_paths_below_the_table_are_relative(root: Path) -> None:
    rg("build", "table", "--data-root", root, "--out", root)
    assert json.loads((root / "studies.jsonl").read_text())["views"] == [{"path": "a.png", "projection": ""}]


def test_a_table_is_replaced_only_by_force(root: Path) -> None:
    rg("build", "table", "--data-root", root / "t.csv", "--out", root)
    with pytest.raises(DataError, match="is there already; --force replaces it"):
        rg("build", "table", "--data-root", root / "t.csv", "--out", root)
    rg("build", "table", "--data-root", root / "t.csv", "--out", root, "--force")


def test_studies_are_shown(root: Path) -> None:
    text = rg("show", "table", "--data-root", root)
    assert text.splitlines() == [
        "a  test",
        f"  image      {root / 'a.png'}",
        "  findings   Clear.",
        "  tags       scar",
        "",
    ]
    assert json.loads(rg("show", "table", "--data-root", root, "--id", "a", "--json"))["sections"] == {
        "findings": "Clear."
    }
    with pytest.raises(DataError, match="has no study 'b'"):
        rg("show", "table", "--data-root", root, "--id", "b")


def test_options_reach_the_dataset(root: Path) -> None:
    assert "kept     2 studies" in rg("audit", "table", "--data-root", root, "--data-option", "require_images=false")


def test_an_audit_imports_neither_torch_nor_numpy(root: Path) -> None:
    code = (
        "import sys; from reportgen_cli.commands.data.datasets import data; data(sys.argv[1:], standalone_mode=False)\n"
    )
    code += "assert not {'torch', 'numpy', 'rich', 'PIL'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code, "audit", "table", "--data-root", str(root)], check=True, capture_output=True
    )


def test_a_dataset_that_draws_its_files_makes_its_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--data-option", "n=2", "--data-option", "size=64")
    rg("audit", "phantom", "--data-root", tmp_path / "new" / "phantom", *options)
    assert len(list((tmp_path / "new" / "phantom").rglob("*.png"))) == 4
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    rg("audit", "phantom", *options)
    assert len(list((tmp_path / "cache" / "datasets" / "phantom").rglob("*.png"))) == 4


def test_any_other_dataset_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data-root .*gone: there is no such file or folder"):
        rg("audit", "table", "--data-root", tmp_path / "gone")
    with pytest.raises(OptionError, match="--data table needs --data-root"):
        rg("audit", "table")


def test_an_audit_ends_with_what_to_do_next(root: Path) -> None:
    lines = rg("audit", "table", "--data-root", root).splitlines()
    steps = [line for line in lines if line.startswith("next ")]
    assert steps and lines[-len(steps) :] == steps
    assert f"rg data show table --data-root {root}" in steps[0]
