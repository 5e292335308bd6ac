"""Say in plain words what is wrong with a dataset, or easily overlooked. A sentence has its numbers with it."""

from __future__ import annotations

from collections.abc import Iterator

from .findings import ENGLISH, FEW, FindingFacts
from .fingerprint import Fingerprint
from .leaks import Leak
from .numbers import percent, share
from .texts import LONG, TextFacts

MANY = 0.05  # share of the reports above which a cut, a lack or a doubt is reported
SMALL = 100  # training reports: fewer teach little
MOST_NORMAL = 0.8
ALIKE = 0.5  # share of the studies with the same report
REPEATED = 0.2  # share of the held-out reports whose words training has
UNKNOWN = 0.02  # share of the words of a split that training does not have


def warnings_of(fingerprint: Fingerprint) -> tuple[str, ...]:
    """Return the warnings on a dataset, the gravest kind first."""
    found = [*_leaking(fingerprint), *_missing(fingerprint)]
    if fingerprint.texts is not None:
        found += [
            *_alike(fingerprint.texts),
            *_cut(fingerprint.texts),
            *_words(fingerprint.texts),
            *_languages(fingerprint),
        ]
    return tuple([*found, *_splits(fingerprint), *_rare(fingerprint), *_images(fingerprint)])


def _leaking(fingerprint: Fingerprint) -> Iterator[str]:
    for leak in fingerprint.leaks:
        if leak.patients:
            yield (
                f"the split leaks: {leak.patients} of {leak.of_patients} patients of {leak.held_out} are in "
                f"{leak.seen}, too; draw the splits by patient"
            )
        if leak.images:
            yield (
                f"the split leaks: {leak.images} of {leak.of_images} images of {leak.held_out} are the same files "
                f"as images of {leak.seen}"
            )
        yield from _repeated(leak)


def _repeated(leak: Leak) -> Iterator[str]:
    if leak.seen == "train" and share(leak.reports, leak.of_reports) > REPEATED:
        yield (
            f"{percent(leak.reports, leak.of_reports)} of the reports of {leak.held_out} ({leak.reports} of "
            f"{leak.of_reports}) stand word for word in {leak.seen}: a model that copies scores well there"
        )


def _missing(fingerprint: Fingerprint) -> Iterator[str]:
    texts, facts = fingerprint.texts, fingerprint.studies
    sections = " or ".join(fingerprint.report)
    if texts is None:
        held = ", ".join(f"{name} ({n})" for name, n in facts.sections.items()) or "none"
        yield f"no study has a report in {sections}: no model can learn to write from it; sections there: {held}"
    elif texts.without:
        yield f"{texts.without} of {facts.studies} studies have no report in {sections}; sections there: " + ", ".join(
            f"{name} ({n})" for name, n in facts.sections.items()
        )
    if len(fingerprint.report) > 1:
        for name, n in facts.wanted.items():
            if share(n, facts.studies) > MANY:
                yield f"the section {name} is missing in {n} of {facts.studies} studies"
    if facts.patients == 1:
        yield "all studies are of one patient: nothing that is measured on them holds for another patient"
    elif facts.without_patient:
        yield (
            f"{facts.without_patient} of {facts.studies} studies name no patient, so that a split by patient "
            "and a leak of patients cannot be checked"
        )


def _alike(texts: TextFacts) -> Iterator[str]:
    if texts.distinct == 1 and texts.reports > 1:
        yield f"all {texts.reports} reports are alike: there is nothing to learn from an image"
    elif texts.reports > 1 and share(texts.commonest, texts.reports) > ALIKE:
        yield f"{percent(texts.commonest, texts.reports)} of the studies have the same report, word for word"


