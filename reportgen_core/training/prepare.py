"""Preparation of a model for training: it takes words, tags, findings and their frequencies from the studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from ..data.context import Context
from ..errors import DataError
from ..models.abilities import HasOwnTexts, KeepsFiles, LearnsFromStudies, TakesContext
from ..models.composition import retarget
from ..models.model import Model, target_spec
from ..models.reporters.context import lack_of_context
from ..text.spec import TextSpec, Vocabulary, build_vocabulary, learned_recipe, sentence_words
from ..types import Audit, Collection, Study, Targets, TargetSpec

# For each field of Targets: what a study must have, in the words of the person who supplies the data.
SUPPLIED_BY = {
    "words": "report text",
    "sentences": "report text",
    "tags": "tags (a column tags, MeSH or MTI terms with | between them)",
    "findings": "finding labels (a column a finding, which rg label makes from reports)",
    "switches": "sentence labels, normal or abnormal (rg data abnormal)",
}
assert set(SUPPLIED_BY) == {f.name for f in fields(Targets)}


def has_vocabulary(model: Model) -> bool:
    """Return whether a model has words of its own, from an earlier training or from its author."""
    return len(model.vocabulary) > len(Vocabulary())


def prepare_model(
    model: Model, studies: Sequence[Study], seed: int = 0, started: tuple[TextSpec, TargetSpec] | None = None
) -> Model:
    """Prepare a model for training on `studies` and return it.

    A model without a vocabulary gets a new head for the words, tags and findings of these studies, and its text recipe
    learns from their reports, if it is one that does. `started` has both in place of the studies, for a run that
    resumes. Any other model keeps its head. Raises DataError if the studies lack what the head needs.
    """
    if not has_vocabulary(model):
        text = started[0] if started else learned_recipe(model.text, [s.text(model.text.sections) for s in studies])
        model = retarget(model, started[1] if started else targets_of_studies(studies, text, model.head), text, seed)
    check_needs(model, studies)
    collection = Collection(tuple(studies), Audit("training", len(studies), sum(len(s.views) for s in studies)))
    for part in (model.encoder, model.head):
        if isinstance(part, LearnsFromStudies):
            part.learn(collection)
    if isinstance(model.head, KeepsFiles):
        model.head.drop_files()
    return model


def targets_of_studies(studies: Sequence[Study], text: TextSpec, head: object = None) -> TargetSpec:
    """Return what a model predicts: the words, tags and findings of these studies.

    Words are chosen by the text spec; those of the head's own texts are frequent enough, and those of the context that
    it takes are counted with the reports. Tags are sorted by frequency.
    Findings are sorted by name, and each has the share (0..1) of studies in which it is present.
    """
    texts = [s.text(text.sections) for s in studies]
    counts = Counter(tag for s in studies for tag in s.tags)
    tags = sorted(counts, key=lambda t: (-counts[t], t))
    findings = sorted({name for s in studies for name in s.labels})
    if isinstance(head, HasOwnTexts):
        texts += list(head.own_texts(findings)) * max(text.min_count, 1)
    if isinstance(head, TakesContext):
        texts += [own for s in studies for own in Context.of(s).only(head.takes_context).texts().values()]
    vocabulary = build_vocabulary(texts, text)
    positives = [sum(s.labels.get(f) == 1 for s in studies) / len(studies) for f in findings]
    return target_spec(text, vocabulary, tags, findings, positives)


def check_needs(model: Model, studies: Sequence[Study]) -> None:
    """Raise DataError unless the studies have everything that the head needs for training."""
    if not studies:
        raise DataError("there is no study to train on; rg data audit says what was left out and why")
    text = model.text
    present = {
        "words": any(sentence_words(s.text(text.sections), text) for s in studies),
        "tags": any(s.tags for s in studies),
        "findings": any(s.labels for s in studies),
        "switches": any("sentence_abnormal" in s.extra for s in studies),
    }
    present["sentences"] = present["words"]
    for need in sorted(model.head.needs):
        if not present[need]:
            have = ", ".join(k for k, v in present.items() if v) or "none of its targets"
            missing = _sections(text, studies) if need in ("words", "sentences") else SUPPLIED_BY[need]
            raise DataError(
                f"{model.head.part_config['name']} needs {need}, and no training study has {missing}; "
                f"the data gives: {have} (sections read: {', '.join(text.sections)})"
            )
    _check_views(model, studies)
    lacks = [lack for s in studies if (lack := lack_of_context(s, model.takes, model.called))]
    if lacks:
        raise DataError(f"{lacks[0]}; {len(lacks)} of {len(studies)} training studies lack something that it requires")


def _sections(text: TextSpec, studies: Sequence[Study]) -> str:
    """Return text that names the sections that are read, the sections that have text, and a way to make a section."""
    with_text = sorted({name for s in studies for name, content in s.sections.items() if content.strip()})
    hint = "; rg data abnormal makes a table with the section abnormal" if "abnormal" in text.sections else ""
    return (
        f"{SUPPLIED_BY['words']} in section {' or '.join(text.sections)} (a column of that name{hint}), "
        f"only in: {', '.join(with_text) or 'none'}"
    )


def _check_views(model: Model, studies: Sequence[Study]) -> None:
    views, name = model.encoder.image.views, model.encoder.part_config["name"]
    if views > 1 and not any(len(s.views) > 1 for s in studies):
        raise DataError(
            f"{name} with views={views} needs a frontal and a lateral image, and no study has two (a row an image with "
            f"the same id, and a column view that says PA or lateral); views=1 looks at one"
        )
