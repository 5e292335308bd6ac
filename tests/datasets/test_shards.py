"""Shards give back the studies that they were made from, and nothing in a shard is trusted."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Rg, runner

from reportgen_core import Box, DataError, ImageSpec, Study, TrainSettings, View, compose, train
from reportgen_core.data import read_batches
from reportgen_core.data.images import image_size, prepare_file, read_image
from reportgen_core.files.shards.manifest import read_manifest
from reportgen_core.files.shards.reader import iter_studies
from reportgen_core.files.shards.writer import ShardSize, write_shards
from reportgen_core.registries import datasets

SPEC = ImageSpec(height=16, width=16)


@pytest.fixture
def rg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rg:
    return runner(monkeypatch, capsys)


def study(folder: Path, n: int, split: str) -> Study:
    """Return a study with two images of noise, one of them a JPEG, and every field filled."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(n)
    views = []
    for name, projection in (("front view.png", "frontal"), ("side.JPG", "lateral")):
        path = folder / f"{n} {name}"
        Image.fromarray(draw.integers(0, 256, (24, 20), np.uint8)).save(path)
        views.append(View(path, projection))
    return Study(
        f"s/{n} ü",
        tuple(views),
        {"findings": f"Nodule {n}.\nClear.", "impression": "ünı"},
        ("nodule",),
        {"nodule": 1.0, "mass": -1.0},
        split,
        f"p{n // 2}",
        (Box("nodule", 0.1, 0.2, 0.3, 0.4, 1),),
        {"age": 40 + n, "flags": [True, None]},
        Study(f"before {n}", (views[0],), {"findings": "Old."}) if n % 2 else None,
    )


@pytest.fixture
def source(tmp_path: Path) -> list[Study]:
    """Seven studies of two splits and of none, mixed."""
    return [study(tmp_path / "source", n, ("train", "val", "train", "")[n % 4]) for n in range(7)]


def built(source: list[Study], folder: Path, size: ShardSize = ShardSize(studies=2)) -> Path:  # noqa: B008
    write_shards(source, folder, size, source="a test", on_bad=lambda study, why: pytest.fail(f"{study.id}: {why}"))
    return folder


@pytest.fixture
def shards(source: list[Study], tmp_path: Path) -> Path:
    return built(source, tmp_path / "shards")


def read(folder: Path, **options: object) -> tuple[Study, ...]:
    return datasets.create("shards", folder, **options).read().studies


def without_paths(study: Study) -> Study:
    views = tuple(replace(v, path=Path(v.path.name)) for v in study.views)
    return replace(study, views=views, prior=study.prior and without_paths(study.prior))


def test_the_same_studies_come_back_in_the_same_order_with_the_same_bytes_and_pixels(source, shards) -> None:
    back = read(shards, verify=True)
    assert [without_paths(s) for s in back] == [without_paths(s) for s in source]
    for old, new in zip(source, back, strict=True):
        for a, b in zip(
            (*old.views, *(old.prior.views if old.prior else ())),
            (*new.views, *(new.prior.views if new.prior else ())),
            strict=True,
        ):
            assert not b.path.exists()
            assert np.array_equal(read_image(a.path), read_image(b.path)) and image_size(a.path) == image_size(b.path)


