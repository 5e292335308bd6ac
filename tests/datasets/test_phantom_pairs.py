"""Pairs of the phantom: a prior, what has changed since, and reports that say so; without the option all is as before."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportgen_plugins.datasets.phantom.changes import (
    CHANGES,
    LASTING,
    Change,
    counts,
    draw_prior,
    indication,
    read_changes,
    states_change,
    true_changes,
)
from reportgen_plugins.datasets.phantom.film.drawing import film
from reportgen_plugins.datasets.phantom.film.findings import KINDS, Finding, rates, sample
from reportgen_plugins.datasets.phantom.language import HEAD_PATTERNS, read_findings, write_report

from reportgen_core import Collection, OptionError, Study
from reportgen_core.data import Context
from reportgen_core.registries import datasets

# Of the facts of five studies, and of their images the means, taken before there were pairs. A pixel may differ by one
# grey level between machines, and a mean by less than a hundredth.
BEFORE: list[tuple[dict[str, object], str, list[float]]] = [
    (
        {},
        "6fad83eab1dc8cbc90bcc16221214ceb93c3a9918ec2bd5ca6b0ecc0259eb052",
        [135.391, 111.269, 139.99, 116.901, 156.96, 128.976, 134.496, 113.719, 130.81, 112.201],
    ),
    (
        {"seed": 7, "abundance": 2.0, "views": 1},
        "5e1421eff7a8f06268a9185042b38955f3928dbef3f7621d48e11eff51f969fd",
        [137.421, 139.566, 148.922, 140.86, 155.739],
    ),
]
CASES = [(id, sample(id, 0, rates({}), 0.3)) for id in (f"phantom-{n:06d}" for n in range(400))]


def read(root: Path, **options: object) -> Collection:
    return datasets.create("phantom", root, size=64, **options).read()


@pytest.mark.parametrize(("options", "digest", "greys"), BEFORE)
def test_without_pairs_studies_images_and_folders_are_those_of_earlier_releases(
    tmp_path: Path, options: dict[str, object], digest: str, greys: list[float]
) -> None:
    seen, means = hashlib.sha256(), []
    for s in read(tmp_path, n=5, **options).studies:
        facts = {
            "id": s.id, "sections": dict(s.sections), "tags": s.tags, "labels": dict(s.labels), "split": s.split,
            "patient": s.patient, "extra": s.extra, "boxes": [asdict(b) for b in s.boxes],
        }  # fmt: skip
        seen.update(json.dumps(facts, sort_keys=True).encode())
        for view in s.views:
            seen.update(str(view.path.relative_to(tmp_path)).encode())
            means.append(np.asarray(Image.open(view.path)).mean())
        assert s.prior is None
    assert seen.hexdigest() == digest
    np.testing.assert_allclose(means, greys, atol=0.01)


def test_a_study_with_pairs_shows_what_it_shows_without(tmp_path: Path) -> None:
    paired, plain = read(tmp_path / "a", n=8, views=1, pairs=0.5), read(tmp_path / "b", n=8, views=1)
    for one, other in zip(paired.studies, plain.studies, strict=True):
        assert one.extra["findings"] == other.extra["findings"] and one.split == other.split
        assert np.array_equal(Image.open(one.views[0].path), Image.open(other.views[0].path))
    assert any(s.prior for s in paired.studies) and not all(s.prior for s in paired.studies)
    notes = [n for n in paired.audit.notes if n.startswith("prior: ")]
    assert notes == [f"prior: {sum(s.prior is not None for s in paired.studies)} studies have an earlier study"]


def test_a_prior_is_an_earlier_study_of_the_same_person_and_split(tmp_path: Path) -> None:
    for study in read(tmp_path, n=12, views=1, pairs=1.0).studies:
        prior = study.prior
        assert prior is not None
        assert (prior.id, prior.patient, prior.split) == (f"{study.id}-prior", study.patient, study.split)
        assert prior.views[0].path.is_file() and prior.prior is None and "indication" not in prior.sections
        assert Context.of(study).prior_report == prior.text(("findings", "impression"))
        assert not np.array_equal(Image.open(prior.views[0].path), Image.open(study.views[0].path))


def test_the_share_is_kept_and_a_prior_does_not_depend_on_it() -> None:
    priors = [draw_prior(id, 0, findings, 0.3) for id, findings in CASES]
    assert 0.22 < sum(p is not None for p in priors) / len(CASES) < 0.38
    more = [draw_prior(id, 0, findings, 0.9) for id, findings in CASES]
    assert all(b == a for a, b in zip(priors, more, strict=True) if a is not None)


def test_what_has_changed_is_the_difference_of_the_two_studies() -> None:
    seen: Counter[str] = Counter()
    for id, now in CASES:
        drawn = draw_prior(id, 0, now, 1.0)
        assert drawn is not None
        before, changes = drawn
        assert [c.kind for c in changes if c.change != "resolved"] == list(dict.fromkeys(f.kind for f in now))
        for change in changes:
            old, new = (tuple(f for f in some if f.kind == change.kind) for some in (before, now))
            seen[change.change] += 1
            degrees = KINDS[change.kind].degrees
            match change.change:
                case "unchanged":
                    assert old == new
                case "new":
                    assert old == () and new and change.kind not in LASTING
                case "resolved":
                    assert new == () and old == change.findings
                case larger_or_smaller:
                    by = 1 if larger_or_smaller == "larger" else -1
                    assert degrees.index(new[0].degree) - degrees.index(old[0].degree) == by
                    assert [f.place for f in old] == [f.place for f in new]
    assert set(seen) == set(CHANGES) and min(seen.values()) > 20


def test_reports_state_every_change_and_none_without_a_prior() -> None:
    for id, now in CASES[:200]:
        drawn = draw_prior(id, 0, now, 1.0)
        assert drawn is not None
        plain, paired = write_report(id, 0, now), write_report(id, 0, now, drawn[1])
        texts = [" ".join(t.sections().values()) for t in (plain, paired)]
        assert not states_change(texts[0]) and read_changes(texts[0], HEAD_PATTERNS) == set()
        truth = true_changes({"changes": [c.to_json() for c in drawn[1]]})
        assert read_changes(paired.sections()["findings"], HEAD_PATTERNS) == truth
        assert {f.kind for f in read_findings(texts[1])} == {f.kind for f in now}
        assert states_change(texts[1]) == bool(truth)
        kept = [s for s in paired.findings if "has resolved" not in s.text and "have resolved" not in s.text]
        for said, same in zip(kept, plain.findings, strict=True):  # the other words stay
            assert said.text.startswith(same.text.removesuffix("."))


def test_both_sides_resolve_in_the_plural() -> None:
    both = tuple(Finding("effusion", side, "small") for side in ("right", "left"))
    text = write_report("x", 0, (), [Change("effusion", "resolved", both)]).sections()["findings"]
    assert "The bilateral pleural effusions have resolved." in text


def test_the_indication_names_a_suspicion_that_is_right_more_often_than_not() -> None:
    right = total = 0
    for id, findings in CASES:
        text, kind = indication(id, 0, findings)
        assert text.endswith(".") and text.split()[0] in ("Suspected", "Rule", "Evaluate")
        kinds = {f.kind for f in findings}
        if kinds & {"cardiomegaly", "effusion", "nodule", "mass", "atelectasis", "edema"}:
            right, total = right + (kind in kinds), total + 1
    assert 0.6 < right / total < 0.8


def test_a_changed_degree_of_one_person_keeps_the_place_of_the_finding() -> None:
    small, large = (Finding("effusion", "left", degree) for degree in ("small", "large"))
    (before,) = film("p", 0, [small], "frontal", 128, "-prior").boxes
    (now,) = film("p", 0, [large], "frontal", 128).boxes
    assert now.width * now.height > before.width * before.height
    assert abs((now.left + now.width / 2) - (before.left + before.width / 2)) < 0.15


def test_counts_are_those_of_sets() -> None:
    assert counts(["a", "b", "b"], ["b", "c"]) == (1, 2, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"pairs": 1.5}, "pairs=1.5 is a share"), ({"pairs": True}, "pairs=True is a share"),
     ({"pairs": 0.5, "text": "open-i"}, 'needs text="own"')],
)  # fmt: skip
def test_wrong_pairs_are_one_line(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        read(tmp_path, n=2, **options)


def test_a_study_with_a_prior_is_still_a_study(tmp_path: Path) -> None:
    study = read(tmp_path, n=1, views=2, pairs=1.0).studies[0]
    assert isinstance(study, Study) and study.prior is not None and len(study.prior.views) == 2