def _cut(texts: TextFacts) -> Iterator[str]:
    cut, n = texts.cut, texts.reports
    if share(cut.by_sentences, n) > MANY:
        yield (
            f"{percent(cut.by_sentences, n)} of the reports have more than {cut.max_sentences} sentences and are cut; "
            f"--text max_sentences={texts.sentences.p99} of rg train keeps 99 % of them whole"
        )
    if share(cut.by_words, n) > MANY:
        words = f"a sentence of more than {cut.max_words} words, which is cut"
        yield f"{percent(cut.by_words, n)} of the reports have {words}"
    if share(cut.by_length, n) > MANY:
        yield f"{percent(cut.by_length, n)} of the reports are longer than {cut.max_length} words in all, and are cut"
    if share(texts.unpunctuated, texts.reports) > MANY:
        yield (
            f"{percent(texts.unpunctuated, n)} of the reports have {LONG} words or more and no sign that ends a "
            "sentence: they count as one sentence, which the limits cut"
        )


def _words(texts: TextFacts) -> Iterator[str]:
    for split, value in texts.unknown.items():
        if value > UNKNOWN:
            yield f"{100 * value:.1f} % of the words of {split} stand in no training report: a model cannot write them"
    if len(texts.growth) > 2 and texts.reports >= SMALL:
        (before, few), (after, many) = texts.growth[-2:]
        new = (many - few) / (after - before)
        if new > 1:
            yield f"the vocabulary still grows: the last reports that were read bring {new:.1f} new words each"


def _languages(fingerprint: Fingerprint) -> Iterator[str]:
    foreign = {name: n for name, n in fingerprint.languages.items() if name != ENGLISH}
    if foreign:
        names = ", ".join(f"{n} in {name}" for name, n in foreign.items())
        yield (
            f"reports in several languages or not in English: {names}; the labeler reads English, so that "
            "their findings are not counted"
        )


def _splits(fingerprint: Fingerprint) -> Iterator[str]:
    splits = fingerprint.studies.splits
    unsplit = splits.get("", {}).get("studies", 0)
    if unsplit == fingerprint.studies.studies:
        yield "no study has a split: training needs train and val, an honest score needs test"
        return
    if unsplit:
        yield f"{unsplit} of {fingerprint.studies.studies} studies have no split, and are not used"
    for name, why in (("train", "nothing to learn from"), ("val", "nothing to select by"), ("test", "no honest score")):
        if name not in splits:
            yield f"there is no split {name}: {why}"
    learned = splits.get("train", {}).get("reports", 0)
    if fingerprint.texts is not None and "train" in splits and learned < SMALL:
        yield f"{learned} training reports are few: of less than {SMALL} hardly more than the commonest is learned"


def _rare(fingerprint: Fingerprint) -> Iterator[str]:
    for facts in (fingerprint.read, fingerprint.given):
        if facts is None:
            continue
        whose = "of the dataset's labels" if facts.source == "data" else f"by {facts.source}"
        if facts.normal is not None and share(facts.normal, facts.labelled) > MOST_NORMAL:
            yield (
                f"{percent(facts.normal, facts.labelled)} of the studies are normal ({whose}): a model that always "
                "writes a normal report scores well in words"
            )
        yield from _few(facts, whose)
        if facts.source != "data" and share(facts.unlabelled, facts.labelled + facts.unlabelled) > MANY:
            yield f"{facts.source} reads no finding in {facts.unlabelled} reports, not even that there is none"


def _few(facts: FindingFacts, whose: str) -> Iterator[str]:
    if facts.few:
        names = ", ".join(f"{f.name} ({f.in_training})" for f in facts.few)
        yield f"less than {FEW} studies to learn from ({whose}): {names}"


def _images(fingerprint: Fingerprint) -> Iterator[str]:
    images = fingerprint.images
    if not images.images:
        yield "no study names an image: only the reports were looked at"
        return
    if images.missing:
        all_ = images.missing + images.files
        yield (
            f"{images.missing} of {all_} image files are not there; {images.studies_missing} studies are without any "
            "of theirs, and cannot be trained on"
        )
    if images.copies:
        yield f"{images.copies} of {images.files} image files have the bytes of another file"
    if images.sample_unread:
        n = sum(images.sample_unread.values())
        reason = next(iter(images.sample_unread))
        yield f"{n} of {images.sampled} sampled images cannot be read, as: {reason}"
