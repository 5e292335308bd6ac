"""A package that pip has installed is listed, composed, trained, saved and loaded like our own parts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sites import Site

FIXTURE = Path(__file__).parent / "fixtures" / "reportgen-hello"
AUTHOR = FIXTURE.with_name("reportgen-author")
SIDES = FIXTURE.with_name("reportgen-sides")


USE = """
import sys
from pathlib import Path

from PIL import Image

from reportgen_core import Study, View, compose, encoders, load, train
from reportgen_core.training.settings import TrainSettings

folder = Path(sys.argv[1])
studies = []
for i, text in enumerate(["the heart is normal . no effusion .", "there is an effusion ."]):
    Image.new("L", (80, 72), 60 + 100 * i).save(folder / f"{i}.png")
    studies.append(Study(str(i), (View(folder / f"{i}.png"),), {"findings": text}, ("effusion", "normal")[: i + 1]))
model = compose(encoder="hello", decoder="hier-lstm", encoder_options={"tiles": 3}, decoder_options={"hidden": 16, "embedding": 16, "tags_used": 2})
before = model.encoder.widen.weight.clone()
trained = train(model, studies, studies, out=folder / "run", settings=TrainSettings(epochs=1, batch_size=2))
assert not before.equal(trained.encoder.widen.weight), "the step changed nothing"
trained.save(folder / "model")
again = load(folder / "model")
assert again.encoder.recipe == {"name": "hello", "options": {"tiles": 3}}
images = [folder / "0.png", folder / "1.png"]
assert [r.text for r in again.report(images)] == [r.text for r in trained.report(images)]
print(encoders.owner("hello"))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The package of the docs, installed."""
    return pip_install(FIXTURE, tmp_path_factory.mktemp("third-party"))


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The decoder and the metric of the docs, installed."""
    return pip_install(AUTHOR, tmp_path_factory.mktemp("author"))


def pip_install(package: Path, tmp: Path) -> Site:
    """Build and install a package by pip as anybody would, without the network, and return where it is."""
    shutil.copytree(package, tmp / "source")
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(tmp / "site"), str(tmp / "source")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Site(tmp / "site")


def test_an_installed_encoder_is_composed_trained_saved_and_loaded(installed: Site, tmp_path: Path) -> None:
    done = installed.run("-c", USE, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "reportgen-hello:hello"


def test_an_installed_encoder_is_listed_and_told_about(installed: Site) -> None:
    listed = installed.rg("list", "encoders").stdout
    assert any("hello" in line and "reportgen-hello:hello" in line for line in listed.splitlines())
    text = installed.rg("info", "hello").stdout
    assert "tiles: int = 4" in text
    assert "reportgen_hello/model.py" in text


def test_its_own_conformance_test_passes(installed: Site, tmp_path: Path) -> None:
    done = installed.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 't'}", str(FIXTURE / "tests")
    )
    assert done.returncode == 0, done.stdout


def test_the_tests_of_an_installed_decoder_and_metric_pass(author: Site, tmp_path: Path) -> None:
    done = author.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 't'}", str(AUTHOR / "tests")
    )
    assert done.returncode == 0, done.stdout


def test_an_installed_reporter_passes_its_tests_writes_explains_and_joins_a_reading_study(tmp_path: Path) -> None:
    site = pip_install(SIDES, tmp_path)
    quiet = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = site.run(*quiet, f"--basetemp={tmp_path / 't'}", str(SIDES / "tests"))
    assert done.returncode == 0, done.stdout
    rows = []
    for n in range(6):
        pixels = np.full((40, 60), 40 * (n % 2), np.uint8)
        pixels[:, 30:] += 60
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
        rows.append(f"s{n},{n}.png,The lungs are clear in image {n}.")
    (tmp_path / "studies.csv").write_text("id,image,findings\n" + "\n".join(rows) + "\n")
    out, env = tmp_path / "sides", {"REPORTGEN_CACHE": str(tmp_path / "cache")}
    done = site.rg("compose", "--reporter", "sides", "--reporter-option", "least=0.1", "--out", str(out), **env)
    assert done.returncode == 0, done.stderr
    done = site.rg(
        "report", str(tmp_path / "0.png"), "--model", str(out), "--json", "--explain", str(tmp_path / "e"), **env
    )
    assert json.loads(done.stdout)["boxes"] == [
        [{"label": "brighter", "left": 0.5, "top": 0.0, "width": 0.5, "height": 1.0, "view": 0}]
    ]
    assert (tmp_path / "e" / "0.html").is_file()
    made = (
        "--data",
        str(tmp_path / "studies.csv"),
        "--model",
        f"sides={out}",
        "--each",
        "2",
        "--out",
        str(tmp_path / "reading"),
    )
    done = site.rg("study", "make", *made, **env)
    assert done.returncode == 0, done.stderr
    texts = [
        case["text"]
        for block in json.loads((tmp_path / "reading" / "study.json").read_text())["blocks"]
        for case in block
    ]
    assert texts.count("The right side of the image is brighter.") == 2 and len(texts) == 4


def test_a_model_of_a_plugin_that_is_gone_says_which_package(installed: Site, tmp_path: Path) -> None:
    code = "from reportgen_core import compose; import sys; compose(encoder='hello', decoder='hier-lstm').save(sys.argv[1])"
    assert installed.run("-c", code, str(tmp_path / "model")).returncode == 0
    done = Site(tmp_path).run(
        "-c", "import sys; from reportgen_core import load; load(sys.argv[1])", str(tmp_path / "model")
    )
    assert "reportgen-hello" in done.stderr