def test_the_shards_are_of_one_split_each_and_the_manifest_says_what_they_hold(source, shards) -> None:
    manifest = read_manifest(shards)
    assert [(s.name, s.split, s.studies, s.images) for s in manifest.shards] == [
        ("train-00000.tar", "train", 2, 4), ("train-00001.tar", "train", 2, 4), ("val-00000.tar", "val", 2, 5 + 1),
        ("all-00000.tar", "", 1, 3),
    ]  # fmt: skip
    for shard in manifest.shards:
        content = (shards / shard.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (shard.bytes, shard.sha256)
    assert sorted(p.name for p in shards.iterdir()) == sorted(["manifest.json", *(s.name for s in manifest.shards)])


def test_the_same_studies_give_the_same_bytes_and_a_size_in_bytes_bounds_each_shard(source, tmp_path) -> None:
    size = ShardSize(bytes=12_000)
    first, second = built(source, tmp_path / "a", size), built(source, tmp_path / "b", size)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()
    assert all(s.bytes <= 12_000 + 2 * 10_240 for s in read_manifest(first).shards), "tar files end in whole records"
    assert [s.id for s in read(first)] == [s.id for s in source]


def test_webdataset_reads_the_shards(source, shards) -> None:
    webdataset = pytest.importorskip("webdataset")
    pattern = str(shards / "train-{00000..00001}.tar")
    samples = list(webdataset.WebDataset(pattern, shardshuffle=False, empty_check=False))
    wanted = [s for s in source if s.split == "train"]
    assert [json.loads(s["json"])["id"] for s in samples] == [s.id for s in wanted]
    for sample, study in zip(samples, wanted, strict=True):
        assert sample["0.png"] == study.views[0].path.read_bytes()
        assert sample["1.jpg"] == study.views[1].path.read_bytes()


def test_batches_of_shards_are_those_of_the_files_with_a_cache_and_without(source, shards, tmp_path) -> None:
    back = read(shards)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        pairs = zip(read_batches(source, SPEC, 3), read_batches(back, SPEC, 3, cache=cache), strict=True)
        for (files, no_problem), (tars, none) in pairs:
            assert not no_problem and not none
            assert files.ids == tars.ids and bool((files.pixels == tars.pixels).all())


def test_reading_many_shards_takes_no_more_memory_than_reading_few(tmp_path) -> None:
    """The peak of Python's memory while texts and images of 2 and of 10 shards are read."""
    content = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(content)

    def peak(count: int) -> int:
        many = (Study(f"{n}", (View(content),), {"findings": f"{n} " * 2000}, split="train") for n in range(count * 5))
        folder = tmp_path / f"{count}"
        write_shards(many, folder, ShardSize(studies=5), source="", on_bad=lambda *_: None)
        tracemalloc.start()
        for _, one in iter_studies(folder):
            prepare_file(one.views[0].path, SPEC)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what Pillow and numpy import
    few, many = peak(2), peak(10)
    assert many < few + 60_000, "8 shards more, each with 60 kB of text and 22 kB of images"


def test_training_on_shards_ends_with_the_weights_of_training_on_files(source, shards, tmp_path) -> None:
    options = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    settings = TrainSettings(epochs=2, batch_size=2, bucket=1)
    weights = []
    for name, data, cache in (
        ("files", source, None),
        ("shards", read(shards), None),
        ("cache", read(shards), tmp_path / "c"),
    ):
        start = compose("resnet18", "lstm", encoder_options=options, decoder_options={"hidden": 8, "embedding": 8})
        trained = train(start, data, out=tmp_path / name, settings=settings, cache=cache)
        weights.append({k: v.numpy().tobytes() for k, v in trained.state_dict().items()})
    assert weights[0] == weights[1] == weights[2]


def test_an_image_that_was_changed_in_its_shard_is_named_and_the_others_are_read(source, shards) -> None:
    path = shards / "train-00001.tar"
    content = bytearray(path.read_bytes())
    offset = content.index(source[4].views[0].path.read_bytes())
    content[offset + 60] ^= 1
    path.write_bytes(content)
    back = read(shards)
    ((batch, problems),) = read_batches(back, replace(SPEC, views=2), 10)
    assert list(problems) == [source[4].id] and len(batch.ids) == 7
    assert "train-00001.tar" in problems[source[4].id] and "was changed or is damaged here" in problems[source[4].id]
    with pytest.raises(DataError, match=r"train-00001\.tar: it was changed since the manifest was written"):
        read(shards, verify=True)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def change_text(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"Clear", b"Cloud"))


def change_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "is not there, and the manifest names it"),
        (cut, "it was changed or is cut short"),
        (change_text, "it was changed since the manifest was written"),
        (change_header, "bad checksum"),
    ],
)
def test_a_shard_that_is_missing_or_changed_is_one_line_and_may_be_left_out(
    source, shards, damage: Callable[[Path], None], words: str
) -> None:
    damage(shards / "train-00000.tar")
    with pytest.raises(DataError) as error:
        read(shards)
    assert words in str(error.value) and "train-00000.tar" in str(error.value) and "\n" not in str(error.value)
    collection = datasets.create("shards", shards, skip_damaged=True).read()
    assert [s.id for s in collection] == [source[n].id for n in (1, 3, 4, 5, 6)]
    assert collection.audit.dropped == {"the shard is missing or damaged": ("train-00000.tar",)}
    assert "2 studies of train-00000.tar are left out" in collection.audit.notes


def change_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    values = json.loads((folder / "manifest.json").read_text())
    change(values)
    (folder / "manifest.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format=2), "is of format 2, and this reportgen reads shards of format 1"),
        (lambda m: m.update(format=True), "is of format True"),
        (lambda m: m.update(shards=[]), "names no shards"),
        (lambda m: m["shards"][0].update(name="../train.tar"), "has name '../train.tar'"),
        (lambda m: m["shards"][0].update(studies=-1), "has studies -1"),
        (lambda m: m["shards"][0].update(sha256="x"), "has sha256 'x'"),
        (lambda m: m["shards"].append(m["shards"][0]), "names train-00000.tar twice"),
    ],
)
def test_a_manifest_of_another_version_or_with_wrong_values_is_one_line(shards, change, words) -> None:
    change_manifest(shards, change)
    with pytest.raises(DataError) as error:
        read(shards)
    assert words in str(error.value) and "manifest.json" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_shards_says_how_they_are_made(tmp_path) -> None:
    with pytest.raises(DataError, match=r"holds no shards: it has no manifest\.json; rg data build NAME --shards 1000"):
        read(tmp_path)


