"""Studies as batches: which images, which targets, the same whatever reads them, and what happens to bad files."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen_core import ImageError, ImageSpec, OptionError, ShapeError, Study, TargetSpec, View
from reportgen_core.data.batches import (
    LoadedStudy,
    StudyReader,
    batches,
    check_views,
    choose_views,
    normalise,
    read_batches,
)
from reportgen_core.data.images import prepare
from reportgen_core.models import model as model_module
from reportgen_core.testing.parts import tiny_model
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL, UNK, TextSpec

SPEC = ImageSpec(height=8, width=6, views=2)
WORDS = ("the", "lungs", "are", "clear", "heart", "big", ".")
TARGETS = TargetSpec((*SPECIAL, *WORDS), ("opacity", "normal"), ("Edema", "Fracture", "Effusion"))
THE, LUNGS, ARE, CLEAR, HEART, BIG, DOT = range(4, 11)
nan = math.nan


def image(path: Path, seed: int) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20)).astype(np.uint8)).save(path)
    return path


def study(folder: Path, number: int, views: int = 1, **known: object) -> Study:
    files = tuple(View(image(folder / f"{number}_{v}.png", 10 * number + v), "frontal") for v in range(views))
    return Study(f"s{number}", files, **known)


@pytest.fixture
def ten(tmp_path: Path) -> list[Study]:
    return [study(tmp_path, n, 1 + n % 2, sections={"findings": "lungs clear. " * n}) for n in range(10)]


def pixels(view: View) -> torch.Tensor:
    return torch.from_numpy(prepare(np.asarray(Image.open(view.path)), SPEC))


def test_frontal_views_come_first_then_unknown_then_lateral_in_their_order() -> None:
    views = [View(Path(n), p) for n, p in [("a", "lateral"), ("b", ""), ("c", "frontal"), ("d", ""), ("e", "frontal")]]
    chosen = choose_views(Study("s", tuple(views)), replace(SPEC, views=4))
    assert [v.path.name for v in chosen] == ["c", "e", "b", "d"]


@pytest.mark.parametrize(
    ("projections", "note"),
    [
        ([], "no image"),
        (["lateral"], "no frontal view"),
        ([""], ""),
        (["lateral", "frontal"], ""),
        (["lateral", ""], ""),
    ],
)
def test_views_that_are_not_what_a_model_would_best_see_are_noted(projections: list[str], note: str) -> None:
    found = check_views(Study("s", tuple(View(Path("x"), p) for p in projections)), replace(SPEC, views=1))
    assert note in found
    assert bool(found) == bool(note)


def test_a_batch_has_as_many_views_as_are_in_use(tmp_path: Path) -> None:
    one, two = study(tmp_path, 1), study(tmp_path, 2, views=3)
    (batch,) = batches([one, two], StudyReader(SPEC), [[1, 0]])
    assert batch.ids == ("s2", "s1")
    assert batch.pixels.shape == (2, 2, 8, 6)
    assert batch.mask.tolist() == [[True, True], [True, False]]
    assert batch.views == (two.views[:2], one.views)
    for b, v, view in [(0, 0, two.views[0]), (0, 1, two.views[1]), (1, 0, one.views[0])]:
        assert torch.equal(batch.pixels[b, v], pixels(view))
    assert not batch.pixels[1, 1].any()
    (single,) = batches([one], StudyReader(SPEC), [[0]])
    assert single.pixels.shape == (1, 1, 8, 6)


def test_targets_are_what_the_report_says(tmp_path: Path) -> None:
    known = [
        {
            "sections": {"findings": "The lungs are clear. Heart big."},
            "tags": ("opacity", "rare"),
            "labels": {"Edema": 1.0, "Effusion": -1.0, "Mass": 1.0},
        },
        {"sections": {"findings": "Trachea clear."}, "labels": {"Fracture": 0.0}},
        {"sections": {"impression": "not asked for"}},
    ]
    studies = [study(tmp_path, n, **k) for n, k in enumerate(known)]
    (batch,) = batches(studies, StudyReader(SPEC, TextSpec(sections=("findings",)), TARGETS), [[0, 1, 2]])
    found = batch.targets
    assert found.sentences is not None
    assert found.sentences.tolist() == [
        [[THE, LUNGS, ARE, CLEAR, EOS], [HEART, BIG, EOS, PAD, PAD]],
        [[UNK, CLEAR, EOS, PAD, PAD], [PAD] * 5],
        [[PAD] * 5, [PAD] * 5],
    ]
    assert found.words is not None
    assert found.words.tolist() == [
        [BOS, THE, LUNGS, ARE, CLEAR, DOT, HEART, BIG, DOT, EOS],
        [BOS, UNK, CLEAR, DOT, EOS] + [PAD] * 5,
        [BOS, EOS] + [PAD] * 8,
    ]
    assert found.tags is not None
    assert found.tags.tolist() == [[1, 0], [0, 0], [0, 0]]
    assert found.findings is not None
    assert found.findings.dtype == torch.float32
    hand = torch.tensor([[1, nan, -1], [nan, 0, nan], [nan, nan, nan]])
    assert torch.equal(found.findings.nan_to_num(9), hand.nan_to_num(9))
    assert found.switches is None


def test_limits_of_the_text_cut_words_and_sentences(tmp_path: Path) -> None:
    long = study(tmp_path, 1, sections={"findings": "the lungs are clear. heart big. lungs clear."})
    spec = TextSpec(max_sentences=2, max_words=3, max_length=4)
    (batch,) = batches([long], StudyReader(SPEC, spec, TARGETS), [[0]])
    assert batch.targets.sentences is not None
    assert batch.targets.sentences.tolist() == [[[THE, LUNGS, ARE, EOS], [HEART, BIG, EOS, PAD]]]
    assert batch.targets.words is not None
    assert batch.targets.words.shape[1] == 6  # BOS, 4 words, EOS


def test_what_nobody_asked_for_is_none(tmp_path: Path) -> None:
    one = study(tmp_path, 1, sections={"findings": "the lungs are clear."}, tags=("opacity",))
    (batch,) = batches([one], StudyReader(SPEC), [[0]])
    assert all(getattr(batch.targets, f) is None for f in batch.targets.__slots__)
    (batch,) = batches([one], StudyReader(SPEC, TextSpec(), TargetSpec((*SPECIAL, *WORDS))), [[0]])
    assert (batch.targets.tags, batch.targets.findings) == (None, None)
    assert batch.targets.words is not None


def test_sentence_labels_become_switches_of_the_sentences_there_are(tmp_path: Path) -> None:
    text = {"findings": "The lungs are clear. Heart big."}
    flags = [
        {"sentence_abnormal": [False, True]},
        {"sentence_abnormal": [True, None]},
        {"sentence_abnormal": [True] * 5},
        {},
    ]
    studies = [study(tmp_path, n, sections=text, extra=e) for n, e in enumerate(flags)]
    reader = StudyReader(SPEC, TextSpec(), TARGETS)
    one, last = batches(studies, reader, [[0, 1, 2], [3]])
    assert one.targets.switches is not None
    assert torch.equal(one.targets.switches.nan_to_num(9), torch.tensor([[0.0, 1], [1, 9], [1, 1]]))
    assert last.targets.switches is not None  # the set has labels, this study has none
    assert last.targets.switches.isnan().all()
    (none,) = batches(studies[3:], reader, [[0]])
    assert none.targets.switches is None


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(ten: list[Study], tmp_path: Path, workers: int) -> None:
    reader = StudyReader(SPEC, TextSpec(), TARGETS, tmp_path / "cache")
    order = [[3, 1, 4], [1, 5, 9], [2, 6], [8, 7, 0]]
    alone = list(batches(ten, reader, order))
    helped = list(batches(ten, reader, order, workers=workers))
    assert [b.ids for b in alone] == [tuple(f"s{i}" for i in row) for row in order] == [b.ids for b in helped]
    for a, h in zip(alone, helped, strict=True):
        assert torch.equal(a.pixels, h.pixels)
        assert torch.equal(a.mask, h.mask)
        assert a.views == h.views
        for name in ("words", "sentences", "tags"):
            assert torch.equal(getattr(a.targets, name), getattr(h.targets, name))


def test_a_process_without_workers_reads_images_in_as_many_threads_as_it_computes_with(
    ten: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = [[3, 1, 4, 5], [9, 2, 6]]
    alone = list(batches(ten, StudyReader(SPEC), order))
    at_once = threading.Barrier(2, timeout=20)  # two images are read at the same time, or this fails
    read = StudyReader.read

    def waits(reader: StudyReader, study: Study) -> LoadedStudy:
        if threading.current_thread() is not threading.main_thread() and study.id in ("s1", "s4"):
            at_once.wait()
        return read(reader, study)

    monkeypatch.setattr(StudyReader, "read", waits)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    together = list(batches(ten, StudyReader(SPEC), order))
    assert [b.ids for b in together] == [("s3", "s1", "s4", "s5"), ("s9", "s2", "s6")]
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(alone, together, strict=True))


def test_a_model_on_the_processor_starts_no_process_to_read_where_nobody_says(
    ten: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []
    real = model_module.read_with
    monkeypatch.setattr(
        model_module, "read_with", lambda *given, workers: asked.append(workers) or real(*given, workers=workers)
    )
    model = tiny_model(decoder="lstm")
    list(model.iter_reports(ten[:2], workers=None))
    list(model.iter_reports(ten[:2], workers=1))
    assert asked == [0, 1]


def test_reading_leaves_the_random_state_of_the_user_alone(ten: list[Study]) -> None:
    before = torch.random.get_rng_state()
    list(batches(ten, StudyReader(SPEC), [[0, 1], [2]], workers=1))
    assert torch.equal(torch.random.get_rng_state(), before)


def broken(path: Path) -> View:
    path.write_bytes(image(path.with_suffix(".whole.png"), 0).read_bytes()[:200])
    return View(path, "frontal")


@pytest.mark.parametrize("workers", [0, 1])
def test_one_bad_study_does_not_keep_the_others_from_being_read(ten: list[Study], tmp_path: Path, workers: int) -> None:
    ten[1] = Study("bad", (broken(tmp_path / "cut.png"),))
    ten[2] = Study("none")
    ten[4] = replace(ten[4], views=(broken(tmp_path / "half.png"), *ten[4].views))
    read = list(read_batches(ten[:5], SPEC, 3, workers=workers))
    assert [batch.ids for batch, _ in read] == [("s0",), ("s3", "s4")]
    first, second = (problems for _, problems in read)
    assert list(first) == ["bad", "none"]
    assert str(tmp_path / "cut.png") in first["bad"]
    assert "no image" in first["none"]
    assert list(second) == ["s4"]
    assert second["s4"].startswith("1 of its images used; cannot read")
    assert str(tmp_path / "half.png") in second["s4"]
    assert read[1][0].views == (ten[3].views, ten[4].views[1:])
    assert torch.equal(read[1][0].pixels[1, 0], pixels(ten[4].views[1]))


def test_where_the_best_view_is_bad_the_next_one_is_used(tmp_path: Path) -> None:
    lateral = View(image(tmp_path / "lateral.png", 1), "lateral")
    ((batch, problems),) = read_batches([Study("s", (lateral, broken(tmp_path / "cut.png")))], replace(SPEC, views=1))
    assert batch.views == ((lateral,),)
    assert "cut.png" in problems["s"]


def test_a_batch_of_bad_studies_is_empty(tmp_path: Path) -> None:
    ((batch, problems),) = read_batches([Study("bad", (broken(tmp_path / "cut.png"),))], SPEC)
    assert batch.ids == ()
    assert batch.pixels.shape == (0, 1, 8, 6)
    assert set(problems) == {"bad"}


@pytest.mark.parametrize("workers", [0, 1])
def test_training_stops_at_a_bad_image_with_its_name_in_one_line(
    ten: list[Study], tmp_path: Path, workers: int
) -> None:
    ten[1] = Study("bad", (*ten[1].views[:1], broken(tmp_path / "cut.png")))
    read = batches(ten, StudyReader(SPEC), [[0], [1]], workers=workers)
    assert next(read).ids == ("s0",)
    with pytest.raises(ImageError, match=r"cut\.png") as e:
        next(read)
    assert "\n" not in str(e.value)


def test_a_spec_nobody_can_follow_is_refused_before_a_worker_starts(ten: list[Study]) -> None:
    with pytest.raises(OptionError, match="no interpolation named 'cubic'") as e:
        next(read_batches(ten, replace(SPEC, interpolation="cubic"), workers=2))
    assert "\n" not in str(e.value)


def test_workers_are_as_many_as_help_where_nobody_says(ten: list[Study]) -> None:
    assert [b.ids for b in batches(ten, StudyReader(SPEC), [[0, 1], [2]], workers=None)] == [("s0", "s1"), ("s2",)]


@pytest.mark.parametrize(
    ("channels", "mean", "std"),
    [(3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), (1, (0.5,), (0.25,)), (3, (0.5,), (0.25,))],
)
def test_normalised_pixels_are_less_the_mean_over_the_deviation(
    channels: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    raw = torch.randint(0, 256, (2, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = normalise(raw, replace(SPEC, channels=channels, mean=mean, std=std))
    assert found.shape == (2, 3, channels, 8, 6)
    for c in range(channels):
        m, s = mean[c % len(mean)], std[c % len(std)]
        assert np.allclose(found[:, :, c].numpy(), (raw.numpy() / 255 - m) / s, atol=2e-6)


def test_normalised_pixels_lie_channels_last_also_when_views_are_picked_out() -> None:
    found = normalise(torch.zeros(2, 3, 8, 6, dtype=torch.uint8), SPEC)
    assert found.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert found[torch.tensor([[True, False, True], [True, True, False]])].is_contiguous(
        memory_format=torch.channels_last
    )
    assert normalise(torch.zeros(1, 1, 8, 6, dtype=torch.uint8), SPEC, torch.bfloat16).dtype == torch.bfloat16


def test_what_is_no_batch_of_bytes_is_not_normalised() -> None:
    with pytest.raises(ShapeError, match="uint8"):
        normalise(torch.zeros(2, 1, 8, 6), SPEC)
    with pytest.raises(ShapeError, match="3 channels"):
        normalise(torch.zeros(2, 1, 8, 6, dtype=torch.uint8), replace(SPEC, std=(0.2, 0.3)))
