"""Write the page of a fingerprint: facts, warnings, and a picture for each of them. It has no report and no image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..pages.shared.frame import escape_text, fill_page
from ..pages.shared.origin import Origin
from .charts import bar_rows, count_rows, curve, histogram, size_map
from .findings import FindingFacts
from .fingerprint import Fingerprint
from .leaks import Leak
from .numbers import Spread, percent
from .texts import LONG, RARE, TextFacts

HERE = Path(__file__).parent
STATES = {"part": "stated", "doubted": "in doubt", "denied": "denied"}  # class of a bar: what it means


def fingerprint_page(fingerprint: Fingerprint, warnings: Sequence[str], origin: Origin) -> str:
    """Return the page as HTML."""
    body = [_chips(fingerprint), _warnings(warnings), _studies(fingerprint)]
    if fingerprint.texts is not None:
        body.append(_reports(fingerprint, fingerprint.texts))
    body += [_findings(facts) for facts in (fingerprint.read, fingerprint.given) if facts is not None]
    body += [_images(fingerprint), _leaks(fingerprint.leaks), _foot(fingerprint)]
    return fill_page(
        "\n".join(body),
        title=f"What {fingerprint.dataset} holds",
        origin=origin,
        style=(HERE / "page.css").read_text("utf-8"),
        script="watchScroll();",
    )


def _chips(fingerprint: Fingerprint) -> str:
    studies, texts = fingerprint.studies, fingerprint.texts
    facts = [f"{studies.studies:,} studies", f"{studies.patients:,} patients", f"{fingerprint.images.images:,} images"]
    facts += [f"{texts.reports:,} reports" if texts else "no reports", "report: " + " then ".join(fingerprint.report)]
    items = "".join(f'<li class="chip">{escape_text(fact)}</li>' for fact in facts)
    return f'<p class="dim">{escape_text(fingerprint.source)}</p><ul class="chips">{items}</ul>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return '<p class="fine">Nothing was found to warn of.</p>'
    items = "".join(f"<li>{escape_text(w[0].upper() + w[1:])}.</li>" for w in warnings)
    title = (
        "One thing to know before training" if len(warnings) == 1 else f"{len(warnings)} things to know before training"
    )
    return f'<div class="notice" role="note"><strong>{title}</strong><ul>{items}</ul></div>'


def _studies(fingerprint: Fingerprint) -> str:
    facts, whole = fingerprint.studies, fingerprint.studies.studies
    splits = [
        (
            name or "no split",
            [("part", row["studies"])],
            f"{row['studies']:,} studies, {row['patients']:,} patients, {row['reports']:,} reports",
        )
        for name, row in facts.splits.items()
    ]
    views = {_views(name): n for name, n in facts.views.items() if n}
    figures = [
        _figure("Splits", bar_rows(splits, whole)),
        _figure("Images of a study", count_rows(views, whole)),
        _figure("Sections", count_rows(facts.sections, whole) if facts.sections else "<p>No study has a text.</p>"),
    ]
    if facts.projections:
        figures.append(_figure("Projections", count_rows(facts.projections, fingerprint.images.images)))
    if facts.dropped:
        figures.append(
            _figure("Left out by the dataset", count_rows(facts.dropped, whole + sum(facts.dropped.values())))
        )
    said = [f"The patient with the most studies has {facts.most_of_a_patient}."] if facts.patients else []
    said += [f"{facts.priors:,} studies have an earlier study."] if facts.priors else []
    said += [f"{facts.boxes:,} studies have places of findings."] if facts.boxes else []
    return _section("Studies", " ".join(said), figures)


def _views(count: str) -> str:
    return "none" if count == "0" else "1 image" if count == "1" else f"{count} images" + " or more" * (count == "9")


def _reports(fingerprint: Fingerprint, texts: TextFacts) -> str:
    cut, n = texts.cut, texts.reports
    limits = {
        f"more than {cut.max_sentences} sentences": cut.by_sentences,
        f"a sentence of more than {cut.max_words} words": cut.by_words,
        f"more than {cut.max_length} words in all": cut.by_length,
        "any of these": cut.by_any,
    }
    doubts = {
        "word for word as another": n - texts.distinct,
        "the commonest report": texts.commonest,
        f"{LONG} words or more, no sentence end": texts.unpunctuated,
    }
    figures = [
        _figure("Words of a report", histogram(texts.words, "words"), _said(texts.words)),
        _figure(
            "Sentences of a report",
            histogram(texts.sentences, "sentences", 0 if not cut.by_sentences else cut.max_sentences),
            _said(texts.sentences),
        ),
        _figure(
            "Growth of the vocabulary",
            curve(texts.growth, "reports", "words"),
            f"{texts.vocabulary:,} words, {texts.once:,} of them once, {texts.rare:,} less than {RARE} times.",
        ),
        _figure("Cut by the limits of training", count_rows(limits, n)),
        _figure("Alike, or without sentence ends", count_rows(doubts, n)),
    ]
    if fingerprint.languages:
        figures.append(_figure("Languages", count_rows(fingerprint.languages, n)))
    if texts.unknown:
        rows = [(k, [("warned", round(v * 1e5))], f"{100 * v:.2f} %") for k, v in texts.unknown.items()]
        figures.append(_figure("Words that training never shows", bar_rows(rows, 100_000)))
    words = f"{n:,} reports by the text recipe {texts.recipe}, {texts.distinct:,} of them distinct."
    return _section("Reports", words, figures)


def _said(spread: Spread) -> str:
    return (
        f"Median {spread.median:,}, 95 % at most {spread.p95:,}, 99 % at most {spread.p99:,}, "
        f"the longest {spread.greatest:,}."
    )


def _findings(facts: FindingFacts) -> str:
    """Return the findings with a bar for what is stated, doubted and denied, the commonest first."""
    whole = facts.labelled
    rows = [
        (
            f.name,
            [("part", f.present), ("doubted", f.uncertain), ("denied", f.absent)],
            f"{f.present:,} ({percent(f.present, whole)}), {f.uncertain:,} in doubt, {f.absent:,} denied; "
            f"{f.in_training:,} to learn from",
        )
        for f in facts.findings
    ]
    title = "Findings: the labels of the dataset" if facts.source == "data" else f"Findings, read by {facts.source}"
    words = f"{facts.labelled:,} studies have a label, {facts.unlabelled:,} have none."
    if facts.normal is not None:
        words += f" {percent(facts.normal, whole)} are normal: no finding is stated or in doubt."
    key = "".join(f'<li><i class="{kind}"></i>{word}</li>' for kind, word in STATES.items())
    key = f'<ul class="key">{key}</ul>'
    return _section(title, words, [f'<div class="wide">{key}{bar_rows(rows, whole)}</div>'])


def _images(fingerprint: Fingerprint) -> str:
    facts = fingerprint.images
    if not facts.images:
        return _section("Images", "No study names an image; only the reports were looked at.", [])
    files = {"there": facts.files, "not there": facts.missing, "with the bytes of another": facts.copies}
    figures = [_figure("Files", count_rows(files, facts.files + facts.missing))]
    if facts.sample_sizes:
        read = sum(facts.sample_sizes.values())
        common = list(facts.sample_sizes.items())
        most = ", ".join(f"{size} ({percent(n, read)})" for size, n in common[:3])
        words = f"{len(common):,} {'size' if len(common) == 1 else 'sizes'}; height x width: {most}."
        figures += [
            _figure("Sizes", size_map(facts.sample_sizes, read), words),
            _figure("Bit depth", count_rows(facts.sample_depths, read)),
        ]
    if facts.sampled:
        figures.append(_figure("Kinds of files", count_rows(facts.sample_kinds, facts.sampled)))
    for title, counts in (("Cannot be read", facts.sample_unread), ("Notes on images", facts.sample_notes)):
        if counts:
            figures.append(_figure(title, count_rows(counts, facts.sampled)))
    words = f"{facts.sampled:,} of {facts.files:,} files were decoded for sizes, depths and notes."
    words = words if facts.files else "None of the files that the studies name is there."
    return _section("Images", words, figures)


def _leaks(leaks: Sequence[Leak]) -> str:
    if not leaks:
        return _section("Leaks between splits", "There are no two splits to compare.", [])
    rows = ""
    for leak in leaks:
        pairs = ((leak.patients, leak.of_patients), (leak.reports, leak.of_reports), (leak.images, leak.of_images))
        cells = "".join(_leak_cell(n, whole, kind != 1) for kind, (n, whole) in enumerate(pairs))
        rows += f'<tr><th scope="row">{escape_text(leak.held_out)} in {escape_text(leak.seen)}</th>{cells}</tr>'
    head = "".join(f'<th scope="col">{name}</th>' for name in ("splits", "patients", "reports", "images"))
    table = f'<table class="leaks"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    words = (
        "How many patients, reports and images of a split stand in another one, too. Short normal reports repeat "
        "themselves; patients and images must not."
    )
    return _section("Leaks between splits", words, [f'<div class="wide"><div class="scroll">{table}</div></div>'])


def _leak_cell(n: int, whole: int, grave: bool) -> str:
    if not whole:
        return '<td class="dim">none there</td>'
    warned = ' class="leaking"' if n and grave else ""
    return f"<td{warned}>{n:,} of {whole:,} ({percent(n, whole)})</td>"


def _foot(fingerprint: Fingerprint) -> str:
    notes = "".join(f"<li>{escape_text(note)}</li>" for note in fingerprint.notes)
    shown = f"<p>Notes of the dataset:</p><ul>{notes}</ul>" if notes else ""
    return (
        f'<footer class="foot">{shown}<p>Nothing was trained. Reports count as alike if they differ in case and spaces '
        "only, images if their files have the same bytes. The order of the reports in the curve follows from their "
        "ids.</p></footer>"
    )


def _section(title: str, words: str, figures: Sequence[str]) -> str:
    shown = f"<p>{escape_text(words)}</p>" if words else ""
    return f'<section><h2>{escape_text(title)}</h2>{shown}<div class="figures">{"".join(figures)}</div></section>'


def _figure(title: str, inner: str, words: str = "") -> str:
    shown = f'<p class="dim">{escape_text(words)}</p>' if words else ""
    return f'<div class="panel"><h3>{escape_text(title)}</h3>{inner}{shown}</div>'