def forged(shards: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    """Replace the first shard by these members, with a manifest that fits it."""
    path = shards / "train-00000.tar"
    index = hashlib.sha256()
    with tarfile.open(path, "w") as tar:
        for header, content in members:
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
            index.update(
                f"{header.name} {len(content)}\n".encode() + (content if header.name.endswith("json") else b"")
            )

    def fit(manifest: dict) -> None:
        facts = {"studies": 1, "bytes": path.stat().st_size, "index": index.hexdigest()}
        manifest["shards"][0].update(facts, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    change_manifest(shards, fit)


def header(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def sample(name: str = "a.png", path: str = "00000000.0.png", sha256: object = "0" * 64) -> bytes:
    return json.dumps({"id": "1", "views": [{"path": path, "name": name, "sha256": sha256}]}).encode()


IMAGE = (header("00000000.0.png"), b"image")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([(header("../../etc/passwd"), b"x")], "has a name that no study has"),
        ([(header("/etc/passwd"), b"x")], "has a name that no study has"),
        ([(header("00000000.0.png", tarfile.SYMTYPE, "/etc/passwd"), b"")], "is no plain file"),
        ([(header("00000000.0.png", tarfile.LNKTYPE, "manifest.json"), b"")], "is no plain file"),
        ([(header("00000000.0.png", tarfile.FIFOTYPE), b"")], "is no plain file"),
        ([(header("00000000.0.png" + "x" * 200), b"")], "is no plain file"),  # a long name has a header before it
        ([IMAGE, (header("00000000.json"), sample(name="../a.png"))], "which is no name of a file"),
        ([IMAGE, (header("00000000.json"), sample(name=".."))], "which is no name of a file"),
        ([IMAGE, (header("00000000.json"), sample(path="/etc/passwd"))], "has no image '/etc/passwd' in the shard"),
        ([IMAGE, (header("00000000.json"), sample(path="00000001.0.png"))], "has no image"),
        ([IMAGE, (header("00000000.json"), sample(sha256=5))], "has sha256 5"),
        ([IMAGE, (header("00000000.json"), b"[]")], "is no study"),
        ([IMAGE, (header("00000000.json"), b"{")], "cannot read"),
        ([IMAGE, (header("00000000.json"), b"[" * 100_000)], "cannot read"),
        ([IMAGE], "it holds 0 studies, and the manifest says 1"),
    ],
)  # fmt: skip
def test_a_hostile_shard_is_refused_in_one_line(shards, members, words) -> None:
    forged(shards, members)
    with pytest.raises(DataError) as error:
        read(shards)
    message = str(error.value)
    assert words in message and "train-00000.tar" in message and "\n" not in message and len(message) < 600


def test_rg_builds_shards_and_reads_them_again(rg: Rg, tmp_path) -> None:
    made = rg("data", "build", "phantom", "--data-root", tmp_path / "p", "--data-option", "n=12",
              "--data-option", "size=64", "--shards", "5", "--out", tmp_path / "out")  # fmt: skip
    assert made.code == 0 and made.out == f"{tmp_path / 'out'}\n", made.err
    audit = rg("data", "audit", "shards", "--data-root", tmp_path / "out", "--json")
    assert json.loads(audit.out)["studies"] == 12 and json.loads(audit.out)["images"] == 24
    one = ("data", "show", "--id")
    given = ("--data-root", tmp_path / "p", "--data-option", "n=12", "--data-option", "size=64")
    id = json.loads(rg("data", "show", "phantom", *given, "-n", "1", "--json").out)["id"]
    old, new = rg(*one, id, "phantom", *given), rg(*one, id, "shards", "--data-root", tmp_path / "out")
    assert [x for x in old.out.splitlines() if "image" not in x] == [
        x for x in new.out.splitlines() if "image" not in x
    ]
    again = rg("data", "build", "phantom", *given, "--shards", "5", "--out", tmp_path / "out")
    assert again.code == 1 and "is there already; --force replaces the shards" in again.err
    wrong = rg("data", "build", "phantom", *given, "--shards", "5 TB", "--out", tmp_path / "new")
    assert wrong.code and "1000 is studies, 500MB and 2GB are bytes" in wrong.err
    assert rg("data", "build", "phantom", *given, "--shards", "1MB", "--force", "--out", tmp_path / "out").code == 0


def test_a_study_whose_image_is_gone_is_left_out_and_counted(source, tmp_path) -> None:
    source[2].views[1].path.unlink()
    bad: list[tuple[str, str]] = []
    write_shards(
        source, tmp_path / "out", ShardSize(studies=4), source="", on_bad=lambda s, why: bad.append((s.id, why))
    )
    assert bad == [(source[2].id, "No such file or directory")]
    assert [s.id for s in read(tmp_path / "out")] == [s.id for n, s in enumerate(source) if n != 2]


def test_a_folder_of_other_files_is_not_replaced(source, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(Exception, match=r"has files but no manifest\.json"):
        built(source, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_writing_that_is_interrupted_leaves_the_old_shards_whole_and_nothing_beside_them(source, shards) -> None:
    before = {p.name: p.read_bytes() for p in shards.iterdir()}

    def studies():
        yield from source[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(studies(), shards, ShardSize(studies=1), source="", on_bad=lambda *_: None)
    assert {p.name: p.read_bytes() for p in shards.iterdir()} == before
    assert sorted(p.name for p in shards.parent.iterdir()) == ["shards", "source"]
